#![cfg_attr(
    feature = "testing",
    expect(clippy::struct_field_names, reason = "the fields of the mock are named by mockall")
)]

use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{PasswordProof, RecoveryCodes, Result, TotpCode, TotpSetup};

/// The second factor of an account. Changes require the password, and the owner is notified by email.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait SecondFactors: Send + Sync + 'static {
    /// Creates the secret of a second factor. It takes effect once it is confirmed.
    async fn set_up_totp(&self, caller: &Caller) -> Result<TotpSetup>;
    /// Confirms the second factor with a code; from then on each sign-in requires one.
    async fn confirm_totp(&self, caller: &Caller, code: TotpCode) -> Result<RecoveryCodes>;
    /// Removes the second factor.
    async fn remove_totp(&self, caller: &Caller, proof: PasswordProof) -> Result<()>;
}
