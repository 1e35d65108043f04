use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{
    Attendee, AttendeeFilter, Event, EventFilter, EventId, EventPatch, GroupId, NewEvent, NewRsvp, Result, Rsvp,
};

/// Events of groups, and who comes.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Events: Send + Sync + 'static {
    /// The events of a group that the viewer may know of, in the order in which they begin; past ones the
    /// other way round.
    async fn group_events(
        &self,
        viewer: Option<Caller>,
        group: GroupId,
        filter: EventFilter,
        page: PageQuery,
    ) -> Result<Page<Event>>;
    /// The events of the caller's groups that have not ended, in the order in which they begin.
    async fn my_events(&self, caller: &Caller, page: PageQuery) -> Result<Page<Event>>;
    /// Announces an event of a group; moderators do.
    async fn create_event(&self, caller: &Caller, group: GroupId, new: NewEvent) -> Result<Event>;
    /// An event, if the viewer may know of it.
    async fn event(&self, viewer: Option<Caller>, id: EventId) -> Result<Event>;
    /// Changes an event, or cancels it, if it is still a version that the caller knows. Where there are more
    /// places then, those who have waited longest get them.
    async fn change_event(&self, caller: &Caller, id: EventId, patch: EventPatch, known: IfMatch) -> Result<Event>;
    /// Removes an event with all answers, if it is still a version that the caller knows.
    async fn delete_event(&self, caller: &Caller, id: EventId, known: IfMatch) -> Result<()>;

    /// Says whether the caller comes. Whoever would, but finds no place, waits for one; nobody is let past
    /// those who wait already.
    async fn answer_event(&self, caller: &Caller, id: EventId, new: NewRsvp) -> Result<Rsvp>;
    /// Takes the caller's answer back; a place that they had goes to whoever has waited longest.
    async fn withdraw_answer(&self, caller: &Caller, id: EventId) -> Result<()>;
    /// Who has answered, in the order in which they did, for those in the group.
    async fn attendees(
        &self,
        caller: &Caller,
        id: EventId,
        filter: AttendeeFilter,
        page: PageQuery,
    ) -> Result<Page<Attendee>>;
    /// An event as a file for calendars (RFC 5545).
    async fn event_calendar(&self, viewer: Option<Caller>, id: EventId) -> Result<String>;
}
