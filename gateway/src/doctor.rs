//! `guildhall doctor`: looking at the whole installation.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use guildhall_accounts::SqlAccounts;
use guildhall_kernel::{
    Clock, Db,
    db::sqlite_file,
    doctor::{Finding, examine, examine_outbox},
    file::Files,
};

use crate::{Services, Settings};

/// Less space than this on the disk of the data folder is too little.
const LEAST_SPACE: u64 = 1 << 30;

/// Looks at everything; `fix` mends what is safe to mend, without it nothing is changed.
///
/// # Errors
/// Where the database cannot be reached at all.
pub(crate) async fn run(settings: &Settings, fix: bool) -> anyhow::Result<Vec<Finding>> {
    let mut findings = vec![address(settings), proxies(settings), limits(settings), space(settings)];
    findings.extend(files(settings, fix));
    if sqlite_file(&settings.database_url()).is_some_and(|file| !file.exists()) {
        findings.push(Finding::fault("database", "there is none yet; the first start of the server makes it"));
        return Ok(findings);
    }
    let (db, in_use) = Services::database(settings).await?;
    let ready = is_ready(&db, &mut findings).await;
    db.close().await?;
    drop(in_use);
    if !ready? {
        return Ok(findings);
    }
    let services = Services::open(settings, false).await?;
    let outcome = look(&services, fix, &mut findings).await;
    services.db.close().await?;
    outcome?;
    Ok(findings)
}

/// Are there tables and keys? Services that open make the keys; a look must not.
async fn is_ready(db: &Db, findings: &mut Vec<Finding>) -> anyhow::Result<bool> {
    let status = db.migration_status(guildhall_migration::all).await?;
    let pending: Vec<_> = status.into_iter().filter(|(_, applied)| !applied).map(|(name, _)| name).collect();
    if !pending.is_empty() {
        let message = format!("pending, so nothing else was looked at: {}", pending.join(", "));
        findings.push(Finding::fault("migrations", message));
        return Ok(false);
    }
    findings.push(Finding::ok("migrations", "every migration was applied"));
    let set_up = SqlAccounts::is_set_up(db).await? && Files::is_set_up(db).await?;
    if !set_up {
        let message = "there are no keys, so nothing else was looked at; the first start of the server makes them";
        findings.push(Finding::fault("signing_keys", message));
    }
    Ok(set_up)
}

async fn look(services: &Services, fix: bool, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let now = Clock::system().now();
    findings.push(match services.db.check_writable().await {
        Ok(()) => Finding::ok("database_write", "the database can be written"),
        Err(error) => Finding::fault("database_write", format!("the database cannot be written: {error}")),
    });
    findings.extend(examine(&services.db, now, fix).await?);
    findings.extend(services.accounts.examine(fix).await?);
    findings.extend(services.community.examine(fix).await.map_err(guildhall_kernel::Error::from)?);
    findings.extend(services.deals.examine(fix).await.map_err(guildhall_kernel::Error::from)?);
    findings.push(match services.community.rehearse().await {
        Ok(()) => Finding::ok("groups", "a group can be made and deleted"),
        Err(error) => Finding::fault("groups", format!("a group cannot be made and deleted: {error}")),
    });
    findings.push(match &services.mailer {
        None => Finding::note("mail", "there is no mail server (mail.smtp_url): letters stay in the outbox"),
        Some(mailer) => match mailer.check().await {
            Ok(()) => Finding::ok("mail", "the mail server answers"),
            Err(error) => Finding::fault("mail", format!("the mail server cannot be used: {error}")),
        },
    });
    findings.push(examine_outbox(&services.outbox, now, services.mailer.is_some()).await?);
    findings.extend(services.files.examine().await?);
    Ok(())
}

fn address(settings: &Settings) -> Finding {
    match settings.expected_url() {
        Ok(url) if url.is_https() => Finding::ok("public_url", format!("clients reach the server as {url}")),
        Ok(url) => Finding::note("public_url", format!("clients reach the server as {url}, without TLS")),
        Err(error) => Finding::fault("public_url", error.to_string()),
    }
}

fn proxies(settings: &Settings) -> Finding {
    let trusted = &settings.server.trusted_proxies;
    let everybody = trusted.iter().any(|network| network.ends_with("/0"));
    let behind_one = settings.server.public_url.starts_with("https://");
    if everybody {
        let message = "server.trusted_proxies trusts everybody: any client can say that it is another";
        return Finding::fault("trusted_proxies", message);
    }
    if behind_one && trusted.is_empty() {
        let message = "the server is reached over TLS, so through a proxy, but server.trusted_proxies is empty: \
                       all clients count as one";
        return Finding::note("trusted_proxies", message);
    }
    Finding::ok("trusted_proxies", format!("{} networks are trusted", trusted.len()))
}

fn limits(settings: &Settings) -> Finding {
    if settings.limits.enabled {
        Finding::ok("limits", "failures are counted")
    } else {
        Finding::fault("limits", "limits.enabled is false: passwords can be guessed without end")
    }
}

fn space(settings: &Settings) -> Finding {
    let folder = if settings.data_dir.exists() { settings.data_dir.as_path() } else { Path::new(".") };
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let message = format!("{} MiB are free for the data folder", free >> 20);
            if free < LEAST_SPACE { Finding::fault("disk", message) } else { Finding::ok("disk", message) }
        }
        Err(error) => Finding::note("disk", format!("the free space cannot be told: {error}")),
    }
}

/// What only the owner may read: the folder, the database and what SQLite puts beside it, and the files.
fn private_paths(settings: &Settings) -> Vec<(PathBuf, u32)> {
    let mut paths: Vec<_> = settings.files_folder().map(|folder| (folder, 0o700)).into_iter().collect();
    let Some(database) = sqlite_file(&settings.database_url()) else { return paths };
    let beside = |suffix: &str| {
        let mut path = database.clone().into_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    paths.extend([(database.clone(), 0o600), (beside("-wal"), 0o600), (beside("-shm"), 0o600)]);
    if settings.database.url.is_empty() {
        paths.push((settings.data_dir.clone(), 0o700));
    }
    paths
}

fn files(settings: &Settings, fix: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, mode) in private_paths(settings) {
        let Ok(found) = fs::metadata(&path) else { continue };
        if found.permissions().mode().trailing_zeros() >= 6 {
            // Nothing for the group, nothing for others.
            continue;
        }
        let shown = path.display();
        let finding = Finding::fault("file_modes", format!("{shown} can be read by others; it holds what is private"));
        let mended = fix && fs::set_permissions(&path, fs::Permissions::from_mode(mode)).is_ok();
        findings.push(if mended { finding.fixed() } else { finding });
    }
    if findings.is_empty() {
        findings.push(Finding::ok("file_modes", "nobody else can read the database or the files"));
    }
    findings
}
