#![doc = include_str!("../README.md")]

mod compat;
mod ed25519;
mod emails;
mod entity;
mod error;
pub mod event;
mod hasher;
mod jwt;
mod legacy;
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
mod throttle;

pub use error::{Error, Result, SecretText};
pub use hasher::HashCost;
pub use jwt::{Jwk, Jwks};
pub use migrations::migrations;
pub use model::{
    Account, AccountChange, AccountDetails, AccountFilter, AccountPatch, DirectoryEntry, EmailChange, IssuedToken,
    IssuedUserToken, NewAccount, NewUser, NewUserToken, PasswordChange, PasswordProof, PasswordReset, RecoveryCodes,
    ResetRequest, Scope, SecondFactor, Session, SignIn, SignOutEverywhere, SignedIn, Ticket, TokenPair, TotpCode,
    TotpSetup, User, UserFilter, UserToken, UserTokenId,
};
pub use routes::{AccountsState, openapi, router, well_known, well_known_openapi};
pub use service::{Accounts, Security, Staff, Tokens};
pub use settings::{AccountLimits, Settings};
pub use sql::{Host, Pruned, SqlAccounts, WeakPassword};

#[cfg(feature = "testing")]
pub use service::{MockAccounts, MockSecurity, MockStaff, MockTokens};

/// The name of the user table, for foreign keys in other crates.
pub const USERS: &str = "users";
