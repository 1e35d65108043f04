use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, UserId, audit,
    db::{self, QueryTemplate, Tx},
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryTrait,
    sea_query::{Expr, SelectStatement},
};
use secrecy::ExposeSecret;

use super::{
    SqlAccounts,
    issued_tokens::IssuedTokens,
    keys::KeyStates,
    one_time::{self, NewOneTimeToken},
    second_factors::consume_code,
    sessions::{SessionState, end_sessions},
};
use crate::{
    Error, Jwks, Result, SecondFactor, SignIn, SignedIn, Ticket, TokenPair, Tokens,
    entity::{refresh_token, session, totp, user},
    event::SessionsEnded,
    jwt::{Claims, TokenType, VerifiedToken},
    one_time::Purpose,
    throttle::Target,
};

static USER: QueryTemplate<()> = QueryTemplate::new(user);

fn user((): &(), ids: &[i64]) -> SelectStatement {
    let [id] = *ids else { return SelectStatement::new() };
    user::Entity::find_by_id(UserId(id)).into_query()
}

/// The outcome of a refresh.
enum Outcome {
    /// The successor of the token, new or already issued.
    Successor(IssuedTokens),
    /// The token was reused; its session has been ended.
    Reused,
}

impl SqlAccounts {
    /// Consumes a refresh token and issues its successor. Of concurrent requests exactly one creates it.
    async fn rotate(&self, tx: &Tx, token: &VerifiedToken) -> Result<Outcome> {
        let now = self.0.clock.now();
        let Claims { sid: session, generation, jti, .. } = &token.claims;
        let (session, generation) = (*session, *generation);
        let conn = &tx.pipeline();
        let in_session = refresh_token::COLUMN.session_id.eq(session);
        // Undone with the transaction if one of the checks below fails.
        let consume = refresh_token::Entity::update_many()
            .col_expr(refresh_token::Column::ConsumedAt, Expr::value(now))
            .filter(in_session.clone())
            .filter(refresh_token::COLUMN.generation.eq(generation))
            .filter(refresh_token::COLUMN.jti.eq(jti))
            .filter(refresh_token::COLUMN.consumed_at.is_null())
            .exec(conn);
        let consume = async { consume.await.map_err(Error::from) };
        let (keys, state, consumed) =
            tokio::try_join!(KeyStates::find(conn), SessionState::find(conn, session), consume)?;
        if !keys.is_valid(&token.kid, now) {
            return Err(Error::SESSION_ENDED);
        }
        let state = state.ok_or(Error::SESSION_ENDED)?;
        state.check_alive(now)?;
        let successor = |refresh| -> Result<Outcome> {
            let kid = keys.active()?.to_owned();
            let SessionState { user_id: user, public_id, expires_at: session_end, .. } = state;
            Ok(Outcome::Successor(IssuedTokens { user, public_id, refresh, session_end, kid }))
        };
        if consumed.rows_affected == 1 {
            let (user, end) = (state.user_id, state.expires_at);
            let next = self.store_refresh_token(tx, session, user, generation + 1, end, keys.active()?).await?;
            session::Entity::update_many()
                .col_expr(session::Column::LastSeenAt, Expr::value(now))
                .filter(session::COLUMN.id.eq(session))
                .exec(&tx.deferred())
                .await?;
            return successor(next);
        }
        let both = [generation, generation + 1];
        let mut rows = refresh_token::Entity::find()
            .filter(in_session)
            .filter(refresh_token::COLUMN.generation.is_in(both))
            .all(tx)
            .await?;
        rows.sort_by_key(|row| row.generation);
        let Ok([used, next]) = <[refresh_token::Model; 2]>::try_from(rows) else {
            return Err(Error::SESSION_ENDED);
        };
        let Some(used_at) = used.consumed_at.filter(|_| used.jti == *jti) else {
            return Err(Error::SESSION_ENDED);
        };
        let in_grace = now.since(used_at) <= self.0.settings.refresh_grace();
        let next_unused = next.consumed_at.is_none() && state.seen_generation < next.generation;
        if in_grace || next_unused {
            return successor(next.into());
        }
        end_sessions(&tx.deferred(), session::COLUMN.id.eq(session), "reuse", now).await?;
        tx.emit(&SessionsEnded { user: state.user_id }).await?;
        let user = user::Entity::find_by_id(state.user_id).one(tx).await?.ok_or(Error::SESSION_ENDED)?;
        let event = audit::AuditEvent::new("accounts.refresh").refused().about(user.id, &user.username);
        event.with("reason", "reuse").with("session", session.0).record(tx, now).await?;
        let message = "A token of one of your sessions was used twice, which can mean that it was stolen. The session \
                       has been ended.";
        self.notify(tx, &user, "One of your sessions was ended", message).await?;
        Ok(Outcome::Reused)
    }
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
        let now = self.0.clock.now();
        let conn = self.0.db.conn();
        let found = one_time::find(conn, &second.mfa_token, &[Purpose::SecondFactor], now).await?;
        let ended = || Error::TokenNotValid("The sign-in has expired or was already completed. Start again.");
        let (token, user) = found.ok_or_else(ended)?;
        let (token, user, code) = (&token, &user, second.code.as_str());
        let attempt = &self.0.throttle.attempt(Target::SecondFactor(user.id), Some(user.id));
        let result = self.0.db.write(|tx| async move {
            let conn = &tx;
            // Locked, so that concurrent attempts see each other's failures.
            db::lock::<totp::Entity>(conn, user.id).await?;
            self.0.throttle.check(&tx.pipeline(), attempt, now).await?;
            let Some(method) = consume_code(conn, user.id, code, now).await? else {
                self.record_failure_in(conn, Some(user), attempt, "accounts.second_factor").await?;
                return Ok(None); // not an error, which would roll back the failure
            };
            if !one_time::consume(conn, token, now).await? {
                return Err(ended());
            }
            self.0.throttle.reset(conn, &[Target::SecondFactor(user.id)]).await?;
            if method == "recovery_code" {
                let message = "A recovery code was used to sign in to your account.";
                self.notify(conn, user, "A recovery code was used", message).await?;
            }
            self.complete_sign_in(conn, user, true).await.map(Some)
        });
        let (issued, account) = result.await?.ok_or(Error::WrongCode)?;
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
                let conn = &tx.pipeline();
                let end = end_sessions(conn, session::COLUMN.id.eq(token.claims.sid), "sign_out", now);
                let end = async { end.await.map_err(Error::from) };
                let (keys, ended) = tokio::try_join!(KeyStates::find(conn), end)?;
                if !keys.is_valid(&token.kid, now) {
                    return Err(Error::SESSION_ENDED);
                }
                // Without an ended session the user may no longer exist, and the event could not reference them.
                if ended > 0 {
                    let user = token.claims.user();
                    audit::AuditEvent::new("accounts.sign_out").own(user, "").record(&tx, now).await?;
                    tx.emit(&SessionsEnded { user }).await?;
                }
                Ok(())
            })
            .await
    }

    async fn verify(&self, token: &str) -> Result<()> {
        let now = self.0.clock.now();
        let conn = &self.0.db.conn().pipeline();
        let (token, token_type) = match self.verify_token(token, TokenType::Access).await {
            Ok(token) => (token, TokenType::Access),
            Err(Error::TokenExpired) => return Err(Error::TokenExpired),
            Err(_) => (self.verify_token(token, TokenType::Refresh).await?, TokenType::Refresh),
        };
        let (keys, state) = tokio::try_join!(KeyStates::find(conn), SessionState::find(conn, token.claims.sid))?;
        if !keys.is_valid(&token.kid, now) {
            return Err(Error::SESSION_ENDED);
        }
        state.ok_or(Error::SESSION_ENDED)?.check_alive(now)?;
        if token_type == TokenType::Access {
            return Ok(());
        }
        let outstanding = refresh_token::Entity::find()
            .filter(refresh_token::COLUMN.jti.eq(token.claims.jti))
            .filter(refresh_token::COLUMN.consumed_at.is_null());
        outstanding.one(conn).await?.map(|_| ()).ok_or(Error::TokenNotValid("Token is blacklisted."))
    }

    async fn socket_ticket(&self, caller: &Caller) -> Result<Ticket> {
        let now = self.0.clock.now();
        let user = USER.row::<user::Model>(self.0.db.conn(), &(), &[caller.user.0]).await?;
        let user = user.ok_or(Error::SESSION_ENDED)?;
        let token = NewOneTimeToken {
            purpose: Purpose::Socket,
            user: caller.user,
            auth_epoch: user.auth_epoch,
            email: "",
            session: caller.session,
            user_token: caller.token,
        };
        let (ticket, row) = token.generate(now)?;
        self.0
            .db
            .write(|tx| {
                let row = row.clone();
                async move { one_time::store(&tx, row).await }
            })
            .await?;
        let expires_in = Purpose::Socket.lifetime().as_secs();
        Ok(Ticket { ticket: ticket.token.expose_secret().to_owned(), expires_in })
    }

    async fn jwks(&self) -> Result<Jwks> {
        let states = KeyStates::find(self.0.db.conn()).await?;
        let now = self.0.clock.now();
        let codec = self.codec_with(states.active()?).await?;
        Ok(codec.jwks(|kid| states.is_valid(kid, now)))
    }
}
