//! Events that webhooks do not get.

use guildhall_kernel::{Timestamp, UserId, define_events};

use super::aggregate::scope;
use crate::{DealId, MemberId, OrganizationId, PipelineId, TaskId};

define_events! {
    /// A deal was assigned to another member than the one who did it. Webhooks get `DealCreated` or the event of the
    /// change.
    DealAssigned("deals.deal_assigned", |event| format!("{}/deal/{}", scope(event.organization_id), event.deal)) {
        /// The organization.
        organization_id: OrganizationId,
        /// The deal.
        deal: DealId,
        /// The member who owns it now.
        owner: MemberId,
        /// The user who assigned it.
        actor: UserId,
    }
    /// All deals of a member were assigned to another one. Webhooks get `MemberReassigned`.
    DealsAssigned("deals.deals_assigned", |event| format!("{}/member/{}", scope(event.organization_id), event.owner)) {
        /// The organization.
        organization_id: OrganizationId,
        /// The member who owns them now.
        owner: MemberId,
        /// How many there are.
        deals: u64,
        /// The user who assigned them; `None` if they were assigned because a member has left.
        actor: Option<UserId>,
    }
    /// A deal moved within its stage.
    DealRepositioned("deals.deal_repositioned", |event| {
        format!("{}/deal/{}", scope(event.organization_id), event.deal)
    }) {
        /// The organization.
        organization_id: OrganizationId,
        /// The deal.
        deal: DealId,
    }
    /// An open task has become due. Emitted once for each due time.
    TaskDue("deals.task_due", |event| format!("{}/task/{}", scope(event.organization_id), event.task)) {
        /// The organization.
        organization_id: OrganizationId,
        /// The task.
        task: TaskId,
        /// The member who it is assigned to.
        assignee: MemberId,
        /// When it was due.
        due_at: Timestamp,
    }
    /// A pipeline was created, changed or deleted, or its stages were.
    PipelineChanged("deals.pipeline_changed", |event| {
        format!("{}/pipeline/{}", scope(event.organization_id), event.pipeline)
    }) {
        /// The organization.
        organization_id: OrganizationId,
        /// The pipeline.
        pipeline: PipelineId,
    }
    /// Members may no longer see any deals: they have left, were removed or deactivated, or their role does not grant it
    /// any more.
    DealAccessEnded("deals.deal_access_ended", |event| format!("{}/access", scope(event.organization_id))) {
        /// The organization.
        organization_id: OrganizationId,
        /// The user of the member; `None` if it may be any member.
        user: Option<UserId>,
    }
    /// An organization was deleted with everything in it.
    OrganizationDeleted("deals.organization_deleted", |event| {
        format!("{}/organization", scope(event.organization_id))
    }) {
        /// The organization.
        organization_id: OrganizationId,
    }
}
