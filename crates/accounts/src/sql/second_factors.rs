//! The second factor: time-based one-time passwords (RFC 6238) and recovery codes.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{self as kernel, Caller, Timestamp, UserId, audit, db::Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Set, sea_query::Expr,
};
use totp_rs::{Builder, Secret, Totp};

use super::{
    SqlAccounts,
    one_time::{self, NewOneTimeToken},
};
use crate::{
    Error, PasswordProof, RecoveryCodes, Result, SecondFactorStatus, SecondFactors, TotpCode, TotpSetup,
    entity::{recovery_code, signing_key::Seed, totp, user},
    one_time::Purpose,
    secret,
    throttle::{RateLimit, Target},
};

/// The number of recovery codes per user.
const RECOVERY_CODES: usize = 10;
/// The length of a secret, which is that of an SHA-1 hash (RFC 4226 §4).
const SECRET_BYTES: usize = 20;

/// TOTP for a secret: six digits, 30 seconds, accepting one step early or late.
fn totp_for(secret: &[u8], account: &str, service: &str) -> Result<Totp> {
    let internal = |error: totp_rs::TotpError| kernel::Error::internal(error.to_string());
    // A colon separates issuer and account in the label of an `otpauth` URL.
    let without_colons = |name: &str| name.replace(':', " ");
    let builder = Builder::new().with_secret(Secret::from(secret.to_vec())).with_account_name(without_colons(account));
    Ok(builder.with_issuer(Some(without_colons(service))).build().map_err(internal)?)
}

/// The time step that a code matches, if any.
fn matching_step(secret: &[u8], code: &str, now: Timestamp) -> Result<Option<i64>> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let time = u64::try_from(now.unix_seconds()).unwrap_or_default();
    let step = totp_for(secret, "-", "-")?.check(&code, time);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

/// The stored hash of a recovery code. Case and separators are ignored.
fn fingerprint(code: &str) -> Vec<u8> {
    let normalized: String = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    secret::fingerprint(&normalized)
}

/// Consumes an authenticator or recovery code and returns which of them it was; `None` if it is wrong.
pub(super) async fn consume_code(
    conn: &impl ConnectionTrait,
    user: UserId,
    code: &str,
    now: Timestamp,
) -> Result<Option<&'static str>> {
    let factor = totp::Entity::find_by_id(user).one(conn).await?;
    let Some(factor) = factor.filter(|factor| factor.confirmed_at.is_some()) else { return Ok(None) };
    if let Some(step) = matching_step(&factor.secret.0, code, now)? {
        return Ok(advance_step(conn, user, step).await?.then_some("totp"));
    }
    let update = recovery_code::Entity::update_many()
        .col_expr(recovery_code::Column::UsedAt, Expr::value(now))
        .filter(recovery_code::COLUMN.user_id.eq(user))
        .filter(recovery_code::COLUMN.code_sha256.eq(fingerprint(code)))
        .filter(recovery_code::COLUMN.used_at.is_null());
    Ok((update.exec(conn).await?.rows_affected == 1).then_some("recovery_code"))
}

/// Records a time step as used, so that it and all earlier ones are rejected from now on.
async fn advance_step(conn: &impl ConnectionTrait, user: UserId, step: i64) -> Result<bool, DbErr> {
    let update = totp::Entity::update_many()
        .col_expr(totp::Column::LastStep, Expr::value(step))
        .filter(totp::COLUMN.user_id.eq(user))
        .filter(totp::COLUMN.last_step.lt(step));
    Ok(update.exec(conn).await?.rows_affected == 1)
}

/// Deletes the recovery codes of a user.
pub(super) async fn delete_recovery_codes(tx: &Tx, user: UserId) -> Result<(), DbErr> {
    let codes = recovery_code::Entity::delete_many().filter(recovery_code::COLUMN.user_id.eq(user));
    codes.exec(&tx.deferred()).await.map(|_| ())
}

impl SqlAccounts {
    /// Fails with the token for the second step if the user has a second factor, and counts that as a sign-in.
    pub(super) async fn require_second_factor(&self, user: &user::Model) -> Result<()> {
        if !self.has_second_factor(user.id).await? {
            return Ok(());
        }
        let now = self.0.clock.now();
        let token = NewOneTimeToken {
            purpose: Purpose::SecondFactor,
            user: user.id,
            auth_epoch: user.auth_epoch,
            email: "",
            session: None,
            user_token: None,
        };
        let (token, row) = token.generate(now)?;
        self.0
            .db
            .write(|tx| {
                let row = row.clone();
                async move {
                    self.0.throttle.check_rate(&tx, RateLimit::SignIn(user.id), now).await?;
                    one_time::store(&tx, row).await?;
                    let event = audit::AuditEvent::new("accounts.show_password").own(user.id, &user.username);
                    Ok::<_, Error>(event.record(&tx, now).await?)
                }
            })
            .await?;
        Err(Error::SecondFactorRequired { token: token.token })
    }

    pub(super) async fn has_second_factor(&self, user: UserId) -> Result<bool, DbErr> {
        let factor = totp::Entity::find_by_id(user).one(self.0.db.conn()).await?;
        Ok(factor.is_some_and(|factor| factor.confirmed_at.is_some()))
    }
}

#[async_trait]
impl SecondFactors for SqlAccounts {
    async fn second_factor_status(&self, caller: &Caller) -> Result<SecondFactorStatus> {
        let conn = self.0.db.conn();
        let since = totp::Entity::find_by_id(caller.user).one(conn).await?.and_then(|factor| factor.confirmed_at);
        let unused = recovery_code::Entity::find()
            .filter(recovery_code::COLUMN.user_id.eq(caller.user))
            .filter(recovery_code::COLUMN.used_at.is_null());
        let recovery_codes_left = if since.is_some() { unused.count(conn).await? } else { 0 };
        Ok(SecondFactorStatus { since, recovery_codes_left })
    }

    async fn set_up_totp(&self, caller: &Caller) -> Result<TotpSetup> {
        self.require_recent_password(caller).await?;
        let now = self.0.clock.now();
        let seed = secret::random::<SECRET_BYTES>()?;
        let user = self
            .0
            .db
            .write(|tx| async move {
                let conn = &tx;
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
                let inserted = totp::Entity::insert(row).exec_without_returning(conn).await;
                inserted.map_err(|error| match error.sql_err() {
                    Some(sea_orm::SqlErr::UniqueConstraintViolation(_)) => Error::SecondFactorExists,
                    _ => error.into(),
                })?;
                Ok::<_, Error>(user)
            })
            .await?;
        let account = if user.email.is_empty() { &user.username } else { &user.email };
        let totp = totp_for(&seed, account, &self.0.emails.0.service)?;
        let otpauth_url = totp.to_url().map_err(|error| kernel::Error::internal(error.to_string()))?;
        Ok(TotpSetup { secret: Secret::from(seed.to_vec()).to_base32(), otpauth_url })
    }

    async fn confirm_totp(&self, caller: &Caller, code: TotpCode) -> Result<RecoveryCodes> {
        let now = self.0.clock.now();
        let attempt = self.0.throttle.attempt(Target::SecondFactor(caller.user), Some(caller.user));
        let recovery_codes =
            (0..RECOVERY_CODES).map(|_| secret::recovery_code()).collect::<kernel::Result<Vec<_>>>()?;
        let (code, codes, attempt) = (code.code.as_str(), &recovery_codes, &attempt);
        let user = user::Entity::find_by_id(caller.user).one(self.0.db.conn()).await?;
        let user = &user.ok_or(Error::UserNotFound(caller.user))?;
        let is_correct = self
            .0
            .db
            .write(|tx| async move {
                let conn = &tx;
                let factor = totp::Entity::find_by_id(user.id).lock_exclusive().one(conn).await?;
                let factor = factor.filter(|factor| factor.confirmed_at.is_none()).ok_or(Error::NoSecondFactor)?;
                self.0.throttle.check(&tx.pipeline(), attempt, now).await?;
                let is_correct = match matching_step(&factor.secret.0, code, now)? {
                    Some(step) => advance_step(conn, user.id, step).await?,
                    None => false,
                };
                if !is_correct {
                    self.record_failure_in(conn, Some(user), attempt, "accounts.add_second_factor").await?;
                    return Ok(false); // not an error, which would roll back the failure
                }
                totp::Entity::update_many()
                    .col_expr(totp::Column::ConfirmedAt, Expr::value(now))
                    .filter(totp::COLUMN.user_id.eq(user.id))
                    .exec(&tx.deferred())
                    .await?;
                delete_recovery_codes(conn, user.id).await?;
                let rows = codes.iter().map(|code| recovery_code::ActiveModel {
                    id: sea_orm::ActiveValue::NotSet,
                    user_id: Set(user.id),
                    code_sha256: Set(fingerprint(code)),
                    created_at: Set(now),
                    used_at: Set(None),
                });
                recovery_code::Entity::insert_many(rows).exec_without_returning(&tx.deferred()).await?;
                self.0.throttle.reset(conn, &[Target::SecondFactor(user.id)]).await?;
                audit::AuditEvent::new("accounts.add_second_factor")
                    .own(user.id, &user.username)
                    .record(conn, now)
                    .await?;
                let message = "Signing in to your account now requires a code in addition to the password.";
                self.notify(conn, user, "A second factor was set up", message).await?;
                Ok::<_, Error>(true)
            })
            .await?;
        if !is_correct {
            return Err(Error::WrongCode);
        }
        Ok(RecoveryCodes { recovery_codes })
    }

    async fn remove_totp(&self, caller: &Caller, proof: PasswordProof) -> Result<()> {
        proof.validate()?;
        self.forbid_mfa_bypass(caller).await?;
        let user = &self.confirm_password(caller, &proof.password, "password").await?;
        let now = self.0.clock.now();
        self.0
            .db
            .write(|tx| async move {
                let conn = &tx;
                self.0.throttle.record_success(conn, user, now).await?;
                if totp::Entity::delete_by_id(user.id).exec(conn).await?.rows_affected == 0 {
                    return Err(Error::NoSecondFactor);
                }
                delete_recovery_codes(conn, user.id).await?;
                let event = audit::AuditEvent::new("accounts.remove_second_factor").own(user.id, &user.username);
                event.record(conn, now).await?;
                let message = "Signing in to your account no longer requires a code in addition to the password.";
                self.notify(conn, user, "Your second factor was removed", message).await
            })
            .await?;
        Ok(())
    }
}
