//! The bus between the processes of an installation.

use std::{fmt::Write, sync::Arc};

use guildhall_kernel::{Db, secret};
use guildhall_platform::NatsBus;
use guildhall_realtime::{Bus, PostgresBus, SingleProcess};

use crate::settings::Settings;

/// The secret from which the NATS subject of the installation follows: others on the same server cannot guess it.
pub(crate) const SECRET: &str = "realtime.bus";

/// The bus of the settings: NATS, else PostgreSQL. With SQLite there is one process.
pub(super) async fn open(settings: &Settings, db: &Db) -> anyhow::Result<Arc<dyn Bus>> {
    if !settings.nats.url.is_empty() {
        let mut subject = "guildhall.".to_owned();
        for byte in &secret::open(db, SECRET).await?[..16] {
            write!(subject, "{byte:02x}")?;
        }
        return match NatsBus::new(&settings.nats.url, subject) {
            Ok(bus) => Ok(Arc::new(bus)),
            Err(error) => anyhow::bail!("nats.url {error}"),
        };
    }
    match PostgresBus::new(db.clone())? {
        Some(bus) => Ok(Arc::new(bus)),
        None => Ok(Arc::new(SingleProcess)),
    }
}
