use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{ClientId, DeletionId, ImportId, MemberId, OrganizationId};

/// A client: a company or person that deals are made with.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_client")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ClientId,
    pub org_id: OrganizationId,
    pub name: String,
    /// The name, folded for sorting and for finding duplicates.
    pub name_key: String,
    pub email: String,
    /// The email address, folded; unique among clients that are not in the trash.
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
