//! A small table to try the kernel on.

use async_trait::async_trait;
use guildhall_kernel::{Keyed, define_id};
use sea_orm::{DerivePartialModel, entity::prelude::*};
use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager,
    schema::{big_integer_null, pk_auto, string_uniq},
    sea_query::{ForeignKey, ForeignKeyAction, Index, Table},
};

define_id!(
    /// A thing.
    ThingId
);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "thing")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ThingId,
    #[sea_orm(unique)]
    pub name: String,
    pub parent_id: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Clone, Debug, PartialEq, Eq, DerivePartialModel)]
#[sea_orm(entity = "Entity")]
pub struct Thing {
    pub id: ThingId,
    pub name: String,
}

impl Keyed for Thing {
    fn key(&self) -> i64 {
        self.id.0
    }
}

pub struct MakeThings;

impl MigrationName for MakeThings {
    fn name(&self) -> &'static str {
        "m20250101_000000_things"
    }
}

#[async_trait]
impl MigrationTrait for MakeThings {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let parent = ForeignKey::create()
            .from("thing", "parent_id")
            .to("thing", "id")
            .on_delete(ForeignKeyAction::Restrict)
            .to_owned();
        let mut table = Table::create();
        table
            .table("thing")
            .col(pk_auto("id").big_integer())
            .col(string_uniq("name"));
        table
            .col(big_integer_null("parent_id"))
            .foreign_key(&mut parent.clone());
        manager.create_table(table).await?;
        let index = Index::create()
            .name("thing_parent_id")
            .table("thing")
            .col("parent_id")
            .to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("thing").to_owned())
            .await
    }
}

pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(MakeThings)]
}
