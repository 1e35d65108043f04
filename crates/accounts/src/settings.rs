use std::time::Duration;

use guildhall_kernel::{self as kernel, PublicUrl};
use serde::Deserialize;

use crate::HashCost;

/// A hundred years.
const MOST_DAYS: u32 = 36_500;

/// The section `accounts` of the settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Who signs the tokens (`iss`), and for whom they are (`aud`).
    pub issuer: String,
    /// How long an access token is valid, in seconds.
    pub access_token_seconds: u32,
    /// How long a refresh token is valid, in seconds; each use makes a new one.
    pub refresh_token_seconds: u32,
    /// How long a refresh token that has been used may be used again, in seconds.
    pub refresh_grace_seconds: u32,
    /// How long a session lasts at most, in days, however often it is refreshed.
    pub session_days: u32,
    /// How long a user token is valid, in days.
    pub user_token_days: u32,
    /// The shortest password taken, in characters.
    pub password_min_length: u32,
    /// What the links in letters begin with; empty: the service's own address.
    pub link_base: String,
    /// What a password hash costs.
    pub hash: HashCost,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: "guildhall".to_owned(),
            access_token_seconds: 300,
            refresh_token_seconds: 14 * 24 * 3600,
            refresh_grace_seconds: 10,
            session_days: 90,
            user_token_days: 365,
            password_min_length: 8,
            link_base: String::new(),
            hash: HashCost::default(),
        }
    }
}

impl Settings {
    /// What the links in letters begin with, for a service that clients reach as `url`.
    ///
    /// # Errors
    /// Where the setting is no address.
    pub fn home(&self, url: &PublicUrl) -> kernel::Result<PublicUrl> {
        if self.link_base.is_empty() {
            Ok(url.clone())
        } else {
            self.link_base.parse().map_err(kernel::Error::internal)
        }
    }

    /// Every fault of this section, each beginning with its key.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut at_least = |key: &str, value: u32, least: u32| {
            if value < least {
                faults.push(format!("accounts.{key} must be at least {least}, it is {value}"));
            }
        };
        at_least("access_token_seconds", self.access_token_seconds, 1);
        at_least("refresh_token_seconds", self.refresh_token_seconds, 1);
        at_least("session_days", self.session_days, 1);
        at_least("user_token_days", self.user_token_days, 1);
        at_least("password_min_length", self.password_min_length, 8);
        for (key, days) in [("session_days", self.session_days), ("user_token_days", self.user_token_days)] {
            if days > MOST_DAYS {
                faults.push(format!("accounts.{key} must be at most {MOST_DAYS}, it is {days}"));
            }
        }
        if self.issuer.is_empty() {
            faults.push("accounts.issuer must not be empty".to_owned());
        }
        if !self.link_base.is_empty() && self.link_base.parse::<PublicUrl>().is_err() {
            faults
                .push(format!("accounts.link_base is no address like https://example.org, it is {:?}", self.link_base));
        }
        faults.extend(self.hash.fault().map(|fault| format!("accounts.hash: {fault}")));
        faults
    }

    pub(crate) fn access_life(&self) -> Duration {
        Duration::from_secs(self.access_token_seconds.into())
    }

    pub(crate) fn refresh_life(&self) -> Duration {
        Duration::from_secs(self.refresh_token_seconds.into())
    }

    pub(crate) fn refresh_grace(&self) -> Duration {
        Duration::from_secs(self.refresh_grace_seconds.into())
    }

    /// The longest life that a session's token can have.
    pub(crate) fn longest_life(&self) -> Duration {
        self.refresh_life().max(self.access_life())
    }

    pub(crate) fn session_life(&self) -> Duration {
        days(self.session_days)
    }

    pub(crate) fn user_token_life(&self) -> Duration {
        days(self.user_token_days)
    }
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 3600)
}
