use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{ClientId, DeletionId, ImportId, MemberId, OrganizationId};

/// A company or person that deals are made with.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_client")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ClientId,
    pub org_id: OrganizationId,
    pub name: String,
    /// The name, folded: sorts, and finds duplicates.
    pub name_key: String,
    pub email: String,
    /// The address, folded: unique among those that are not in the trash.
    pub email_key: Option<String>,
    pub phone: String,
    /// The digits of the phone number.
    pub phone_key: Option<String>,
    pub website: String,
    pub address: String,
    pub tax_id: String,
    pub notes: String,
    pub owner_id: MemberId,
    pub created_by: MemberId,
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
