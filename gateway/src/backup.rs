//! `guildhall backup` and `guildhall restore`: copies of the embedded database.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use guildhall_kernel::{Clock, Db, Timestamp, db::sqlite_file, doctor::examine};

use crate::{Services, Settings, wiring};

/// Writes a consistent copy of the database into `path`, while the server runs, and looks whether it
/// can be opened.
///
/// # Errors
/// Where the database is not embedded, the file exists and `force` is not given, or the copy is damaged.
pub(crate) async fn backup(settings: &Settings, path: &Path, force: bool) -> anyhow::Result<u64> {
    let source = embedded(settings)?;
    ensure!(source.exists(), "there is no database at {} yet", source.display());
    ensure!(force || !path.exists(), "{} exists; --force replaces it", path.display());
    let draft = beside(path, ".part");
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

/// Puts a copy in the database's place. What was there is kept beside it; gives where.
///
/// # Errors
/// Where the server runs, or the copy is no sound database of this version or an earlier one.
pub(crate) async fn restore(settings: &Settings, path: &Path) -> anyhow::Result<Option<PathBuf>> {
    let target = embedded(settings)?;
    ensure!(path.exists(), "there is no file {}", path.display());
    let lock = wiring::lock_file(settings)?.context("the database is not embedded")?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("the database is in use; stop the server first"),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let draft = beside(&target, ".restoring");
    let _ = fs::remove_file(&draft);
    let mut to = private_file(&draft)?;
    io::copy(&mut File::open(path)?, &mut to).with_context(|| format!("cannot copy {}", path.display()))?;
    to.sync_all()?;
    drop(to);
    if let Err(error) = verify(&draft).await {
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    let kept = set_aside(&target).await?;
    if let Err(error) = fs::rename(&draft, &target) {
        // Back to how it was, or the next start would make an empty database.
        if let Some(kept) = &kept {
            fs::rename(kept, &target)?;
        }
        return Err(error.into());
    }
    Ok(kept)
}

/// Moves a database out of the way, whole: with what its log still held.
async fn set_aside(target: &Path) -> anyhow::Result<Option<PathBuf>> {
    if !target.exists() {
        return Ok(None);
    }
    let folded = match Db::connect(&address(target), 1).await {
        Ok(db) => db.close().await,
        Err(error) => Err(error),
    };
    if let Err(error) = folded {
        tracing::warn!(%error, "the present database cannot be opened; it is kept as it is");
    }
    let kept = beside(target, &format!(".before-{}", Timestamp::now().unix_seconds()));
    fs::rename(target, &kept)?;
    for suffix in ["-wal", "-shm"] {
        let (log, kept_log) = (beside(target, suffix), beside(&kept, suffix));
        if log.exists() {
            fs::rename(log, kept_log)?;
        }
    }
    Ok(Some(kept))
}

/// Is it a database of ours, sound, and not from a newer version?
async fn verify(path: &Path) -> anyhow::Result<()> {
    let db = Db::connect(&address(path), 1).await.with_context(|| format!("{} is no database", path.display()))?;
    let outcome = look(&db).await;
    db.close().await?;
    outcome.with_context(|| format!("{} cannot be used", path.display()))
}

async fn look(db: &Db) -> anyhow::Result<()> {
    for finding in examine(db, Clock::system().now(), false).await? {
        ensure!(!finding.is_fault(), "{}", finding.message);
    }
    let status = db.migration_status(guildhall_migration::all).await?;
    ensure!(status.iter().any(|(_, applied)| *applied), "it holds no tables of Guildhall");
    // Refuses a database that holds migrations which this program does not know.
    Ok(db.check_version(guildhall_migration::all).await?)
}

fn embedded(settings: &Settings) -> anyhow::Result<PathBuf> {
    let file = sqlite_file(&settings.database_url());
    file.context("the database is PostgreSQL: use pg_dump and pg_restore, which copy it while it runs")
}

fn address(path: &Path) -> String {
    let path = path.display().to_string().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{path}?mode=rw")
}

fn private_file(path: &Path) -> anyhow::Result<File> {
    let made = File::options().create_new(true).write(true).mode(0o600).open(path);
    made.with_context(|| format!("cannot make {}", path.display()))
}

/// A path with something after it.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
