//! What the caller has chosen.

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{
    error::Result,
    model::{Preferences, PreferencesPatch},
};

/// What the caller has chosen.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ChosenPreferences: Send + Sync + 'static {
    /// What the caller has chosen.
    async fn preferences(&self, caller: &Caller) -> Result<Preferences>;
    /// Changes what the caller has chosen. An empty change is an error.
    async fn change_preferences(&self, caller: &Caller, patch: PreferencesPatch) -> Result<Preferences>;
}
