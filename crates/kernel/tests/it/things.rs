//! A small table for tests of the kernel.

use guildhall_kernel::{Keyed, db::SqlMigration, define_id};
use sea_orm::{DerivePartialModel, entity::prelude::*};
use sea_orm_migration::MigrationTrait;

define_id!(
    /// A thing.
    ThingId
);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "thing")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub id: ThingId,
    #[sea_orm(unique)]
    pub name: String,
    pub parent_id: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Debug, PartialEq, Eq, DerivePartialModel)]
#[sea_orm(entity = "Entity")]
pub(crate) struct Thing {
    pub id: ThingId,
    pub name: String,
}

impl Keyed for Thing {
    fn key(&self) -> i64 {
        self.id.0
    }
}

pub(crate) fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    let up = "CREATE TABLE thing (
            id {id},
            name text NOT NULL UNIQUE,
            parent_id bigint REFERENCES {things} (id) ON DELETE RESTRICT
        );
        CREATE INDEX thing_parent_id ON thing (parent_id, id);";
    let things = SqlMigration::new("m20250101_000000_things", up, "DROP TABLE thing;");
    vec![Box::new(things.with("things", "thing"))]
}
