use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{
    ClientId, ContactId, Currency, Day, DealId, DealStatus, DeletionId, ImportId, MemberId, OrganizationId, PipelineId,
    StageId, Verification,
};

/// Something that is being sold, or was.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_deal")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: DealId,
    pub org_id: OrganizationId,
    /// Counts from 1 in each organization, without gaps; never used again.
    pub number: i64,
    /// The number as people write it: `DLID0001`.
    pub code: String,
    pub title: String,
    pub description: String,
    pub client_id: ClientId,
    pub contact_id: Option<ContactId>,
    pub pipeline_id: PipelineId,
    pub stage_id: StageId,
    pub status: DealStatus,
    /// Its place on the board, by byte order.
    pub position: String,
    pub owner_id: MemberId,
    pub created_by: MemberId,
    pub value_minor: i64,
    pub currency: Currency,
    /// What was paid and stands, verified or not.
    pub received_minor: i64,
    /// What of it is verified.
    pub verified_minor: i64,
    /// How likely it is won, in percent.
    pub probability: i64,
    pub source: String,
    /// A day, `2025-09-01`.
    pub expected_close_date: Option<Day>,
    /// The same for sorting: what has no day stands last.
    pub close_key: String,
    pub closed_at: Option<Timestamp>,
    pub lost_reason: String,
    /// Has somebody verified that the deal is as it says?
    pub verification: Verification,
    pub verification_note: String,
    pub stage_entered_at: Timestamp,
    /// What is searched, folded.
    pub search_text: String,
    pub archived_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    /// With what it went into the trash.
    pub deletion_id: Option<DeletionId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The import that it came with.
    pub import_id: Option<ImportId>,
    /// JSON: what fields of the organization's own say, by their ids; empty where they say nothing.
    pub custom: String,
}

impl ActiveModelBehavior for ActiveModel {}
