//! The database schema.

use clap::Subcommand;
use jangteo_infra_database::{MigrationStatus, Store};

use super::output::print;
use super::{open, open_existing, settings};
use crate::config::Sources;

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum Direction {
    /// Apply every migration that is missing
    Up,
    /// Take the last migration back, together with the data in what it created
    Down,
    /// Show every migration and whether it was applied
    Status,
}

pub(super) async fn run(sources: &Sources, direction: Direction) -> anyhow::Result<()> {
    let settings = settings(sources)?;
    let store = match direction {
        Direction::Up => open(&settings).await?,
        Direction::Down | Direction::Status => open_existing(&settings).await?,
    };
    print(&done(&store, direction).await?)?;
    store.close().await;
    Ok(())
}

/// Does it, and says what was done.
async fn done(store: &Store, direction: Direction) -> anyhow::Result<String> {
    Ok(match direction {
        Direction::Up => format!("migrations applied: {}\n", store.migrate_up().await?),
        Direction::Down => match store.migrate_down().await? {
            true => "the last migration was taken back\n".to_owned(),
            false => "there was nothing to take back\n".to_owned(),
        },
        Direction::Status => store.migrations().await?.iter().map(line).collect(),
    })
}

fn line(migration: &MigrationStatus) -> String {
    let state = if migration.applied { "applied" } else { "pending" };
    format!("{state}  {}\n", migration.name)
}
