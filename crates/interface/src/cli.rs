//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, Parser, Subcommand};
use jangteo_application::SystemClock;
use jangteo_infra_database::Store;

use self::output::{print, tell};
use crate::config::{Settings, Sources};
use crate::http;

mod audit;
mod demo;
mod health;
mod migrate;
mod output;
mod platform;
mod seed;
mod serve;
mod signals;
mod token;
mod worker;

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
  jangteo --database-url mysql://shop:secret@db/shop worker --listen 127.0.0.1:9100
  jangteo seed --users 1000 --products 200 --stock 1000000 --balance 1000000 --coupon WELCOME10:PERCENT:10:1000
  jangteo seed --users 20000 --products 200 --orders 1000000
  jangteo audit --json
  jangteo token --user 1 --role ADMIN --expires-in 8h
  jangteo platform --file events.db          a data platform that receives events on http://127.0.0.1:8090/events

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
    /// Deliver events and run the scheduled jobs alone, without the API; any number may run, each job runs in one of them
    Worker(worker::Arguments),
    /// Bring the database schema up to date, back, or show where it is
    #[command(subcommand)]
    Migrate(migrate::Direction),
    /// Fill the shop for demos and load tests: customers 1..N, products 1..N; what is there stays as it is
    Seed(seed::Arguments),
    /// Check that money, stock and coupons add up: exit code 0 clean, 1 violations, 2 could not check
    Audit(audit::Arguments),
    /// Ask a running process whether it is well: exit code 0 when it is; for containers
    Health(health::Arguments),
    /// Print the OpenAPI document
    Openapi,
    /// Print a token that says who asks, signed with the first of the settings' secrets or with a private key
    Token(token::Arguments),
    /// Be the data platform: receive events and tell whether all came, for demonstrations, tests and benchmarks
    Platform(platform::Arguments),
}

impl Cli {
    /// Does what the command line says, and tells on standard error when it cannot.
    pub async fn run(self) -> ExitCode {
        let Self { settings, command, serve } = self;
        let sources = || settings.sources("listen", None);
        let done = match command.unwrap_or(Command::Serve(serve)) {
            // Boxed: see `Store::connect`.
            Command::Serve(arguments) => {
                let sources = settings.sources("listen", arguments.listen.clone());
                Box::pin(serve::run(&sources, arguments)).await
            }
            Command::Worker(arguments) => {
                Box::pin(worker::run(&settings.sources("worker_listen", arguments.listen))).await
            }
            Command::Migrate(direction) => Box::pin(migrate::run(&sources(), direction)).await,
            Command::Seed(arguments) => Box::pin(seed::run(&sources(), &arguments)).await,
            Command::Audit(arguments) => return Box::pin(audit::run(&sources(), arguments)).await,
            Command::Health(arguments) => health::run(&arguments),
            Command::Openapi => print_openapi(&sources()),
            Command::Token(arguments) => token::run(&sources(), &arguments),
            Command::Platform(arguments) => Box::pin(platform::run(arguments)).await,
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
    /// With the command's `--listen`, and which setting that is.
    fn sources(&self, setting: &'static str, listen: Option<String>) -> Sources {
        let flags = [("database_url", self.database_url.clone()), (setting, listen)];
        Sources {
            file: self.config.clone(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            flags: flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
        }
    }
}

/// Takes the settings, and logs as they say from here on.
fn settings(sources: &Sources) -> anyhow::Result<Settings> {
    let settings = Settings::load(sources)?;
    crate::telemetry::start_logging(&settings)?;
    Ok(settings)
}

/// Opens the database of the settings, which makes one on SQLite.
async fn open(settings: &Settings) -> anyhow::Result<Store> {
    crate::application::connect(settings, Arc::new(SystemClock)).await
}

/// Opens a database only to look at it: looking leaves nothing behind.
async fn open_existing(settings: &Settings) -> anyhow::Result<Store> {
    match settings.database_url.sqlite_file() {
        Some(file) if !file.exists() => {
            bail!("there is no database at {}: `jangteo migrate up` makes one", file.display())
        }
        _ => open(settings).await,
    }
}

fn complain(error: &anyhow::Error) {
    tell(&complaint(error));
}

/// The error and what is behind it, each thing once.
fn complaint(error: &anyhow::Error) -> String {
    let mut said = format!("error: {error}\n");
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Some errors repeat what is behind them.
        if !said.contains(&cause) {
            said.push_str(&format!("  because: {cause}\n"));
        }
    }
    said
}

fn print_openapi(sources: &Sources) -> anyhow::Result<()> {
    let document = http::openapi(Settings::load(sources)?.authentication());
    print(&format!("{}\n", document.to_pretty_json()?))
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
    fn a_complaint_says_nothing_twice() {
        let refused = || anyhow::anyhow!("connection refused").context("no answer: connection refused");
        assert_eq!(
            complaint(&refused().context("cannot connect")),
            "error: cannot connect\n  because: no answer: connection refused\n"
        );
    }

    #[tokio::test]
    async fn looking_at_a_database_that_is_not_there_makes_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("shops/shop.db");
        let database_url = format!("sqlite://{}", file.display()).parse().expect("a URL");
        let settings = Settings { database_url, ..Settings::default() };
        let refused = open_existing(&settings).await.err().expect("refused").to_string();
        assert!(refused.contains("there is no database at") && refused.contains("shop.db"), "{refused}");
        assert!(!folder.path().join("shops").exists());
    }

    #[test]
    fn serving_is_what_it_does_without_a_command() {
        let cli = Cli::parse_from(["jangteo", "--no-demo", "--listen", "127.0.0.1:1"]);
        assert!(cli.command.is_none() && cli.serve.no_demo);
        let cli = Cli::parse_from(["jangteo", "serve", "--migrate", "--database-url", "mysql://a/b"]);
        assert!(
            matches!(cli.command, Some(Command::Serve(arguments)) if arguments.migrate && !arguments.no_worker)
        );
        assert_eq!(cli.settings.database_url.as_deref(), Some("mysql://a/b"));
    }

    #[test]
    fn a_token_is_for_an_hour_unless_it_is_said_otherwise() {
        let token =
            |more: &[&str]| Cli::try_parse_from(["jangteo", "token", "--user", "7"].iter().chain(more));
        assert!(token(&[]).is_ok() && token(&["--role", "ADMIN", "--expires-in", "90m"]).is_ok());
        for more in
            [&["--role", "KING"][..], &["--expires-in", "soon"], &["--expires-in", "0s"], &["--user", "0"]]
        {
            assert!(token(more).is_err(), "{more:?}");
        }
    }

    #[test]
    fn a_worker_tells_of_itself_where_it_is_told_to() {
        let cli = Cli::parse_from(["jangteo", "worker", "--listen", "127.0.0.1:9100"]);
        let Some(Command::Worker(arguments)) = cli.command else { panic!("a worker") };
        let sources = cli.settings.sources("worker_listen", arguments.listen);
        assert!(sources.flags.contains(&("worker_listen", "127.0.0.1:9100".to_owned())));
    }

    #[test]
    fn a_coupon_to_seed_that_cannot_be_is_refused_with_the_reason() {
        let seed = |coupon| Cli::try_parse_from(["jangteo", "seed", "--users", "3", "--coupon", coupon]);
        assert!(seed("FLASH:FIXED:5000:1000,starts=+1h,ends=+2h,name=Black Friday").is_ok());
        let refused = seed("FLASH:FIXED:5000:1000,starts=+2h,ends=+1h").unwrap_err().to_string();
        assert!(refused.contains("--coupon") && refused.contains("ends before it begins"), "{refused}");
    }
}
