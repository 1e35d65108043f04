use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Origin, SessionId, Timestamp, UserId, audit, db::Tx};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Select, Set, SqlErr,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{SqlAccounts, keys::KeyStates};
use crate::{
    Account, Error, IssuedToken, IssuedUserToken, Jwks, NewUserToken, Result, SecondFactor, Session, SignIn,
    SignOutEverywhere, SignedIn, Ticket, TokenPair, Tokens, UserToken, UserTokenId,
    entity::{refresh_token, session, user},
    event::SignedInFromNewDevice,
    jwt::{Claims, Subject, TokenType, VerifiedToken},
    model::SessionRow,
    one_time::{self, NewOneTimeToken, Purpose},
    secret,
};

/// The columns that determine whether a session is alive, with those of its user.
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
    async fn find(conn: &impl ConnectionTrait, id: SessionId) -> Result<Self> {
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

/// The earlier of two timestamps (with SeaORM's traits in scope, `a.min(b)` is ambiguous).
fn earlier(a: Timestamp, b: Timestamp) -> Timestamp {
    std::cmp::min(a, b)
}

const ENDED: Error = Error::TokenNotValid("The session has ended.");

/// A stored refresh token, with what is needed to sign it and its access token.
pub(super) struct IssuedTokens {
    user: UserId,
    public_id: Uuid,
    row: refresh_token::Model,
    session_end: Timestamp,
    /// The active signing key.
    kid: String,
}

/// The outcome of a refresh.
enum Outcome {
    /// The successor of the token, new or already issued.
    Successor(IssuedTokens),
    /// The token was reused; its session has been ended.
    Reused,
}

/// A session to be opened.
pub(super) struct NewSession<'a> {
    pub(super) user: &'a user::Model,
    /// The user's epoch as of this transaction.
    pub(super) auth_epoch: i64,
    pub(super) second_factor: bool,
}

/// Whether a user who signs in has signed in before, but never with this network address and user agent.
async fn is_new_device(conn: &impl ConnectionTrait, user: &user::Model) -> Result<bool> {
    if user.last_login.is_none() {
        return Ok(false);
    }
    let origin = Origin::current();
    let same_device = session::Entity::find()
        .filter(session::COLUMN.user_id.eq(user.id))
        .filter(session::COLUMN.ip.eq(origin.ip.map(|ip| ip.to_string())))
        .filter(session::COLUMN.user_agent.eq(origin.user_agent.clone()));
    Ok(same_device.one(conn).await?.is_none())
}

impl SqlAccounts {
    /// Signs a pair of tokens. For one row the refresh token is always the same; the access token is new.
    pub(super) async fn sign_tokens(&self, issued: &IssuedTokens) -> Result<TokenPair> {
        let now = self.0.clock.now();
        let access_end = earlier(now + self.0.settings.access_lifetime(), issued.session_end);
        let row = &issued.row;
        let subject = Subject {
            user: issued.user,
            public_id: issued.public_id,
            session: row.session_id,
            generation: row.generation,
        };
        let codec = self.codec_with(&issued.kid).await?;
        // The key of an existing row may have been deleted in the meantime.
        let kid = if codec.can_sign(&row.kid) { &row.kid } else { &issued.kid };
        let jti = secret::random_id()?;
        Ok(TokenPair {
            access: codec.sign(&issued.kid, TokenType::Access, &subject, &jti, now, access_end)?,
            refresh: codec.sign(kid, TokenType::Refresh, &subject, &row.jti, row.issued_at, row.expires_at)?,
            token_type: "Bearer",
            expires_in: access_end.unix_seconds() - now.unix_seconds(),
        })
    }

    /// Stores the next refresh token of a session.
    async fn store_refresh_token(
        &self,
        conn: &impl ConnectionTrait,
        session: SessionId,
        user: UserId,
        generation: i64,
        session_end: Timestamp,
        kid: &str,
    ) -> Result<refresh_token::Model> {
        let now = self.0.clock.now();
        let row = refresh_token::ActiveModel {
            id: NotSet,
            session_id: Set(session),
            user_id: Set(user),
            generation: Set(generation),
            jti: Set(secret::random_id()?),
            kid: Set(kid.to_owned()),
            issued_at: Set(now),
            expires_at: Set(earlier(now + self.0.settings.refresh_lifetime(), session_end)),
            consumed_at: Set(None),
        };
        row.insert(conn).await.map_err(|error| match error.sql_err() {
            // The user and the session were deleted in the meantime.
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => ENDED,
            _ => error.into(),
        })
    }

    /// Opens a session and stores its first refresh token.
    pub(super) async fn open_session(&self, conn: &impl ConnectionTrait, new: NewSession<'_>) -> Result<IssuedTokens> {
        let now = self.0.clock.now();
        let session_end = now + self.0.settings.session_lifetime();
        let origin = Origin::current();
        let session = session::ActiveModel {
            id: NotSet,
            user_id: Set(new.user.id),
            auth_epoch: Set(new.auth_epoch),
            ip: Set(origin.ip.map(|ip| ip.to_string())),
            user_agent: Set(origin.user_agent.clone()),
            seen_generation: Set(-1),
            created_at: Set(now),
            last_seen_at: Set(now),
            expires_at: Set(session_end),
            revoked_at: Set(None),
            revoke_reason: Set(None),
            authenticated_at: Set(now),
            second_factor: Set(new.second_factor),
        };
        let session = session.insert(conn).await?.id;
        let kid = KeyStates::find(conn).await?.active()?.to_owned();
        let row = self.store_refresh_token(conn, session, new.user.id, 0, session_end, &kid).await?;
        Ok(IssuedTokens { user: new.user.id, public_id: new.user.public_id, row, session_end, kid })
    }

    /// Opens a session for a user who has been fully authenticated, and resets their failures.
    pub(super) async fn complete_sign_in(
        &self,
        tx: &Tx,
        user: &user::Model,
        second_factor: bool,
    ) -> Result<(IssuedTokens, Account)> {
        let now = self.0.clock.now();
        // Only if the account has not changed since the password was checked.
        let updated = user::Entity::update_many()
            .col_expr(user::Column::LastLogin, Expr::value(now))
            .filter(user::COLUMN.id.eq(user.id))
            .filter(user::COLUMN.is_active.eq(true))
            .filter(user::COLUMN.auth_epoch.eq(user.auth_epoch))
            .exec(tx)
            .await?;
        if updated.rows_affected != 1 {
            return Err(Error::InvalidCredentials);
        }
        if tx.has_subscribers::<SignedInFromNewDevice>() && is_new_device(tx, user).await? {
            tx.emit(&SignedInFromNewDevice { user: user.id }).await?;
        }
        let session = NewSession { user, auth_epoch: user.auth_epoch, second_factor };
        let issued = self.open_session(tx, session).await?;
        self.0.throttle.record_success(tx, user, now).await?;
        let event = audit::AuditEvent::new("accounts.sign_in").own(user.id, &user.username);
        event.with("second_factor", second_factor).record(tx, now).await?;
        Ok((issued, self.find_account(tx, user.id).await?))
    }

    /// Consumes a refresh token and issues its successor. Of concurrent requests exactly one creates it.
    async fn rotate(&self, conn: &Tx, token: &VerifiedToken) -> Result<Outcome> {
        let now = self.0.clock.now();
        let Claims { sid: session, generation, jti, .. } = &token.claims;
        let (session, generation) = (*session, *generation);
        let keys = KeyStates::find(conn).await?;
        if !keys.is_valid(&token.kid, now) {
            return Err(ENDED);
        }
        let state = SessionState::find(conn, session).await?;
        state.check_alive(now)?;
        let successor = |row| -> Result<Outcome> {
            let kid = keys.active()?.to_owned();
            let SessionState { user_id: user, public_id, expires_at: session_end, .. } = state;
            Ok(Outcome::Successor(IssuedTokens { user, public_id, row, session_end, kid }))
        };
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
            let (user, end) = (state.user_id, state.expires_at);
            let next = self.store_refresh_token(conn, session, user, generation + 1, end, keys.active()?).await?;
            session::Entity::update_many()
                .col_expr(session::Column::LastSeenAt, Expr::value(now))
                .filter(session::COLUMN.id.eq(session))
                .exec(conn)
                .await?;
            return successor(next);
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
        let Some(used_at) = used.consumed_at.filter(|_| used.jti == *jti) else {
            return Err(ENDED);
        };
        let in_grace = now.since(used_at) <= self.0.settings.refresh_grace();
        let next_unused = next.consumed_at.is_none() && state.seen_generation < next.generation;
        if in_grace || next_unused {
            return successor(next);
        }
        end_sessions(conn, session::COLUMN.id.eq(session), "reuse", now).await?;
        let user = user::Entity::find_by_id(state.user_id).one(conn).await?.ok_or(ENDED)?;
        let event = audit::AuditEvent::new("accounts.refresh").refused().about(user.id, &user.username);
        event.with("reason", "reuse").with("session", session.0).record(conn, now).await?;
        let message = "A token of one of your sessions was used twice, which can mean that it was stolen. The session \
                       has been ended.";
        self.notify(conn, &user, "One of your sessions was ended", message).await?;
        Ok(Outcome::Reused)
    }

    /// Ends the caller's sessions that match the filter, and records it in the audit log.
    async fn end_own_sessions(&self, caller: &Caller, filter: Expr, reason: &'static str) -> Result<u64> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| {
                let filter = filter.clone();
                async move {
                    let ended = end_sessions(&tx, filter, reason, now).await?;
                    let event = audit::AuditEvent::new("accounts.end_sessions").by(caller).about(caller.user, "");
                    event.with("reason", reason).with("sessions", ended).record(&tx, now).await?;
                    Ok(ended)
                }
            })
            .await
    }

    /// Lists the live sessions of a user, newest first.
    pub(super) async fn list_sessions(
        &self,
        owner: UserId,
        current: Option<SessionId>,
        query: CursorQuery,
    ) -> Result<CursorPage<Session>> {
        let rows = CursorPage::fetch(self.live_sessions(owner), session::Column::Id, &query, self.0.db.conn()).await?;
        Ok(rows.map(|row: SessionRow| row.into_session(current)))
    }

    pub(super) fn live_sessions(&self, owner: UserId) -> Select<session::Entity> {
        let same_epoch = Expr::col((user::Entity, user::Column::AuthEpoch))
            .eq(Expr::col((session::Entity, session::Column::AuthEpoch)));
        session::Entity::find()
            .inner_join(user::Entity)
            .filter(session::COLUMN.user_id.eq(owner))
            .filter(session::COLUMN.revoked_at.is_null())
            .filter(session::COLUMN.expires_at.gt(self.0.clock.now()))
            .filter(same_epoch)
    }
}

pub(super) async fn end_sessions(
    conn: &impl ConnectionTrait,
    filter: Expr,
    reason: &str,
    now: Timestamp,
) -> Result<u64, DbErr> {
    session::Entity::update_many()
        .col_expr(session::Column::RevokedAt, Expr::value(now))
        .col_expr(session::Column::RevokeReason, Expr::value(reason))
        .filter(filter)
        .filter(session::COLUMN.revoked_at.is_null())
        .exec(conn)
        .await
        .map(|ended| ended.rows_affected)
}

#[async_trait]
impl Tokens for SqlAccounts {
    async fn sign_in(&self, sign_in: SignIn) -> Result<SignedIn> {
        sign_in.validate()?;
        let user = &self.check_credentials(&sign_in.username, &sign_in.password).await?;
        self.require_second_factor(user).await?;
        let result = self.0.db.write(|tx| async move { self.complete_sign_in(&tx, user, false).await }).await;
        let (issued, account) = result?;
        Ok(SignedIn { tokens: self.sign_tokens(&issued).await?, user: account })
    }

    async fn sign_in_with_second_factor(&self, second: SecondFactor) -> Result<SignedIn> {
        second.validate()?;
        let (issued, account) = self.sign_in_with_code(&second).await?;
        Ok(SignedIn { tokens: self.sign_tokens(&issued).await?, user: account })
    }

    async fn refresh(&self, token: &str) -> Result<TokenPair> {
        let token = &self.verify_token(token, TokenType::Refresh).await?;
        let outcome = self.0.db.write(|tx| async move { self.rotate(&tx, token).await }).await?;
        match outcome {
            Outcome::Successor(issued) => self.sign_tokens(&issued).await,
            Outcome::Reused => {
                tracing::warn!(session.id = token.claims.sid.0, "refresh token reused; session ended");
                Err(Error::TokenReused)
            }
        }
    }

    async fn sign_out(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        let token = &self.verify_token_allow_expired(token, TokenType::Refresh).await?;
        self.0
            .db
            .write(|tx| async move {
                let conn = &tx;
                if !KeyStates::find(conn).await?.is_valid(&token.kid, now) {
                    return Err(ENDED);
                }
                let ended = end_sessions(conn, session::COLUMN.id.eq(token.claims.sid), "sign_out", now).await?;
                // Without an ended session the user may no longer exist, and the event could not reference them.
                if ended > 0 {
                    audit::AuditEvent::new("accounts.sign_out").own(token.claims.user(), "").record(conn, now).await?;
                }
                Ok(())
            })
            .await
    }

    async fn sign_out_everywhere(&self, caller: &Caller, which: SignOutEverywhere) -> Result<()> {
        let mut sessions = session::COLUMN.user_id.eq(caller.user);
        if let Some(current) = caller.session.filter(|_| which.others) {
            sessions = sessions.and(session::COLUMN.id.ne(current));
        }
        self.end_own_sessions(caller, sessions, "sign_out_everywhere").await?;
        if which.include_tokens {
            self.delete_user_tokens_of(caller).await?;
        }
        Ok(())
    }

    async fn sessions(&self, caller: &Caller, query: CursorQuery) -> Result<CursorPage<Session>> {
        self.list_sessions(caller.user, caller.session, query).await
    }

    async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<()> {
        let own = session::COLUMN.id.eq(id).and(session::COLUMN.user_id.eq(caller.user));
        if self.end_own_sessions(caller, own, "ended").await? == 0 { Err(Error::SessionNotFound(id)) } else { Ok(()) }
    }

    async fn verify(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        let conn = self.0.db.conn();
        let (token, token_type) = match self.verify_token(token, TokenType::Access).await {
            Ok(token) => (token, TokenType::Access),
            Err(Error::TokenExpired) => return Err(Error::TokenExpired),
            Err(_) => (self.verify_token(token, TokenType::Refresh).await?, TokenType::Refresh),
        };
        if !KeyStates::find(conn).await?.is_valid(&token.kid, now) {
            return Err(ENDED);
        }
        SessionState::find(conn, token.claims.sid).await?.check_alive(now)?;
        if token_type == TokenType::Access {
            return Ok(());
        }
        let outstanding = refresh_token::Entity::find()
            .filter(refresh_token::COLUMN.jti.eq(token.claims.jti))
            .filter(refresh_token::COLUMN.consumed_at.is_null());
        outstanding.one(conn).await?.map(|_| ()).ok_or(Error::TokenNotValid("Token is blacklisted."))
    }

    async fn exchange_for_user_token(&self, sign_in: SignIn) -> Result<IssuedToken> {
        sign_in.validate()?;
        let user = self.check_credentials(&sign_in.username, &sign_in.password).await?;
        self.require_second_factor(&user).await?;
        let issued = self.issue_user_token(user.id, Some(&user), NewUserToken::default()).await?;
        Ok(IssuedToken { token: issued.token, expires_at: issued.shown.expires_at })
    }

    async fn create_user_token(&self, caller: &Caller, new: NewUserToken) -> Result<IssuedUserToken> {
        new.validate()?;
        let confirmed = if let Some(password) = &new.password {
            self.forbid_mfa_bypass(caller).await?;
            Some(self.confirm_password(caller, password, "password").await?)
        } else {
            self.require_recent_password(caller).await?;
            None
        };
        self.issue_user_token(caller.user, confirmed.as_ref(), new).await
    }

    async fn user_tokens(&self, caller: &Caller, query: CursorQuery) -> Result<CursorPage<UserToken>> {
        self.list_user_tokens(caller.user, query).await
    }

    async fn revoke_user_token(&self, caller: &Caller, id: UserTokenId) -> Result<()> {
        self.delete_user_token(caller, id).await
    }

    async fn socket_ticket(&self, caller: &Caller) -> Result<Ticket> {
        let now = self.0.clock.now();
        let user = user::Entity::find_by_id(caller.user).one(self.0.db.conn()).await?.ok_or(ENDED)?;
        let token = NewOneTimeToken {
            purpose: Purpose::Socket,
            user: caller.user,
            auth_epoch: user.auth_epoch,
            email: "",
            session: caller.session,
        };
        let (ticket, row) = token.generate(now)?;
        self.0
            .db
            .write(|tx| {
                let row = row.clone();
                async move { one_time::store(&tx, row).await }
            })
            .await?;
        Ok(Ticket { ticket: ticket.token, expires_in: Purpose::Socket.lifetime().as_secs() })
    }

    async fn jwks(&self) -> Result<Jwks> {
        self.current_jwks().await
    }
}
