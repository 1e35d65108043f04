//! The check in front of every request: one statement, whatever is shown.

use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::{self as kernel, Authenticate, Caller, Credentials, Roles, SessionId, Timestamp, UserId};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, Statement, Value, sea_query::Expr};

use super::SqlAccounts;
use crate::{
    Error, Result, UserTokenId,
    entity::{session, user_token},
    jwt::{Read, Use},
    one_time::{self, Purpose},
    secret,
};

/// How old the note of a token's last use may be before it is made again.
const NOTE_AGE: Duration = Duration::from_secs(60);

const BY_SESSION: &str = "SELECT u.id AS user_id, u.is_active, u.is_teacher, u.is_staff, u.is_superuser, \
     s.expires_at, s.seen_generation, s.revoked_at IS NULL AND s.auth_epoch = u.auth_epoch AS is_open, \
     EXISTS (SELECT 1 FROM accounts_signing_key k \
             WHERE k.kid = $2 AND (k.is_active OR k.verifies_until > $3)) AS is_well_signed \
     FROM accounts_session s JOIN users u ON u.id = s.user_id WHERE s.id = $1";

const BY_USER_TOKEN: &str = "SELECT u.id AS user_id, u.is_active, u.is_teacher, u.is_staff, u.is_superuser, \
     t.expires_at, t.id AS token_id, t.last_used_at, t.read_only \
     FROM accounts_user_token t JOIN users u ON u.id = t.user_id WHERE t.token_sha256 = $1";

#[derive(FromQueryResult)]
struct Holder {
    user_id: UserId,
    is_active: bool,
    is_teacher: bool,
    is_staff: bool,
    is_superuser: bool,
    expires_at: Timestamp,
}

impl Holder {
    fn admit(&self) -> Result<Caller> {
        if !self.is_active {
            return Err(Error::UserInactive);
        }
        let roles = Roles { teacher: self.is_teacher, staff: self.is_staff, superuser: self.is_superuser };
        Ok(Caller::new(self.user_id, roles))
    }
}

#[derive(FromQueryResult)]
struct SessionHolder {
    #[sea_orm(nested)]
    holder: Holder,
    seen_generation: i64,
    is_open: bool,
    is_well_signed: bool,
}

#[derive(FromQueryResult)]
struct TokenHolder {
    #[sea_orm(nested)]
    holder: Holder,
    token_id: UserTokenId,
    last_used_at: Option<Timestamp>,
    read_only: bool,
}

impl SqlAccounts {
    async fn find<T: FromQueryResult>(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<T>, DbErr> {
        let conn = self.0.db.identity_conn();
        let query = Statement::from_sql_and_values(self.0.db.backend(), sql, values);
        T::find_by_statement(query).one(conn).await
    }

    async fn by_access_token(&self, token: &str) -> Result<Caller> {
        let now = self.0.clock.now();
        let Read { claims, kid } = self.read_live(token, Use::Access).await?;
        let values = [claims.sid.into(), kid.into(), now.into()];
        let found: Option<SessionHolder> = self.find(BY_SESSION, values).await?;
        let ended = Error::TokenNotValid("The session has ended.");
        let theirs = |found: &SessionHolder| found.is_well_signed && found.holder.user_id == claims.user();
        let Some(found) = found.filter(theirs) else {
            return Err(ended);
        };
        let caller = found.holder.admit()?;
        if !found.is_open || found.holder.expires_at <= now {
            return Err(ended);
        }
        if found.seen_generation < claims.generation {
            self.note_generation(claims.sid, claims.generation).await;
        }
        Ok(Caller { session: Some(claims.sid), ..caller })
    }

    /// Notes that the access token of a generation has arrived: its refresh token has then arrived
    /// too, and whoever shows the one before it is no longer somebody whose answer was lost.
    async fn note_generation(&self, session: SessionId, generation: i64) {
        let noted = self.0.db.write(|tx| async move {
            session::Entity::update_many()
                .col_expr(session::Column::SeenGeneration, Expr::value(generation))
                .filter(session::COLUMN.id.eq(session))
                .filter(session::COLUMN.seen_generation.lt(generation))
                .exec(tx.conn())
                .await
        });
        report(noted.await);
    }

    async fn by_user_token(&self, token: &str) -> Result<Caller> {
        let unknown = || Error::TokenNotValid("Invalid token.");
        if secret::is_mistyped(token) {
            return Err(unknown());
        }
        let found: Option<TokenHolder> = self.find(BY_USER_TOKEN, [secret::fingerprint(token).into()]).await?;
        let found = found.ok_or_else(unknown)?;
        let now = self.0.clock.now();
        if found.holder.expires_at <= now {
            return Err(Error::TokenExpired);
        }
        let caller = found.holder.admit()?;
        if found.last_used_at.is_none_or(|last| now.since(last) >= NOTE_AGE) {
            self.note_use(found.token_id, now).await;
        }
        Ok(Caller { read_only: found.read_only, ..caller })
    }

    /// Uses a ticket up. It ends with its session.
    async fn by_ticket(&self, ticket: &str) -> Result<Caller> {
        let now = self.0.clock.now();
        let used = || Error::TokenNotValid("The ticket was used, has expired, or was never made.");
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let found = one_time::find(conn, ticket, Purpose::Socket, now).await?;
                let (grant, user) = found.ok_or_else(used)?;
                let alive = match grant.session_id {
                    Some(id) => {
                        self.live_sessions(user.id).filter(session::COLUMN.id.eq(id)).one(conn).await?.is_some()
                    }
                    None => true,
                };
                if !alive || !one_time::use_up(conn, &grant, now).await? {
                    return Err(used());
                }
                let roles = Roles { teacher: user.is_teacher, staff: user.is_staff, superuser: user.is_superuser };
                Ok(Caller { session: grant.session_id, ..Caller::new(user.id, roles) })
            })
            .await
    }

    async fn note_use(&self, token: UserTokenId, now: Timestamp) {
        let noted = self.0.db.write(|tx| async move {
            user_token::Entity::update_many()
                .col_expr(user_token::Column::LastUsedAt, Expr::value(now))
                .filter(user_token::COLUMN.id.eq(token))
                .exec(tx.conn())
                .await
        });
        report(noted.await);
    }
}

/// A note that could not be made is no reason to turn somebody away.
fn report<T>(noted: Result<T, DbErr>) {
    if let Err(error) = noted {
        tracing::warn!(%error, "the use of a token could not be noted");
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
}
