//! The events of this crate. Their fields are listed explicitly, so that a new column is not sent to subscribers by
//! accident.

mod aggregate;
mod data;
mod internal;

use guildhall_kernel::{db::Tx, event::Event};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use aggregate::organization_of;
pub use data::{ClientData, DealData, PaymentData, TaskData};
pub use internal::*;

use crate::{
    ClientId, DealId, DealStatus, DeletedKind, DeletionId, ImportId, MemberId, OrganizationId, Result, StageId, TaskId,
    custom::sql as custom,
    entity::{client, deal, task},
};
use aggregate::scope;

/// The fields that changed, each with its value before and after.
pub(crate) type Changes = Map<String, Value>;

/// An event that webhooks can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookEvent {
    /// The name of the event in this crate: `deals.deal_won`.
    pub event: &'static str,
    /// The type that receivers see: `deal.won`.
    pub name: &'static str,
    /// The kind of object in the payload: `deal`.
    pub object: &'static str,
    /// When it is sent.
    pub description: &'static str,
}

macro_rules! events {
    ($($(#[$doc:meta])* $event:ident($full:literal, $name:literal, $object:literal, $description:literal) {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty,)*
    } of $id:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct $event {
                /// The organization.
                pub organization_id: OrganizationId,
                $($(#[$field_doc])* pub $field: $kind,)*
            }

            impl Event for $event {
                const NAME: &'static str = $full;

                fn aggregate(&self) -> String {
                    let id: fn(&Self) -> i64 = $id;
                    format!("{}/{}/{}", scope(self.organization_id), $object, id(self))
                }
            }
        )*

        /// The events that webhooks can subscribe to.
        pub const EVENTS: &[WebhookEvent] = &[
            $(WebhookEvent { event: $full, name: $name, object: $object, description: $description },)*
        ];
    };
}

events! {
    /// A client was created.
    ClientCreated("deals.client_created", "client.created", "client", "A client was created.") {
        /// The client.
        #[serde(flatten)]
        client: ClientData,
    } of |event| event.client.id.0;
    /// A client changed.
    ClientUpdated("deals.client_updated", "client.updated", "client",
        "A client changed, was archived, or was merged with another one.") {
        /// The client.
        #[serde(flatten)]
        client: ClientData,
        /// The fields that changed.
        changes: Changes,
    } of |event| event.client.id.0;
    /// A client was deleted.
    ClientDeleted("deals.client_deleted", "client.deleted", "client",
        "A client was deleted: moved to the trash, or purged.") {
        /// The client.
        id: ClientId,
        /// Its name.
        name: String,
        /// Whether it was purged.
        purge: bool,
    } of |event| event.id.0;
    /// A deal was created.
    DealCreated("deals.deal_created", "deal.created", "deal", "A deal was created.") {
        /// The deal.
        #[serde(flatten)]
        deal: DealData,
    } of |event| event.deal.id.0;
    /// A deal changed in a way that has no event of its own.
    DealUpdated("deals.deal_updated", "deal.updated", "deal", "A deal changed in a way that has no event of its own.") {
        /// The deal.
        #[serde(flatten)]
        deal: DealData,
        /// The fields that changed.
        changes: Changes,
    } of |event| event.deal.id.0;
    /// A deal moved to another stage.
    DealMoved("deals.deal_moved", "deal.moved", "deal", "A deal moved to another stage.") {
        /// The deal.
        #[serde(flatten)]
        deal: DealData,
        /// The fields that changed.
        changes: Changes,
    } of |event| event.deal.id.0;
    /// A deal was won.
    DealWon("deals.deal_won", "deal.won", "deal", "A deal was won.") {
        /// The deal.
        #[serde(flatten)]
        deal: DealData,
        /// The fields that changed.
        changes: Changes,
    } of |event| event.deal.id.0;
    /// A deal was lost.
    DealLost("deals.deal_lost", "deal.lost", "deal", "A deal was lost.") {
        /// The deal.
        #[serde(flatten)]
        deal: DealData,
        /// The fields that changed.
        changes: Changes,
    } of |event| event.deal.id.0;
    /// A closed deal was reopened.
    DealReopened("deals.deal_reopened", "deal.reopened", "deal", "A closed deal was reopened.") {
        /// The deal.
        #[serde(flatten)]
        deal: DealData,
        /// The fields that changed.
        changes: Changes,
    } of |event| event.deal.id.0;
    /// A deal was deleted.
    DealDeleted("deals.deal_deleted", "deal.deleted", "deal", "A deal was deleted: moved to the trash, or purged.") {
        /// The deal.
        id: DealId,
        /// Its number.
        number: String,
        /// Whether it was purged.
        purge: bool,
    } of |event| event.id.0;
    /// A payment, a refund or a reversal was recorded.
    PaymentRecorded("deals.payment_recorded", "payment.recorded", "payment",
        "A payment, a refund or a reversal was recorded.") {
        /// The payment.
        #[serde(flatten)]
        payment: PaymentData,
    } of |event| event.payment.id.0;
    /// A payment was verified or rejected.
    PaymentDecided("deals.payment_decided", "payment.decided", "payment", "A payment was verified or rejected.") {
        /// The payment.
        #[serde(flatten)]
        payment: PaymentData,
        /// The fields that changed.
        changes: Changes,
    } of |event| event.payment.id.0;
    /// A task was created.
    TaskCreated("deals.task_created", "task.created", "task", "A task was created.") {
        /// The task.
        #[serde(flatten)]
        task: TaskData,
    } of |event| event.task.id.0;
    /// A task changed or was completed.
    TaskUpdated("deals.task_updated", "task.updated", "task", "A task changed or was completed.") {
        /// The task.
        #[serde(flatten)]
        task: TaskData,
        /// The fields that changed.
        changes: Changes,
    } of |event| event.task.id.0;
    /// A task was deleted.
    TaskDeleted("deals.task_deleted", "task.deleted", "task", "A task was deleted.") {
        /// The task.
        id: TaskId,
        /// Its title.
        title: String,
    } of |event| event.id.0;
    /// A deletion was restored from the trash.
    TrashRestored("deals.trash_restored", "trash.restored", "deletion",
        "A deletion was restored from the trash, with everything that it deleted. One event for all rows.") {
        /// The deletion.
        id: DeletionId,
        /// What was deleted: `DLID0001 - Website`.
        label: String,
        /// The kind of object that was deleted.
        kind: DeletedKind,
    } of |event| event.id.0;
    /// An import finished.
    ImportFinished("deals.import_finished", "import.finished", "import",
        "An import finished. One event for all rows that it created; clients that it changed are sent one by one.") {
        /// The import.
        id: ImportId,
        /// The name of the file.
        file_name: String,
        /// How many rows were created.
        created: i64,
        /// How many rows were changed.
        updated: i64,
    } of |event| event.id.0;
    /// An import was reverted.
    ImportReverted("deals.import_reverted", "import.reverted", "import",
        "An import was reverted: the unchanged rows that it created were deleted. One event for all rows.") {
        /// The import.
        id: ImportId,
        /// How many rows were not deleted, because they were changed or are used.
        kept: i64,
    } of |event| event.id.0;
    /// A stage was emptied before its deletion.
    StageEmptied("deals.stage_emptied", "stage.emptied", "stage",
        "All deals of a stage moved to another one. One event for all deals.") {
        /// The stage.
        id: StageId,
        /// The stage that the deals moved to.
        to: StageId,
        /// How many deals moved.
        deals: u64,
    } of |event| event.id.0;
    /// The clients, deals and tasks of a member were reassigned.
    MemberReassigned("deals.member_reassigned", "member.reassigned", "member",
        "The clients, deals and tasks of a member were reassigned to another member. One event for all of them.") {
        /// The member who owned them.
        id: MemberId,
        /// The member who owns them now.
        to: MemberId,
        /// How many clients were reassigned.
        clients: u64,
        /// How many deals were reassigned.
        deals: u64,
    } of |event| event.id.0;
}

/// The type of the test message of a webhook.
pub(crate) const PING: &str = "ping";

/// Whether webhooks can subscribe to this name.
pub(crate) fn is_known(name: &str) -> bool {
    EVENTS.iter().any(|event| event.name == name)
}

/// The fields that differ, except for `updated_at`.
pub(crate) fn changes<T: Serialize>(before: &T, after: &T) -> Result<Changes> {
    let to_json = |data: &T| serde_json::to_value(data).map_err(guildhall_kernel::Error::internal);
    let (before, after) = (to_json(before)?, to_json(after)?);
    let fields = after.as_object().into_iter().flatten();
    let differing = fields.filter(|(name, value)| *name != "updated_at" && before[*name] != **value);
    Ok(differing.map(|(name, value)| (name.clone(), json!([before[name], value]))).collect())
}

/// The custom fields that differ, by their keys.
async fn custom_changes(tx: &Tx, org: OrganizationId, before: &str, after: &str) -> Result<Changes> {
    if before == after {
        return Ok(Changes::new());
    }
    let keys = custom::keys_of(tx, org).await?;
    let differing = custom::difference(&json!([before, after]), &keys);
    Ok(differing.into_iter().map(|(name, (before, after))| (name, json!([before, after]))).collect())
}

/// Emits [`ClientUpdated`] if a field of the payload changed.
pub(crate) async fn client_updated(tx: &Tx, before: &client::Model, after: &client::Model) -> Result<()> {
    let client = ClientData::from(after);
    let mut changes = changes(&ClientData::from(before), &client)?;
    changes.extend(custom_changes(tx, after.org_id, &before.custom, &after.custom).await?);
    if !changes.is_empty() {
        tx.emit(&ClientUpdated { organization_id: after.org_id, client, changes }).await?;
    }
    Ok(())
}

/// Emits [`ClientUpdated`] for a client that another one was merged into.
pub(crate) async fn client_merged(
    tx: &Tx,
    before: &client::Model,
    after: &client::Model,
    merged: ClientId,
) -> Result<()> {
    let client = ClientData::from(after);
    let mut changes = changes(&ClientData::from(before), &client)?;
    changes.extend(custom_changes(tx, after.org_id, &before.custom, &after.custom).await?);
    changes.insert("merged_client_id".to_owned(), json!([null, merged]));
    tx.emit(&ClientUpdated { organization_id: after.org_id, client, changes }).await?;
    Ok(())
}

/// Emits [`TaskUpdated`] if a field of the payload changed.
pub(crate) async fn task_updated(tx: &Tx, before: &task::Model, after: &task::Model) -> Result<()> {
    let task = TaskData::from(after);
    let changes = changes(&TaskData::from(before), &task)?;
    if !changes.is_empty() {
        tx.emit(&TaskUpdated { organization_id: after.org_id, task, changes }).await?;
    }
    Ok(())
}

/// Emits the most specific event for the change of a deal, if a field of the payload or its position changed.
pub(crate) async fn deal_updated(tx: &Tx, before: &deal::Model, after: &deal::Model) -> Result<()> {
    let deal = DealData::from(after);
    let mut changes = changes(&DealData::from(before), &deal)?;
    changes.extend(custom_changes(tx, after.org_id, &before.custom, &after.custom).await?);
    let organization_id = after.org_id;
    if changes.is_empty() {
        if before.position != after.position {
            tx.emit(&DealRepositioned { organization_id, deal: after.id }).await?;
        }
        return Ok(());
    }
    let has_moved = before.stage_id != after.stage_id;
    match after.status {
        status if status == before.status && has_moved => {
            tx.emit(&DealMoved { organization_id, deal, changes }).await?;
        }
        status if status == before.status => tx.emit(&DealUpdated { organization_id, deal, changes }).await?,
        DealStatus::Won => tx.emit(&DealWon { organization_id, deal, changes }).await?,
        DealStatus::Lost => tx.emit(&DealLost { organization_id, deal, changes }).await?,
        DealStatus::Open => tx.emit(&DealReopened { organization_id, deal, changes }).await?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_names_are_unique() {
        for (index, event) in EVENTS.iter().enumerate() {
            let others = &EVENTS[index + 1..];
            assert!(others.iter().all(|other| other.name != event.name && other.event != event.event), "{event:?}");
            assert!(is_known(event.name));
        }
        assert!(!is_known(PING));
    }

    #[test]
    fn the_organization_is_read_from_the_aggregate() {
        let event = TaskDeleted { organization_id: OrganizationId(7), id: TaskId(3), title: String::new() };
        assert_eq!(event.aggregate(), "deals/7/task/3");
        assert_eq!(organization_of(&event.aggregate()), Some(OrganizationId(7)));
        assert_eq!(organization_of("community/7/post/3"), None);
    }
}
