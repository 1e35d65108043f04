//! Browsers that receive web pushes.

use async_trait::async_trait;
use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use garde::Validate;
use guildhall_kernel::{Caller, Timestamp, db};
use sea_orm::FromQueryResult;

use super::SqlNotifications;
use crate::{
    Error, NewPushSubscription, PushEndpoint, PushKey, PushSubscription, PushSubscriptions, Result, SubscriptionId,
    push::{PushAddress, PushSender},
};

/// How many browsers of one user receive pushes; another one replaces the oldest.
const MAX_SUBSCRIPTIONS: i64 = 20;

/// Browsers leave the padding out, but libraries may not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An endpoint belongs to the user who has signed in last in that browser.
const ADD: &str = "INSERT INTO notifications_subscription (user_id, endpoint, p256dh, auth, created_at, failed_at) \
     VALUES ($1, $2, $3, $4, $5, NULL) ON CONFLICT (endpoint) DO UPDATE SET user_id = excluded.user_id, \
     p256dh = excluded.p256dh, auth = excluded.auth, failed_at = NULL RETURNING id, created_at";

const DELETE_OLDEST: &str = "DELETE FROM notifications_subscription WHERE user_id = $1 AND id <> $2 AND id NOT IN \
     (SELECT id FROM notifications_subscription WHERE user_id = $1 AND id <> $2 ORDER BY id DESC LIMIT $3)";

const REMOVE: &str = "DELETE FROM notifications_subscription WHERE user_id = $1 AND endpoint = $2";

#[derive(FromQueryResult)]
struct Row {
    id: SubscriptionId,
    created_at: Timestamp,
}

impl SqlNotifications {
    fn push_sender(&self) -> Result<&dyn PushSender> {
        self.core.host.push_sender.as_deref().ok_or(Error::PushDisabled)
    }
}

fn decode(text: &str, field: &str) -> Result<Vec<u8>> {
    BASE64.decode(text).map_err(|_| Error::field(field, "This is not base64url."))
}

#[async_trait]
impl PushSubscriptions for SqlNotifications {
    fn push_key(&self) -> Result<PushKey> {
        Ok(PushKey { public_key: self.push_sender()?.public_key() })
    }

    async fn add_push_subscription(&self, caller: &Caller, new: NewPushSubscription) -> Result<PushSubscription> {
        let sender = self.push_sender()?;
        new.validate()?;
        let address = PushAddress {
            p256dh: decode(&new.keys.p256dh, "keys.p256dh")?,
            auth: decode(&new.keys.auth, "keys.auth")?,
            endpoint: new.endpoint,
        };
        sender.check(&address)?;
        let (user, now, address) = (caller.user, self.core.now(), &address);
        let row = self
            .core
            .db
            .write(|tx| async move {
                let values = [
                    user.into(),
                    address.endpoint.as_str().into(),
                    address.p256dh.clone().into(),
                    address.auth.clone().into(),
                    now.into(),
                ];
                let row = db::row::<Row>(&tx, ADD, values).await?;
                if let Some(row) = &row {
                    let values = [user.into(), row.id.into(), (MAX_SUBSCRIPTIONS - 1).into()];
                    db::execute(&tx.deferred(), DELETE_OLDEST, values).await?;
                }
                row.ok_or(Error::Database(sea_orm::DbErr::RecordNotInserted))
            })
            .await?;
        Ok(PushSubscription { id: row.id, created_at: row.created_at })
    }

    async fn remove_push_subscription(&self, caller: &Caller, endpoint: PushEndpoint) -> Result<()> {
        let values = || [caller.user.into(), endpoint.endpoint.as_str().into()];
        let removed = self.core.db.write(|tx| {
            let values = values();
            async move { db::execute(&tx, REMOVE, values).await }
        });
        if removed.await? == 0 { Err(Error::NotFound("subscription")) } else { Ok(()) }
    }
}
