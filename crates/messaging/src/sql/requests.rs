//! Conversations that the caller has to accept.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, db};

use super::{SqlMessaging, conversations::List, membership::end_membership};
use crate::{
    core::{access::Access, frames::Frame},
    entity::member::MemberState,
    error::{Error, Result},
    event::RequestAccepted,
    id::ConversationId,
    model::{Conversation, InboxFilter},
    service::Requests,
};

const ACCEPT: &str = "UPDATE messaging_member SET state = 'active' WHERE conversation_id = $1 AND user_id = $2";
/// Later messages do not reach whoever has declined, until they write themselves.
const DECLINE: &str = "UPDATE messaging_member SET state = 'left', unread_count = 0, last_read_no = $3, \
    last_message_id = NULL WHERE conversation_id = $1 AND user_id = $2";

fn require_request(access: &Access) -> Result<()> {
    if access.state == MemberState::Requested { Ok(()) } else { Err(Error::NotFound("request")) }
}

#[async_trait]
impl Requests for SqlMessaging {
    async fn requests(&self, caller: &Caller, cursor: CursorQuery) -> Result<CursorPage<Conversation>> {
        self.list(caller, List::Requested, &InboxFilter::default(), &cursor).await
    }

    async fn accept(&self, caller: &Caller, id: ConversationId) -> Result<Conversation> {
        let user = caller.user;
        self.core
            .write(|tx| async move {
                let access = Access::load_for_update(&tx, user, id).await?;
                require_request(&access)?;
                db::execute(&tx.deferred(), ACCEPT, [id.into(), user.into()]).await?;
                if !access.is_direct() {
                    self.core.append(&tx, id, &Frame::MemberJoined { user_id: user }).await?;
                }
                self.core.publish_change(&tx, id, [(user, access.unread_count)]).await?;
                self.core.publish_unread(&tx, user).await?;
                Ok::<_, Error>(tx.emit(&RequestAccepted { conversation: id, user }).await?)
            })
            .await?;
        self.find_conversation(user, id).await
    }

    async fn decline(&self, caller: &Caller, id: ConversationId) -> Result<()> {
        let user = caller.user;
        self.core
            .write(|tx| async move {
                let access = Access::load_for_update(&tx, user, id).await?;
                require_request(&access)?;
                if access.is_direct() {
                    db::execute(&tx.deferred(), DECLINE, [id.into(), user.into(), access.last_no.into()]).await?;
                } else {
                    end_membership(&tx, id, user, MemberState::Left).await?;
                }
                self.core.publish_change(&tx, id, [(user, 0)]).await
            })
            .await
    }
}
