//! The load generator. Without a URL it is the benchmark: it measures Jangteo against the classic way of placing orders,
//! on the same machine in the same hour. With one it puts load on a deployment that is running already.
//!
//! `cargo xtask bench` builds both and runs it; `docs/benchmarks.md` says how to read what it prints. The benchmark starts
//! a durable MariaDB and a server for each measurement, puts its load on the loopback interface only, and stops
//! whatever it started, however it ends.

mod bare;
mod bench;
mod books;
mod databases;
mod drive;
mod engine;
mod events;
mod floor;
mod growth;
mod journeys;
mod load;
mod machine;
mod measure;
mod progress;
mod report;
mod scenario;
mod seed;
mod server;
mod stampede;
mod timeline;
mod watch;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bare::Bare;
use bench::{Bench, Part, Step};
use clap::{Args, Parser, Subcommand};
use databases::{Databases, describe_sqlite};
use measure::Lengths;
use report::Report;
use report::document::Document;
use report::page::{self, bars};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Measures how much Jangteo takes.
///
/// Without --url it is the benchmark: it starts a database and a server for each measurement, compares them with one
/// transaction per order, checks the books after each, and ends with a table. With --url it puts load on a deployment that
/// is running already, in the scenarios asked for, and ends with its audit.
#[derive(Debug, Parser)]
#[command(
    name = "loadtest",
    override_usage = "loadtest [OPTIONS]                the benchmark\n       loadtest --url <URL> [OPTIONS]    load on a running deployment"
)]
struct Cli {
    #[command(subcommand)]
    task: Option<Task>,
    /// Measure everything so many times, and take the medians
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    repeat: u8,
    /// Seconds to measure
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Seconds of load before that
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    warm_up: u64,
    /// Keep-alive clients, each with one request at a time
    #[arg(long, value_name = "NUMBER", default_value = "64", value_parser = clients)]
    clients: usize,
    #[command(flatten)]
    bench: BenchOptions,
    #[command(flatten)]
    drive: drive::Options,
}

/// What this program starts itself for.
#[derive(Debug, Subcommand)]
enum Task {
    /// The bare server that the benchmark compares with
    #[command(hide = true)]
    Bare(Bare),
}

/// What is asked of the benchmark only.
#[derive(Debug, Args)]
#[command(next_help_heading = "Benchmark")]
struct BenchOptions {
    /// Measure this part only; may be given several times
    #[arg(long, value_enum, value_name = "PART", conflicts_with = "url")]
    only: Vec<Part>,
    /// Measure the floors only; needs no server
    #[arg(long, conflicts_with = "url")]
    floor_only: bool,
    /// The server's program; the one beside this one unless given
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    server_bin: Option<PathBuf>,
    /// A MySQL or MariaDB server to use instead of starting one; the database `jangteo_bench` on it is dropped
    #[arg(long, value_name = "URL", conflicts_with = "url")]
    mysql_url: Option<String>,
    /// With how many orders of the past to measure growth
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_values_t = [0, 1_000_000, 10_000_000], conflicts_with = "url")]
    sizes: Vec<u64>,
    /// Draw the stampedes into this SVG file
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    plot: Option<PathBuf>,
    /// Write the report as a page into this file; into `bench/report.html` among the builds unless given
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    html: Option<PathBuf>,
    /// Write everything that was measured into this file; into `bench/report.json` among the builds unless given
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    json: Option<PathBuf>,
}

fn clients(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|clients| *clients > 0).ok_or("must be a whole number above 0")
}

impl Cli {
    fn lengths(&self) -> Lengths {
        let (warm_up, measured) = (Duration::from_secs(self.warm_up), Duration::from_secs(self.seconds));
        Lengths { warm_up, measured }
    }
}

#[expect(clippy::print_stdout, reason = "the report is this program's output")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = Runtime::new().expect("a runtime can be created");
    if let Some(Task::Bare(bare)) = cli.task {
        return ended(runtime.block_on(bare.serve()).map(|()| ExitCode::SUCCESS));
    }
    let report = runtime.block_on(async {
        tokio::select! {
            report = report(&cli) => report,
            interrupted = interruption() => Err(interrupted),
        }
    });
    // What still blocks belongs to a run that was given up.
    runtime.shutdown_background();
    ended(report.map(|(report, code)| {
        println!("{report}");
        code
    }))
}

fn ended(outcome: Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// What was found, and whether it is as it should be.
async fn report(cli: &Cli) -> Result<(String, ExitCode)> {
    match cli.drive.drive(cli.clients, cli.lengths(), cli.repeat.into())? {
        Some(drive) => {
            let driven = drive.run().await?;
            let code = if driven.found_violations() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            Ok((driven.to_string(), code))
        }
        None => {
            let report = run(cli).await?;
            let page = write_files(&cli.bench, &report)?;
            let text = format!("{report}\nThe report with its pictures is {}", page.display());
            Ok((text, ExitCode::SUCCESS))
        }
    }
}

async fn run(cli: &Cli) -> Result<Report> {
    let server = if cli.bench.floor_only { None } else { Some(server_program(cli)?) };
    let disk = choose_disk()?;
    let mut steps = steps(cli);
    let kafka = find_kafka(&mut steps).await;
    eprintln!("Starting the database");
    let databases = Databases::on(cli.bench.mysql_url.clone()).await?;
    let mut circumstances = vec![
        format!("machine: {}", machine::describe()),
        format!("data on: {disk}"),
        format!("MariaDB or MySQL: {}", databases.describe_mysql().await?),
        format!("SQLite: {}", describe_sqlite().await?),
        format!(
            "{} s measured after {} s of warm-up, rounds: {}; load, server and database share the machine",
            cli.seconds, cli.warm_up, cli.repeat
        ),
    ];
    circumstances.extend(kafka);
    let bench = Bench { databases, server, lengths: cli.lengths() };
    let results = bench.run(&steps, usize::from(cli.repeat)).await;
    let growth = match cli.bench.only.contains(&Part::Growth) {
        true => Some(growth::measure(&bench, &cli.bench.sizes, cli.clients).await),
        false => None,
    };
    bench.databases.drop_mysql().await?;
    let growth = growth.transpose()?;
    let report = Report { circumstances, clients: cli.clients, results: results?, growth };
    Ok(report)
}

/// Where the page is.
fn write_files(options: &BenchOptions, report: &Report) -> Result<PathBuf> {
    let document = Document::of(report);
    let html = file(options.html.as_ref(), "report.html")?;
    let json = file(options.json.as_ref(), "report.json")?;
    write(&html, &page::of(&document))?;
    write(&json, &document.to_json()?)?;
    if let (Some(file), Some(picture)) = (&options.plot, bars::of_stampedes(&document)) {
        write(file, &picture)?;
    }
    Ok(html)
}

/// The one that was asked for, or else one in the folder of builds, which nobody keeps in a repository.
fn file(asked_for: Option<&PathBuf>, name: &str) -> Result<PathBuf> {
    if let Some(file) = asked_for {
        return Ok(file.clone());
    }
    let program = env::current_exe()?;
    let builds = program.parent().and_then(Path::parent).context("a program is in a folder of builds")?;
    let folder = builds.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder.join(name))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn steps(cli: &Cli) -> Vec<Step> {
    let parts = if cli.bench.only.is_empty() { &Part::ALL[..] } else { &cli.bench.only };
    let steps = parts.iter().flat_map(|part| part.steps(cli.clients));
    steps.filter(|step| !cli.bench.floor_only || step.is_floor()).collect()
}

/// Leaves out what needs a broker when there is none. What to say about it, for the report.
async fn find_kafka(steps: &mut Vec<Step>) -> Option<String> {
    if !steps.iter().any(|step| step.needs_kafka()) {
        return None;
    }
    let missing = events::start_kafka().await.err()?;
    eprintln!("What needs a broker is left out: {missing:#}");
    steps.retain(|step| !step.needs_kafka());
    Some("Kafka: left out, there is no broker".to_owned())
}

fn server_program(cli: &Cli) -> Result<PathBuf> {
    let beside = || Ok::<_, std::io::Error>(env::current_exe()?.with_file_name("jangteo"));
    let program = cli.bench.server_bin.clone().map_or_else(beside, Ok)?;
    let found = program.canonicalize();
    found.with_context(|| format!("{}: build it first, or run `cargo xtask bench`", program.display()))
}

/// Commits are to reach a disk: where temporary files are in memory, data goes to the folder of this program.
fn choose_disk() -> Result<String> {
    let kind = |folder: &PathBuf| machine::file_system(folder).map_or("unknown".to_owned(), |(kind, _)| kind);
    let mut folder = env::temp_dir().canonicalize()?;
    if kind(&folder) == "tmpfs" {
        folder = env::current_exe()?.parent().context("a program is in a folder")?.to_owned();
        ensure!(kind(&folder) != "tmpfs", "set TMPDIR to a folder on a disk");
        if tempfile::env::override_temp_dir(&folder).is_err() {
            bail!("the folder for temporary files was chosen twice");
        }
    }
    let (kind, device) = machine::file_system(&folder).unwrap_or_default();
    Ok(format!("{} ({kind} on {device})", folder.display()))
}

/// Ctrl-C, or somebody who wants us to end.
async fn interruption() -> anyhow::Error {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => anyhow::anyhow!("interrupted"),
        _ = terminate.recv() => anyhow::anyhow!("asked to end"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_benchmark_is_no_load_on_a_deployment() {
        for option in ["--only hot", "--floor-only", "--plot x.svg"] {
            let line = format!("loadtest --url http://127.0.0.1:1 {option}");
            assert!(Cli::try_parse_from(line.split_whitespace()).is_err(), "{option}");
        }
        assert!(Cli::try_parse_from(["loadtest", "--clients", "0"]).is_err());
    }
}
