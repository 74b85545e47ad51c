//! The server under load: the real binary as a child process.

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

use crate::load::is_ready;

const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Settings by the names of their environment variables.
pub(crate) type Settings = BTreeMap<&'static str, String>;

/// A running server. It is killed when this is dropped.
pub(crate) struct Server {
    /// Where it answers.
    pub(crate) address: SocketAddr,
    child: Child,
    folder: TempDir,
}

/// What the server's process has in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Memory {
    /// Now, in KiB.
    pub(crate) resident_kib: u64,
    /// At most since it was started, in KiB.
    pub(crate) peak_kib: u64,
}

impl Server {
    /// Starts the server on a free port, with settings besides the defaults, and waits until it is ready.
    pub(crate) async fn start(binary: &Path, database_url: &str, settings: &Settings) -> Result<Self> {
        let folder = TempDir::with_prefix("jangteo-serve-")?;
        let address = free_address()?;
        let log = File::create(log_file(&folder))?;
        let mut command = jangteo(binary, &folder, database_url);
        command.args(["serve", "--no-demo"]).env("JANGTEO_LISTEN", address.to_string());
        command.envs(settings);
        command.stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot run {}", binary.display()))?;
        let mut server = Self { address, child, folder };
        server.await_ready().await?;
        Ok(server)
    }

    async fn await_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        while !is_ready(self.address).await {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended at once ({status}):{}", self.last_words());
            }
            ensure!(started.elapsed() < START_DEADLINE, "the server is not ready:{}", self.last_words());
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// What its process has in memory; Linux only.
    pub(crate) fn memory(&self) -> Option<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        Memory::parse(&status)
    }

    /// Asks it to drain and waits for it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let process = self.child.id().with_context(|| format!("the server ended:{}", self.last_words()))?;
        Command::new("kill").args(["-TERM", &process.to_string()]).status().await?;
        let Ok(status) = timeout(STOP_DEADLINE, self.child.wait()).await else {
            bail!("the server did not stop within {} s:{}", STOP_DEADLINE.as_secs(), self.last_words());
        };
        let status = status?;
        ensure!(status.success(), "the server did not end well ({status}):{}", self.last_words());
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

impl Memory {
    fn parse(status: &str) -> Option<Self> {
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').trim().strip_suffix(" kB")?.parse().ok()
        };
        Some(Self { resident_kib: kib("VmRSS")?, peak_kib: kib("VmHWM")? })
    }
}

/// Has the shop check its own books.
pub(crate) async fn audit(binary: &Path, database_url: &str) -> Result<()> {
    let folder = TempDir::with_prefix("jangteo-audit-")?;
    let output = jangteo(binary, &folder, database_url).arg("audit").output().await?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(
        output.status.success(),
        "`jangteo audit` is not content ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&said)
    );
    Ok(())
}

/// The binary with none of the settings of whoever runs the benchmark: those of its environment and folder.
fn jangteo(binary: &Path, folder: &TempDir, database_url: &str) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JANGTEO_")) {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .env("JANGTEO_DATABASE_URL", database_url)
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

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_of_the_process() {
        let status = "Name:\tjangteo\nVmHWM:\t   61440 kB\nVmRSS:\t   51200 kB\nThreads:\t5\n";
        assert_eq!(Memory::parse(status), Some(Memory { resident_kib: 51_200, peak_kib: 61_440 }));
        assert_eq!(Memory::parse("Name:\tjangteo\n"), None);
    }
}
