//! The tables, one module each.
#![expect(unreachable_pub, reason = "SeaORM makes public items beside the structs")]

pub(crate) mod group;
pub(crate) mod membership;

#[cfg(test)]
mod tests {
    use guildhall_kernel::{
        HostTables,
        db::SqlMigration,
        testing::{assert_no_drift, table},
    };
    use sea_orm_migration::MigrationTrait;

    use super::*;

    fn beside_a_user_table() -> Vec<Box<dyn MigrationTrait>> {
        let people =
            SqlMigration::new("m20240101_000000_people", "CREATE TABLE people (id {id});", "DROP TABLE people;");
        let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
        all.extend(crate::migrations(&HostTables { users: "people" }));
        all
    }

    #[tokio::test]
    async fn the_migrations_make_what_the_entities_describe() {
        let tables = vec![table(group::Entity), table(membership::Entity)];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("community_", tables, beside_a_user_table, snapshots).await;
    }
}
