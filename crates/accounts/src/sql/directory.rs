use async_trait::async_trait;
use guildhall_kernel::{
    self as kernel, Directory, Person, UserId,
    db::{self, QueryTemplate},
    mail::address_key,
    text,
};
use sea_orm::{
    ColumnTrait, EntityTrait, PartialModelTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::SelectStatement,
};

use super::{SqlAccounts, accounts::visible_to, verified};
use crate::{Result, entity::user, model::UserRow, names};

/// How many people are read by one statement at most. The databases limit the number of its values.
const MAX_READ: usize = 1024;

static PEOPLE: QueryTemplate<()> = QueryTemplate::new(people);

fn people((): &(), ids: &[i64]) -> SelectStatement {
    let people = user::Entity::find()
        .filter(user::COLUMN.id.is_in(ids.iter().copied().map(UserId)))
        .filter(user::COLUMN.erased_at.is_null());
    UserRow::select_cols(people.select_only()).into_query()
}

#[async_trait]
impl Directory for SqlAccounts {
    async fn people(&self, ids: &[UserId]) -> kernel::Result<Vec<Person>> {
        let now = self.0.clock.now();
        let (mut people, missing) = self.0.people.find(ids, now);
        if missing.is_empty() {
            return Ok(people);
        }
        let read = self.0.people.begin_read(now);
        let mut found: Vec<Person> = Vec::with_capacity(missing.len());
        for ids in missing.chunks(MAX_READ) {
            let ids = db::pad_ids(ids.iter().map(|id| id.0));
            let rows = PEOPLE.rows::<UserRow>(self.0.db.conn(), &(), &ids).await?;
            found.extend(rows.into_iter().map(|row| Person::from(self.to_user(row))));
        }
        self.0.people.keep(&read, &found);
        people.extend(found);
        Ok(people)
    }

    async fn named(&self, names: &[String]) -> kernel::Result<Vec<Person>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let rows = user::Entity::find()
            .filter(user::COLUMN.username_key.is_in(names.iter().map(|name| names::key(name))))
            .filter(user::COLUMN.erased_at.is_null())
            .filter(user::COLUMN.is_active.eq(true))
            .into_partial_model::<UserRow>()
            .all(self.0.db.conn())
            .await?;
        Ok(rows.into_iter().map(|row| self.to_user(row).into()).collect())
    }

    async fn addresses(&self, ids: &[UserId]) -> kernel::Result<Vec<(UserId, String)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let verified = user::Entity::find()
            .select_only()
            .column(user::Column::Id)
            .column(user::Column::Email)
            .filter(user::COLUMN.id.is_in(ids.iter().copied()))
            .filter(user::COLUMN.email_verified_at.is_not_null())
            .filter(user::COLUMN.erased_at.is_null())
            .filter(user::COLUMN.is_active.eq(true));
        Ok(verified.into_tuple().all(self.0.db.conn()).await?)
    }

    async fn has_address(&self, user: UserId, email: &str) -> kernel::Result<bool> {
        let owner = verified(&address_key(email)).filter(user::COLUMN.id.eq(user));
        Ok(owner.one(self.0.db.conn()).await?.is_some())
    }
}

impl SqlAccounts {
    /// Those of these users who exist and are active.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn active_users(&self, ids: &[UserId]) -> Result<Vec<UserId>> {
        let active = visible_to(false).filter(user::COLUMN.id.is_in(ids.iter().copied()));
        let ids = active.select_only().column(user::Column::Id).into_tuple();
        Ok(ids.all(self.0.db.conn()).await?)
    }

    /// The active users whose user names begin with `prefix`, ignoring case, in their order; only those after the user
    /// name `after`, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn search_people(&self, prefix: &str, after: Option<&str>, limit: u64) -> Result<Vec<Person>> {
        let prefix = names::key(prefix);
        let end = text::after_prefix(&prefix);
        let mut found = visible_to(false).filter(user::COLUMN.username_key.between(prefix, end));
        if let Some(after) = after {
            found = found.filter(user::COLUMN.username_key.gt(names::key(after)));
        }
        let rows = found.order_by_asc(user::Column::UsernameKey).limit(limit).into_partial_model::<UserRow>();
        Ok(rows.all(self.0.db.conn()).await?.into_iter().map(|row| self.to_user(row).into()).collect())
    }
}
