//! The audit.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use jangteo_application::{Audit, AuditReport};

use super::output::print;
use super::{complain, open_existing, settings};
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
    match check(sources).await.and_then(|report| show(report, arguments.json)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(VIOLATIONS),
        Err(error) => {
            complain(&error);
            ExitCode::from(COULD_NOT_CHECK)
        }
    }
}

async fn check(sources: &Sources) -> anyhow::Result<AuditReport> {
    let store = open_existing(&settings(sources)?).await?;
    let migrations = store.migrations().await.context("cannot read the state of the schema")?;
    let up_to_date = migrations.iter().all(|migration| migration.applied);
    ensure!(up_to_date, "the database schema is not up to date: run `jangteo migrate up` first");
    let report = store.audit().await.context("cannot check the data")?;
    store.close().await;
    Ok(report)
}

/// Tells whether everything adds up.
fn show(report: AuditReport, json: bool) -> anyhow::Result<bool> {
    let clean = report.is_clean();
    let shown = match json {
        true => serde_json::to_string_pretty(&AuditBody::from(report))?,
        false => lines(&report),
    };
    print(&format!("{shown}\n"))?;
    Ok(clean)
}

fn lines(report: &AuditReport) -> String {
    let mut lines = Vec::new();
    for check in &report.checks {
        let verdict = if check.violations.is_empty() { "ok " } else { "BAD" };
        lines.push(format!("{verdict}  {}", check.rule));
        lines.extend(check.violations.iter().map(|violation| format!("       {violation}")));
    }
    lines.push(if report.is_clean() { "everything adds up" } else { "there are violations" }.to_owned());
    lines.join("\n")
}
