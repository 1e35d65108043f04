//! Checks of the store.

use guildhall_kernel::{Result, count_up_to, doctor::Finding};
use sea_orm::{EntityTrait, QueryFilter};

use super::Files;
use crate::entity::garbage;

/// The number of files awaiting deletion above which the doctor reports it.
const MAX_GARBAGE: u64 = 5000;

impl Files {
    /// Checks that the store works and that deletions keep up.
    pub async fn examine(&self) -> Result<Vec<Finding>> {
        let store = match self.shared.store.check().await {
            Ok(()) => Finding::ok("files", "files can be written, read and deleted"),
            Err(error) => Finding::error("files", format!("the file store does not work: {error}")),
        };
        let due = garbage::COLUMN.due_at.lte(self.shared.clock.now());
        let waiting = count_up_to(garbage::Entity::find().filter(due), self.shared.db.conn()).await?;
        let message = format!("{waiting} files to be deleted from the store");
        let pending = if waiting > MAX_GARBAGE {
            Finding::note("file_garbage", message)
        } else {
            Finding::ok("file_garbage", message)
        };
        Ok(vec![store, pending])
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::doctor::Severity;

    use crate::testing::{ANNA, HOUR, Kit, text};

    #[tokio::test]
    async fn the_doctor_reports_a_broken_store_and_pending_deletions() {
        let kit = Kit::new().await;
        kit.files.store(ANNA, text("hello")).await.unwrap();
        let found = kit.files.examine().await.unwrap();
        assert!(found.iter().all(|finding| finding.severity == Severity::Ok), "{found:?}");
        assert_eq!(kit.store.names().len(), 1, "the check deletes its object");
        kit.advance(HOUR);
        kit.store.set_broken(true);
        let found = kit.files.examine().await.unwrap();
        assert!(found[0].is_error() && found[0].message.contains("the store is broken"), "{found:?}");
        assert!(found[1].message.starts_with("1 files to be deleted"), "{found:?}");
    }
}
