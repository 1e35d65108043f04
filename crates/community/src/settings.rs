use serde::Deserialize;

/// The section `community` of the settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// May those who are not signed in read public groups?
    pub public_read: bool,
    /// Are pages read that posts point at, to show what they say about themselves?
    pub link_previews: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { public_read: false, link_previews: true }
    }
}
