use garde::Validate;
use guildhall_kernel::{Timestamp, define_id, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

define_id!(
    /// A browser that receives web pushes.
    SubscriptionId
);

/// A browser that receives web pushes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PushSubscription {
    /// The subscription's id.
    pub id: SubscriptionId,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A browser that is to receive web pushes, in the form of `PushSubscription.toJSON()` of the Push API.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewPushSubscription {
    /// The URL of the push service for this browser.
    #[garde(custom(text::line(1, 1000)))]
    pub endpoint: String,
    /// The keys of this browser.
    #[garde(dive)]
    pub keys: PushKeys,
}

/// The keys of a browser, in base64url.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct PushKeys {
    /// Its public key.
    #[garde(custom(text::line(1, 200)))]
    pub p256dh: String,
    /// Its authentication secret.
    #[garde(custom(text::line(1, 100)))]
    pub auth: String,
}

/// The browser that is to receive no more web pushes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct PushEndpoint {
    /// The URL of the push service for this browser.
    pub endpoint: String,
}

/// The public key of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PushKey {
    /// The `applicationServerKey` of the Push API, in base64url.
    pub public_key: String,
}
