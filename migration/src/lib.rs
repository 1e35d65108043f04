//! The migrations of all Guildhall crates, as applied by `guildhall migrate`.
//!
//! Each crate provides its own. They get the name of the user table and are sorted by name, which begins with a date.
//! They run through [`Db::migrate`](guildhall_kernel::Db::migrate).

use guildhall_kernel::HostTables;
use sea_orm_migration::MigrationTrait;

/// All migrations, oldest first.
pub fn all() -> Vec<Box<dyn MigrationTrait>> {
    let host = HostTables { users: guildhall_accounts::USERS };
    let mut all = guildhall_accounts::migrations();
    all.extend(guildhall_kernel::migrations(&host));
    all.extend(guildhall_files::migrations());
    all.extend(guildhall_community::migrations(&host));
    all.extend(guildhall_deals::migrations(&host));
    all.extend(guildhall_realtime::migrations(&host));
    all.extend(guildhall_messaging::migrations(&host));
    all.extend(guildhall_chat::migrations(&host));
    all.extend(guildhall_notifications::migrations(&host));
    all.sort_by(|one, other| one.name().cmp(other.name()));
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn names_are_dated_and_unique() {
        let all = super::all();
        let names: HashSet<_> = all.iter().map(|migration| migration.name().to_owned()).collect();
        assert_eq!(names.len(), all.len());
        for name in names {
            let (date, rest) = name.split_at(17);
            assert!(date.starts_with('m') && date[1..9].bytes().all(|b| b.is_ascii_digit()), "{name}");
            assert!(rest.starts_with('_') || date.ends_with('_'), "{name}");
        }
    }
}
