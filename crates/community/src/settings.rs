use serde::Deserialize;

/// The section `community` of the settings.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// May those who are not signed in read public groups?
    pub public_read: bool,
}
