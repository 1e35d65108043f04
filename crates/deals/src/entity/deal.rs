use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{
    ClientId, ContactId, Currency, Day, DealId, DealStatus, DeletionId, ImportId, MemberId, OrganizationId, PipelineId,
    StageId, Verification,
};

/// A deal.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_deal")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: DealId,
    pub org_id: OrganizationId,
    /// The number, counted from 1 in each organization without gaps, and never reused.
    pub number: i64,
    /// The number with its prefix: `DLID0001`.
    pub code: String,
    pub title: String,
    pub description: String,
    pub client_id: ClientId,
    pub contact_id: Option<ContactId>,
    pub pipeline_id: PipelineId,
    pub stage_id: StageId,
    pub status: DealStatus,
    /// The rank on the board, in byte order.
    pub position: String,
    pub owner_id: MemberId,
    pub created_by: MemberId,
    pub value_minor: i64,
    pub currency: Currency,
    /// The payments that were not rejected, less refunds and reversals.
    pub received_minor: i64,
    /// The verified part of it.
    pub verified_minor: i64,
    /// The probability of winning, in percent.
    pub probability: i64,
    pub source: String,
    pub expected_close_date: Option<Day>,
    /// The expected close date for sorting; deals without one sort last.
    pub close_key: String,
    pub closed_at: Option<Timestamp>,
    pub lost_reason: String,
    /// Whether the details of the deal were verified.
    pub verification: Verification,
    pub verification_note: String,
    pub stage_entered_at: Timestamp,
    /// The folded text for search.
    pub search_text: String,
    pub archived_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    /// The deletion that moved it to the trash.
    pub deletion_id: Option<DeletionId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The import that created it.
    pub import_id: Option<ImportId>,
    /// The custom field values as a JSON object by field id, or an empty string.
    pub custom: String,
}

impl ActiveModelBehavior for ActiveModel {}
