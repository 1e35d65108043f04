use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

/// A network that a user has signed in from.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_known_network")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// A keyed hash of the network.
    #[sea_orm(primary_key, auto_increment = false)]
    pub network: Vec<u8>,
    pub last_seen_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
