use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{ClientId, ContactId, DeletionId, OrganizationId};

/// A contact: a person at a client.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_contact")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ContactId,
    pub org_id: OrganizationId,
    pub client_id: ClientId,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub phone: String,
    /// Their job title.
    pub title: String,
    pub is_primary: bool,
    pub deleted_at: Option<Timestamp>,
    /// The deletion that moved it to the trash.
    pub deletion_id: Option<DeletionId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The folded text for search.
    pub search_text: String,
}

impl ActiveModelBehavior for ActiveModel {}
