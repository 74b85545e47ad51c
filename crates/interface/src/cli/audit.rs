//! The audit.

#![expect(clippy::print_stdout, reason = "its output is what the command is for")]

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use jangteo_application::{Audit, AuditReport};

use super::{complain, open};
use crate::config::Sources;
use crate::http::AuditBody;

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const VIOLATIONS: u8 = 1;
const COULD_NOT_CHECK: u8 = 2;

pub(super) async fn run(sources: &Sources, arguments: Arguments) -> ExitCode {
    match check(sources).await.and_then(|report| print(report, arguments.json)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(VIOLATIONS),
        Err(error) => {
            complain(&error);
            ExitCode::from(COULD_NOT_CHECK)
        }
    }
}

async fn check(sources: &Sources) -> anyhow::Result<AuditReport> {
    let (_, store) = open(sources).await?;
    let migrations = store.migrations().await.context("cannot read the state of the schema")?;
    let up_to_date = migrations.iter().all(|migration| migration.applied);
    ensure!(up_to_date, "the database schema is not up to date: run `jangteo migrate up` first");
    let report = store.audit().await.context("cannot check the data")?;
    store.close().await;
    Ok(report)
}

/// Tells whether everything adds up.
fn print(report: AuditReport, json: bool) -> anyhow::Result<bool> {
    let clean = report.is_clean();
    if json {
        println!("{}", serde_json::to_string_pretty(&AuditBody::from(report))?);
        return Ok(clean);
    }
    for check in &report.checks {
        let verdict = if check.violations.is_empty() { "ok " } else { "BAD" };
        println!("{verdict}  {}", check.rule);
        for violation in &check.violations {
            println!("       {violation}");
        }
    }
    println!("{}", if clean { "everything adds up" } else { "there are violations" });
    Ok(clean)
}
