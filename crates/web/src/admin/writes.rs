//! The changes of tables that have rules: each goes through the service of its crate.

mod community;

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_accounts::{AccountChange, AccountsState};
use guildhall_admin::{StoredRow, TableWrites};
use guildhall_chat::{ChatState, RoomId};
use guildhall_community::CommunityState;
use guildhall_deals::{DealsState, OrganizationId};
use guildhall_kernel::{Caller, Error, IfMatch, Result, UserId};
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
    all.push(Arc::new(Users(accounts.clone())));
    all.push(Arc::new(Organizations(deals.clone())));
    all.push(Arc::new(MessageTypes(messaging.clone())));
    all.push(Arc::new(Rooms(chat.clone())));
    all
}

/// The patch of a service with the changed columns, which have the names of its fields.
fn patch<P: DeserializeOwned>(changes: Map<String, Value>) -> Result<P> {
    let fields: Vec<String> = changes.keys().cloned().collect();
    serde_json::from_value(Value::Object(changes)).map_err(|_| {
        // One of them has a value that its type does not allow.
        let field = fields.into_iter().next().unwrap_or_default();
        Error::field(field, "Choose one of the offered values.")
    })
}

struct Users(AccountsState);

#[async_trait]
impl TableWrites for Users {
    fn table(&self) -> &'static str {
        "users"
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

struct Organizations(DealsState);

#[async_trait]
impl TableWrites for Organizations {
    fn table(&self) -> &'static str {
        "deals_organization"
    }

    fn columns(&self) -> &'static [&'static str] {
        &["name"]
    }

    fn deletes(&self) -> bool {
        true
    }

    // An organization with clients is not deleted; all else goes with it.
    fn removes(&self, table: &str) -> bool {
        table.starts_with("deals_") && table != "deals_client"
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = OrganizationId(row.id("id")?);
        self.0.organizations.change_organization(caller, id, patch(changes)?, row.version()).await?;
        Ok(())
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        let id = OrganizationId(row.id("id")?);
        Ok(self.0.organizations.delete_organization(caller, id, IfMatch::default()).await?)
    }
}

struct MessageTypes(MessagingState);

#[async_trait]
impl TableWrites for MessageTypes {
    fn table(&self) -> &'static str {
        "messaging_message_type"
    }

    fn columns(&self) -> &'static [&'static str] {
        &["is_active"]
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        let id = MessageTypeId(row.id("id")?);
        self.0.message_types.change_message_type(caller, id, patch(changes)?).await?;
        Ok(())
    }
}

struct Rooms(ChatState);

#[async_trait]
impl TableWrites for Rooms {
    fn table(&self) -> &'static str {
        "chat_room"
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
            self.0.rooms.change_room(caller, id, patch(changes)?, row.version()).await?;
        }
        if is_active == Some(false) {
            self.0.rooms.close_room(caller, id).await?;
        }
        Ok(())
    }
}
