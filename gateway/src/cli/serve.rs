//! `guildhall serve`.

use std::{io, path::PathBuf};

use anyhow::bail;
use clap::Args;
use guildhall_kernel::cipher::KeyUse;
use guildhall_web::SetupLink;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::print_line;
use crate::{logging, server::Server, settings::Settings, wiring::Services};

#[derive(Args)]
pub(super) struct Command {
    /// Address and port to listen on (`server.bind`)
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) bind: Option<String>,
    /// Do not apply pending migrations
    #[arg(long)]
    no_migrate: bool,
}

impl Command {
    /// `missing_file` is the settings file that does not exist, if any.
    pub(super) async fn run(self, settings: &Settings, missing_file: Option<PathBuf>) -> anyhow::Result<()> {
        logging::start(&settings.log)?;
        if let Some(file) = missing_file {
            tracing::warn!(file = %file.display(), "the file that GUILDHALL_ENV names does not exist");
        }
        let services = Services::open_to_serve(settings, !self.no_migrate).await?;
        warn_of_missing_keys(&services).await;
        let setup = services.setup.clone();
        // Installed before anybody can know that the server is running.
        let mut signals = Signals::listen()?;
        let server = Server::start(settings, services).await?;
        print_startup_messages(settings, &server, setup.as_ref())?;
        tracing::info!(address = %server.address(), "the server is ready");
        signals.received().await;
        tracing::info!("the server is shutting down");
        tokio::select! {
            stopped = server.stop() => stopped?,
            () = signals.received() => bail!("aborted by a second signal"),
        }
        tracing::info!("the server has stopped");
        Ok(())
    }
}

/// Reports messages and events that cannot be read.
async fn warn_of_missing_keys(services: &Services) {
    match services.missing_keys().await {
        Ok(missing) => {
            for KeyUse { column, key_id, rows } in missing {
                let message = "rows cannot be read: their key is not among encryption.keys";
                tracing::warn!(column, key.id = key_id, rows, message);
            }
        }
        Err(error) => tracing::warn!(%error, "could not check whether all messages can be read"),
    }
}

fn print_startup_messages(settings: &Settings, server: &Server, setup: Option<&SetupLink>) -> anyhow::Result<()> {
    let url = settings.public_url(server.address())?;
    print_line(format_args!("Guildhall listens on http://{}, public URL {url}", server.address()))?;
    print_line(format_args!("API documentation: {url}/api/docs"))?;
    if let Some(link) = setup.and_then(|setup| setup.url(&url)) {
        let program = std::env::args().next().unwrap_or_else(|| "guildhall".to_owned());
        print_line("There is no superuser yet. Create one within an hour on this page:")?;
        print_line(format_args!("  {link}"))?;
        print_line("or in another terminal:")?;
        print_line(format_args!("  {program} user create --username admin --email you@example.org --role superuser"))?;
    }
    match settings.mail_host() {
        Some(host) => print_line(format_args!("Emails are sent through {host}.")),
        None => print_line("No mail server is configured (mail.smtp_url): emails stay in the outbox."),
    }
}

/// The signals that stop the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
