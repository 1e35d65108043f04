//! The subscriber that stores a delivery for each event and webhook.

use std::collections::HashSet;

use async_trait::async_trait;
use guildhall_kernel::{
    db::{self, Tx},
    event::{Emitted, Subscriber},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::LockType,
};
use serde_json::json;

use super::subscriptions::{MAX_WEBHOOKS, REQUIRED, events_of};
use crate::{
    MemberId, OrganizationId, Result, SqlWebhooks,
    core::access::{active_members, grants_of},
    entity::{member, organization, role, webhook},
    event,
    permission::Scope,
};

#[async_trait]
impl Subscriber for SqlWebhooks {
    fn name(&self) -> &'static str {
        "deals.webhooks"
    }

    fn events(&self) -> Vec<&'static str> {
        event::EVENTS.iter().map(|event| event.event).collect()
    }

    /// Whether the organization has active webhooks. It is read from the database each time: a cached "no" could lose
    /// events after another process has created a webhook.
    async fn wants(&self, tx: &Tx, aggregate: &str) -> Result<bool, DbErr> {
        let Some(org) = event::organization_of(aggregate) else { return Ok(false) };
        let has_webhooks = organization::Entity::find_by_id(org)
            .select_only()
            .column(organization::Column::HasWebhooks)
            .into_tuple::<bool>()
            .one(tx)
            .await?;
        Ok(has_webhooks.unwrap_or_default())
    }

    async fn handle(&self, tx: &Tx, emitted: &Emitted) -> guildhall_kernel::Result<()> {
        let known = event::EVENTS.iter().find(|event| event.event == emitted.name);
        let (Some(event), Some(org)) = (known, event::organization_of(&emitted.aggregate)) else { return Ok(()) };
        let mut data = emitted.payload()?;
        data["object"] = json!(event.object);
        for hook in recipients(tx, org, event.name).await? {
            self.create_delivery(tx, &hook, event.name, emitted.at, &data).await?;
        }
        Ok(())
    }
}

/// The active webhooks that subscribe to an event, and whose creators may see it.
async fn recipients(tx: &Tx, org: OrganizationId, name: &str) -> Result<Vec<webhook::Model>> {
    let hooks = webhook::Entity::find()
        .filter(webhook::COLUMN.org_id.eq(org))
        .filter(webhook::COLUMN.is_active.eq(true))
        .order_by_asc(webhook::Column::Id)
        .limit(MAX_WEBHOOKS);
    // They must not be deleted before the deliveries are stored.
    db::lock_rows(tx, || hooks.clone(), LockType::KeyShare).await?;
    let mut hooks = hooks.all(tx).await?;
    let trusted = with_full_access(tx, org, hooks.iter().map(|hook| hook.created_by)).await?;
    hooks.retain(|hook| {
        let events = events_of(hook);
        trusted.contains(&hook.created_by) && (events.is_empty() || events.iter().any(|event| event == name))
    });
    Ok(hooks)
}

/// Those of these members who still have full access. The webhooks of members who were deactivated or lost permissions
/// receive no events.
async fn with_full_access(
    conn: &impl ConnectionTrait,
    org: OrganizationId,
    members: impl Iterator<Item = MemberId>,
) -> Result<HashSet<MemberId>> {
    let query = active_members()
        .filter(member::COLUMN.org_id.eq(org))
        .filter(member::COLUMN.id.is_in(members))
        .find_also_related(role::Entity);
    let has_full_access = |role: &role::Model| {
        let grants = grants_of(role);
        REQUIRED.iter().all(|permission| grants.scope(*permission) == Some(Scope::All))
    };
    let members = query.all(conn).await?.into_iter();
    Ok(members.filter(|(_, role)| role.as_ref().is_some_and(has_full_access)).map(|(member, _)| member.id).collect())
}
