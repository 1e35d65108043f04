use serde::Deserialize;

/// The `chat` section of the settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a room stays open while its host has no connection, in seconds, up to a day; 0 closes it at once.
    pub host_grace_seconds: u32,
    /// How many rooms one user may open per day.
    pub rooms_per_day: u32,
    /// How many people one user may invite per day.
    pub invites_per_day: u32,
    /// How often one user may ask to join a room per day.
    pub requests_per_day: u32,
    /// How many messages one user may send to a room at once, in one process.
    pub send_burst: u32,
    /// How many messages per second one user may send to a room after that.
    pub sends_per_second: u32,
    /// How many requests to join wait in one room.
    pub pending_requests: u32,
    /// After how many days without a decision a request expires.
    pub request_days: u32,
    /// How long after a refusal the same person may ask again, in seconds.
    pub request_cooldown_seconds: u32,
    /// How long a message can be edited or deleted by its sender, in hours.
    pub edit_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host_grace_seconds: 30,
            rooms_per_day: 50,
            invites_per_day: 1000,
            requests_per_day: 100,
            send_burst: 20,
            sends_per_second: 5,
            pending_requests: 500,
            request_days: 30,
            request_cooldown_seconds: 60,
            edit_hours: 24,
        }
    }
}

impl Settings {
    /// The same settings without limits on what one user may do, for load tests.
    #[must_use]
    pub fn without_limits(self) -> Self {
        Self {
            rooms_per_day: u32::MAX,
            invites_per_day: u32::MAX,
            requests_per_day: u32::MAX,
            send_burst: 0,
            sends_per_second: 0,
            request_cooldown_seconds: 0,
            ..self
        }
    }
}
