use async_trait::async_trait;
use guildhall_kernel::Caller;

use crate::{PasswordProof, RecoveryCodes, Result, SecondFactorStatus, TotpCode, TotpSetup};

/// The second factor of an account. Changes require the password, and the owner is notified by email.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait SecondFactors: Send + Sync + 'static {
    /// Whether the caller has a second factor, and how many recovery codes are left.
    async fn second_factor_status(&self, caller: &Caller) -> Result<SecondFactorStatus>;
    /// Creates the secret of a second factor. It takes effect once it is confirmed.
    async fn set_up_totp(&self, caller: &Caller) -> Result<TotpSetup>;
    /// Confirms the second factor with a code; from then on each sign-in requires one.
    async fn confirm_totp(&self, caller: &Caller, code: TotpCode) -> Result<RecoveryCodes>;
    /// Removes the second factor.
    async fn remove_totp(&self, caller: &Caller, proof: PasswordProof) -> Result<()>;
}
