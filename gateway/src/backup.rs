//! `guildhall backup` and `guildhall restore`, for the embedded database.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use guildhall_kernel::{Clock, Db, Timestamp, db::sqlite_file, doctor::examine};

use crate::{
    settings::{Settings, sqlite_url},
    wiring::{Services, lock_file},
};

/// Writes a consistent copy of the database to `path`, even while the server runs, and verifies it. Returns its size.
///
/// # Errors
/// The database is not embedded, the file exists and `force` is not set, or the copy is damaged.
pub(crate) async fn backup(settings: &Settings, path: &Path, force: bool) -> anyhow::Result<u64> {
    let source = embedded(settings)?;
    ensure!(source.exists(), "there is no database at {} yet", source.display());
    ensure!(force || !path.exists(), "{} exists; --force replaces it", path.display());
    let draft = with_suffix(path, ".part");
    let _ = fs::remove_file(&draft);
    private_file(&draft)?;
    let outcome = copy(settings, &draft).await;
    if outcome.is_err() {
        let _ = fs::remove_file(&draft);
    }
    outcome?;
    fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(fs::metadata(path)?.len())
}

async fn copy(settings: &Settings, draft: &Path) -> anyhow::Result<()> {
    let (db, _in_use) = Services::database(settings).await?;
    let copied = db.copy_to(draft).await;
    db.close().await?;
    copied?;
    verify(draft).await?;
    Ok(File::open(draft)?.sync_all()?)
}

/// Replaces the database with a copy. The previous database is moved aside; returns its new path.
///
/// # Errors
/// The server is running, or the copy is not an intact database of this version or an earlier one.
pub(crate) async fn restore(settings: &Settings, path: &Path) -> anyhow::Result<Option<PathBuf>> {
    let target = embedded(settings)?;
    ensure!(path.exists(), "there is no file {}", path.display());
    let lock = lock_file(settings)?.context("the database is not embedded")?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("the database is in use; stop the server first"),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let draft = with_suffix(&target, ".restoring");
    let _ = fs::remove_file(&draft);
    let mut output = private_file(&draft)?;
    io::copy(&mut File::open(path)?, &mut output).with_context(|| format!("cannot copy {}", path.display()))?;
    output.sync_all()?;
    drop(output);
    if let Err(error) = verify(&draft).await {
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    let previous = set_aside(&target).await?;
    if let Err(error) = fs::rename(&draft, &target) {
        // Move it back, or the next start would create an empty database.
        if let Some(previous) = &previous {
            fs::rename(previous, &target)?;
        }
        return Err(error.into());
    }
    Ok(previous)
}

/// Does what remains after the database was restored by other means.
///
/// # Errors
/// Those of the database.
pub(crate) async fn finish(settings: &Settings) -> anyhow::Result<()> {
    let (db, _in_use) = Services::database(settings).await?;
    let begun = begin_epoch(&db).await;
    db.close().await?;
    begun.context("cannot mark the database as restored")
}

/// Moves a database aside, including the contents of its write-ahead log.
async fn set_aside(target: &Path) -> anyhow::Result<Option<PathBuf>> {
    if !target.exists() {
        return Ok(None);
    }
    let checkpointed = match Db::connect(&sqlite_url(target, "rw"), 1).await {
        Ok(db) => db.close().await,
        Err(error) => Err(error),
    };
    if let Err(error) = checkpointed {
        tracing::warn!(%error, "cannot open the current database; it is moved aside as it is");
    }
    let previous = with_suffix(target, &format!(".before-{}", Timestamp::now().unix_seconds()));
    fs::rename(target, &previous)?;
    for suffix in ["-wal", "-shm"] {
        let (log, previous_log) = (with_suffix(target, suffix), with_suffix(&previous, suffix));
        if log.exists() {
            fs::rename(log, previous_log)?;
        }
    }
    Ok(Some(previous))
}

/// Checks that the file is an intact Guildhall database and not from a newer version.
async fn verify(path: &Path) -> anyhow::Result<()> {
    let db = Db::connect(&sqlite_url(path, "rw"), 1)
        .await
        .with_context(|| format!("{} is not a database", path.display()))?;
    let outcome = check(&db).await;
    db.close().await?;
    outcome.with_context(|| format!("{} cannot be used", path.display()))
}

async fn check(db: &Db) -> anyhow::Result<()> {
    for finding in examine(db, Clock::system().now(), false).await? {
        ensure!(!finding.is_error(), "{}", finding.message);
    }
    begin_epoch(db).await
}

/// Begins an epoch in a database that contains the tables of this version or an earlier one: clients must not resume
/// from numbers that were used for other events after the backup. Databases from before there were epochs need none.
async fn begin_epoch(db: &Db) -> anyhow::Result<()> {
    // Fails for a database with migrations that this program does not know.
    db.check_version(guildhall_migration::all).await?;
    let status = db.migration_status(guildhall_migration::all).await?;
    ensure!(status.iter().any(|(_, applied)| *applied), "it contains no Guildhall tables");
    if status.iter().any(|(name, applied)| *applied && name.ends_with("_realtime_epoch")) {
        guildhall_realtime::begin_epoch(db, Clock::system().now()).await?;
    }
    Ok(())
}

fn embedded(settings: &Settings) -> anyhow::Result<PathBuf> {
    let file = sqlite_file(&settings.database_url());
    file.context("the database is PostgreSQL; use pg_dump and pg_restore, then guildhall restore --finish")
}

fn private_file(path: &Path) -> anyhow::Result<File> {
    let file = File::options().create_new(true).write(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot create {}", path.display()))
}

/// Appends a suffix to a path.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
