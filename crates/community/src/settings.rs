use serde::Deserialize;

/// The `community` section of the settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether visitors who are not signed in may read public groups.
    pub public_read: bool,
    /// Whether pages linked from posts are fetched for link previews.
    pub link_previews: bool,
    /// How many groups one user may create per day.
    pub groups_per_day: u32,
    /// How many posts one user may write per day.
    pub posts_per_day: u32,
    /// How many comments one user may write per day.
    pub comments_per_day: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_read: false,
            link_previews: true,
            groups_per_day: 50,
            posts_per_day: 1000,
            comments_per_day: 5000,
        }
    }
}

impl Settings {
    /// The same settings without quotas, for load tests.
    #[must_use]
    pub fn without_limits(self) -> Self {
        Self { groups_per_day: u32::MAX, posts_per_day: u32::MAX, comments_per_day: u32::MAX, ..self }
    }
}
