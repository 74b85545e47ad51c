//! Development tasks, run as `cargo xtask <task>`.

#![expect(clippy::print_stdout, reason = "its output is what a task is for")]

mod bench;
mod cargo;
mod ci;
mod fuzz;
mod k6;
mod python;
mod servers;
mod shop;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

/// Development tasks of Jangteo.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Run every test, with a MariaDB, a Redis and a broker found or started for them.
    Test {
        /// Passed on to `cargo test`, for instance a part of a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check the project's own conventions.
    Tidy,
    /// Everything that must pass before a change is merged.
    Ci,
    /// Send the server requests that are made up from its own document, and hold the answers against it.
    Fuzz {
        /// Passed on to schemathesis, for instance `--max-examples 500` or `--include-path /api/v1/orders`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run each script for k6 for a moment against a demo shop.
    K6 {
        /// Passed on to k6, for instance `--verbose` or `--env DURATION=30s`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the server for release and run the benchmark against it, or put load on a deployment with --url.
    Bench {
        /// Passed on to the benchmark; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Test { arguments } => test::run(&arguments).map(|summary| summary.print()),
        Task::Tidy => tidy::run().map(|()| ExitCode::SUCCESS),
        Task::Ci => ci::run(),
        Task::Fuzz { arguments } => fuzz::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::K6 { arguments } => k6::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Bench { arguments } => bench::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
