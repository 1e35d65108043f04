//! Authentication of requests: one query for each kind of credentials.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use guildhall_kernel::{
    self as kernel, Authenticate, Caller, Credentials, Roles, SessionId, Timestamp, UserId,
    db::{self, Sql},
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, sea_query::Expr};

use super::{SqlAccounts, one_time, sessions::SessionState};
use crate::{
    Error, Result, UserTokenId,
    entity::{session, user_token},
    jwt::{TokenType, VerifiedToken},
    one_time::Purpose,
    secret,
};

/// How often the last use of a token is recorded at most.
const LAST_USED_INTERVAL: Duration = Duration::from_secs(60);

const BY_SESSION: &str = "SELECT u.id AS user_id, u.is_active, u.is_teacher, u.is_staff, u.is_superuser, \
     s.expires_at, s.seen_generation, s.revoked_at IS NULL AND s.auth_epoch = u.auth_epoch AS is_open, \
     EXISTS (SELECT 1 FROM accounts_signing_key k \
             WHERE k.kid = $2 AND (k.is_active OR k.verifies_until > $3)) AS is_well_signed \
     FROM accounts_session s JOIN users u ON u.id = s.user_id WHERE s.id = $1";

const BY_USER_TOKEN: &str = "SELECT u.id AS user_id, u.is_active, u.is_teacher, u.is_staff, u.is_superuser, \
     t.expires_at, t.id AS token_id, t.last_used_at, t.read_only \
     FROM accounts_user_token t JOIN users u ON u.id = t.user_id WHERE t.token_sha256 = $1";

/// The roles of the active users behind those of these credentials that are valid.
macro_rules! holders {
    ($id:literal, $from:literal, $condition:literal) => {
        Sql::per_backend(
            holders!(@text $id, $from, $condition, "SELECT value FROM json_each($1)"),
            holders!(@text $id, $from, $condition, "SELECT value::bigint FROM json_array_elements_text($1::json)"),
        )
    };
    (@text $id:literal, $from:literal, $condition:literal, $ids:literal) => {
        concat!(
            "SELECT ", $id, " AS id, u.is_teacher, u.is_staff, u.is_superuser FROM ", $from, " WHERE u.is_active AND ",
            $id, " IN (", $ids, ") AND ", $condition
        )
    };
}

const OF_SESSIONS: Sql = holders!(
    "s.id",
    "accounts_session s JOIN users u ON u.id = s.user_id",
    "s.revoked_at IS NULL AND s.auth_epoch = u.auth_epoch AND s.expires_at > $2"
);
const OF_TOKENS: Sql = holders!("t.id", "accounts_user_token t JOIN users u ON u.id = t.user_id", "t.expires_at > $2");
/// The time is not needed.
const OF_USERS: Sql = holders!("u.id", "users u", "CAST($2 AS bigint) IS NOT NULL");

#[derive(FromQueryResult)]
struct HolderRow {
    id: i64,
    is_teacher: bool,
    is_staff: bool,
    is_superuser: bool,
}

/// The roles of the holders of valid credentials.
async fn holders(
    conn: &impl ConnectionTrait,
    sql: Sql,
    ids: impl Iterator<Item = i64>,
    now: Timestamp,
) -> Result<HashMap<i64, Roles>, DbErr> {
    let ids: Vec<i64> = ids.collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = db::rows::<HolderRow>(conn, sql, [db::id_list(ids), now.into()]).await?;
    let roles = |row: HolderRow| {
        let HolderRow { id, is_teacher, is_staff, is_superuser } = row;
        (id, Roles { teacher: is_teacher, staff: is_staff, superuser: is_superuser })
    };
    Ok(rows.into_iter().map(roles).collect())
}

#[derive(FromQueryResult)]
struct Owner {
    user_id: UserId,
    is_active: bool,
    is_teacher: bool,
    is_staff: bool,
    is_superuser: bool,
    expires_at: Timestamp,
}

impl Owner {
    fn to_caller(&self) -> Result<Caller> {
        if !self.is_active {
            return Err(Error::UserInactive);
        }
        let roles = Roles { teacher: self.is_teacher, staff: self.is_staff, superuser: self.is_superuser };
        Ok(Caller::new(self.user_id, roles))
    }
}

#[derive(FromQueryResult)]
struct SessionRow {
    #[sea_orm(nested)]
    owner: Owner,
    seen_generation: i64,
    is_open: bool,
    is_well_signed: bool,
}

#[derive(FromQueryResult)]
struct UserTokenRow {
    #[sea_orm(nested)]
    owner: Owner,
    token_id: UserTokenId,
    last_used_at: Option<Timestamp>,
    read_only: bool,
}

impl SqlAccounts {
    async fn by_access_token(&self, token: &str) -> Result<Caller> {
        let now = self.0.clock.now();
        let VerifiedToken { claims, kid } = self.verify_token(token, TokenType::Access).await?;
        let values = [claims.sid.into(), kid.into(), now.into()];
        let row = db::row::<SessionRow>(self.0.db.identity_conn(), BY_SESSION, values).await?;
        let is_valid = |row: &SessionRow| row.is_well_signed && row.owner.user_id == claims.user();
        let Some(row) = row.filter(is_valid) else {
            return Err(Error::SESSION_ENDED);
        };
        let caller = row.owner.to_caller()?;
        if !row.is_open || row.owner.expires_at <= now {
            return Err(Error::SESSION_ENDED);
        }
        if row.seen_generation < claims.generation {
            self.record_generation(claims.sid, claims.generation).await;
        }
        let expires_at = Some(claims.expires_at());
        Ok(Caller { session: Some(claims.sid), expires_at, ..caller })
    }

    /// Records that the client has received the tokens of this generation. Reuse of the previous refresh
    /// token can then no longer be explained by a lost response.
    async fn record_generation(&self, session: SessionId, generation: i64) {
        let result = self.0.db.write(|tx| async move {
            session::Entity::update_many()
                .col_expr(session::Column::SeenGeneration, Expr::value(generation))
                .filter(session::COLUMN.id.eq(session))
                .filter(session::COLUMN.seen_generation.lt(generation))
                .exec(&tx)
                .await
        });
        log_error(result.await);
    }

    async fn by_user_token(&self, token: &str) -> Result<Caller> {
        let unknown = || Error::TokenNotValid("Invalid token.");
        if secret::is_mistyped(token) {
            return Err(unknown());
        }
        let conn = self.0.db.identity_conn();
        let row = db::row::<UserTokenRow>(conn, BY_USER_TOKEN, [secret::fingerprint(token).into()]).await?;
        let row = row.ok_or_else(unknown)?;
        let now = self.0.clock.now();
        if row.owner.expires_at <= now {
            return Err(Error::TokenExpired);
        }
        let caller = row.owner.to_caller()?;
        if row.last_used_at.is_none_or(|last| now.since(last) >= LAST_USED_INTERVAL) {
            self.record_use(row.token_id, now).await;
        }
        Ok(Caller { token: Some(row.token_id), read_only: row.read_only, ..caller })
    }

    /// Consumes a ticket, which must belong to a live session or user token.
    async fn by_ticket(&self, ticket: &str) -> Result<Caller> {
        let now = self.0.clock.now();
        let invalid = || Error::TokenNotValid("The ticket is unknown, expired or already used.");
        self.0
            .db
            .write(|tx| async move {
                let found = one_time::find(&tx, ticket, &[Purpose::Socket], now).await?;
                let (token, user) = found.ok_or_else(invalid)?;
                let conn = &tx.pipeline();
                let is_alive = async {
                    if let Some(id) = token.user_token_id {
                        return Ok(holders(conn, OF_TOKENS, [id.0].into_iter(), now).await?.contains_key(&id.0));
                    }
                    let Some(id) = token.session_id else { return Ok(true) };
                    let session = SessionState::find(conn, id).await?;
                    Ok(session.is_some_and(|found| found.user_id == user.id && found.check_alive(now).is_ok()))
                };
                let consume = async { one_time::consume(conn, &token, now).await.map_err(Error::from) };
                let (is_alive, is_consumed) = tokio::try_join!(is_alive, consume)?;
                if !is_alive || !is_consumed {
                    return Err(invalid());
                }
                let caller = Caller::new(user.id, user.roles());
                Ok(Caller { session: token.session_id, token: token.user_token_id, ..caller })
            })
            .await
    }

    async fn record_use(&self, token: UserTokenId, now: Timestamp) {
        let result = self.0.db.write(|tx| async move {
            user_token::Entity::update_many()
                .col_expr(user_token::Column::LastUsedAt, Expr::value(now))
                .filter(user_token::COLUMN.id.eq(token))
                .exec(&tx)
                .await
        });
        log_error(result.await);
    }
}

/// Only logs: a request is not rejected because its use of a token could not be recorded.
fn log_error<T>(result: Result<T, DbErr>) {
    if let Err(error) = result {
        tracing::warn!(%error, "could not record the use of a token");
    }
}

#[async_trait]
impl Authenticate for SqlAccounts {
    async fn authenticate(&self, credentials: Credentials) -> kernel::Result<Caller> {
        let caller = match credentials {
            Credentials::Bearer(token) => self.by_access_token(&token).await,
            Credentials::Token(token) => self.by_user_token(&token).await,
            Credentials::Ticket(ticket) => self.by_ticket(&ticket).await,
        };
        Ok(caller?)
    }

    async fn recheck(&self, callers: &[Caller]) -> kernel::Result<Vec<Option<Caller>>> {
        let (conn, now) = (self.0.db.conn(), self.0.clock.now());
        let sessions = callers.iter().filter_map(|caller| Some(caller.session?.0));
        let tokens = callers.iter().filter_map(|caller| Some(caller.token?.0));
        let has_neither = |caller: &&Caller| caller.session.is_none() && caller.token.is_none();
        let users = callers.iter().filter(has_neither).map(|caller| caller.user.0);
        let (sessions, tokens, users) = tokio::try_join!(
            holders(conn, OF_SESSIONS, sessions, now),
            holders(conn, OF_TOKENS, tokens, now),
            holders(conn, OF_USERS, users, now),
        )?;
        let roles = |caller: &Caller| match (caller.session, caller.token) {
            (Some(session), _) => sessions.get(&session.0),
            (None, Some(token)) => tokens.get(&token.0),
            (None, None) => users.get(&caller.user.0),
        };
        Ok(callers.iter().map(|caller| Some(Caller { roles: *roles(caller)?, ..*caller })).collect())
    }
}
