use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

/// A key that signs tokens; stored in the database, so that every node has it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_signing_key")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(unique)]
    pub kid: String,
    /// The private key; empty once it is no longer needed to sign.
    pub seed: Seed,
    /// `NULL` in rows of the first version, where it is derived from the seed.
    pub public_key: Option<Vec<u8>>,
    /// At most one key signs.
    pub is_active: bool,
    pub created_at: Timestamp,
    pub retired_at: Option<Timestamp>,
    /// When the tokens of a retired key become invalid.
    pub verifies_until: Option<Timestamp>,
}

/// A secret key, such as an Ed25519 seed (RFC 8032 §5.1.5); redacted in debug output.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct Seed(pub Vec<u8>);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

impl ActiveModelBehavior for ActiveModel {}
