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
    /// How often somebody may try.
    pub limits: AccountLimits,
}

/// The section `accounts.limits`: what keeps passwords from being guessed, and the processor and mailboxes from being
/// filled. Not in force where the host lifts all limits.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct AccountLimits {
    /// Failures of an account from one network that cost nothing; each one more doubles the wait.
    pub free_failures: u32,
    /// How long such a wait is at most, in seconds.
    pub longest_wait_seconds: u32,
    /// Failures from one network, whatever accounts, in the time of the next setting. Does not hold for people who
    /// have signed in from there before.
    pub failures_per_network: u32,
    /// For how long failures from a network are counted, in seconds.
    pub network_seconds: u32,
    /// Failures of an account in a row from everywhere, after which only networks are let try from which its owner has
    /// signed in before.
    pub failures_per_account: u32,
    /// Registrations from one network in an hour.
    pub registrations_per_hour: u32,
    /// Requests for a new password from one network in an hour.
    pub resets_per_hour: u32,
    /// Times that one person signs in in an hour.
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
