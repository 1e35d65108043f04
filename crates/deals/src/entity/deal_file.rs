use guildhall_files::FileId;
use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{DealFileId, DealId, MemberId, OrganizationId, PaymentId};

/// A file of a deal, or the receipt of a payment. A trigger deletes the stored file with the row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_file")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: DealFileId,
    pub org_id: OrganizationId,
    pub deal_id: DealId,
    pub payment_id: Option<PaymentId>,
    pub file_id: FileId,
    pub name: String,
    pub content_type: String,
    pub size: i64,
    pub added_by: MemberId,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
