//! Sending of deliveries: the transport of the outbox, and the signatures of Standard Webhooks.

use std::{iter, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use guildhall_kernel::{db, http::FetchError, mail::DeliveryError, outbox::Transport, secret::random};
use sea_orm::EntityTrait;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook as Signer, WebhookError,
};

use super::active::update_has_webhooks;
use crate::{
    DeliveryId, DeliveryStatus, Result, SqlWebhooks,
    entity::{delivery, organization, webhook},
};

/// The channel of the outbox.
pub(super) const CHANNEL: &str = "deals_webhook";
pub(super) const DISABLED: &str = "webhooks are disabled on this server";
pub(super) const INACTIVE: &str = "The webhook is inactive.";

/// How many messages are sent concurrently, so that a slow receiver delays few others.
const CONCURRENCY: usize = 16;
/// The pause of a webhook after its first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const MAX_PAUSE: Duration = Duration::from_secs(3600);
/// The prefix of secrets.
const PREFIX: &str = "whsec_";
/// The length of a secret; the standard asks for 24 to 64 bytes.
const SECRET_BYTES: usize = 32;
/// The HTTP status of a receiver that wants no more messages.
const GONE: u16 = 410;

/// Stores the outcome of an attempt with its delivery.
const RECORD_ATTEMPT: &str = "UPDATE deals_delivery SET attempts = attempts + 1, status = $1, response_status = $2, \
    last_error = $3, tried_at = $4 WHERE id = $5";

/// Stores the outcome of an attempt with the webhook: `$1` whether it was delivered, `$4` whether the receiver is gone.
const RECORD_OUTCOME: &str = "UPDATE deals_webhook SET \
    failing_since = CASE WHEN $1 THEN NULL ELSE COALESCE(failing_since, $2) END, \
    failures = CASE WHEN $1 THEN 0 ELSE failures + 1 END, \
    paused_until = CASE WHEN $1 THEN NULL ELSE CAST($3 AS bigint) END, \
    is_active = is_active AND NOT $4 WHERE org_id = $5 AND id = $6";

pub(super) fn new_secret() -> Result<Vec<u8>> {
    Ok(random::<SECRET_BYTES>()?.to_vec())
}

/// Encodes a secret as the standard specifies.
pub(super) fn encode_secret(secret: &[u8]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(secret))
}

/// The signatures of a message, one for each secret.
fn sign<'a>(
    secrets: impl Iterator<Item = &'a Vec<u8>>,
    message_id: &str,
    at: i64,
    body: &str,
) -> Result<String, WebhookError> {
    let signature = |secret: &Vec<u8>| Signer::from_bytes(secret.clone())?.sign(message_id, at, body.as_bytes());
    Ok(secrets.map(signature).collect::<Result<Vec<_>, _>>()?.join(" "))
}

#[async_trait]
impl Transport for SqlWebhooks {
    fn channel(&self) -> &'static str {
        CHANNEL
    }

    fn at_once(&self) -> usize {
        CONCURRENCY
    }

    async fn deliver(&self, _: i64, payload: &str) -> Result<(), DeliveryError> {
        let failed = |error: &dyn std::fmt::Display| DeliveryError::Transient(error.to_string());
        let id =
            payload.parse().map(DeliveryId).map_err(|_| DeliveryError::Permanent("Invalid delivery id.".into()))?;
        let row = delivery::Entity::find_by_id(id).one(self.core.db.conn()).await.map_err(|error| failed(&error))?;
        // The webhook was deleted with its deliveries.
        let Some(row) = row else { return Ok(()) };
        let hook = webhook::Entity::find_by_id(row.webhook_id).one(self.core.db.conn()).await;
        let Some(hook) = hook.map_err(|error| failed(&error))? else { return Ok(()) };
        if hook.is_active && hook.paused_until.is_some_and(|until| until > self.core.now()) {
            // Attempts to an unavailable receiver would delay the messages of all others.
            return Err(DeliveryError::Transient("The webhook is paused after a failure.".to_owned()));
        }
        let outcome = if hook.is_active {
            self.send_message(&hook, &row).await
        } else {
            Err(FetchError::Permanent(INACTIVE.to_owned()))
        };
        self.record_attempt(&hook, &row, &outcome).await.map_err(|error| failed(&error))?;
        match outcome {
            Ok(status) if (200..300).contains(&status) => Ok(()),
            Ok(GONE) => Err(DeliveryError::Permanent("The receiver responded with 410 Gone.".to_owned())),
            Ok(status) => Err(DeliveryError::Transient(format!("The receiver responded with {status}."))),
            Err(FetchError::Transient(reason)) => Err(DeliveryError::Transient(reason)),
            Err(FetchError::Permanent(reason)) => Err(DeliveryError::Permanent(reason)),
        }
    }
}

impl SqlWebhooks {
    /// Sends a delivery; returns the status of the response.
    async fn send_message(&self, hook: &webhook::Model, row: &delivery::Model) -> Result<u16, FetchError> {
        let Some(sender) = &self.core.host.webhook_sender else {
            return Err(FetchError::Permanent(DISABLED.to_owned()));
        };
        let now = self.core.now();
        let old = hook.old_secret.as_ref().filter(|_| hook.old_secret_until.is_some_and(|until| until > now));
        let at = now.unix_seconds();
        let signatures = sign(iter::once(&hook.secret).chain(old), &row.message_id, at, &row.body)
            .map_err(|error| FetchError::Permanent(error.to_string()))?;
        let headers = [
            (HEADER_WEBHOOK_ID, row.message_id.clone()),
            (HEADER_WEBHOOK_TIMESTAMP, at.to_string()),
            (HEADER_WEBHOOK_SIGNATURE, signatures),
        ];
        sender.send(&hook.url, &headers, &row.body).await
    }

    /// Stores the outcome of an attempt with the delivery and its webhook.
    async fn record_attempt(
        &self,
        hook: &webhook::Model,
        row: &delivery::Model,
        outcome: &Result<u16, FetchError>,
    ) -> Result<()> {
        let (response, error) = match outcome {
            Ok(status) => (Some(i64::from(*status)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let delivered = response.is_some_and(|status| (200..300).contains(&status));
        let gone = response == Some(i64::from(GONE));
        let failed = gone || matches!(outcome, Err(FetchError::Permanent(_)));
        let status = match (delivered, failed) {
            (true, _) => DeliveryStatus::Delivered,
            (false, true) => DeliveryStatus::Failed,
            (false, false) => DeliveryStatus::Pending,
        };
        let (now, error) = (self.core.now(), &error);
        let factor = 2_u32.saturating_pow(u32::try_from(hook.failures).unwrap_or(u32::MAX));
        let paused = now + FIRST_PAUSE.saturating_mul(factor).min(MAX_PAUSE);
        self.core
            .db
            .write(|tx| async move {
                if gone {
                    // As for every change of webhooks, so that `has_webhooks` is computed from current rows.
                    db::lock::<organization::Entity>(&tx, hook.org_id).await?;
                }
                let values = [status.into(), response.into(), error.clone().into(), now.into(), row.id.into()];
                db::execute(&tx, RECORD_ATTEMPT, values).await?;
                let values =
                    [delivered.into(), now.into(), paused.into(), gone.into(), hook.org_id.into(), hook.id.into()];
                db::execute(&tx, RECORD_OUTCOME, values).await?;
                if gone { update_has_webhooks(&tx, hook.org_id).await } else { Ok(()) }
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's reference libraries.
    #[test]
    fn a_message_is_signed_as_the_standard_specifies() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(encode_secret(&secret), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let secrets = iter::once(&secret);
        let signature = sign(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
