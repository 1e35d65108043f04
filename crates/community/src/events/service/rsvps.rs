//! RSVPs to events.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{
    error::Result,
    events::{Attendee, AttendeeFilter, NewRsvp, Rsvp},
    id::EventId,
};

/// RSVPs to events.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Rsvps: Send + Sync + 'static {
    /// Sets the caller's RSVP. If the event is full, the caller is added to the end of the waiting list.
    async fn answer_event(&self, caller: &Caller, id: EventId, new: NewRsvp) -> Result<Rsvp>;
    /// Withdraws the caller's RSVP. A spot that becomes free goes to the first on the waiting list.
    async fn withdraw_answer(&self, caller: &Caller, id: EventId) -> Result<()>;
    /// The RSVPs to an event in the order in which they were given, for members of the group.
    async fn attendees(
        &self,
        caller: &Caller,
        id: EventId,
        filter: AttendeeFilter,
        page: PageQuery,
    ) -> Result<Page<Attendee>>;
}
