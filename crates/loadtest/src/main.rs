//! Measures Jangteo against the classic way of placing orders, on the same machine in the same hour.
//!
//! `cargo xtask bench` builds both and runs it; `docs/benchmarks.md` says how to read what it prints. It starts a
//! durable MariaDB and a server for each measurement, puts its load on the loopback interface only, and stops
//! whatever it started, however it ends.

mod bench;
mod books;
mod databases;
mod events;
mod floor;
mod growth;
mod load;
mod machine;
mod measure;
mod plot;
mod report;
mod scenario;
mod seed;
mod server;
mod stampede;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bench::{Bench, Part, Step};
use clap::Parser;
use databases::{Databases, describe_sqlite};
use measure::Lengths;
use report::Report;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Measures Jangteo against one transaction per order.
#[derive(Debug, Parser)]
#[command(name = "jangteo-bench")]
struct Cli {
    /// Measure this part only; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Measure the floors only; needs no server.
    #[arg(long)]
    floor_only: bool,
    /// Measure everything so many times, and take the medians.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    repeat: u8,
    /// Seconds to measure.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Seconds of load before that.
    #[arg(long, default_value_t = 3)]
    warm_up: u64,
    /// Keep-alive clients, each with one request at a time.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// The server's program; the one beside this one unless given.
    #[arg(long)]
    server_bin: Option<PathBuf>,
    /// A MySQL or MariaDB server to use instead of starting one; the database `jangteo_bench` on it is dropped.
    #[arg(long)]
    mysql_url: Option<String>,
    /// With how many orders of the past to measure growth.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 1_000_000, 10_000_000])]
    sizes: Vec<u64>,
    /// Draw the stampedes into this SVG file.
    #[arg(long)]
    plot: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "the report is this program's output")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = Runtime::new().expect("a runtime can be created");
    let report = runtime.block_on(async {
        tokio::select! {
            report = run(&cli) => report,
            interrupted = interruption() => Err(interrupted),
        }
    });
    // What still blocks belongs to a run that was given up.
    runtime.shutdown_background();
    match report {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<Report> {
    let server = if cli.floor_only { None } else { Some(server_program(cli)?) };
    let disk = choose_disk()?;
    let mut steps = steps(cli);
    let kafka = find_kafka(&mut steps).await;
    eprintln!("Starting the database");
    let databases = Databases::on(cli.mysql_url.clone()).await?;
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
    let lengths =
        Lengths { warm_up: Duration::from_secs(cli.warm_up), measured: Duration::from_secs(cli.seconds) };
    let bench = Bench { databases, server, lengths };
    let results = bench.run(&steps, usize::from(cli.repeat)).await;
    let growth = match cli.only.contains(&Part::Growth) {
        true => Some(growth::measure(&bench, &cli.sizes, cli.clients).await),
        false => None,
    };
    bench.databases.drop_mysql().await?;
    let growth = growth.transpose()?;
    let report = Report { circumstances, clients: cli.clients, results: results?, growth };
    if let (Some(file), Some(picture)) = (&cli.plot, plot::of_stampedes(&report)) {
        fs::write(file, picture).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(report)
}

fn steps(cli: &Cli) -> Vec<Step> {
    let parts = if cli.only.is_empty() { &Part::ALL[..] } else { &cli.only };
    let steps = parts.iter().flat_map(|part| part.steps(cli.clients));
    steps.filter(|step| !cli.floor_only || step.is_floor()).collect()
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
    let program = cli.server_bin.clone().map_or_else(beside, Ok)?;
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
