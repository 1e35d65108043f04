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

/// A job of the server.
#[derive(Clone, Debug)]
pub struct JobState {
    /// Its name.
    pub name: String,
    /// When it ran last.
    pub last_run_at: Option<Timestamp>,
    /// When it runs next.
    pub next_at: Timestamp,
    /// The error of the last run.
    pub last_error: Option<String>,
}

/// A message that was not sent yet, or could not be.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its id.
    pub id: i64,
    /// `email`, or the name of another transport.
    pub channel: String,
    /// Its title.
    pub title: String,
    /// To whom it goes.
    pub recipient: String,
    /// The number of attempts.
    pub attempts: i64,
    /// When it is tried next; `None` if it failed for good, and its content is gone.
    pub next_at: Option<Timestamp>,
    /// The error of the last attempt.
    pub last_error: Option<String>,
}
