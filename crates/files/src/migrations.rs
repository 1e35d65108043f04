use guildhall_kernel::migration;
use sea_orm_migration::MigrationTrait;

/// The tables of this crate.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(migration!("m20250101_000030_files", and_per_backend))]
}
