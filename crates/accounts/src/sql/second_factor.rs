//! The second factor: codes that change with the time (RFC 6238), and codes on paper.

use guildhall_kernel::{self as kernel, Caller, Timestamp, UserId, audit};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Set, sea_query::Expr};
use totp_rs::{Builder, Secret, Totp};

use super::{SqlAccounts, sessions::Minted};
use crate::{
    Account, Error, RecoveryCodes, Result, SecondFactor, TotpSetup, Unprinted,
    entity::{recovery_code, signing_key::Seed, totp, user},
    one_time::{self, Grant, Purpose},
    secret,
    throttle::Target,
};

/// How many recovery codes a person gets.
const CODES: usize = 10;
/// The length of a secret: that of the SHA-1 behind the codes (RFC 4226 §4).
const SECRET_BYTES: usize = 20;

/// The codes of a secret: six digits, every thirty seconds, one step early or late.
fn codes(secret: &[u8], account: &str, service: &str) -> Result<Totp> {
    let broken = |error: totp_rs::TotpError| kernel::Error::internal(error.to_string());
    // A colon would end the name of the service in the address that authenticators read.
    let plain = |name: &str| name.replace(':', " ");
    let builder = Builder::new().with_secret(Secret::from(secret.to_vec())).with_account_name(plain(account));
    Ok(builder.with_issuer(Some(plain(service))).build().map_err(broken)?)
}

/// The step that a code is of, if it is of one.
fn step(secret: &[u8], code: &str, now: Timestamp) -> Result<Option<i64>> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let time = u64::try_from(now.unix_seconds()).unwrap_or_default();
    let step = codes(secret, "-", "-")?.check(&code, time);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

/// What is kept of a recovery code: its letters, however it was typed.
fn fingerprint(code: &str) -> Vec<u8> {
    let letters: String = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    secret::fingerprint(&letters)
}

/// Uses a code up: of the authenticator, or from the paper.
async fn use_code(
    conn: &impl ConnectionTrait,
    user: UserId,
    code: &str,
    now: Timestamp,
) -> Result<Option<&'static str>> {
    let factor = totp::Entity::find_by_id(user).one(conn).await?;
    let Some(factor) = factor.filter(|factor| factor.confirmed_at.is_some()) else { return Ok(None) };
    if let Some(step) = step(&factor.secret.0, code, now)? {
        return Ok(take_step(conn, user, step).await?.then_some("totp"));
    }
    let used = recovery_code::Entity::update_many()
        .col_expr(recovery_code::Column::UsedAt, Expr::value(now))
        .filter(recovery_code::COLUMN.user_id.eq(user))
        .filter(recovery_code::COLUMN.code_sha256.eq(fingerprint(code)))
        .filter(recovery_code::COLUMN.used_at.is_null());
    Ok((used.exec(conn).await?.rows_affected == 1).then_some("recovery_code"))
}

/// Takes a step, once: no step before it is taken any more.
async fn take_step(conn: &impl ConnectionTrait, user: UserId, step: i64) -> Result<bool, DbErr> {
    let taken = totp::Entity::update_many()
        .col_expr(totp::Column::LastStep, Expr::value(step))
        .filter(totp::COLUMN.user_id.eq(user))
        .filter(totp::COLUMN.last_step.lt(step));
    Ok(taken.exec(conn).await?.rows_affected == 1)
}

impl SqlAccounts {
    /// Refuses whoever has set up a second factor, with what the second step begins with.
    pub(super) async fn demand_second_factor(&self, user: &user::Model) -> Result<()> {
        if !self.has_second_factor(user.id).await? {
            return Ok(());
        }
        let now = self.0.clock.now();
        let grant = Grant {
            purpose: Purpose::SecondFactor,
            user: user.id,
            auth_epoch: user.auth_epoch,
            email: "",
            session: None,
        };
        let (issued, row) = grant.prepare(now)?;
        self.0
            .db
            .write(|tx| {
                let row = row.clone();
                async move {
                    one_time::store(tx.conn(), row).await?;
                    let event = audit::Event::new("accounts.show_password").own(user.id, &user.username);
                    event.record(tx.conn(), now).await
                }
            })
            .await?;
        Err(Error::SecondFactorRequired { token: Unprinted(issued.token) })
    }

    /// Lets somebody in who has shown the password before and a code now.
    pub(super) async fn check_second_factor(&self, second: &SecondFactor) -> Result<(Minted, Account)> {
        let now = self.0.clock.now();
        let conn = self.0.db.conn();
        let found = one_time::find(conn, &second.mfa_token, Purpose::SecondFactor, now).await?;
        let ended = || Error::TokenNotValid("The sign-in took too long, or was finished. Begin again.");
        let (grant, user) = found.ok_or_else(ended)?;
        let (grant, user) = (&grant, &user);
        let attempt = &self.0.throttle.attempt(Target::SecondFactor(user.id), Some(user.id));
        let admitted = self.0.db.write(|tx| async move {
            let conn = tx.conn();
            // Locked: of many who try at once each sees the failures of those before.
            totp::Entity::find_by_id(user.id).lock_exclusive().one(conn).await?;
            self.0.throttle.admit(conn, attempt, now).await?;
            let Some(method) = use_code(conn, user.id, &second.code, now).await? else {
                self.note_failure(conn, Some(user), attempt, "accounts.second_factor").await?;
                return Ok(None); // to be stored, unlike a refusal
            };
            if !one_time::use_up(conn, grant, now).await? {
                return Err(ended());
            }
            self.0.throttle.forget(conn, &[Target::SecondFactor(user.id)]).await?;
            if method == "recovery_code" {
                let what = "A recovery code was used to sign in to your account.";
                self.notify(conn, user, "A recovery code was used", what).await?;
            }
            self.admit(conn, user, true).await.map(Some)
        });
        let admitted = admitted.await?.ok_or(Error::WrongCode)?;
        self.0.outbox.wake();
        Ok(admitted)
    }

    pub(super) async fn has_second_factor(&self, user: UserId) -> Result<bool, DbErr> {
        let factor = totp::Entity::find_by_id(user).one(self.0.db.conn()).await?;
        Ok(factor.is_some_and(|factor| factor.confirmed_at.is_some()))
    }

    /// Makes a secret that waits to be confirmed; one that waited before is replaced.
    pub(super) async fn begin_totp(&self, caller: &Caller) -> Result<TotpSetup> {
        let now = self.0.clock.now();
        let seed = secret::random::<SECRET_BYTES>()?;
        let user = self
            .0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let user = user::Entity::find_by_id(caller.user).one(conn).await?;
                let user = user.ok_or(Error::UserNotFound(caller.user))?;
                totp::Entity::delete_by_id(user.id).filter(totp::COLUMN.confirmed_at.is_null()).exec(conn).await?;
                let row = totp::ActiveModel {
                    user_id: Set(user.id),
                    secret: Set(Seed(seed.to_vec())),
                    last_step: Set(0),
                    created_at: Set(now),
                    confirmed_at: Set(None),
                };
                let made = totp::Entity::insert(row).exec_without_returning(conn).await;
                made.map_err(|error| match error.sql_err() {
                    Some(sea_orm::SqlErr::UniqueConstraintViolation(_)) => Error::SecondFactorExists,
                    _ => error.into(),
                })?;
                Ok::<_, Error>(user)
            })
            .await?;
        let account = if user.email.is_empty() { &user.username } else { &user.email };
        let codes = codes(&seed, account, &self.0.letters.0.service)?;
        let otpauth_url = codes.to_url().map_err(|error| kernel::Error::internal(error.to_string()))?;
        Ok(TotpSetup { secret: Secret::from(seed.to_vec()).to_base32(), otpauth_url })
    }

    /// Confirms the secret by a code, and makes the codes for the paper.
    pub(super) async fn finish_totp(&self, caller: &Caller, code: &str) -> Result<RecoveryCodes> {
        let now = self.0.clock.now();
        let attempt = self.0.throttle.attempt(Target::SecondFactor(caller.user), Some(caller.user));
        let recovery_codes = (0..CODES).map(|_| secret::recovery_code()).collect::<kernel::Result<Vec<_>>>()?;
        let (codes, attempt) = (&recovery_codes, &attempt);
        let user = user::Entity::find_by_id(caller.user).one(self.0.db.conn()).await?;
        let user = &user.ok_or(Error::UserNotFound(caller.user))?;
        let fits = self
            .0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let factor = totp::Entity::find_by_id(user.id).lock_exclusive().one(conn).await?;
                let factor = factor.filter(|factor| factor.confirmed_at.is_none()).ok_or(Error::NoSecondFactor)?;
                self.0.throttle.admit(conn, attempt, now).await?;
                let fits = match step(&factor.secret.0, code, now)? {
                    Some(step) => take_step(conn, user.id, step).await?,
                    None => false,
                };
                if !fits {
                    self.note_failure(conn, Some(user), attempt, "accounts.add_second_factor").await?;
                    return Ok(false); // to be stored, unlike a refusal
                }
                totp::Entity::update_many()
                    .col_expr(totp::Column::ConfirmedAt, Expr::value(now))
                    .filter(totp::COLUMN.user_id.eq(user.id))
                    .exec(conn)
                    .await?;
                recovery_code::Entity::delete_many()
                    .filter(recovery_code::COLUMN.user_id.eq(user.id))
                    .exec(conn)
                    .await?;
                let rows = codes.iter().map(|code| recovery_code::ActiveModel {
                    id: sea_orm::ActiveValue::NotSet,
                    user_id: Set(user.id),
                    code_sha256: Set(fingerprint(code)),
                    created_at: Set(now),
                    used_at: Set(None),
                });
                recovery_code::Entity::insert_many(rows).exec_without_returning(conn).await?;
                self.0.throttle.forget(conn, &[Target::SecondFactor(user.id)]).await?;
                audit::Event::new("accounts.add_second_factor").own(user.id, &user.username).record(conn, now).await?;
                let what = "Signing in to your account now asks for a code besides the password.";
                self.notify(conn, user, "A second factor was set up", what).await?;
                Ok::<_, Error>(true)
            })
            .await?;
        if !fits {
            return Err(Error::WrongCode);
        }
        self.0.outbox.wake();
        Ok(RecoveryCodes { recovery_codes })
    }

    /// Takes the second factor of somebody away who has shown the password.
    pub(super) async fn drop_totp(&self, user: &user::Model) -> Result<()> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                self.0.throttle.succeed(conn, user, now).await?;
                if totp::Entity::delete_by_id(user.id).exec(conn).await?.rows_affected == 0 {
                    return Err(Error::NoSecondFactor);
                }
                recovery_code::Entity::delete_many()
                    .filter(recovery_code::COLUMN.user_id.eq(user.id))
                    .exec(conn)
                    .await?;
                let event = audit::Event::new("accounts.remove_second_factor").own(user.id, &user.username);
                event.record(conn, now).await?;
                let what = "Signing in to your account no longer asks for a code besides the password.";
                self.notify(conn, user, "Your second factor was removed", what).await
            })
            .await?;
        self.0.outbox.wake();
        Ok(())
    }
}
