use std::time::Duration;

use guildhall_kernel::{self as kernel, PublicUrl};
use serde::Deserialize;

use crate::HashCost;

/// The longest lifetime that can be configured: about a hundred years.
const MAX_DAYS: u32 = 36_500;

/// The settings section `accounts`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Issuer (`iss`) and audience (`aud`) of the tokens.
    pub issuer: String,
    /// Lifetime of an access token, in seconds.
    pub access_token_seconds: u32,
    /// Lifetime of a refresh token, in seconds; each use issues a new one.
    pub refresh_token_seconds: u32,
    /// Grace period in which a used refresh token can be used again, in seconds.
    pub refresh_grace_seconds: u32,
    /// Maximum lifetime of a session, in days, no matter how often it is refreshed.
    pub session_days: u32,
    /// Lifetime of a user token, in days.
    pub user_token_days: u32,
    /// Minimum length of a password, in characters.
    pub password_min_length: u32,
    /// Base URL of the links in emails; if empty, the service's public URL.
    pub link_base: String,
    /// Cost of a password hash.
    pub hash: HashCost,
    /// Rate limits.
    pub limits: AccountLimits,
}

/// The settings section `accounts.limits`: limits against password guessing, CPU exhaustion and email flooding. They
/// have no effect if the host disables throttling.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct AccountLimits {
    /// Failures of an account from one network without a wait; each further one doubles the wait.
    pub free_failures: u32,
    /// Maximum wait, in seconds.
    pub longest_wait_seconds: u32,
    /// Failures from one network, across all accounts, within `network_seconds`. Users who have signed in from the
    /// network before are exempt.
    pub failures_per_network: u32,
    /// The window in which failures from a network are counted, in seconds.
    pub network_seconds: u32,
    /// Consecutive failures of an account from all networks, after which only networks from which its owner has signed
    /// in before can try.
    pub failures_per_account: u32,
    /// Registrations from one network per hour.
    pub registrations_per_hour: u32,
    /// Password reset requests from one network per hour.
    pub resets_per_hour: u32,
    /// Sign-ins of one user per hour.
    pub sign_ins_per_hour: u32,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            free_failures: 5,
            longest_wait_seconds: 900,
            failures_per_network: 30,
            network_seconds: 600,
            failures_per_account: 100,
            registrations_per_hour: 20,
            resets_per_hour: 30,
            sign_ins_per_hour: 60,
        }
    }
}

impl AccountLimits {
    pub(crate) fn longest_wait(&self) -> Duration {
        Duration::from_secs(self.longest_wait_seconds.into())
    }

    pub(crate) fn network_window(&self) -> Duration {
        Duration::from_secs(self.network_seconds.into())
    }
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
            limits: AccountLimits::default(),
        }
    }
}

impl Settings {
    /// The base URL of the links in emails, for a service whose public URL is `url`.
    ///
    /// # Errors
    /// If `link_base` is not a valid URL.
    pub fn home(&self, url: &PublicUrl) -> kernel::Result<PublicUrl> {
        if self.link_base.is_empty() {
            Ok(url.clone())
        } else {
            self.link_base.parse().map_err(kernel::Error::internal)
        }
    }

    /// Validates this section. Each message begins with the key.
    pub fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let mut at_least = |key: &str, value: u32, min: u32| {
            if value < min {
                errors.push(format!("accounts.{key} must be at least {min}, it is {value}"));
            }
        };
        at_least("access_token_seconds", self.access_token_seconds, 1);
        at_least("refresh_token_seconds", self.refresh_token_seconds, 1);
        at_least("session_days", self.session_days, 1);
        at_least("user_token_days", self.user_token_days, 1);
        at_least("password_min_length", self.password_min_length, 8);
        let limits = &self.limits;
        for (key, value) in [
            ("limits.longest_wait_seconds", limits.longest_wait_seconds),
            ("limits.failures_per_network", limits.failures_per_network),
            ("limits.network_seconds", limits.network_seconds),
            ("limits.failures_per_account", limits.failures_per_account),
            ("limits.registrations_per_hour", limits.registrations_per_hour),
            ("limits.resets_per_hour", limits.resets_per_hour),
            ("limits.sign_ins_per_hour", limits.sign_ins_per_hour),
        ] {
            at_least(key, value, 1);
        }
        for (key, days) in [("session_days", self.session_days), ("user_token_days", self.user_token_days)] {
            if days > MAX_DAYS {
                errors.push(format!("accounts.{key} must be at most {MAX_DAYS}, it is {days}"));
            }
        }
        if self.issuer.is_empty() {
            errors.push("accounts.issuer must not be empty".to_owned());
        }
        if !self.link_base.is_empty() && self.link_base.parse::<PublicUrl>().is_err() {
            errors
                .push(format!("accounts.link_base must be a URL like https://example.org, it is {:?}", self.link_base));
        }
        errors.extend(self.hash.error().map(|error| format!("accounts.hash: {error}")));
        errors
    }

    pub(crate) fn access_lifetime(&self) -> Duration {
        Duration::from_secs(self.access_token_seconds.into())
    }

    pub(crate) fn refresh_lifetime(&self) -> Duration {
        Duration::from_secs(self.refresh_token_seconds.into())
    }

    pub(crate) fn refresh_grace(&self) -> Duration {
        Duration::from_secs(self.refresh_grace_seconds.into())
    }

    /// The longest lifetime of an access or refresh token.
    pub(crate) fn max_token_lifetime(&self) -> Duration {
        self.refresh_lifetime().max(self.access_lifetime())
    }

    pub(crate) fn session_lifetime(&self) -> Duration {
        days(self.session_days)
    }

    pub(crate) fn user_token_lifetime(&self) -> Duration {
        days(self.user_token_days)
    }
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 3600)
}
