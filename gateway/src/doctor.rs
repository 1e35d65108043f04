//! `guildhall doctor`: checks the whole installation.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use guildhall_accounts::SqlAccounts;
use guildhall_files::Files;
use guildhall_kernel::{
    Clock, Db,
    db::sqlite_file,
    doctor::{Finding, examine, examine_events, examine_outbox},
    secret,
};

use crate::{
    settings::Settings,
    wiring::{Services, bus},
};

/// Less free space than this in the data folder is an error.
const MIN_FREE_BYTES: u64 = 1 << 30;

/// Runs all checks. With `fix`, repairs what is safe to repair; without, changes nothing.
///
/// # Errors
/// The database cannot be reached.
pub(crate) async fn run(settings: &Settings, fix: bool) -> anyhow::Result<Vec<Finding>> {
    let mut findings = vec![address(settings), proxies(settings), limits(settings), space(settings)];
    findings.extend(files(settings, fix));
    if sqlite_file(&settings.database_url()).is_some_and(|file| !file.exists()) {
        findings.push(Finding::error("database", "does not exist yet; the first start of the server creates it"));
        return Ok(findings);
    }
    let (db, in_use) = Services::database(settings).await?;
    let ready = is_ready(settings, &db, &mut findings).await;
    db.close().await?;
    drop(in_use);
    if !ready? {
        return Ok(findings);
    }
    let services = Services::open(settings, false).await?;
    let outcome = check(settings, &services, fix, &mut findings).await;
    services.db.close().await?;
    outcome?;
    Ok(findings)
}

/// Whether there are tables and keys. Opening the services would create missing keys, which a check must not do.
async fn is_ready(settings: &Settings, db: &Db, findings: &mut Vec<Finding>) -> anyhow::Result<bool> {
    let status = db.migration_status(guildhall_migration::all).await?;
    let pending: Vec<_> = status.into_iter().filter(|(_, applied)| !applied).map(|(name, _)| name).collect();
    if !pending.is_empty() {
        let message = format!("pending, so the other checks were skipped: {}", pending.join(", "));
        findings.push(Finding::error("migrations", message));
        return Ok(false);
    }
    findings.push(Finding::ok("migrations", "all migrations are applied"));
    if !(SqlAccounts::is_set_up(db).await? && Files::is_set_up(db).await?) {
        let message = "there are no keys, so the other checks were skipped; the first start of the server creates them";
        findings.push(Finding::error("signing_keys", message));
        return Ok(false);
    }
    if !settings.nats.url.is_empty() && !secret::exists(db, bus::SECRET).await? {
        let message = "the secret for nats.url does not exist yet, so the other checks were skipped; \
                       the next start of the server creates it";
        findings.push(Finding::note("bus", message));
        return Ok(false);
    }
    Ok(true)
}

async fn check(settings: &Settings, services: &Services, fix: bool, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let now = Clock::system().now();
    findings.push(match services.db.check_writable().await {
        Ok(()) => Finding::ok("database_write", "the database can be written"),
        Err(error) => Finding::error("database_write", format!("the database cannot be written: {error}")),
    });
    findings.extend(examine(&services.db, now, fix).await?);
    findings.push(examine_events(&services.events, fix).await?);
    findings.extend(services.accounts.examine(fix).await?);
    findings.extend(services.community.examine(fix).await.map_err(guildhall_kernel::Error::from)?);
    findings.extend(services.deals.examine(fix).await.map_err(guildhall_kernel::Error::from)?);
    findings.extend(services.messaging.examine(fix).await.map_err(guildhall_kernel::Error::from)?);
    findings.extend(services.chat.examine(fix).await.map_err(guildhall_kernel::Error::from)?);
    findings.push(services.messaging.examine_keys().await.map_err(guildhall_kernel::Error::from)?);
    findings.push(services.streams.examine_keys().await?);
    findings.push(match services.community.dry_run().await {
        Ok(()) => Finding::ok("groups", "a group can be created and deleted"),
        Err(error) => Finding::error("groups", format!("a group cannot be created and deleted: {error}")),
    });
    findings.push(match &services.mailer {
        None => Finding::note("mail", "no mail server is configured (mail.smtp_url): emails stay in the outbox"),
        Some(mailer) => match mailer.check().await {
            Ok(()) => Finding::ok("mail", "the mail server is reachable"),
            Err(error) => Finding::error("mail", format!("the mail server cannot be used: {error}")),
        },
    });
    findings.push(notifies(services.streams.can_connect().await, !settings.nats.url.is_empty()));
    findings.push(examine_outbox(&services.outbox, now, services.mailer.is_some()).await?);
    findings.extend(services.files.examine().await?);
    Ok(())
}

/// Whether other processes can be notified, by NATS or by LISTEN and NOTIFY of PostgreSQL.
fn notifies(can_connect: bool, by_nats: bool) -> Finding {
    match (can_connect, by_nats) {
        (true, _) => Finding::ok("bus", "other processes can be notified"),
        (false, true) => Finding::error("bus", "the NATS server cannot be used; is nats.url right?"),
        (false, false) => Finding::error(
            "bus",
            "LISTEN does not work on database.url, perhaps because of a connection pooler: connect directly, or set \
             nats.url",
        ),
    }
}

fn address(settings: &Settings) -> Finding {
    match settings.expected_url() {
        Ok(url) if url.is_https() => Finding::ok("public_url", format!("the public URL is {url}")),
        Ok(url) => Finding::note("public_url", format!("the public URL is {url}, without TLS")),
        Err(error) => Finding::error("public_url", error.to_string()),
    }
}

fn proxies(settings: &Settings) -> Finding {
    let trusted = &settings.server.trusted_proxies;
    let trusts_all = trusted.iter().any(|network| network.ends_with("/0"));
    let behind_proxy = settings.server.public_url.starts_with("https://");
    if trusts_all {
        let message = "server.trusted_proxies trusts every address: any client can spoof another";
        return Finding::error("trusted_proxies", message);
    }
    if behind_proxy && trusted.is_empty() {
        let message = "the public URL is https, so there is a proxy, but server.trusted_proxies is empty: \
                       all clients count as one";
        return Finding::note("trusted_proxies", message);
    }
    Finding::ok("trusted_proxies", format!("{} networks are trusted", trusted.len()))
}

fn limits(settings: &Settings) -> Finding {
    if settings.limits.enabled {
        Finding::ok("limits", "rate limits and throttles are enforced")
    } else {
        Finding::error("limits", "limits.enabled is false: password guessing is not limited")
    }
}

fn space(settings: &Settings) -> Finding {
    let folder = if settings.data_dir.exists() { settings.data_dir.as_path() } else { Path::new(".") };
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let message = format!("{} MiB are free for the data folder", free >> 20);
            if free < MIN_FREE_BYTES { Finding::error("disk", message) } else { Finding::ok("disk", message) }
        }
        Err(error) => Finding::note("disk", format!("cannot determine the free space: {error}")),
    }
}

/// Paths that only the owner may read, with their modes: data folder, database with SQLite's files, and uploads.
fn private_paths(settings: &Settings) -> Vec<(PathBuf, u32)> {
    let mut paths: Vec<_> = settings.files_folder().map(|folder| (folder, 0o700)).into_iter().collect();
    let Some(database) = sqlite_file(&settings.database_url()) else { return paths };
    let with_suffix = |suffix: &str| {
        let mut path = database.clone().into_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    paths.extend([(database.clone(), 0o600), (with_suffix("-wal"), 0o600), (with_suffix("-shm"), 0o600)]);
    if settings.database.url.is_empty() {
        paths.push((settings.data_dir.clone(), 0o700));
    }
    paths
}

fn files(settings: &Settings, fix: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, mode) in private_paths(settings) {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.permissions().mode().trailing_zeros() >= 6 {
            // No permissions for group and others.
            continue;
        }
        let path_text = path.display();
        let finding = Finding::error("file_modes", format!("{path_text} can be read by other users"));
        let repaired = fix && fs::set_permissions(&path, fs::Permissions::from_mode(mode)).is_ok();
        findings.push(if repaired { finding.fixed() } else { finding });
    }
    if findings.is_empty() {
        findings.push(Finding::ok("file_modes", "other users cannot read the database or the files"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_about_other_processes_names_the_setting_to_change() {
        assert!(!notifies(true, false).is_error() && !notifies(true, true).is_error());
        let (nats, listen) = (notifies(false, true), notifies(false, false));
        assert!(nats.is_error() && nats.message.contains("nats.url") && !nats.message.contains("LISTEN"));
        assert!(listen.is_error() && listen.message.starts_with("LISTEN does not work on database.url"));
    }
}
