//! `guildhall doctor`.

use std::process::ExitCode;

use clap::Args;
use guildhall_kernel::doctor::{Finding, Severity};

use super::print_line;
use crate::{doctor, settings::Settings};

#[derive(Args)]
pub(super) struct Command {
    /// Repair what is safe to repair: counters, totals, sequences, failed events, expired tokens, file modes
    #[arg(long)]
    fix: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let findings = doctor::run(settings, self.fix).await?;
        if self.json {
            print_line(serde_json::to_string_pretty(&findings)?)?;
        } else {
            for finding in &findings {
                let label = match finding.severity {
                    _ if finding.fixed => "fixed",
                    Severity::Ok => "ok",
                    Severity::Note => "note",
                    Severity::Error => "ERROR",
                };
                print_line(format_args!("{label:<6} {:<16} {}", finding.check, finding.message))?;
            }
        }
        let healthy = !findings.iter().any(Finding::is_error);
        Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
