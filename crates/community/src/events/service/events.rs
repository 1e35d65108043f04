//! Events of groups.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{
    error::Result,
    events::{Event, EventFilter, EventPatch, NewEvent},
    id::{EventId, GroupId},
};

/// Events of groups.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Events: Send + Sync + 'static {
    /// The events of a group that are visible to the viewer, by start time; past events latest first.
    async fn group_events(
        &self,
        viewer: Option<Caller>,
        group: GroupId,
        filter: EventFilter,
        page: PageQuery,
    ) -> Result<Page<Event>>;
    /// The events of the caller's groups that have not ended, by start time.
    async fn my_events(&self, caller: &Caller, page: PageQuery) -> Result<Page<Event>>;
    /// Creates an event in a group. Only moderators may.
    async fn create_event(&self, caller: &Caller, group: GroupId, new: NewEvent) -> Result<Event>;
    /// An event, if it is visible to the viewer.
    async fn event(&self, viewer: Option<Caller>, id: EventId) -> Result<Event>;
    /// Changes or cancels an event, if `known` matches its current version. If the capacity grows, the free spots go
    /// to the waiting list in order.
    async fn change_event(&self, caller: &Caller, id: EventId, patch: EventPatch, known: IfMatch) -> Result<Event>;
    /// Deletes an event with all RSVPs, if `known` matches its current version.
    async fn delete_event(&self, caller: &Caller, id: EventId, known: IfMatch) -> Result<()>;
    /// An event as an iCalendar file (RFC 5545).
    async fn event_calendar(&self, viewer: Option<Caller>, id: EventId) -> Result<String>;
}
