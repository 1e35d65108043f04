//! Notifications of messages. They contain nothing of the messages.

use std::collections::HashSet;

use async_trait::async_trait;
use guildhall_kernel::{
    Result, UserId,
    db::Tx,
    event::{Emitted, Event},
};
use guildhall_messaging::{
    ConversationId, SqlMessaging,
    event::{MessageSent, RequestReceived},
};
use guildhall_notifications::{NewNotification, NotificationKind, Source, Target};

/// The kind of the targets.
const CONVERSATION: &str = "conversation";

/// Notifies users of messages, and of conversations that they have to accept.
pub(crate) struct MessagingSource(pub(crate) SqlMessaging);

/// A notification about a conversation with one other user, or about a group.
fn about_conversation(
    recipient: UserId,
    kind: NotificationKind,
    actor: UserId,
    (conversation, is_direct): (ConversationId, bool),
    subject: String,
) -> NewNotification {
    let url =
        if is_direct { format!("/messaging/conversation/{actor}/") } else { format!("/messaging/{conversation}/") };
    NewNotification {
        recipient,
        kind,
        actor: Some(actor),
        target: Some(Target { kind: CONVERSATION.to_owned(), id: conversation.0, url }),
        group_key: format!("conversation/{conversation}"),
        subject,
    }
}

impl MessagingSource {
    /// Notifies those who have not muted the conversation and have not read the message already.
    async fn sent(&self, tx: &Tx, event: MessageSent) -> Result<Vec<NewNotification>> {
        let MessageSent { message, conversation, sender, receiver } = event;
        let recipients = self.0.recipients(tx, message).await?.into_iter();
        let place = (conversation, receiver.is_some());
        let sent = |recipient| {
            about_conversation(recipient, NotificationKind::DirectMessage, sender, place, "a message".to_owned())
        };
        Ok(recipients.map(sent).collect())
    }

    async fn requested(&self, tx: &Tx, event: RequestReceived) -> Result<Vec<NewNotification>> {
        let RequestReceived { message, conversation, sender, receiver } = event;
        let (kind, subject) = if message.is_some() {
            (NotificationKind::DirectMessage, "a message".to_owned())
        } else {
            let Some(name) = self.0.conversation_name(tx, conversation).await? else { return Ok(Vec::new()) };
            (NotificationKind::GroupInvite, format!("the conversation “{name}”"))
        };
        Ok(vec![about_conversation(receiver, kind, sender, (conversation, message.is_some()), subject)])
    }
}

#[async_trait]
impl Source for MessagingSource {
    fn events(&self) -> Vec<&'static str> {
        vec![MessageSent::NAME, RequestReceived::NAME]
    }

    fn targets(&self) -> Vec<&'static str> {
        vec![CONVERSATION]
    }

    async fn notifications(&self, tx: &Tx, event: &Emitted) -> Result<Vec<NewNotification>> {
        if let Some(event) = event.read()? {
            return self.sent(tx, event).await;
        }
        match event.read()? {
            Some(event) => self.requested(tx, event).await,
            None => Ok(Vec::new()),
        }
    }

    async fn may_see(&self, user: UserId, kind: &str, ids: &[i64]) -> Result<HashSet<i64>> {
        if kind != CONVERSATION {
            return Ok(HashSet::new());
        }
        let ids: Vec<ConversationId> = ids.iter().copied().map(ConversationId).collect();
        Ok(self.0.conversations_of(user, &ids).await?.into_iter().map(|id| id.0).collect())
    }
}
