use guildhall_kernel::Timestamp;

/// The state of a part of the server.
#[derive(Clone, Debug)]
pub struct HealthPart {
    /// The name: `database`.
    pub name: &'static str,
    /// `ok`, `degraded`, `pending`, `unknown`, `unset` or `down`.
    pub state: &'static str,
}

/// How much has happened lately.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// The accounts that were created.
    pub people: Series,
    /// Messages and posts in rooms and conversations.
    pub messages: Series,
    /// Deals that were created.
    pub deals: Series,
}

/// Numbers by day: the last 30 days, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The numbers.
    pub days: Vec<u64>,
    /// The beginning of the first day, in UTC.
    pub since: Option<Timestamp>,
}

impl Series {
    /// The number of today.
    pub fn today(&self) -> u64 {
        self.days.last().copied().unwrap_or_default()
    }

    /// The number of all days.
    pub fn total(&self) -> u64 {
        self.days.iter().sum()
    }

    /// The highest number of a day.
    pub fn highest(&self) -> u64 {
        self.days.iter().copied().max().unwrap_or_default()
    }
}
