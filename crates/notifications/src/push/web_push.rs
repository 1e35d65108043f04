//! Web push with encrypted content (RFC 8030, RFC 8291).

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::Uri;
use guildhall_kernel::{Clock, Db, Error, Result, http::FetchError, mail::DeliveryError};
use web_push_native::{Auth, p256::PublicKey};

use super::{Outcome, PushAddress, PushClient, PushMessage, PushSender, vapid::VapidKey};

/// The largest body that fits in 4096 bytes when it is encrypted (RFC 8291 §4).
const MAX_BODY: usize = 3993;
/// The length of the authentication secret of a browser.
const AUTH_BYTES: usize = 16;

/// Encrypts messages, signs requests to push services, and sends them.
pub struct WebPush {
    client: Arc<dyn PushClient>,
    key: VapidKey,
    clock: Clock,
    contact: String,
}

impl WebPush {
    /// Web push with the key pair of the installation, which is generated on first use. `contact` is a `mailto:` or
    /// `https:` URL where push services reach the operator.
    pub async fn open(db: &Db, clock: Clock, client: Arc<dyn PushClient>, contact: String) -> Result<Self> {
        Ok(Self { client, key: VapidKey::open(db).await?, clock, contact })
    }

    async fn try_to_send(&self, address: &PushAddress, message: &PushMessage) -> Result<u16, FetchError> {
        let refused = |reason: &str| FetchError::Permanent(reason.to_owned());
        if message.body.len() > MAX_BODY {
            return Err(refused("the message is too long"));
        }
        let (public, auth) = keys(address).ok_or_else(|| refused("the keys of the browser are not valid"))?;
        let body = web_push_native::encrypt(message.body.clone(), &public, &auth)
            .map_err(|error| FetchError::Permanent(error.to_string()))?;
        let endpoint: Uri = address.endpoint.parse().map_err(|_| refused("the endpoint is not a URL"))?;
        let authorization = self.key.authorization(&endpoint, &self.contact, self.clock.now());
        let mut headers = vec![
            ("authorization", authorization.ok_or_else(|| refused("the endpoint is not an absolute URL"))?),
            ("content-encoding", "aes128gcm".to_owned()),
            ("content-type", "application/octet-stream".to_owned()),
            ("ttl", message.lifetime.as_secs().to_string()),
            ("urgency", "normal".to_owned()),
        ];
        headers.extend(message.topic.clone().map(|topic| ("topic", topic)));
        self.client.post(&address.endpoint, &headers, body).await
    }
}

/// The keys of a browser.
fn keys(address: &PushAddress) -> Option<(PublicKey, Auth)> {
    let public = PublicKey::from_sec1_bytes(&address.p256dh).ok()?;
    let auth: [u8; AUTH_BYTES] = address.auth.as_slice().try_into().ok()?;
    Some((public, auth.into()))
}

#[async_trait]
impl PushSender for WebPush {
    fn public_key(&self) -> String {
        self.key.public_key()
    }

    fn check(&self, address: &PushAddress) -> Result<()> {
        if let Some(reason) = self.client.refuses(&address.endpoint) {
            return Err(Error::field("endpoint", format!("This URL cannot be used: {reason}.")));
        }
        if address.auth.len() != AUTH_BYTES {
            return Err(Error::field("keys.auth", "This is not an authentication secret."));
        }
        match keys(address) {
            Some(_) => Ok(()),
            None => Err(Error::field("keys.p256dh", "This is not a public key.")),
        }
    }

    async fn send(&self, address: &PushAddress, message: &PushMessage) -> Outcome {
        let transient = |reason: String| Outcome::Failed(DeliveryError::Transient(reason));
        let permanent = |reason: String| Outcome::Failed(DeliveryError::Permanent(reason));
        match self.try_to_send(address, message).await {
            Ok(200..=299) => Outcome::Delivered,
            Ok(404 | 410) => Outcome::Gone,
            Ok(status @ (408 | 429 | 500..=599)) => transient(format!("The push service responded with {status}.")),
            Ok(status) => permanent(format!("The push service responded with {status}.")),
            Err(FetchError::Transient(reason)) => transient(reason),
            Err(FetchError::Permanent(reason)) => permanent(reason),
        }
    }
}
