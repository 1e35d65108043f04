use garde::Validate;
use guildhall_kernel::{Keyed, SessionId, Timestamp, define_id, text};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Account;
use crate::entity::{session, user_token};

define_id!(
    /// A user token.
    UserTokenId
);

/// A name and a password.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct SignIn {
    /// The username, in any case, or a verified address.
    #[garde(custom(text::line(1, 254)))]
    pub username: String,
    /// The password.
    #[garde(custom(not_empty))]
    #[schema(format = Password)]
    pub password: String,
}

pub(super) fn not_empty(password: &str, (): &()) -> garde::Result {
    if password.is_empty() { Err(garde::Error::new("This field may not be blank.")) } else { Ok(()) }
}

/// The second step of a sign-in.
#[derive(Clone, Deserialize, ToSchema, Validate)]
pub struct SecondFactor {
    /// What the first step answered with.
    #[garde(skip)]
    pub mfa_token: String,
    /// A code from the authenticator, or a recovery code.
    #[garde(custom(text::line(1, 40)))]
    pub code: String,
}

/// An access token and the refresh token that makes the next ones.
#[derive(Clone, Serialize, ToSchema)]
pub struct TokenPair {
    /// For `Authorization: Bearer`.
    pub access: String,
    /// For `POST /api/auth/refresh/`, once.
    pub refresh: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// How long the access token is valid, in seconds.
    pub expires_in: i64,
}

/// The answer to a sign-in.
#[derive(Clone, Serialize, ToSchema)]
pub struct SignedIn {
    /// The tokens of the new session.
    #[serde(flatten)]
    pub tokens: TokenPair,
    /// Who signed in.
    pub user: Account,
}

/// Which of the caller's tokens are to end.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams, PartialEq, Eq)]
#[into_params(parameter_in = Query)]
pub struct SignOutEverywhere {
    /// `1`: leave the session that asks.
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<u8>)]
    pub others: bool,
    /// `1`: take the user tokens back too.
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<u8>)]
    pub include_tokens: bool,
}

/// `1` or `true` in a query string.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" | "" => Ok(false),
        _ => Err(serde::de::Error::custom("expected 1 or 0")),
    }
}

/// A device that somebody is signed in on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Session {
    /// The session's id.
    pub id: SessionId,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last got new tokens.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// The network address that it was opened from.
    pub ip: Option<String>,
    /// What the client said it is.
    pub user_agent: Option<String>,
    /// The same in words: `Firefox on Linux`.
    pub device_label: String,
    /// Is it the one that asks?
    pub current: bool,
}

/// The columns of [`Session`].
#[derive(Clone, Debug, sea_orm::DerivePartialModel)]
#[sea_orm(entity = "session::Entity")]
pub(crate) struct SessionRow {
    id: SessionId,
    created_at: Timestamp,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    ip: Option<String>,
    user_agent: Option<String>,
}

impl Keyed for SessionRow {
    fn key(&self) -> i64 {
        self.id.0
    }
}

impl SessionRow {
    pub(crate) fn seen_from(self, current: Option<SessionId>) -> Session {
        Session {
            id: self.id,
            created_at: self.created_at,
            last_seen_at: self.last_seen_at,
            expires_at: self.expires_at,
            device_label: self.user_agent.as_deref().map_or_else(|| "Unknown device".to_owned(), device_label),
            ip: self.ip,
            user_agent: self.user_agent,
            current: current == Some(self.id),
        }
    }
}

/// A client in words for people: the browser or program, and what it runs on.
pub(crate) fn device_label(user_agent: &str) -> String {
    // In this order: each also says that it is some of those after it.
    let programs = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome", "Chrome"),
        ("Safari", "Safari"),
    ];
    let systems = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&programs), find(&systems)) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(known), None) | (None, Some(known)) => known.to_owned(),
        (None, None) => {
            // Into letters it goes as well: one short word, and nothing that could be an address.
            let program = user_agent.split(['/', ' ']).next().unwrap_or_default();
            let plain =
                (1..=20).contains(&program.len()) && program.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if plain { program.to_owned() } else { "Unknown device".to_owned() }
        }
    }
}

/// What a user token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reading.
    Read,
    /// Changing things; reading too.
    Write,
}

impl Scope {
    /// The scopes of a token.
    fn of(read_only: bool) -> Vec<Self> {
        if read_only { vec![Self::Read] } else { vec![Self::Read, Self::Write] }
    }
}

/// A user token as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserToken {
    /// The token's id.
    pub id: UserTokenId,
    /// What its owner calls it.
    pub name: String,
    /// How it begins.
    pub prefix: String,
    /// How it ends.
    pub last4: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl From<user_token::Model> for UserToken {
    fn from(row: user_token::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            last4: row.last4,
            scopes: Scope::of(row.read_only),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// The columns of [`UserToken`]: all but the fingerprint.
#[derive(Clone, Debug, sea_orm::DerivePartialModel)]
#[sea_orm(entity = "user_token::Entity")]
pub(crate) struct UserTokenRow {
    id: UserTokenId,
    name: String,
    prefix: String,
    last4: String,
    read_only: bool,
    created_at: Timestamp,
    expires_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

impl Keyed for UserTokenRow {
    fn key(&self) -> i64 {
        self.id.0
    }
}

impl From<UserTokenRow> for UserToken {
    fn from(row: UserTokenRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            last4: row.last4,
            scopes: Scope::of(row.read_only),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// A user token to be made.
#[derive(Clone, Default, Deserialize, ToSchema, Validate)]
pub struct NewUserToken {
    /// What to call it.
    #[serde(default)]
    #[garde(custom(text::line(0, 100)))]
    pub name: String,
    /// How many days it is valid; no more than the setting, which is also the default.
    #[garde(skip)]
    pub expires_in_days: Option<u32>,
    /// What it may be used for; everything, unless told otherwise.
    #[garde(skip)]
    pub scopes: Option<Vec<Scope>>,
    /// The password, where it was last shown more than a quarter of an hour ago.
    #[garde(skip)]
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// A new user token: the only time that it is shown.
#[derive(Clone, Serialize, ToSchema)]
pub struct IssuedToken {
    /// For `Authorization: Token`.
    pub token: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// A new named user token: the only time that it is shown.
#[derive(Clone, Serialize, ToSchema)]
pub struct IssuedUserToken {
    /// For `Authorization: Token`.
    pub token: String,
    /// What the list shows of it.
    #[serde(flatten)]
    pub shown: UserToken,
}

/// A ticket for one socket.
#[derive(Clone, Serialize, ToSchema)]
pub struct Ticket {
    /// For `?ticket=`, once.
    pub ticket: String,
    /// How long it is valid, in seconds.
    pub expires_in: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_in_words() {
        for (agent, label) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36 Edg/130.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.5.0", "curl"),
            ("", "Unknown device"),
            ("evil.example", "Unknown device"),
            ("Call\u{a0}+1-555", "Unknown device"),
        ] {
            assert_eq!(device_label(agent), label);
        }
    }
}
