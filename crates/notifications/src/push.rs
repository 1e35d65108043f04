//! Web push: the port that sends a message to a browser, and its implementation of the standards.

mod vapid;
mod web_push;

use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::{Result, http::FetchError, mail::DeliveryError};

pub use web_push::WebPush;

/// Where a browser receives web pushes.
#[derive(Clone, PartialEq, Eq)]
pub struct PushAddress {
    /// The URL of the push service for this browser.
    pub endpoint: String,
    /// The public key of the browser: an uncompressed point of P-256.
    pub p256dh: Vec<u8>,
    /// The authentication secret of the browser.
    pub auth: Vec<u8>,
}

/// Leaves out everything, since it is a secret of the browser.
impl std::fmt::Debug for PushAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushAddress").finish_non_exhaustive()
    }
}

/// A message to a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushMessage {
    /// What the service worker gets.
    pub body: Vec<u8>,
    /// A message replaces an undelivered one with the same topic.
    pub topic: Option<String>,
    /// How long the push service keeps it.
    pub lifetime: Duration,
}

/// The outcome of sending a message.
#[derive(Debug)]
pub enum Outcome {
    /// The push service has accepted it.
    Delivered,
    /// The browser has unsubscribed.
    Gone,
    /// It was not delivered.
    Failed(DeliveryError),
}

/// Sends messages to browsers.
#[async_trait]
pub trait PushSender: Send + Sync + 'static {
    /// The public key of the server, as browsers need it: an uncompressed point of P-256 in base64url.
    fn public_key(&self) -> String;

    /// Checks an address before it is stored: 400 with the field.
    fn check(&self, address: &PushAddress) -> Result<()>;

    /// Sends a message.
    async fn send(&self, address: &PushAddress, message: &PushMessage) -> Outcome;
}

/// Sends HTTP requests to push services.
#[async_trait]
pub trait PushClient: Send + Sync + 'static {
    /// Posts a body to a URL that a user chose, and returns the status of the response, also of an error. Private
    /// networks are refused and redirects are not followed.
    async fn post(&self, url: &str, headers: &[(&'static str, String)], body: Vec<u8>) -> Result<u16, FetchError>;

    /// Why this URL is not allowed; `None` if it is. Only public `https` URLs are.
    fn refuses(&self, url: &str) -> Option<String>;
}
