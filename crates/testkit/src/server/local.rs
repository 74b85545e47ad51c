use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::last_will::LastWill;

/// Where servers live besides `PATH`, which for ordinary users leaves the system folders out.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec"];

const START_DEADLINE: Duration = Duration::from_secs(90);

pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// A temporary folder for a server, which the will removes last.
pub(crate) fn folder(prefix: &str, will: &mut LastWill) -> io::Result<PathBuf> {
    // Kept: from here on the will removes it, after the server has gone.
    let folder = tempfile::Builder::new().prefix(prefix).tempdir()?.keep();
    will.add(&format!("trap \"rm -rf -- '{}'\" EXIT", folder.display()))?;
    Ok(folder)
}

/// Shell commands that end a process. The wait is bounded, as a process may linger unreaped where nobody adopts
/// orphans (containers without an init).
pub(crate) fn kill_and_wait(process: &str) -> String {
    format!(
        "kill -KILL {process}; n=0; \
         while kill -0 {process} && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done"
    )
}

/// Has what the command says end in the log.
pub(crate) fn log_into<'a>(folder: &Path, command: &'a mut Command) -> io::Result<&'a mut Command> {
    let log = File::options().create(true).append(true).open(log_file(folder))?;
    Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
}

/// The server's log and not its port says when it is ready: the port might have gone to another process.
pub(crate) fn await_ready(server: &mut Child, folder: &Path, message: &str) -> Result<(), String> {
    let started = Instant::now();
    while started.elapsed() < START_DEADLINE {
        if let Ok(Some(status)) = server.try_wait() {
            return Err(format!("ended at once ({status}){}", last_lines(folder)));
        }
        if read_log(folder).contains(message) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(format!("was not ready within {} s{}", START_DEADLINE.as_secs(), last_lines(folder)))
}

pub(crate) fn last_lines(folder: &Path) -> String {
    let log = read_log(folder);
    let lines: Vec<&str> = log.lines().collect();
    let tail = &lines[lines.len().saturating_sub(10)..];
    tail.iter().map(|line| format!("\n    {line}")).collect()
}

fn read_log(folder: &Path) -> String {
    fs::read(log_file(folder)).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
}

pub(crate) fn log_file(folder: &Path) -> PathBuf {
    folder.join("log")
}
