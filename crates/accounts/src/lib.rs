#![doc = include_str!("../README.md")]

mod ed25519;
mod entity;
mod error;
mod jwt;
mod migrations;
mod model;
mod names;
mod password;
mod routes;
mod secret;
mod service;
mod settings;
mod sql;

pub use error::{Error, Result};
pub use jwt::{Jwk, Jwks};
pub use migrations::migrations;
pub use model::{
    Account, AccountDetails, AccountPatch, Device, DirectoryEntry, IssuedToken, IssuedUserToken, NewUser, NewUserToken,
    SignIn, SignedIn, TokenPair, User, UserFilter, UserToken, UserTokenId,
};
pub use password::HashCost;
pub use routes::{AccountsState, openapi, router, well_known, well_known_openapi};
pub use service::{Accounts, Tokens};
pub use settings::Settings;
pub use sql::{SqlAccounts, WeakPassword};

#[cfg(feature = "testing")]
pub use service::{MockAccounts, MockTokens};

/// The name of the user table, for the foreign keys of other crates.
pub const USERS: &str = "users";
