//! Inputs and views. Types that contain a password, token or code do not implement `Debug`, so that none is logged.

mod accounts;
mod email_addresses;
mod passwords;
mod second_factors;
mod sessions;
mod staff;
mod tokens;
mod user_tokens;

pub use accounts::{Account, AccountDetails, AccountPatch, DirectoryEntry, NewUser, User, UserFilter};
pub use email_addresses::EmailChange;
pub use passwords::{PasswordChange, PasswordProof, PasswordReset, ResetRequest};
pub use second_factors::{RecoveryCodes, SecondFactorStatus, TotpCode, TotpSetup};
pub use sessions::{Session, SignOutEverywhere};
pub use staff::{AccountChange, AccountFilter, NewAccount};
pub use tokens::{SecondFactor, SignIn, SignedIn, Ticket, TokenPair};
pub use user_tokens::{IssuedToken, IssuedUserToken, NewUserToken, Scope, UserToken};

pub(crate) use accounts::{AccountRow, PICTURE, UserRow};
pub(crate) use sessions::{SessionRow, device_label};
pub(crate) use staff::roles;
pub(crate) use user_tokens::UserTokenRow;
