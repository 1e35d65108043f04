//! What the host needs to notify users: descriptions of conversations, and who may see them.

use std::collections::HashSet;

use guildhall_kernel::{UserId, db};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::{
    entity::member::{self, MemberState},
    error::Result,
    id::ConversationId,
    sql::SqlMessaging,
};

const NAME: &str = "SELECT name FROM messaging_conversation WHERE id = $1";

impl SqlMessaging {
    /// The name of a group; empty for two people.
    pub async fn conversation_name(&self, conn: &impl ConnectionTrait, id: ConversationId) -> Result<Option<String>> {
        Ok(db::scalar(conn, NAME, [id.into()]).await?)
    }

    /// Those of these conversations in which a user takes part, or which they have to accept.
    pub async fn conversations_of(&self, user: UserId, ids: &[ConversationId]) -> Result<HashSet<ConversationId>> {
        let ids = db::pad_ids(ids.iter().map(|id| id.0));
        let own = member::Entity::find()
            .filter(member::COLUMN.user_id.eq(user))
            .filter(member::COLUMN.conversation_id.is_in(ids.into_iter().map(ConversationId)))
            .filter(member::COLUMN.state.is_in([MemberState::Active, MemberState::Requested]))
            .select_only()
            .column(member::Column::ConversationId);
        Ok(own.into_tuple().all(self.core.db.conn()).await?.into_iter().collect())
    }
}
