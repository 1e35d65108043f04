use guildhall_kernel::{Keyed, SessionId, Timestamp};
use sea_orm::DerivePartialModel;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::entity::session;

/// Which of the caller's sessions and tokens to end.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams, PartialEq, Eq)]
#[into_params(parameter_in = Query)]
pub struct SignOutEverywhere {
    /// `1`: keep the current session.
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<u8>)]
    pub others: bool,
    /// `1`: also revoke the user tokens.
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

/// A session of a user on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Session {
    /// The session's id.
    pub id: SessionId,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When its tokens were last refreshed.
    pub last_seen_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The IP address that it was opened from.
    pub ip: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// A readable name of the device: `Firefox on Linux`.
    pub device_label: String,
    /// Whether it is the caller's current session.
    pub current: bool,
}

/// The columns of [`Session`].
#[derive(Clone, Debug, DerivePartialModel)]
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
    pub(crate) fn into_session(self, current: Option<SessionId>) -> Session {
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

/// Describes a client for display: the browser or program, and the operating system.
pub(crate) fn device_label(user_agent: &str) -> String {
    // The order matters: a user agent also contains the names of browsers further down.
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
    let find = |candidates: &[(&str, &'static str)]| {
        candidates.iter().find(|(marker, _)| user_agent.contains(marker)).map(|(_, name)| *name)
    };
    match (find(&programs), find(&systems)) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => {
            // The label is also used in emails: one short word, and nothing that a client could turn into a link.
            let program = user_agent.split(['/', ' ']).next().unwrap_or_default();
            let plain =
                (1..=20).contains(&program.len()) && program.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if plain { program.to_owned() } else { "Unknown device".to_owned() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_label_names_browser_and_system() {
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
