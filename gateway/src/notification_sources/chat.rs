//! Notifications of chat rooms.

use std::collections::HashSet;

use async_trait::async_trait;
use guildhall_chat::{
    RoomId, SqlChat,
    event::{ParticipantInvited, RoomApproved, RoomRequested},
};
use guildhall_kernel::{
    Result, UserId,
    db::Tx,
    event::{Emitted, Event},
};
use guildhall_notifications::{NewNotification, NotificationKind, Source, Target};

/// The kind of the targets.
const ROOM: &str = "room";

/// Notifies hosts of requests to join their rooms, and users of their approval.
pub(crate) struct ChatSource(pub(crate) SqlChat);

fn about_room(
    recipient: UserId,
    kind: NotificationKind,
    actor: UserId,
    (room, name): (RoomId, &str),
) -> NewNotification {
    let url = format!("/chat/{room}/");
    NewNotification {
        recipient,
        kind,
        actor: Some(actor),
        target: Some(Target { kind: ROOM.to_owned(), id: room.0, url }),
        group_key: format!("room/{room}"),
        subject: format!("the room “{name}”"),
    }
}

impl ChatSource {
    /// Notifies the host and the co-hosts.
    async fn requested(&self, tx: &Tx, event: RoomRequested) -> Result<Vec<NewNotification>> {
        let RoomRequested { room, user, .. } = event;
        let Some(name) = self.0.room_name(tx, room).await? else { return Ok(Vec::new()) };
        let moderators = self.0.moderators(tx, room).await?.into_iter();
        let requested = |moderator| about_room(moderator, NotificationKind::RoomRequest, user, (room, &name));
        Ok(moderators.map(requested).collect())
    }

    /// Notifies a user who takes part now.
    async fn admitted(
        &self,
        tx: &Tx,
        kind: NotificationKind,
        room: RoomId,
        (user, actor): (UserId, UserId),
    ) -> Result<Vec<NewNotification>> {
        let Some(name) = self.0.room_name(tx, room).await? else { return Ok(Vec::new()) };
        Ok(vec![about_room(user, kind, actor, (room, &name))])
    }
}

#[async_trait]
impl Source for ChatSource {
    fn events(&self) -> Vec<&'static str> {
        vec![RoomRequested::NAME, RoomApproved::NAME, ParticipantInvited::NAME]
    }

    fn targets(&self) -> Vec<&'static str> {
        vec![ROOM]
    }

    async fn notifications(&self, tx: &Tx, event: &Emitted) -> Result<Vec<NewNotification>> {
        if let Some(event) = event.read()? {
            return self.requested(tx, event).await;
        }
        if let Some(RoomApproved { room, user, actor }) = event.read()? {
            return self.admitted(tx, NotificationKind::RoomApproved, room, (user, actor)).await;
        }
        match event.read()? {
            Some(ParticipantInvited { room, user, actor }) => {
                self.admitted(tx, NotificationKind::GroupInvite, room, (user, actor)).await
            }
            None => Ok(Vec::new()),
        }
    }

    async fn may_see(&self, user: UserId, kind: &str, ids: &[i64]) -> Result<HashSet<i64>> {
        if kind != ROOM {
            return Ok(HashSet::new());
        }
        let rooms: Vec<RoomId> = ids.iter().copied().map(RoomId).collect();
        Ok(self.0.visible_rooms(user, &rooms).await?.into_iter().map(|room| room.0).collect())
    }
}
