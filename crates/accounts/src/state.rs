//! The state of the routes.

use std::sync::Arc;

use axum::extract::FromRef;
use guildhall_files::Files;
use guildhall_kernel::{Auth, PublicUrl};

use crate::{
    Accounts, EmailAddresses, FirstStart, Passwords, Removals, SecondFactors, Sessions, SqlAccounts, Staff, Tokens,
    UserTokens,
};

/// The state of the routes.
#[derive(Clone, FromRef)]
pub struct AccountsState {
    /// User accounts and the directory.
    pub accounts: Arc<dyn Accounts>,
    /// Deletion, erasure and data export of users.
    pub removals: Arc<dyn Removals>,
    /// Sign-in, and the tokens of sessions.
    pub tokens: Arc<dyn Tokens>,
    /// The caller's sessions.
    pub sessions: Arc<dyn Sessions>,
    /// User tokens, for programs.
    pub user_tokens: Arc<dyn UserTokens>,
    /// Passwords.
    pub passwords: Arc<dyn Passwords>,
    /// Email addresses.
    pub email_addresses: Arc<dyn EmailAddresses>,
    /// The first start of an installation.
    pub first_start: Arc<dyn FirstStart>,
    /// Second factors.
    pub second_factors: Arc<dyn SecondFactors>,
    /// Account administration.
    pub staff: Arc<dyn Staff>,
    /// The files of pictures.
    pub files: Files,
    /// Authentication of requests.
    pub auth: Auth,
    /// The base of absolute URLs.
    pub url: PublicUrl,
}

impl AccountsState {
    /// The state for the services on a database and a public URL.
    pub fn new(accounts: &SqlAccounts, url: PublicUrl) -> Self {
        let service = Arc::new(accounts.clone());
        Self {
            accounts: service.clone(),
            removals: service.clone(),
            tokens: service.clone(),
            sessions: service.clone(),
            user_tokens: service.clone(),
            passwords: service.clone(),
            email_addresses: service.clone(),
            first_start: service.clone(),
            second_factors: service.clone(),
            staff: service,
            files: accounts.files().clone(),
            auth: Auth::new(accounts.clone()),
            url,
        }
    }
}
