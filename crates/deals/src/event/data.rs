//! The objects in event payloads. People are ids of members, money is a decimal string.

use guildhall_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ClientId, ContactId, Currency, Day, DealId, DealStatus, MemberId, PaymentId, PaymentKind, PaymentMethod,
    PipelineId, StageId, TaskId, Verification,
    entity::{client, deal, payment, task},
};

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of the API's `Client`")]
pub struct ClientData {
    pub id: ClientId,
    pub name: String,
    pub email: String,
    pub phone: String,
    pub website: String,
    pub address: String,
    pub tax_id: String,
    pub notes: String,
    pub owner_member_id: MemberId,
    pub created_by_member_id: MemberId,
    pub archived_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<&client::Model> for ClientData {
    fn from(row: &client::Model) -> Self {
        Self {
            id: row.id,
            name: row.name.clone(),
            email: row.email.clone(),
            phone: row.phone.clone(),
            website: row.website.clone(),
            address: row.address.clone(),
            tax_id: row.tax_id.clone(),
            notes: row.notes.clone(),
            owner_member_id: row.owner_id,
            created_by_member_id: row.created_by,
            archived_at: row.archived_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A deal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of the API's `Deal`")]
pub struct DealData {
    pub id: DealId,
    pub code: String,
    pub title: String,
    pub description: String,
    pub client_id: ClientId,
    pub contact_id: Option<ContactId>,
    pub pipeline_id: PipelineId,
    pub stage_id: StageId,
    pub status: DealStatus,
    pub owner_member_id: MemberId,
    pub created_by_member_id: MemberId,
    pub value: String,
    pub currency: Currency,
    pub received: String,
    pub verified: String,
    pub probability: i64,
    pub source: String,
    pub expected_close_date: Option<Day>,
    pub closed_at: Option<Timestamp>,
    pub lost_reason: String,
    pub verification: Verification,
    pub verification_note: String,
    pub stage_entered_at: Timestamp,
    pub archived_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<&deal::Model> for DealData {
    fn from(row: &deal::Model) -> Self {
        let money = |minor: i64| row.currency.format(i128::from(minor));
        Self {
            id: row.id,
            code: row.code.clone(),
            title: row.title.clone(),
            description: row.description.clone(),
            client_id: row.client_id,
            contact_id: row.contact_id,
            pipeline_id: row.pipeline_id,
            stage_id: row.stage_id,
            status: row.status,
            owner_member_id: row.owner_id,
            created_by_member_id: row.created_by,
            value: money(row.value_minor),
            currency: row.currency.clone(),
            received: money(row.received_minor),
            verified: money(row.verified_minor),
            probability: row.probability,
            source: row.source.clone(),
            expected_close_date: row.expected_close_date.clone(),
            closed_at: row.closed_at,
            lost_reason: row.lost_reason.clone(),
            verification: row.verification,
            verification_note: row.verification_note.clone(),
            stage_entered_at: row.stage_entered_at,
            archived_at: row.archived_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// An entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of the API's `Payment`")]
pub struct PaymentData {
    pub id: PaymentId,
    pub code: String,
    pub deal_id: DealId,
    pub kind: PaymentKind,
    pub of_id: Option<PaymentId>,
    pub amount: String,
    pub currency: Currency,
    pub method: PaymentMethod,
    pub cheque_number: Option<String>,
    pub reference: String,
    pub received_on: Day,
    pub recorded_by_member_id: MemberId,
    pub state: Verification,
    pub decided_by_member_id: Option<MemberId>,
    pub decided_at: Option<Timestamp>,
    pub reason: String,
    pub refunded: String,
    pub is_reversed: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<&payment::Model> for PaymentData {
    fn from(row: &payment::Model) -> Self {
        let money = |minor: i64| row.currency.format(i128::from(minor));
        Self {
            id: row.id,
            code: row.code.clone(),
            deal_id: row.deal_id,
            kind: row.kind,
            of_id: row.of_id,
            amount: money(row.amount_minor),
            currency: row.currency.clone(),
            method: row.method,
            cheque_number: row.cheque_number.clone(),
            reference: row.reference.clone(),
            received_on: row.received_on.clone(),
            recorded_by_member_id: row.recorded_by,
            state: row.state,
            decided_by_member_id: row.decided_by,
            decided_at: row.decided_at,
            reason: row.reason.clone(),
            refunded: money(row.refunded_minor),
            is_reversed: row.is_reversed,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of the API's `Task`")]
pub struct TaskData {
    pub id: TaskId,
    pub title: String,
    pub notes: String,
    pub client_id: Option<ClientId>,
    pub deal_id: Option<DealId>,
    pub assignee_member_id: MemberId,
    pub created_by_member_id: MemberId,
    pub due_at: Option<Timestamp>,
    pub done_at: Option<Timestamp>,
    pub remind_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<&task::Model> for TaskData {
    fn from(row: &task::Model) -> Self {
        Self {
            id: row.id,
            title: row.title.clone(),
            notes: row.notes.clone(),
            client_id: row.client_id,
            deal_id: row.deal_id,
            assignee_member_id: row.assignee_id,
            created_by_member_id: row.created_by,
            due_at: row.due_at,
            done_at: row.done_at,
            remind_at: row.remind_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
