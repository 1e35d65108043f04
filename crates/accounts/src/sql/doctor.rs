//! Consistency checks of accounts, tokens and keys.

use std::time::Duration;

use guildhall_kernel::{UserId, db, doctor::Finding};
use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};

use super::{SqlAccounts, superusers};
use crate::{
    Result,
    entity::{refresh_token, signing_key, totp, user, user_token},
    names,
};

/// The age at which a signing key should be rotated.
const KEY_AGE: Duration = Duration::from_secs(365 * 24 * 3600);
/// How many users are read at a time.
const BATCH: u64 = 1000;
/// How many names a finding lists.
const MAX_LISTED: usize = 5;
/// How many hashes are sampled for calibration.
const SAMPLE: u64 = 10_000;

const WITHOUT_TOKEN: &str = "SELECT COUNT(*) FROM users u WHERE u.is_active AND NOT EXISTS \
     (SELECT 1 FROM accounts_user_token t WHERE t.user_id = u.id AND t.expires_at > $1)";
const WITHOUT_CREDENTIAL: &str = "SELECT COUNT(*) FROM users u WHERE u.is_active AND u.password_hash IS NULL \
     AND NOT EXISTS (SELECT 1 FROM accounts_user_token t WHERE t.user_id = u.id AND t.expires_at > $1)";

/// The rows of the stored count that are wrong. PostgreSQL has none.
const COUNT_DIFFERS: &str = "SELECT COUNT(*) FROM accounts_user_count WHERE active <> \
     (SELECT COUNT(*) FROM users WHERE is_active AND erased_at IS NULL)";
const REPAIR_COUNT: &str = "UPDATE accounts_user_count SET active = \
     (SELECT COUNT(*) FROM users WHERE is_active AND erased_at IS NULL)";

impl SqlAccounts {
    /// Measures how long the most expensive stored password hash takes to check, so that every rejected
    /// sign-in takes as long. To be called once the service is running; until then a rejection takes one
    /// second.
    pub async fn calibrate(&self) -> Result<Duration> {
        let hashes = || user::Entity::find().select_only().column(user::Column::PasswordHash).limit(SAMPLE);
        let conn = self.0.db.conn();
        let mut sample: Vec<Option<String>> = hashes().filter(outdated()).into_tuple().all(conn).await?;
        // Native hashes too: they may have been created with other cost parameters.
        sample.extend(hashes().order_by_desc(user::Column::Id).into_tuple::<Option<String>>().all(conn).await?);
        Ok(self.0.hasher.calibrate(sample.into_iter().flatten()).await?)
    }

    /// Checks accounts, tokens and keys; with `fix`, expired rows are deleted.
    pub async fn examine(&self, fix: bool) -> Result<Vec<Finding>> {
        Ok(vec![
            self.expired(fix).await?,
            self.without_token().await?,
            self.without_credential().await?,
            self.outdated_hashes().await?,
            self.superusers().await?,
            self.second_factors().await?,
            self.keys().await?,
            self.colliding_names().await?,
            self.user_count(fix).await?,
        ])
    }

    async fn count(&self, sql: &'static str) -> Result<i64> {
        let count = db::scalar(self.0.db.conn(), sql, [self.0.clock.now().into()]).await?;
        Ok(count.unwrap_or_default())
    }

    async fn expired(&self, fix: bool) -> Result<Finding> {
        let (now, conn) = (self.0.clock.now(), self.0.db.conn());
        let refresh = refresh_token::Entity::find().filter(refresh_token::COLUMN.expires_at.lte(now));
        let tokens = user_token::Entity::find().filter(user_token::COLUMN.expires_at.lte(now));
        let expired = refresh.count(conn).await? + tokens.count(conn).await?;
        if expired == 0 {
            return Ok(Finding::ok("expired_tokens", "no expired tokens"));
        }
        let finding = Finding::note("expired_tokens", format!("{expired} tokens have expired"));
        if !fix {
            return Ok(finding);
        }
        self.prune().await?;
        Ok(finding.fixed())
    }

    async fn without_token(&self) -> Result<Finding> {
        Ok(match self.count(WITHOUT_TOKEN).await? {
            0 => Finding::ok("user_tokens", "every active user has a user token"),
            count => Finding::note("user_tokens", format!("{count} active users have no valid user token")),
        })
    }

    async fn without_credential(&self) -> Result<Finding> {
        Ok(match self.count(WITHOUT_CREDENTIAL).await? {
            0 => Finding::ok("credentials", "every active user has a password or a user token"),
            count => Finding::note("credentials", format!("{count} active users have neither password nor token")),
        })
    }

    async fn outdated_hashes(&self) -> Result<Finding> {
        let count = user::Entity::find().filter(outdated()).count(self.0.db.conn()).await?;
        Ok(match count {
            0 => Finding::ok("password_hashes", "every password is hashed with argon2id"),
            count => Finding::note("password_hashes", format!("{count} passwords still have an imported Django hash")),
        })
    }

    async fn superusers(&self) -> Result<Finding> {
        let conn = self.0.db.conn();
        let active = superusers().filter(user::COLUMN.is_active.eq(true)).count(conn).await?;
        let any_user = user::Entity::find().select_only().column(user::Column::Id).into_tuple::<UserId>();
        Ok(match (active, any_user.one(conn).await?) {
            (0, None) => Finding::note("superusers", "there are no accounts yet"),
            (0, Some(_)) => Finding::error("superusers", "there is no active superuser"),
            (1, _) => Finding::note("superusers", "there is only one superuser"),
            (count, _) => Finding::ok("superusers", format!("there are {count} superusers")),
        })
    }

    async fn second_factors(&self) -> Result<Finding> {
        let confirmed = Query::select()
            .column(totp::Column::UserId)
            .from(totp::Entity)
            .and_where(Expr::col(totp::Column::ConfirmedAt).is_not_null())
            .to_owned();
        let unprotected = superusers()
            .filter(user::COLUMN.is_active.eq(true))
            .filter(Expr::col(user::Column::Id).not_in_subquery(confirmed));
        Ok(match unprotected.count(self.0.db.conn()).await? {
            0 => Finding::ok("second_factor", "every superuser has a second factor"),
            count => Finding::note("second_factor", format!("{count} superusers have no second factor")),
        })
    }

    async fn keys(&self) -> Result<Finding> {
        let active = signing_key::Entity::find().filter(Expr::col(signing_key::Column::IsActive));
        let Some(key) = active.one(self.0.db.conn()).await? else {
            return Ok(Finding::error("signing_keys", "there is no active signing key"));
        };
        let days = self.0.clock.now().since(key.created_at).as_secs() / (24 * 3600);
        Ok(if self.0.clock.now().since(key.created_at) > KEY_AGE {
            Finding::note("signing_keys", format!("the key is {days} days old; rotate it with `guildhall keys rotate`"))
        } else {
            Finding::ok("signing_keys", format!("the key is {days} days old"))
        })
    }

    /// Compares the stored number of active users with the users.
    async fn user_count(&self, fix: bool) -> Result<Finding> {
        let conn = self.0.db.conn();
        let differs = db::scalar::<i64>(conn, COUNT_DIFFERS, []).await?;
        if differs.unwrap_or_default() == 0 {
            return Ok(Finding::ok("user_count", "the number of active users is correct"));
        }
        let finding = Finding::error("user_count", "the stored number of active users is wrong");
        if !fix {
            return Ok(finding);
        }
        self.0.db.write(|tx| async move { db::execute(&tx, REPAIR_COUNT, []).await }).await?;
        Ok(finding.fixed())
    }

    /// Finds usernames with an outdated `username_key`: another account could have an equivalent name.
    async fn colliding_names(&self) -> Result<Finding> {
        let mut wrong = Vec::new();
        let mut last = UserId(i64::MIN);
        loop {
            let batch: Vec<(UserId, String, String)> = user::Entity::find()
                .select_only()
                .columns([user::Column::Id, user::Column::Username, user::Column::UsernameKey])
                .filter(user::COLUMN.id.gt(last))
                .order_by_asc(user::Column::Id)
                .limit(BATCH)
                .into_tuple()
                .all(self.0.db.conn())
                .await?;
            let Some((id, ..)) = batch.last() else { break };
            last = *id;
            wrong.extend(batch.into_iter().filter(|(_, name, key)| names::key(name) != *key).map(|(_, name, _)| name));
        }
        if wrong.is_empty() {
            return Ok(Finding::ok("usernames", "no two usernames are equivalent"));
        }
        let listed: Vec<&str> = wrong.iter().take(MAX_LISTED).map(String::as_str).collect();
        let message = format!("{} usernames have an outdated comparison key: {}", wrong.len(), listed.join(", "));
        Ok(Finding::error("usernames", message))
    }
}

/// Hashes other than argon2id. The condition matches that of their partial index.
pub(super) fn outdated() -> Expr {
    Expr::cust("substr(password_hash, 1, 1) <> '$'")
}
