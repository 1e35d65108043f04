use serde::Deserialize;

/// The `deals` section of the settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many organizations one user may create per day.
    pub organizations_per_day: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { organizations_per_day: 20 }
    }
}

impl Settings {
    /// Removes the limits per user, for load tests.
    #[must_use]
    pub fn without_limits(self) -> Self {
        Self { organizations_per_day: u32::MAX }
    }
}
