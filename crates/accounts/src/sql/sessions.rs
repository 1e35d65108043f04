use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, Slice, SliceQuery, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter,
    QuerySelect, Set, SqlErr, sea_query::Expr,
};
use uuid::Uuid;

use super::SqlAccounts;
use crate::{
    Account, Device, Error, IssuedToken, IssuedUserToken, Jwks, NewUserToken, Result, SignIn, SignedIn, TokenPair,
    Tokens, UserToken, UserTokenId,
    entity::{refresh_token, session, user},
    jwt::{Subject, Use},
    model::AccountRow,
    secret,
};

/// What decides whether a session is alive, read together with its user.
#[derive(FromQueryResult)]
struct SessionState {
    user_id: UserId,
    public_id: Uuid,
    is_active: bool,
    user_epoch: i64,
    auth_epoch: i64,
    seen_generation: i64,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

impl SessionState {
    async fn find(conn: &impl ConnectionTrait, id: i64) -> Result<Self> {
        let found = session::Entity::find_by_id(id)
            .select_only()
            .columns([
                session::Column::UserId,
                session::Column::AuthEpoch,
                session::Column::SeenGeneration,
                session::Column::ExpiresAt,
                session::Column::RevokedAt,
            ])
            .columns([user::Column::PublicId, user::Column::IsActive])
            .column_as(user::Column::AuthEpoch, "user_epoch")
            .inner_join(user::Entity)
            .into_model::<Self>()
            .one(conn)
            .await?;
        found.ok_or(ENDED)
    }

    fn check_alive(&self, now: Timestamp) -> Result<()> {
        if !self.is_active {
            return Err(Error::UserInactive);
        }
        if self.revoked_at.is_some() || self.auth_epoch != self.user_epoch || self.expires_at <= now {
            return Err(ENDED);
        }
        Ok(())
    }
}

const ENDED: Error = Error::TokenNotValid("The session has ended.");

/// What becomes of a refresh token that is shown.
enum Outcome {
    /// Its successor, new or given out before.
    Successor(SessionState, refresh_token::Model),
    /// It was used before; the session is over.
    Reused(UserId),
}

impl SqlAccounts {
    fn subject(state: &SessionState, token: &refresh_token::Model) -> Subject {
        Subject {
            user: token.user_id,
            public_id: state.public_id,
            session: token.session_id,
            generation: token.generation,
        }
    }

    /// The tokens that a row stands for. The refresh token is the same each time, the access token new.
    fn mint(&self, subject: &Subject, token: &refresh_token::Model, session_end: Timestamp) -> Result<TokenPair> {
        let now = self.0.clock.now();
        let access_end = (now + self.0.settings.access_life()).min(session_end);
        let tokenizer = &self.0.tokenizer;
        let jti = secret::random_id()?;
        Ok(TokenPair {
            access: tokenizer.sign(Use::Access, subject, &jti, now, access_end)?,
            refresh: tokenizer.sign(Use::Refresh, subject, &token.jti, token.issued_at, token.expires_at)?,
            token_type: "Bearer",
            expires_in: access_end.unix_seconds() - now.unix_seconds(),
        })
    }

    /// Stores the next refresh token of a session.
    async fn issue(
        &self,
        conn: &impl ConnectionTrait,
        session: i64,
        user: UserId,
        generation: i64,
        session_end: Timestamp,
    ) -> Result<refresh_token::Model> {
        let now = self.0.clock.now();
        let row = refresh_token::ActiveModel {
            id: NotSet,
            session_id: Set(session),
            user_id: Set(user),
            generation: Set(generation),
            jti: Set(secret::random_id()?),
            kid: Set(self.0.tokenizer.kid().to_owned()),
            issued_at: Set(now),
            expires_at: Set((now + self.0.settings.refresh_life()).min(session_end)),
            consumed_at: Set(None),
        };
        row.insert(conn).await.map_err(|error| match error.sql_err() {
            // The user, and the session with them, went in the meantime.
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => ENDED,
            _ => error.into(),
        })
    }

    /// Uses a refresh token up: of any number that try at once, one does.
    async fn rotate(&self, conn: &impl ConnectionTrait, session: i64, generation: i64, jti: &str) -> Result<Outcome> {
        let now = self.0.clock.now();
        let state = SessionState::find(conn, session).await?;
        state.check_alive(now)?;
        let in_session = refresh_token::COLUMN.session_id.eq(session);
        let consumed = refresh_token::Entity::update_many()
            .col_expr(refresh_token::Column::ConsumedAt, Expr::value(now))
            .filter(in_session.clone())
            .filter(refresh_token::COLUMN.generation.eq(generation))
            .filter(refresh_token::COLUMN.jti.eq(jti))
            .filter(refresh_token::COLUMN.consumed_at.is_null())
            .exec(conn)
            .await?;
        if consumed.rows_affected == 1 {
            let next = self.issue(conn, session, state.user_id, generation + 1, state.expires_at).await?;
            session::Entity::update_many()
                .col_expr(session::Column::LastSeenAt, Expr::value(now))
                .filter(session::COLUMN.id.eq(session))
                .exec(conn)
                .await?;
            return Ok(Outcome::Successor(state, next));
        }
        let both = [generation, generation + 1];
        let mut rows = refresh_token::Entity::find()
            .filter(in_session)
            .filter(refresh_token::COLUMN.generation.is_in(both))
            .all(conn)
            .await?;
        rows.sort_by_key(|row| row.generation);
        let Ok([used, next]) = <[refresh_token::Model; 2]>::try_from(rows) else {
            return Err(ENDED);
        };
        let Some(used_at) = used.consumed_at.filter(|_| used.jti == jti) else {
            return Err(ENDED);
        };
        let in_grace = now.since(used_at) <= self.0.settings.refresh_grace();
        let next_unused = next.consumed_at.is_none() && state.seen_generation < next.generation;
        if in_grace || next_unused {
            return Ok(Outcome::Successor(state, next));
        }
        end_sessions(conn, session::COLUMN.id.eq(session), "reuse", now).await?;
        Ok(Outcome::Reused(state.user_id))
    }
}

async fn end_sessions(
    conn: &impl ConnectionTrait,
    which: Expr,
    reason: &str,
    now: Timestamp,
) -> Result<(), sea_orm::DbErr> {
    session::Entity::update_many()
        .col_expr(session::Column::RevokedAt, Expr::value(now))
        .col_expr(session::Column::RevokeReason, Expr::value(reason))
        .filter(which)
        .filter(session::COLUMN.revoked_at.is_null())
        .exec(conn)
        .await
        .map(|_| ())
}

#[async_trait]
impl Tokens for SqlAccounts {
    async fn sign_in(&self, sign_in: SignIn, device: Device) -> Result<SignedIn> {
        sign_in.validate()?;
        let user = self.check_password(&sign_in).await?;
        let now = self.0.clock.now();
        let end = now + self.0.settings.session_life();
        let device = &device;
        let (account, token) = self
            .0
            .db
            .write(|tx| async move {
                // Only if nothing has happened to the account since the password was read.
                let met = user::Entity::update_many()
                    .col_expr(user::Column::LastLogin, Expr::value(now))
                    .filter(user::COLUMN.id.eq(user.id))
                    .filter(user::COLUMN.is_active.eq(true))
                    .filter(user::COLUMN.auth_epoch.eq(user.auth_epoch))
                    .exec(tx.conn())
                    .await?;
                if met.rows_affected != 1 {
                    return Err(Error::InvalidCredentials);
                }
                let session = session::ActiveModel {
                    id: NotSet,
                    user_id: Set(user.id),
                    auth_epoch: Set(user.auth_epoch),
                    ip: Set(device.ip.clone()),
                    user_agent: Set(device.user_agent.clone()),
                    seen_generation: Set(-1),
                    created_at: Set(now),
                    last_seen_at: Set(now),
                    expires_at: Set(end),
                    revoked_at: Set(None),
                    revoke_reason: Set(None),
                };
                let session = session.insert(tx.conn()).await?.id;
                let token = self.issue(tx.conn(), session, user.id, 0, end).await?;
                let account = user::Entity::find_by_id(user.id).into_partial_model::<AccountRow>();
                let account = account.one(tx.conn()).await?.ok_or(Error::InvalidCredentials)?;
                Ok((Account::from(account), token))
            })
            .await?;
        let subject = Subject { user: user.id, public_id: user.public_id, session: token.session_id, generation: 0 };
        Ok(SignedIn { tokens: self.mint(&subject, &token, end)?, user: account })
    }

    async fn refresh(&self, token: &str) -> Result<TokenPair> {
        let claims = self.0.tokenizer.read_live(token, Use::Refresh, self.0.clock.now())?;
        let claims = &claims;
        let outcome = self
            .0
            .db
            .write(|tx| async move { self.rotate(tx.conn(), claims.sid, claims.generation, &claims.jti).await });
        match outcome.await? {
            Outcome::Successor(state, next) => self.mint(&Self::subject(&state, &next), &next, state.expires_at),
            Outcome::Reused(user) => {
                tracing::warn!(
                    user.id = user.0,
                    session.id = claims.sid,
                    "a refresh token was reused, its session is over"
                );
                Err(Error::TokenReused)
            }
        }
    }

    async fn sign_out(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        let claims = self.0.tokenizer.read(token, Use::Refresh, now)?;
        self.0
            .db
            .write(|tx| {
                let which = session::COLUMN.id.eq(claims.sid);
                async move { Ok(end_sessions(tx.conn(), which, "sign_out", now).await?) }
            })
            .await
    }

    async fn sign_out_everywhere(&self, caller: &Caller) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| {
                let which = session::COLUMN.user_id.eq(caller.user);
                async move { Ok(end_sessions(tx.conn(), which, "sign_out_everywhere", now).await?) }
            })
            .await
    }

    async fn verify(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        let conn = self.0.db.conn();
        let (claims, usage) = match self.0.tokenizer.read_live(token, Use::Access, now) {
            Ok(claims) => (claims, Use::Access),
            Err(Error::TokenExpired) => return Err(Error::TokenExpired),
            Err(_) => (self.0.tokenizer.read_live(token, Use::Refresh, now)?, Use::Refresh),
        };
        SessionState::find(conn, claims.sid).await?.check_alive(now)?;
        if usage == Use::Access {
            return Ok(());
        }
        let outstanding = refresh_token::Entity::find()
            .filter(refresh_token::COLUMN.jti.eq(claims.jti))
            .filter(refresh_token::COLUMN.consumed_at.is_null());
        outstanding.one(conn).await?.map(|_| ()).ok_or(Error::TokenNotValid("Token is blacklisted."))
    }

    async fn exchange_for_user_token(&self, sign_in: SignIn) -> Result<IssuedToken> {
        sign_in.validate()?;
        let user = self.check_password(&sign_in).await?;
        let issued = self.issue_user_token(user.id, Some(user.auth_epoch), NewUserToken::default()).await?;
        Ok(IssuedToken { token: issued.token, expires_at: issued.shown.expires_at })
    }

    async fn create_user_token(&self, caller: &Caller, new: NewUserToken) -> Result<IssuedUserToken> {
        self.issue_user_token(caller.user, None, new).await
    }

    async fn user_tokens(&self, caller: &Caller, slice: SliceQuery) -> Result<Slice<UserToken>> {
        self.list_user_tokens(caller.user, slice).await
    }

    async fn revoke_user_token(&self, caller: &Caller, id: UserTokenId) -> Result<()> {
        self.delete_user_token(caller.user, id).await
    }

    fn jwks(&self) -> Jwks {
        self.0.tokenizer.jwks()
    }
}
