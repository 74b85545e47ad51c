//! The server under load, and whatever else the binary is started for: the real binary as a child process.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::load::is_there;
use crate::machine::Memory;

const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Settings by the names of their environment variables.
pub(crate) type Settings = BTreeMap<&'static str, String>;

/// A running server. It is killed when this is dropped.
pub(crate) struct Server {
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// How long after its start it answered what a customer asks first.
    pub(crate) first_answer: Duration,
    program: Program,
}

/// The binary at work as a child process, with a folder and a log of its own. It is killed when this is dropped.
pub(crate) struct Program {
    /// For people.
    name: &'static str,
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts the server on a free port, with flags and settings besides the defaults, and waits until it is ready.
    pub(crate) async fn start(
        binary: &Path,
        database_url: &str,
        flags: &[&str],
        settings: &Settings,
    ) -> Result<Self> {
        let (address, started) = (free_address()?, Instant::now());
        let mut program = Program::start("the server", binary, |command| {
            command.args(["serve", "--no-demo"]).args(flags).envs(settings);
            command.env("JANGTEO_DATABASE_URL", database_url).env("JANGTEO_LISTEN", address.to_string());
        })?;
        program.await_page(address, "/api/v1/products").await?;
        let first_answer = started.elapsed();
        program.await_page(address, "/health/ready").await?;
        Ok(Self { address, first_answer, program })
    }

    /// What its process has in memory; Linux only.
    pub(crate) fn memory(&self) -> Option<Memory> {
        Memory::of(self.program.child.id()?)
    }

    /// That it is still at work.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.program.check()
    }

    /// Asks it to drain and waits for it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.program.stop().await
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        self.program.last_words()
    }
}

impl Program {
    /// Starts the binary with whatever is added to the command.
    pub(crate) fn start(name: &'static str, binary: &Path, add: impl FnOnce(&mut Command)) -> Result<Self> {
        let folder = TempDir::with_prefix("jangteo-")?;
        let log = File::create(log_file(&folder))?;
        let mut command = jangteo(binary, &folder);
        add(&mut command);
        command.stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot run {}", binary.display()))?;
        Ok(Self { name, child, folder })
    }

    /// Waits until it answers when it is asked for a page.
    pub(crate) async fn await_page(&mut self, address: SocketAddr, path: &str) -> Result<()> {
        let started = Instant::now();
        while !is_there(address, path).await {
            self.check()?;
            let in_time = started.elapsed() < START_DEADLINE;
            ensure!(in_time, "{} is not ready:{}", self.name, self.last_words());
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// That it is still at work.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended ({status}):{}", self.name, self.last_words()),
            None => Ok(()),
        }
    }

    /// Asks it to end and waits for it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.check()?;
        let process = self.child.id().with_context(|| format!("{} ended", self.name))?;
        Command::new("kill").args(["-TERM", &process.to_string()]).status().await?;
        let Ok(status) = timeout(STOP_DEADLINE, self.child.wait()).await else {
            bail!("{} did not stop within {} s:{}", self.name, STOP_DEADLINE.as_secs(), self.last_words());
        };
        let status = status?;
        ensure!(status.success(), "{} did not end well ({status}):{}", self.name, self.last_words());
        Ok(())
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(log_file(&self.folder)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].iter().map(|line| format!("\n    {line}")).collect()
    }
}

/// Has the shop check its own books.
pub(crate) async fn audit(binary: &Path, database_url: &str) -> Result<()> {
    run(binary, database_url, &["audit"]).await
}

/// Runs a command of the binary to its end, which must be a good one.
pub(crate) async fn run(binary: &Path, database_url: &str, arguments: &[&str]) -> Result<()> {
    let folder = TempDir::with_prefix("jangteo-command-")?;
    let mut command = jangteo(binary, &folder);
    let output = command.args(arguments).env("JANGTEO_DATABASE_URL", database_url).output().await?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(
        output.status.success(),
        "`jangteo {}` is not content ({}):\n{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&said)
    );
    Ok(())
}

/// The binary with none of the settings of whoever runs the benchmark: those of its environment and folder.
fn jangteo(binary: &Path, folder: &TempDir) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JANGTEO_")) {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .env("JANGTEO_LOG", "warn")
        .stdin(Stdio::null())
        // A Ctrl-C is the benchmark's to deal with.
        .process_group(0)
        .kill_on_drop(true);
    command
}

fn log_file(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

/// Where nobody listens.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
