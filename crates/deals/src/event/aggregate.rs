//! The names of the objects that events are about.

use crate::OrganizationId;

/// The organization, with which all names begin.
pub(super) fn scope(org: OrganizationId) -> String {
    format!("deals/{org}")
}

/// The organization of an event, by its aggregate.
pub fn organization_of(aggregate: &str) -> Option<OrganizationId> {
    let id = aggregate.strip_prefix("deals/")?.split('/').next()?;
    id.parse().ok().map(OrganizationId)
}
