use serde::Deserialize;

/// The section `community` of the settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// May those who are not signed in read public groups?
    pub public_read: bool,
    /// Are pages read that posts point at, to show what they say about themselves?
    pub link_previews: bool,
    /// How many groups one person may make in a day.
    pub groups_per_day: u32,
    /// How many posts one person may write in a day.
    pub posts_per_day: u32,
    /// How many comments one person may write in a day.
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
    /// The same without limits on what one person may do, for load tests.
    #[must_use]
    pub fn without_limits(self) -> Self {
        Self { groups_per_day: u32::MAX, posts_per_day: u32::MAX, comments_per_day: u32::MAX, ..self }
    }
}
