//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use jangteo_application::SystemClock;

use crate::config::{Settings, Sources};
use crate::http;

mod audit;
mod demo;
mod migrate;
mod seed;
mod serve;

/// An order and payment engine for shops that sell under pressure.
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "jangteo", version, after_help = EXAMPLES, args_conflicts_with_subcommands = false)]
pub struct Cli {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Arguments,
}

const EXAMPLES: &str = "\
Examples:
  jangteo                                    the API on http://127.0.0.1:8080, with a demo shop in data/jangteo.db
  jangteo serve --listen 127.0.0.1:9000      the same on another port
  jangteo --database-url mysql://shop:secret@db/shop serve --migrate
  jangteo seed --users 1000 --products 200 --stock 1000000 --balance 1000000 --coupon WELCOME10:PERCENT:10:1000
  jangteo audit --json

Settings: defaults, then jangteo.toml (or --config FILE), then JANGTEO_* variables, then flags. All of them are listed
in docs/configuration.md.";

/// Flags that every command has.
#[derive(Debug, Args)]
struct SettingsArguments {
    /// The settings file [default: jangteo.toml, if there is one]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// sqlite://path or mysql://user:password@host:port/database [default: sqlite://data/jangteo.db]
    #[arg(long, value_name = "URL", global = true)]
    database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (the default)
    Serve(serve::Arguments),
    /// Bring the database schema up to date, back, or show where it is
    #[command(subcommand)]
    Migrate(migrate::Direction),
    /// Fill the shop for demos and load tests: customers 1..N, products 1..N; what is there stays as it is
    Seed(seed::Arguments),
    /// Check that money, stock and coupons add up: exit code 0 clean, 1 violations, 2 could not check
    Audit(audit::Arguments),
    /// Print the OpenAPI document
    Openapi,
}

impl Cli {
    /// Does what the command line says, and tells on standard error when it cannot.
    pub async fn run(self) -> ExitCode {
        let Self { settings, command, serve } = self;
        let sources = |listen: Option<String>| settings.sources(listen);
        let done = match command.unwrap_or(Command::Serve(serve)) {
            Command::Serve(arguments) => serve::run(&sources(arguments.listen.clone()), arguments).await,
            Command::Migrate(direction) => migrate::run(&sources(None), direction).await,
            Command::Seed(arguments) => seed::run(&sources(None), &arguments).await,
            Command::Audit(arguments) => return audit::run(&sources(None), arguments).await,
            Command::Openapi => print_openapi(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error);
                ExitCode::FAILURE
            }
        }
    }
}

impl SettingsArguments {
    fn sources(&self, listen: Option<String>) -> Sources {
        let flags = [("database_url", self.database_url.clone()), ("listen", listen)];
        Sources {
            file: self.config.clone(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            flags: flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
        }
    }
}

/// Opens the database of the settings.
async fn open(sources: &Sources) -> anyhow::Result<(Settings, jangteo_infra_database::Store)> {
    let settings = Settings::load(sources)?;
    crate::telemetry::start_logging(&settings)?;
    let store = crate::application::connect(&settings, Arc::new(SystemClock)).await?;
    Ok((settings, store))
}

fn complain(error: &anyhow::Error) {
    let mut said = error.to_string();
    eprintln!("error: {said}");
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Some errors repeat what is behind them.
        if !said.ends_with(&cause) {
            eprintln!("  because: {cause}");
            said = cause;
        }
    }
}

#[expect(clippy::print_stdout, reason = "the document is what the command is for")]
fn print_openapi() -> anyhow::Result<()> {
    println!("{}", http::openapi().to_pretty_json()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_is_what_it_does_without_a_command() {
        let cli = Cli::parse_from(["jangteo", "--no-demo", "--listen", "127.0.0.1:1"]);
        assert!(cli.command.is_none() && cli.serve.no_demo);
        let cli = Cli::parse_from(["jangteo", "serve", "--migrate", "--database-url", "mysql://a/b"]);
        assert!(matches!(cli.command, Some(Command::Serve(arguments)) if arguments.migrate));
        assert_eq!(cli.settings.database_url.as_deref(), Some("mysql://a/b"));
    }

    #[test]
    fn a_coupon_to_seed_has_a_code_a_discount_and_a_quantity() {
        let seed = |coupon| Cli::try_parse_from(["jangteo", "seed", "--users", "3", "--coupon", coupon]);
        assert!(seed("WELCOME10:PERCENT:10:1000").is_ok());
        assert!(seed("FLASH:FIXED:5000.50:1").is_ok());
        for coupon in [
            "X",
            "X:PERCENT:0:1",
            "X:PERCENT:101:1",
            "X:FIXED:-1:1",
            "X:FIXED:1:0",
            "X:HALF:1:1",
            "쿠폰:FIXED:1:1",
        ] {
            assert!(seed(coupon).is_err(), "{coupon}");
        }
    }
}
