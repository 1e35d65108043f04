use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, Origin, SessionId, Slice, SliceQuery, Timestamp, UserId, audit};
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
    jwt::{Claims, Read, Subject, Use},
    model::SessionRow,
    one_time::{self, Grant, Purpose},
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

/// (With SeaORM's traits in scope `min` is ambiguous.)
fn earlier(one: Timestamp, other: Timestamp) -> Timestamp {
    std::cmp::min(one, other)
}

const ENDED: Error = Error::TokenNotValid("The session has ended.");

/// A token that is to be given out, with what it is made from.
pub(super) struct Minted {
    user: UserId,
    public_id: Uuid,
    row: refresh_token::Model,
    session_end: Timestamp,
    /// The key that signs now.
    kid: String,
}

/// What becomes of a refresh token that is shown.
enum Outcome {
    /// Its successor, new or given out before.
    Successor(Minted),
    /// It was used before; the session is over.
    Reused,
}

/// A session that is to be opened.
pub(super) struct Opening<'a> {
    pub(super) user: &'a user::Model,
    /// The user's number from now on.
    pub(super) auth_epoch: i64,
    pub(super) second_factor: bool,
}

impl SqlAccounts {
    /// The tokens that a row stands for. The refresh token is the same each time, the access token new.
    pub(super) async fn mint(&self, minted: &Minted) -> Result<TokenPair> {
        let now = self.0.clock.now();
        let access_end = earlier(now + self.0.settings.access_life(), minted.session_end);
        let row = &minted.row;
        let subject = Subject {
            user: minted.user,
            public_id: minted.public_id,
            session: row.session_id,
            generation: row.generation,
        };
        let tokenizer = self.tokenizer_with(&minted.kid).await?;
        // What has signed the row may have been forgotten meanwhile.
        let kid = if tokenizer.can_sign(&row.kid) { &row.kid } else { &minted.kid };
        let jti = secret::random_id()?;
        Ok(TokenPair {
            access: tokenizer.sign(&minted.kid, Use::Access, &subject, &jti, now, access_end)?,
            refresh: tokenizer.sign(kid, Use::Refresh, &subject, &row.jti, row.issued_at, row.expires_at)?,
            token_type: "Bearer",
            expires_in: access_end.unix_seconds() - now.unix_seconds(),
        })
    }

    /// Stores the next refresh token of a session.
    async fn issue(
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
            expires_at: Set(earlier(now + self.0.settings.refresh_life(), session_end)),
            consumed_at: Set(None),
        };
        row.insert(conn).await.map_err(|error| match error.sql_err() {
            // The user, and the session with them, went in the meantime.
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => ENDED,
            _ => error.into(),
        })
    }

    /// Opens a session and stores its first refresh token.
    pub(super) async fn open_session(&self, conn: &impl ConnectionTrait, opening: Opening<'_>) -> Result<Minted> {
        let now = self.0.clock.now();
        let session_end = now + self.0.settings.session_life();
        let origin = Origin::current();
        let session = session::ActiveModel {
            id: NotSet,
            user_id: Set(opening.user.id),
            auth_epoch: Set(opening.auth_epoch),
            ip: Set(origin.ip.map(|ip| ip.to_string())),
            user_agent: Set(origin.user_agent.clone()),
            seen_generation: Set(-1),
            created_at: Set(now),
            last_seen_at: Set(now),
            expires_at: Set(session_end),
            revoked_at: Set(None),
            revoke_reason: Set(None),
            authenticated_at: Set(now),
            second_factor: Set(opening.second_factor),
        };
        let session = session.insert(conn).await?.id;
        let kid = KeyStates::find(conn).await?.active()?.to_owned();
        let row = self.issue(conn, session, opening.user.id, 0, session_end, &kid).await?;
        Ok(Minted { user: opening.user.id, public_id: opening.user.public_id, row, session_end, kid })
    }

    /// Lets somebody in who has shown all that they have to.
    pub(super) async fn admit(
        &self,
        conn: &impl ConnectionTrait,
        user: &user::Model,
        second_factor: bool,
    ) -> Result<(Minted, Account)> {
        let now = self.0.clock.now();
        // Only if nothing has happened to the account since the password was read.
        let met = user::Entity::update_many()
            .col_expr(user::Column::LastLogin, Expr::value(now))
            .filter(user::COLUMN.id.eq(user.id))
            .filter(user::COLUMN.is_active.eq(true))
            .filter(user::COLUMN.auth_epoch.eq(user.auth_epoch))
            .exec(conn)
            .await?;
        if met.rows_affected != 1 {
            return Err(Error::InvalidCredentials);
        }
        let minted = self.open_session(conn, Opening { user, auth_epoch: user.auth_epoch, second_factor }).await?;
        self.0.throttle.succeed(conn, user, now).await?;
        let event = audit::Event::new("accounts.sign_in").own(user.id, &user.username);
        event.with("second_factor", second_factor).record(conn, now).await?;
        Ok((minted, self.find_account(conn, user.id).await?))
    }

    /// Uses a refresh token up: of any number that try at once, one does.
    async fn rotate(&self, conn: &impl ConnectionTrait, read: &Read) -> Result<Outcome> {
        let now = self.0.clock.now();
        let Claims { sid: session, generation, jti, .. } = &read.claims;
        let (session, generation) = (*session, *generation);
        let keys = KeyStates::find(conn).await?;
        if !keys.is_good(&read.kid, now) {
            return Err(ENDED);
        }
        let state = SessionState::find(conn, session).await?;
        state.check_alive(now)?;
        let minted = |row| -> Result<Outcome> {
            let kid = keys.active()?.to_owned();
            let SessionState { user_id: user, public_id, expires_at: session_end, .. } = state;
            Ok(Outcome::Successor(Minted { user, public_id, row, session_end, kid }))
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
            let next = self.issue(conn, session, user, generation + 1, end, keys.active()?).await?;
            session::Entity::update_many()
                .col_expr(session::Column::LastSeenAt, Expr::value(now))
                .filter(session::COLUMN.id.eq(session))
                .exec(conn)
                .await?;
            return minted(next);
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
            return minted(next);
        }
        end_sessions(conn, session::COLUMN.id.eq(session), "reuse", now).await?;
        let user = user::Entity::find_by_id(state.user_id).one(conn).await?.ok_or(ENDED)?;
        let event = audit::Event::new("accounts.refresh").refused().about(user.id, &user.username);
        event.with("reason", "reuse").with("session", session.0).record(conn, now).await?;
        let what =
            "A token of one of your sessions was used twice, as happens when it is stolen. That session is over.";
        self.notify(conn, &user, "A session of yours was ended", what).await?;
        Ok(Outcome::Reused)
    }

    /// Ends sessions of the caller and says so in the log.
    async fn end_own(&self, caller: &Caller, which: Expr, reason: &'static str) -> Result<u64> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| {
                let which = which.clone();
                async move {
                    let ended = end_sessions(tx.conn(), which, reason, now).await?;
                    let event = audit::Event::new("accounts.end_sessions").by(caller).about(caller.user, "");
                    event.with("reason", reason).with("sessions", ended).record(tx.conn(), now).await?;
                    Ok(ended)
                }
            })
            .await
    }

    /// The sessions of somebody that are alive, newest first.
    pub(super) async fn list_sessions(
        &self,
        owner: UserId,
        current: Option<SessionId>,
        slice: SliceQuery,
    ) -> Result<Slice<Session>> {
        let rows = Slice::fetch(self.live_sessions(owner), session::Column::Id, &slice, self.0.db.conn()).await?;
        Ok(rows.map(|row: SessionRow| row.seen_from(current)))
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
    which: Expr,
    reason: &str,
    now: Timestamp,
) -> Result<u64, DbErr> {
    session::Entity::update_many()
        .col_expr(session::Column::RevokedAt, Expr::value(now))
        .col_expr(session::Column::RevokeReason, Expr::value(reason))
        .filter(which)
        .filter(session::COLUMN.revoked_at.is_null())
        .exec(conn)
        .await
        .map(|ended| ended.rows_affected)
}

#[async_trait]
impl Tokens for SqlAccounts {
    async fn sign_in(&self, sign_in: SignIn) -> Result<SignedIn> {
        sign_in.validate()?;
        let person = &self.check_credentials(&sign_in.username, &sign_in.password).await?;
        self.demand_second_factor(person).await?;
        let admitted = self.0.db.write(|tx| async move { self.admit(tx.conn(), person, false).await }).await;
        let (minted, user) = admitted?;
        Ok(SignedIn { tokens: self.mint(&minted).await?, user })
    }

    async fn sign_in_with_second_factor(&self, second: SecondFactor) -> Result<SignedIn> {
        second.validate()?;
        let (minted, user) = self.check_second_factor(&second).await?;
        Ok(SignedIn { tokens: self.mint(&minted).await?, user })
    }

    async fn refresh(&self, token: &str) -> Result<TokenPair> {
        let read = &self.read_live(token, Use::Refresh).await?;
        let outcome = self.0.db.write(|tx| async move { self.rotate(tx.conn(), read).await }).await?;
        match outcome {
            Outcome::Successor(minted) => self.mint(&minted).await,
            Outcome::Reused => {
                self.0.outbox.wake();
                tracing::warn!(session.id = read.claims.sid.0, "a refresh token was reused, its session is over");
                Err(Error::TokenReused)
            }
        }
    }

    async fn sign_out(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        let read = &self.read(token, Use::Refresh).await?;
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                if !KeyStates::find(conn).await?.is_good(&read.kid, now) {
                    return Err(ENDED);
                }
                let ended = end_sessions(conn, session::COLUMN.id.eq(read.claims.sid), "sign_out", now).await?;
                // Whoever has gone since has no log of theirs.
                if ended > 0 {
                    audit::Event::new("accounts.sign_out").own(read.claims.user(), "").record(conn, now).await?;
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
        self.end_own(caller, sessions, "sign_out_everywhere").await?;
        if which.include_tokens {
            self.delete_user_tokens_of(caller).await?;
        }
        Ok(())
    }

    async fn sessions(&self, caller: &Caller, slice: SliceQuery) -> Result<Slice<Session>> {
        self.list_sessions(caller.user, caller.session, slice).await
    }

    async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<()> {
        let own = session::COLUMN.id.eq(id).and(session::COLUMN.user_id.eq(caller.user));
        if self.end_own(caller, own, "ended").await? == 0 { Err(Error::SessionNotFound(id)) } else { Ok(()) }
    }

    async fn verify(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        let conn = self.0.db.conn();
        let (read, usage) = match self.read_live(token, Use::Access).await {
            Ok(read) => (read, Use::Access),
            Err(Error::TokenExpired) => return Err(Error::TokenExpired),
            Err(_) => (self.read_live(token, Use::Refresh).await?, Use::Refresh),
        };
        if !KeyStates::find(conn).await?.is_good(&read.kid, now) {
            return Err(ENDED);
        }
        SessionState::find(conn, read.claims.sid).await?.check_alive(now)?;
        if usage == Use::Access {
            return Ok(());
        }
        let outstanding = refresh_token::Entity::find()
            .filter(refresh_token::COLUMN.jti.eq(read.claims.jti))
            .filter(refresh_token::COLUMN.consumed_at.is_null());
        outstanding.one(conn).await?.map(|_| ()).ok_or(Error::TokenNotValid("Token is blacklisted."))
    }

    async fn exchange_for_user_token(&self, sign_in: SignIn) -> Result<IssuedToken> {
        sign_in.validate()?;
        let person = self.check_credentials(&sign_in.username, &sign_in.password).await?;
        self.demand_second_factor(&person).await?;
        let issued = self.issue_user_token(person.id, Some(&person), NewUserToken::default()).await?;
        Ok(IssuedToken { token: issued.token, expires_at: issued.shown.expires_at })
    }

    async fn create_user_token(&self, caller: &Caller, new: NewUserToken) -> Result<IssuedUserToken> {
        new.validate()?;
        let shown = if let Some(password) = &new.password {
            self.demand_session(caller).await?;
            Some(self.confirm_password(caller, password, "password").await?)
        } else {
            self.demand_recent_password(caller).await?;
            None
        };
        self.issue_user_token(caller.user, shown.as_ref(), new).await
    }

    async fn user_tokens(&self, caller: &Caller, slice: SliceQuery) -> Result<Slice<UserToken>> {
        self.list_user_tokens(caller.user, slice).await
    }

    async fn revoke_user_token(&self, caller: &Caller, id: UserTokenId) -> Result<()> {
        self.delete_user_token(caller, id).await
    }

    async fn socket_ticket(&self, caller: &Caller) -> Result<Ticket> {
        let now = self.0.clock.now();
        let holder = user::Entity::find_by_id(caller.user).one(self.0.db.conn()).await?.ok_or(ENDED)?;
        let grant = Grant {
            purpose: Purpose::Socket,
            user: caller.user,
            auth_epoch: holder.auth_epoch,
            email: "",
            session: caller.session,
        };
        let (issued, row) = grant.prepare(now)?;
        self.0
            .db
            .write(|tx| {
                let row = row.clone();
                async move { one_time::store(tx.conn(), row).await }
            })
            .await?;
        Ok(Ticket { ticket: issued.token, expires_in: Purpose::Socket.life().as_secs() })
    }

    async fn jwks(&self) -> Result<Jwks> {
        self.current_jwks().await
    }
}
