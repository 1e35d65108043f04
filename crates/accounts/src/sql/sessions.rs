use async_trait::async_trait;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, Origin, SessionId, Timestamp, UserId, audit,
    db::{self, QueryTemplate, Tx},
};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait, Select,
    Set,
    sea_query::{Expr, ExprTrait, SelectStatement},
};
use uuid::Uuid;

use super::{SqlAccounts, issued_tokens::IssuedTokens, keys::KeyStates, user_tokens::delete_user_tokens_of};
use crate::{
    Account, Error, Result, Session, Sessions, SignOutEverywhere,
    entity::{session, user},
    event::{SessionsEnded, SignedInFromNewDevice},
    model::SessionRow,
    throttle::RateLimit,
};

/// The columns that determine whether a session is alive, with those of its user.
#[derive(FromQueryResult)]
pub(super) struct SessionState {
    pub(super) user_id: UserId,
    pub(super) public_id: Uuid,
    is_active: bool,
    user_epoch: i64,
    auth_epoch: i64,
    pub(super) seen_generation: i64,
    pub(super) expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

static SESSION_STATE: QueryTemplate<()> = QueryTemplate::new(session_state);

fn session_state((): &(), ids: &[i64]) -> SelectStatement {
    let [id] = *ids else { return SelectStatement::new() };
    session::Entity::find_by_id(SessionId(id))
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
        .into_query()
}

impl SessionState {
    pub(super) async fn find(conn: &impl ConnectionTrait, id: SessionId) -> Result<Option<Self>> {
        Ok(SESSION_STATE.row(conn, &(), &[id.0]).await?)
    }

    pub(super) fn check_alive(&self, now: Timestamp) -> Result<()> {
        if !self.is_active {
            return Err(Error::UserInactive);
        }
        if self.revoked_at.is_some() || self.auth_epoch != self.user_epoch || self.expires_at <= now {
            return Err(Error::SESSION_ENDED);
        }
        Ok(())
    }
}

/// A session to be opened.
pub(super) struct NewSession<'a> {
    pub(super) user: &'a user::Model,
    /// The user's epoch as of this transaction.
    pub(super) auth_epoch: i64,
    pub(super) second_factor: bool,
    /// The active signing key.
    pub(super) kid: &'a str,
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
    /// Opens a session and stores its first refresh token.
    pub(super) async fn open_session(&self, tx: &Tx, new: NewSession<'_>) -> Result<IssuedTokens> {
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
        let session = db::insert(tx, session).await?.id;
        let refresh = self.store_refresh_token(tx, session, new.user.id, 0, session_end, new.kid).await?;
        let NewSession { user, kid, .. } = new;
        Ok(IssuedTokens { user: user.id, public_id: user.public_id, refresh, session_end, kid: kid.to_owned() })
    }

    /// Opens a session for a user who has been fully authenticated, counts the sign-in, and resets their failures.
    pub(super) async fn complete_sign_in(
        &self,
        tx: &Tx,
        user: &user::Model,
        second_factor: bool,
    ) -> Result<(IssuedTokens, Account)> {
        let now = self.0.clock.now();
        let conn = &tx.pipeline();
        // With a second factor, the first step has been counted.
        let count = async {
            if second_factor { Ok(()) } else { self.0.throttle.check_rate(conn, RateLimit::SignIn(user.id), now).await }
        };
        // Only if the account has not changed since the password was checked.
        let update = user::Entity::update_many()
            .col_expr(user::Column::LastLogin, Expr::value(now))
            .filter(user::COLUMN.id.eq(user.id))
            .filter(user::COLUMN.is_active.eq(true))
            .filter(user::COLUMN.auth_epoch.eq(user.auth_epoch))
            .exec_with_returning(conn);
        let update = async { update.await.map_err(Error::from) };
        let is_new_device =
            async { Ok(tx.has_subscribers::<SignedInFromNewDevice>() && is_new_device(conn, user).await?) };
        // The counter is locked before the user, as everywhere.
        let joined = tokio::try_join!(count, update, is_new_device, KeyStates::find(conn));
        let ((), mut updated, is_new_device, keys) = joined?;
        let account = updated.pop().ok_or(Error::InvalidCredentials)?;
        if is_new_device {
            tx.emit(&SignedInFromNewDevice { user: user.id }).await?;
        }
        let session = NewSession { user, auth_epoch: user.auth_epoch, second_factor, kid: keys.active()? };
        let issued = self.open_session(tx, session).await?;
        self.0.throttle.record_success(tx, user, now).await?;
        let event = audit::AuditEvent::new("accounts.sign_in").own(user.id, &user.username);
        event.with("second_factor", second_factor).record(tx, now).await?;
        Ok((issued, self.to_account(account)))
    }

    /// The live sessions of a user.
    pub(super) fn live_sessions(&self, owner: UserId) -> Select<session::Entity> {
        self.all_live_sessions().filter(session::COLUMN.user_id.eq(owner))
    }

    /// The live sessions of all users.
    pub(super) fn all_live_sessions(&self) -> Select<session::Entity> {
        let same_epoch = Expr::col((user::Entity, user::Column::AuthEpoch))
            .eq(Expr::col((session::Entity, session::Column::AuthEpoch)));
        session::Entity::find()
            .inner_join(user::Entity)
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

/// Ends the caller's sessions that match the filter, and records it in the audit log.
async fn end_own_sessions(tx: &Tx, caller: &Caller, filter: Expr, reason: &'static str, now: Timestamp) -> Result<u64> {
    let ended = end_sessions(tx, filter, reason, now).await?;
    let event = audit::AuditEvent::new("accounts.end_sessions").by(caller).about(caller.user, "");
    event.with("reason", reason).with("sessions", ended).record(tx, now).await?;
    tx.emit(&SessionsEnded { user: caller.user }).await?;
    Ok(ended)
}

#[async_trait]
impl Sessions for SqlAccounts {
    async fn sessions(&self, caller: &Caller, query: CursorQuery) -> Result<CursorPage<Session>> {
        let own = self.live_sessions(caller.user);
        let rows = CursorPage::fetch(own, session::Column::Id, &query, self.0.db.conn()).await?;
        Ok(rows.map(|row: SessionRow| row.into_session(caller.session)))
    }

    async fn end_session(&self, caller: &Caller, id: SessionId) -> Result<()> {
        let now = self.0.clock.now();
        let end = self.0.db.write(|tx| async move {
            let own = session::COLUMN.id.eq(id).and(session::COLUMN.user_id.eq(caller.user));
            end_own_sessions(&tx, caller, own, "ended", now).await
        });
        if end.await? == 0 { Err(Error::SessionNotFound(id)) } else { Ok(()) }
    }

    async fn sign_out_everywhere(&self, caller: &Caller, which: SignOutEverywhere) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let mut sessions = session::COLUMN.user_id.eq(caller.user);
                if let Some(current) = caller.session.filter(|_| which.others) {
                    sessions = sessions.and(session::COLUMN.id.ne(current));
                }
                end_own_sessions(&tx, caller, sessions, "sign_out_everywhere", now).await?;
                if which.include_tokens {
                    delete_user_tokens_of(&tx, caller, now).await?;
                }
                Ok(())
            })
            .await
    }
}
