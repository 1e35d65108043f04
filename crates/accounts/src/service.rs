//! The service traits, one per subject.

mod accounts;
mod email_addresses;
mod first_start;
mod passwords;
mod removals;
mod second_factors;
mod sessions;
mod staff;
mod tokens;
mod user_tokens;

pub use self::{
    accounts::Accounts, email_addresses::EmailAddresses, first_start::FirstStart, passwords::Passwords,
    removals::Removals, second_factors::SecondFactors, sessions::Sessions, staff::Staff, tokens::Tokens,
    user_tokens::UserTokens,
};

#[cfg(feature = "testing")]
pub use self::{
    accounts::MockAccounts, email_addresses::MockEmailAddresses, first_start::MockFirstStart, passwords::MockPasswords,
    removals::MockRemovals, second_factors::MockSecondFactors, sessions::MockSessions, staff::MockStaff,
    tokens::MockTokens, user_tokens::MockUserTokens,
};
