use sea_orm::entity::prelude::*;

/// The number of active users, on SQLite. Maintained by triggers and checked by `guildhall doctor`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts_user_count")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    pub active: i64,
}

impl ActiveModelBehavior for ActiveModel {}
