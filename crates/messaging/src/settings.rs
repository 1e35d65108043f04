use serde::Deserialize;

/// The `messaging` section of the settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many messages, edits and reactions one user may send at once, in one process.
    pub send_burst: u32,
    /// How many of them per second one user may send after that.
    pub sends_per_second: u32,
    /// How many conversations one user may begin per day.
    pub conversations_per_day: u32,
    /// How many files one user may upload per day.
    pub uploads_per_day: u32,
    /// Whether pages linked from messages are fetched for link previews.
    pub link_previews: bool,
    /// How long a message can be edited or deleted for everybody, in hours.
    pub edit_hours: u32,
    /// How long messages are kept, in days; 0 keeps them.
    pub keep_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            send_burst: 20,
            sends_per_second: 5,
            conversations_per_day: 200,
            uploads_per_day: 500,
            link_previews: true,
            edit_hours: 24,
            keep_days: 0,
        }
    }
}

impl Settings {
    /// The same settings without limits on what one user may send, for load tests.
    #[must_use]
    pub fn without_limits(self) -> Self {
        Self { send_burst: 0, sends_per_second: 0, conversations_per_day: u32::MAX, uploads_per_day: u32::MAX, ..self }
    }
}
