//! The database schema.

#![expect(clippy::print_stdout, reason = "its output is what the command is for")]

use clap::Subcommand;

use super::open;
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
    let (_, store) = open(sources).await?;
    match direction {
        Direction::Up => println!("migrations applied: {}", store.migrate_up().await?),
        Direction::Down => match store.migrate_down().await? {
            true => println!("the last migration was taken back"),
            false => println!("there was nothing to take back"),
        },
        Direction::Status => {
            for migration in store.migrations().await? {
                let state = if migration.applied { "applied" } else { "pending" };
                println!("{state}  {}", migration.name);
            }
        }
    }
    store.close().await;
    Ok(())
}
