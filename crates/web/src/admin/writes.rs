//! The changes of tables that have rules: each goes through the service of its crate.

mod community;
mod courses;
mod deals;

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_accounts::{AccountChange, AccountsState};
use guildhall_admin::{Key, NewColumn, StoredRow, TableWrites};
use guildhall_chat::{ChatState, RoomId};
use guildhall_community::CommunityState;
use guildhall_deals::DealsState;
use guildhall_kernel::{Caller, Error, Result, UserId};
use guildhall_messaging::{MessageTypeId, MessagingState};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The roles of users; each has a column.
const ROLES: [&str; 3] = ["teacher", "staff", "superuser"];

/// The changes of all tables whose services let staff change them.
pub fn table_writes(
    accounts: &AccountsState,
    community: &CommunityState,
    deals: &DealsState,
    messaging: &MessagingState,
    chat: &ChatState,
) -> Vec<Arc<dyn TableWrites>> {
    let mut all = community::writes(community);
    all.extend(courses::writes(community));
    all.extend(deals::writes(deals));
    all.push(Arc::new(Users(accounts.clone())));
    all.push(Arc::new(MessageTypes(messaging.clone())));
    all.push(Arc::new(Rooms(chat.clone())));
    all
}

/// What a service takes, from columns that have the names of its fields.
fn typed<T: DeserializeOwned>(values: Map<String, Value>) -> Result<T> {
    let fields: Vec<String> = values.keys().cloned().collect();
    serde_json::from_value(Value::Object(values)).map_err(|_| {
        // One of them has a value that its type does not allow.
        let field = fields.into_iter().next().unwrap_or_default();
        Error::field(field, "Choose one of the offered values.")
    })
}

/// Takes an id out of the values of a new row.
fn take_id(values: &mut Map<String, Value>, column: &str) -> Result<i64> {
    let id = values.remove(column).and_then(|value| value.as_i64());
    id.ok_or_else(|| Error::field(column, "This field is required."))
}

struct Users(AccountsState);

#[async_trait]
impl TableWrites for Users {
    fn table(&self) -> &'static str {
        "users"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const {
            &[
                NewColumn::required("username"),
                NewColumn::required("email"),
                NewColumn::optional("first_name"),
                NewColumn::optional("last_name"),
            ]
        }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["is_active", "is_teacher", "is_staff", "is_superuser"]
    }

    fn deletes(&self) -> bool {
        true
    }

    fn removes_users(&self) -> bool {
        true
    }

    async fn create(&self, caller: &Caller, values: Map<String, Value>) -> Result<Key> {
        Ok(Key::of_id(self.0.staff.create_account(caller, typed(values)?).await?.user.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = UserId(row.id("id")?);
        let of = |role: &str| format!("is_{role}");
        let roles = ROLES.iter().any(|role| changes.contains_key(&of(role))).then(|| {
            let stored = |role: &str| row.values.get(&of(role)).is_some_and(|text| text == "true");
            let has = |role: &&&str| changes.get(&of(role)).and_then(Value::as_bool).unwrap_or_else(|| stored(role));
            ROLES.iter().filter(has).map(|role| (*role).to_owned()).collect()
        });
        let change = AccountChange { is_active: changes.get("is_active").and_then(Value::as_bool), roles };
        self.0.staff.change_account(caller, id, change, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        Ok(self.0.removals.delete_user(caller, UserId(row.id("id")?), None).await?)
    }
}

struct MessageTypes(MessagingState);

#[async_trait]
impl TableWrites for MessageTypes {
    fn table(&self) -> &'static str {
        "messaging_message_type"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const { &[NewColumn::required("name")] }
    }

    fn columns(&self) -> &'static [&'static str] {
        &["is_active"]
    }

    async fn create(&self, caller: &Caller, values: Map<String, Value>) -> Result<Key> {
        Ok(Key::of_id(self.0.message_types.create_message_type(caller, typed(values)?).await?.id.0))
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = MessageTypeId(row.id("id")?);
        self.0.message_types.change_message_type(caller, id, typed(changes)?).await?;
        Ok(())
    }
}

struct Rooms(ChatState);

#[async_trait]
impl TableWrites for Rooms {
    fn table(&self) -> &'static str {
        "chat_room"
    }

    fn new_columns(&self) -> &'static [NewColumn] {
        const {
            &[
                NewColumn::required("name"),
                NewColumn::optional("description"),
                NewColumn::checked("is_listed"),
                NewColumn::optional("auto_approve"),
                NewColumn::checked("history_from_start"),
                NewColumn::checked("allow_file_uploads"),
                NewColumn::optional("max_participants"),
            ]
        }
    }

    async fn create(&self, caller: &Caller, values: Map<String, Value>) -> Result<Key> {
        Ok(Key::of_id(self.0.rooms.open_room(caller, typed(values)?).await?.id.0))
    }

    fn columns(&self) -> &'static [&'static str] {
        &["name", "description", "is_listed", "auto_approve", "history_from_start", "allow_file_uploads", "is_active"]
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, mut changes: Map<String, Value>) -> Result<()> {
        let id = RoomId(row.id("id")?);
        let is_active = changes.remove("is_active").and_then(|active| active.as_bool());
        if is_active == Some(true) {
            return Err(Error::field("is_active", "A closed room cannot be opened again."));
        }
        // First what can be refused, so that nothing is half done: whoever may change a room may close it.
        if !changes.is_empty() {
            self.0.rooms.change_room(caller, id, typed(changes)?, row.version()).await?;
        }
        if is_active == Some(false) {
            self.0.rooms.close_room(caller, id).await?;
        }
        Ok(())
    }
}
