//! Searching people to write to.

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Person, UserId,
    db::{self, Sql},
};

use super::SqlMessaging;
use crate::{
    core::blocks::blocked_among,
    error::{Error, Result},
    service::People,
};

/// The maximum number of results.
const MAX_RESULTS: u64 = 100;
/// How many people are read at a time.
const BATCH: u64 = 100;
/// How many batches are read, if most of the people cannot be shown.
const MAX_BATCHES: u32 = 5;
/// The longest text that is searched for, in characters.
const MAX_PREFIX: usize = 150;

/// Those of a list of users who do not want to be found.
const HIDDEN: Sql = Sql::per_backend(
    "SELECT user_id FROM messaging_settings WHERE NOT is_discoverable \
     AND user_id IN (SELECT value FROM json_each($1))",
    "SELECT user_id FROM messaging_settings WHERE NOT is_discoverable \
     AND user_id IN (SELECT value::bigint FROM json_array_elements_text($1::json))",
);

impl SqlMessaging {
    /// Those of these people whom the caller may find.
    async fn filter_findable(&self, caller: &Caller, people: Vec<Person>) -> Result<Vec<Person>> {
        let conn = self.core.db.conn().pipeline();
        let ids = || people.iter().map(|person| person.id);
        let (blocked, hidden) = tokio::join!(blocked_among(&conn, caller.user, ids()), async {
            db::scalars::<UserId>(&conn, HIDDEN, [db::id_list(ids().map(|id| id.0))]).await
        });
        let (blocked, hidden) = (blocked?, hidden?);
        let is_findable =
            |person: &Person| person.id != caller.user && !blocked.contains(&person.id) && !hidden.contains(&person.id);
        Ok(people.into_iter().filter(is_findable).collect())
    }
}

#[async_trait]
impl People for SqlMessaging {
    async fn search_users(&self, caller: &Caller, prefix: String, limit: u64) -> Result<Vec<Person>> {
        if limit == 0 {
            return Err(Error::field("limit", "Must be a positive integer."));
        }
        let limit = usize::try_from(limit.min(MAX_RESULTS)).unwrap_or(usize::MAX);
        let prefix: String = prefix.trim().chars().take(MAX_PREFIX).collect();
        if prefix.is_empty() {
            return Ok(Vec::new());
        }
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..MAX_BATCHES {
            let people = self.core.host.people.search(&prefix, after.as_deref(), BATCH).await?;
            let is_last = (people.len() as u64) < BATCH;
            after = people.last().map(|person| person.username.clone());
            found.extend(self.filter_findable(caller, people).await?);
            if is_last || found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}
