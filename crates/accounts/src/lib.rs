#![doc = include_str!("../README.md")]

mod admin;
mod compat;
mod emails;
mod entity;
mod error;
pub mod event;
mod hasher;
mod id;
mod jwt;
mod migrations;
mod model;
mod names;
mod one_time;
mod password;
mod routes;
mod secret;
mod service;
mod settings;
mod sql;
mod state;
mod throttle;

pub use admin::admin;
pub use error::{Error, Result};
pub use hasher::HashCost;
pub use id::UserTokenId;
pub use jwt::{Jwk, Jwks};
pub use migrations::migrations;
pub use model::{
    Account, AccountChange, AccountDetails, AccountFilter, AccountPatch, DirectoryEntry, EmailChange, IssuedToken,
    IssuedUserToken, NewAccount, NewUser, NewUserToken, PasswordChange, PasswordProof, PasswordReset, RecoveryCodes,
    ResetRequest, Scope, SecondFactor, SecondFactorStatus, Session, SignIn, SignOutEverywhere, SignedIn, Ticket,
    TokenPair, TotpCode, TotpSetup, User, UserFilter, UserToken,
};
pub use routes::{openapi, router, well_known, well_known_openapi};
pub use service::{
    Accounts, EmailAddresses, FirstStart, Passwords, Removals, SecondFactors, Sessions, Staff, Tokens, UserTokens,
};
pub use settings::{AccountLimits, Settings};
pub use sql::{Host, Pruned, SqlAccounts, WeakPassword};
pub use state::AccountsState;

#[cfg(feature = "testing")]
pub use service::{
    MockAccounts, MockEmailAddresses, MockFirstStart, MockPasswords, MockRemovals, MockSecondFactors, MockSessions,
    MockStaff, MockTokens, MockUserTokens,
};

/// The name of the user table, for foreign keys in other crates.
pub const USERS: &str = "users";
/// The column of the user table with the normalized username, for searches in other crates.
pub const USERNAME_KEY: &str = "username_key";
