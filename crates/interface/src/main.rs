//! The `jangteo` command.

use std::process::ExitCode;

use clap::Parser;
use jangteo::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
