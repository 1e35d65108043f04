use guildhall_kernel::not_null;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a person has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = MessagingPreferences)]
pub struct Preferences {
    /// Whether new conversations of others have to be accepted.
    pub accepts_requests_only: bool,
    /// Whether others see what they have read. Without it, they do not see it of others either.
    pub sends_receipts: bool,
    /// Whether others find them by their name.
    pub is_discoverable: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { accepts_requests_only: false, sends_receipts: true, is_discoverable: true }
    }
}

/// A change of what a person has chosen; absent fields stay as they are, but one of them is required.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = MessagingPreferencesPatch)]
pub struct PreferencesPatch {
    /// Whether new conversations of others have to be accepted.
    #[serde(default, deserialize_with = "not_null")]
    pub accepts_requests_only: Option<bool>,
    /// Whether others see what they have read.
    #[serde(default, deserialize_with = "not_null")]
    pub sends_receipts: Option<bool>,
    /// Whether others find them by their name.
    #[serde(default, deserialize_with = "not_null")]
    pub is_discoverable: Option<bool>,
}
