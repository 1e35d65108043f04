use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A poll of a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Poll {
    /// Whether several options may be chosen.
    pub is_multiple: bool,
    /// When voting ends, if it does.
    pub closes_at: Option<Timestamp>,
    /// The options.
    pub options: Vec<PollOption>,
    /// The positions of the options that the caller has voted for.
    pub my_votes: Vec<i64>,
}

/// An option of a poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PollOption {
    /// Its position, from 0, as used in votes.
    pub position: i64,
    /// Its text.
    pub text: String,
    /// Number of votes.
    pub votes: i64,
}

/// A poll to create.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
pub struct NewPoll {
    /// The options, 2 to 10.
    #[garde(length(min = 2, max = 10), inner(custom(text::line(1, 200))))]
    pub options: Vec<String>,
    /// Whether several options may be chosen.
    #[serde(default)]
    #[garde(skip)]
    pub is_multiple: bool,
    /// How many hours voting is open; without limit if absent.
    #[garde(inner(range(min = 1, max = 8_760)))]
    pub hours: Option<i64>,
}

/// A vote in a poll.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct Vote {
    /// The positions of the chosen options, from 0; an empty list removes the vote.
    #[garde(length(max = 10))]
    pub options: Vec<i64>,
}
