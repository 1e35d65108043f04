use guildhall_kernel::{Person, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::entity::rsvp::Attendance;

/// The RSVP that somebody gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Attends; goes to the waiting list if the event is full.
    Going,
    /// Is not sure yet.
    Maybe,
    /// Does not attend.
    Declined,
}

/// An RSVP to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub struct NewRsvp {
    /// Whether the caller attends.
    pub status: Answer,
}

/// The caller's RSVP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rsvp {
    /// Its status.
    pub status: Attendance,
    /// Position on the waiting list, from 1; `null` if the caller is not on it.
    pub position: Option<i64>,
}

/// Filters of the list of RSVPs.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttendeeFilter {
    /// Only RSVPs with this status.
    #[param(inline)]
    pub status: Option<Attendance>,
}

/// A user's RSVP to an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attendee {
    /// The user.
    pub user: Option<Person>,
    /// The status of their RSVP.
    pub status: Attendance,
    /// Since when the RSVP has this status.
    pub since: Timestamp,
}
