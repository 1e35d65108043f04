use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

/// A key that tokens are signed with; in the database, so that every node has it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_signing_key")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(unique)]
    pub kid: String,
    /// Empty once it is no longer needed to sign.
    pub seed: Seed,
    /// None in rows of the first version: it follows from the seed.
    pub public_key: Option<Vec<u8>>,
    /// At most one key signs.
    pub is_active: bool,
    pub created_at: Timestamp,
    pub retired_at: Option<Timestamp>,
    /// A retired key is good until then for what it has signed.
    pub verifies_until: Option<Timestamp>,
}

/// An Ed25519 seed (RFC 8032 §5.1.5), which is never printed.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct Seed(pub Vec<u8>);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

impl ActiveModelBehavior for ActiveModel {}
