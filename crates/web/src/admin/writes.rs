//! The changes of tables that have rules: each goes through the service of its crate.

use std::{future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use guildhall_accounts::{AccountChange, AccountsState};
use guildhall_admin::{StoredRow, TableWrites};
use guildhall_chat::{ChatState, RoomId};
use guildhall_community::{CommentId, CommunityState, CourseId, EventId, GroupId, PostId};
use guildhall_deals::{DealsState, OrganizationId};
use guildhall_kernel::{Caller, Error, IfMatch, Kind, Result, UserId};
use guildhall_messaging::{MessageTypeId, MessagingState};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

type Done<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;
type Update<S> = for<'a> fn(&'a S, &'a Caller, &'a StoredRow, Map<String, Value>) -> Done<'a>;
type Delete<S> = for<'a> fn(&'a S, &'a Caller, &'a StoredRow) -> Done<'a>;

/// The changes of a table by a service.
struct ByService<S> {
    table: &'static str,
    columns: &'static [&'static str],
    service: S,
    update: Option<Update<S>>,
    delete: Option<Delete<S>>,
    /// Which other tables the service deletes rows of itself.
    removes: fn(&str) -> bool,
}

#[async_trait]
impl<S: Send + Sync + 'static> TableWrites for ByService<S> {
    fn table(&self) -> &'static str {
        self.table
    }

    fn columns(&self) -> &'static [&'static str] {
        self.columns
    }

    fn deletes(&self) -> bool {
        self.delete.is_some()
    }

    fn removes(&self, table: &str) -> bool {
        (self.removes)(table)
    }

    async fn update(&self, caller: &Caller, row: &StoredRow, changes: Map<String, Value>) -> Result<()> {
        match self.update {
            Some(update) => update(&self.service, caller, row, changes).await,
            None => Err(read_only()),
        }
    }

    async fn delete(&self, caller: &Caller, row: &StoredRow) -> Result<()> {
        match self.delete {
            Some(delete) => delete(&self.service, caller, row).await,
            None => Err(read_only()),
        }
    }
}

fn read_only() -> Error {
    Error::new(Kind::Conflict, "read_only", "This cannot be changed here.")
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

/// The changes of all tables whose services let staff change them.
pub fn table_writes(
    accounts: &AccountsState,
    community: &CommunityState,
    deals: &DealsState,
    messaging: &MessagingState,
    chat: &ChatState,
) -> Vec<Arc<dyn TableWrites>> {
    vec![
        users(accounts.clone()),
        groups(community.clone()),
        memberships(community.clone()),
        bans(community.clone()),
        posts(community.clone()),
        comments(community.clone()),
        courses(community.clone()),
        events(community.clone()),
        organizations(deals.clone()),
        message_types(messaging.clone()),
        rooms(chat.clone()),
    ]
}

fn users(service: AccountsState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<AccountsState> {
        table: "users",
        removes: |_| false,
        columns: &["is_active", "is_teacher", "is_staff", "is_superuser"],
        service,
        update: Some(|accounts, caller, row, changes| {
            Box::pin(async move {
                let id = UserId(row.id("id")?);
                let roles = ["teacher", "staff", "superuser"].into_iter().filter(|role| {
                    let column = format!("is_{role}");
                    let stored = row.values.get(&column).is_some_and(|text| text == "true");
                    changes.get(&column).and_then(Value::as_bool).unwrap_or(stored)
                });
                let change = AccountChange {
                    is_active: changes.get("is_active").and_then(Value::as_bool),
                    roles: Some(roles.map(str::to_owned).collect()),
                };
                accounts.staff.change_account(caller, id, change, IfMatch::default()).await?;
                Ok(())
            })
        }),
        delete: Some(|accounts, caller, row| {
            Box::pin(async move { Ok(accounts.removals.delete_user(caller, UserId(row.id("id")?), None).await?) })
        }),
    })
}

fn groups(service: CommunityState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<CommunityState> {
        table: "community_group",
        removes: |_| false,
        columns: &[
            "name",
            "description",
            "category",
            "is_private",
            "is_listed",
            "is_corporate_group",
            "max_members",
            "approves_posts",
            "members_invite",
        ],
        service,
        update: Some(|community, caller, row, changes| {
            Box::pin(async move {
                let id = GroupId(row.id("id")?);
                community.groups.change_group(caller, id, patch(changes)?, IfMatch::default()).await?;
                Ok(())
            })
        }),
        delete: Some(|community, caller, row| {
            Box::pin(async move {
                Ok(community.groups.delete_group(caller, GroupId(row.id("id")?), IfMatch::default()).await?)
            })
        }),
    })
}

fn memberships(service: CommunityState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<CommunityState> {
        table: "community_membership",
        removes: |_| false,
        columns: &[],
        service,
        update: None,
        delete: Some(|community, caller, row| {
            Box::pin(async move {
                let (group, user) = (GroupId(row.id("group_id")?), UserId(row.id("user_id")?));
                Ok(community.members.remove_member(caller, group, user).await?)
            })
        }),
    })
}

fn bans(service: CommunityState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<CommunityState> {
        table: "community_ban",
        removes: |_| false,
        columns: &[],
        service,
        update: None,
        delete: Some(|community, caller, row| {
            Box::pin(async move {
                let (group, user) = (GroupId(row.id("group_id")?), UserId(row.id("user_id")?));
                Ok(community.moderation.unban(caller, group, user).await?)
            })
        }),
    })
}

fn posts(service: CommunityState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<CommunityState> {
        table: "community_post",
        removes: |_| false,
        columns: &["title", "content", "is_pinned", "is_approved"],
        service,
        update: Some(|community, caller, row, mut changes| {
            Box::pin(async move {
                let id = PostId(row.id("id")?);
                let is_approved = changes.remove("is_approved").and_then(|approved| approved.as_bool());
                if is_approved == Some(false) {
                    return Err(Error::field("is_approved", "A post that is approved stays approved."));
                }
                if !changes.is_empty() {
                    community.posts.change_post(caller, id, patch(changes)?, IfMatch::default()).await?;
                }
                if is_approved == Some(true) {
                    community.reviews.decide_post(caller, id, true).await?;
                }
                Ok(())
            })
        }),
        delete: Some(|community, caller, row| {
            Box::pin(async move {
                Ok(community.posts.delete_post(caller, PostId(row.id("id")?), IfMatch::default()).await?)
            })
        }),
    })
}

fn comments(service: CommunityState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<CommunityState> {
        table: "community_comment",
        removes: |_| false,
        columns: &["content"],
        service,
        update: Some(|community, caller, row, changes| {
            Box::pin(async move {
                let id = CommentId(row.id("id")?);
                community.comments.change_comment(caller, id, patch(changes)?, IfMatch::default()).await?;
                Ok(())
            })
        }),
        delete: Some(|community, caller, row| {
            Box::pin(async move { Ok(community.comments.delete_comment(caller, CommentId(row.id("id")?)).await?) })
        }),
    })
}

fn courses(service: CommunityState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<CommunityState> {
        table: "community_course",
        removes: |_| false,
        columns: &["title", "description", "is_public"],
        service,
        update: Some(|community, caller, row, changes| {
            Box::pin(async move {
                let id = CourseId(row.id("id")?);
                community.courses.change_course(caller, id, patch(changes)?, IfMatch::default()).await?;
                Ok(())
            })
        }),
        delete: Some(|community, caller, row| {
            Box::pin(async move {
                Ok(community.courses.delete_course(caller, CourseId(row.id("id")?), IfMatch::default()).await?)
            })
        }),
    })
}

fn events(service: CommunityState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<CommunityState> {
        table: "community_event",
        removes: |_| false,
        columns: &["title", "description", "location"],
        service,
        update: Some(|community, caller, row, changes| {
            Box::pin(async move {
                let id = EventId(row.id("id")?);
                community.events.change_event(caller, id, patch(changes)?, IfMatch::default()).await?;
                Ok(())
            })
        }),
        delete: Some(|community, caller, row| {
            Box::pin(async move {
                Ok(community.events.delete_event(caller, EventId(row.id("id")?), IfMatch::default()).await?)
            })
        }),
    })
}

fn organizations(service: DealsState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<DealsState> {
        table: "deals_organization",
        // An organization with clients is not deleted; all else goes with it.
        removes: |table| table.starts_with("deals_") && table != "deals_client",
        columns: &["name"],
        service,
        update: Some(|deals, caller, row, changes| {
            Box::pin(async move {
                let id = OrganizationId(row.id("id")?);
                deals.organizations.change_organization(caller, id, patch(changes)?, IfMatch::default()).await?;
                Ok(())
            })
        }),
        delete: Some(|deals, caller, row| {
            Box::pin(async move {
                let id = OrganizationId(row.id("id")?);
                Ok(deals.organizations.delete_organization(caller, id, IfMatch::default()).await?)
            })
        }),
    })
}

fn message_types(service: MessagingState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<MessagingState> {
        table: "messaging_message_type",
        removes: |_| false,
        columns: &["is_active"],
        service,
        update: Some(|messaging, caller, row, changes| {
            Box::pin(async move {
                let id = MessageTypeId(row.id("id")?);
                messaging.message_types.change_message_type(caller, id, patch(changes)?).await?;
                Ok(())
            })
        }),
        delete: None,
    })
}

fn rooms(service: ChatState) -> Arc<dyn TableWrites> {
    Arc::new(ByService::<ChatState> {
        table: "chat_room",
        removes: |_| false,
        columns: &[
            "name",
            "description",
            "is_listed",
            "auto_approve",
            "history_from_start",
            "allow_file_uploads",
            "is_active",
        ],
        service,
        update: Some(|chat, caller, row, mut changes| {
            Box::pin(async move {
                let id = RoomId(row.id("id")?);
                let is_active = changes.remove("is_active").and_then(|active| active.as_bool());
                if is_active == Some(true) {
                    return Err(Error::field("is_active", "A closed room cannot be opened again."));
                }
                if !changes.is_empty() {
                    chat.rooms.change_room(caller, id, patch(changes)?, IfMatch::default()).await?;
                }
                if is_active == Some(false) {
                    chat.rooms.close_room(caller, id).await?;
                }
                Ok(())
            })
        }),
        delete: None,
    })
}
