//! The owners that rows name.

use std::{collections::HashMap, sync::Arc};

use guildhall_kernel::{UserId, text};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect};

use crate::{
    ImportError, MemberId, Result, SqlExchange,
    core::access::{Access, NOT_ACTIVE, active_members},
    entity::member,
};

/// The possible owners.
#[derive(Default)]
pub(super) struct Owners {
    /// The heading of their column.
    heading: Arc<str>,
    by_username: HashMap<String, MemberId>,
}

/// The owner that a row names.
pub(super) struct Owner {
    pub(super) id: MemberId,
    line: u64,
    heading: Arc<str>,
    username: String,
}

impl Owners {
    /// The member with a username (case-insensitive).
    pub(super) fn find(&self, username: &str, line: u64) -> Option<Owner> {
        let id = *self.by_username.get(&text::fold(username))?;
        Some(Owner { id, line, heading: self.heading.clone(), username: username.to_owned() })
    }
}

impl Owner {
    /// The error if they are not an active member any more; the same as when the row was checked.
    fn error(&self) -> ImportError {
        ImportError {
            line: self.line,
            column: self.heading.to_string(),
            field: "owner".to_owned(),
            value: self.username.clone(),
            code: "invalid".to_owned(),
            message: NOT_ACTIVE.to_owned(),
        }
    }
}

/// The errors of the owners who have left since the check. The others cannot be removed until the transaction ends.
pub(super) async fn departed(
    conn: &impl ConnectionTrait,
    access: &Access,
    owners: &[&Owner],
) -> Result<Vec<ImportError>> {
    let active = access.lock_active(conn, owners.iter().map(|owner| owner.id)).await?;
    Ok(owners.iter().filter(|owner| !active.contains(&owner.id)).map(|owner| owner.error()).collect())
}

impl SqlExchange {
    /// The active members, for a column with this heading.
    pub(super) async fn possible_owners(&self, access: &Access, heading: &str) -> Result<Owners> {
        let members: Vec<(MemberId, Option<UserId>)> = active_members()
            .select_only()
            .column(member::Column::Id)
            .column(member::Column::UserId)
            .filter(member::COLUMN.org_id.eq(access.org.id))
            .into_tuple()
            .all(self.core.db.conn())
            .await?;
        let people = self.core.people(members.iter().filter_map(|(_, user)| *user)).await?;
        let by_name = |(id, user): (MemberId, Option<UserId>)| Some((text::fold(&people.get(&user?)?.username), id));
        Ok(Owners { heading: heading.into(), by_username: members.into_iter().filter_map(by_name).collect() })
    }
}
