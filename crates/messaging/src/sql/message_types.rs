//! Types of messages.

use async_trait::async_trait;
use guildhall_kernel::{Caller, db};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, Set,
};

use super::SqlMessaging;
use crate::{
    entity::message_type,
    error::{Error, Result},
    id::MessageTypeId,
    model::{MessageType, MessageTypePatch, NewMessageType, is_type_name},
    service::MessageTypes,
};

/// The maximum number of types.
const MAX_TYPES: u64 = 100;

const ACTIVE: &str = "SELECT id FROM messaging_message_type WHERE name = $1 AND is_active";

impl From<message_type::Model> for MessageType {
    fn from(row: message_type::Model) -> Self {
        Self { id: row.id, name: row.name, is_active: row.is_active }
    }
}

fn unknown() -> Error {
    Error::field("message_type", "Unknown type.")
}

/// 400 unless a text can be the name of a type.
pub(super) fn check_type_name(name: &str) -> Result<()> {
    if is_type_name(name) { Ok(()) } else { Err(unknown()) }
}

/// The type of this name that new messages can have. 400 if there is none.
pub(super) async fn find_active_type(conn: &impl ConnectionTrait, name: &str) -> Result<MessageTypeId> {
    db::scalar(conn, ACTIVE, [name.into()]).await?.ok_or_else(unknown)
}

fn require_staff(caller: &Caller) -> Result<()> {
    if caller.roles.is_staff() { Ok(()) } else { Err(Error::NotStaff) }
}

#[async_trait]
impl MessageTypes for SqlMessaging {
    async fn message_types(&self, caller: &Caller) -> Result<Vec<MessageType>> {
        let mut types = message_type::Entity::find().order_by_asc(message_type::Column::Id);
        if !caller.roles.is_staff() {
            types = types.filter(message_type::COLUMN.is_active.eq(true));
        }
        Ok(types.all(self.core.db.conn()).await?.into_iter().map(MessageType::from).collect())
    }

    async fn create_message_type(&self, caller: &Caller, new: NewMessageType) -> Result<MessageType> {
        require_staff(caller)?;
        if !is_type_name(&new.name) {
            return Err(Error::field("name", "Use 1 to 40 lower-case letters, digits or underscores."));
        }
        let name = &new.name;
        let row = self
            .core
            .write(|tx| async move {
                if message_type::Entity::find().count(&tx).await? >= MAX_TYPES {
                    return Err(Error::field("name", format!("There can be at most {MAX_TYPES} types.")));
                }
                let row = message_type::ActiveModel { id: NotSet, name: Set(name.clone()), is_active: Set(true) };
                Ok(row.insert(&tx).await?)
            })
            .await?;
        Ok(row.into())
    }

    async fn change_message_type(
        &self,
        caller: &Caller,
        id: MessageTypeId,
        patch: MessageTypePatch,
    ) -> Result<MessageType> {
        require_staff(caller)?;
        let row = self
            .core
            .write(|tx| async move {
                db::lock::<message_type::Entity>(&tx, id).await?;
                let row = message_type::Entity::find_by_id(id).one(&tx).await?;
                let before = row.ok_or(Error::NotFound("message type"))?;
                let is_active = patch.is_active.unwrap_or(before.is_active);
                let after = message_type::Model { is_active, ..before.clone() };
                db::store_changes(&tx, &before, &after).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        Ok(row.into())
    }
}
