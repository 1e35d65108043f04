//! The lock of an embedded database: while it is in use, it is not replaced.

use std::{
    fs::{File, TryLockError},
    os::unix::fs::OpenOptionsExt,
    sync::Arc,
};

use anyhow::Context;
use guildhall_kernel::db::sqlite_file;

use crate::settings::Settings;

/// Marks an embedded database as in use, with a lock on a file next to it.
#[derive(Clone)]
pub struct InUse {
    _file: Option<Arc<File>>,
}

impl InUse {
    pub(super) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let refusal = "the database is being replaced by `guildhall restore`, or filled by `guildhall demo`";
        Self::locked(settings, File::try_lock_shared, refusal)
    }

    /// Like [`Self::new`], for a process without others beside it.
    pub(super) fn alone(settings: &Settings) -> anyhow::Result<Self> {
        Self::locked(settings, File::try_lock, "the database is in use; stop the server first")
    }

    fn locked(
        settings: &Settings,
        lock: fn(&File) -> Result<(), TryLockError>,
        refusal: &'static str,
    ) -> anyhow::Result<Self> {
        let Some(file) = lock_file(settings)? else { return Ok(Self { _file: None }) };
        match lock(&file) {
            Ok(()) => Ok(Self { _file: Some(Arc::new(file)) }),
            Err(TryLockError::WouldBlock) => anyhow::bail!(refusal),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// Opens the lock file of an embedded database.
pub(crate) fn lock_file(settings: &Settings) -> anyhow::Result<Option<File>> {
    let Some(database) = sqlite_file(&settings.database_url()) else { return Ok(None) };
    if settings.database.url.is_empty() {
        private_folder(&settings.data_dir)?;
    }
    let mut path = database.into_os_string();
    path.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
    Ok(Some(file.with_context(|| format!("cannot create {}", path.display()))?))
}

/// Creates a folder that only its owner can read, because the database contains the signing keys.
fn private_folder(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    let outcome = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    outcome.map_err(|error| anyhow::anyhow!("cannot create the data folder {}: {error}", path.display()))
}
