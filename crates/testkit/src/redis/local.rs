use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::{Engine, RedisOptions, RedisServer, free_port};
use crate::last_will::LastWill;
use crate::server::ServerProcess;
use crate::server::local::{await_ready, find, folder, kill_and_wait, log_file, log_into};

/// The last is the server too, by another name: Debian's and Ubuntu's `redis-tools` have it without a service.
const BINARIES: [&str; 3] = ["redis-server", "valkey-server", "redis-check-rdb"];

/// Starts a server of this machine in a temporary folder. The error is the reason, for a person.
pub(super) fn start(options: RedisOptions) -> Result<RedisServer, String> {
    let binary = BINARIES
        .into_iter()
        .find_map(find)
        .ok_or("neither `redis-server` nor `valkey-server` is in PATH or a system folder")?;
    // A port that was free a moment ago may be taken by the time the server binds it.
    let program = start_once(&binary, options).or_else(|_| start_once(&binary, options));
    let program = program.map_err(|error| error.to_string())?;
    Ok(RedisServer { url: format!("redis://127.0.0.1:{}", program.port), engine: Some(Box::new(program)) })
}

fn start_once(binary: &Path, options: RedisOptions) -> io::Result<Program> {
    let mut will = LastWill::new()?;
    let folder = folder("jangteo-redis-", &mut will)?;
    let port = free_port()?;
    // Read from a file at the end, because a restart changes the process.
    let running = format!("for process in $(cat '{}'); do", pid_file(&folder).display());
    will.add(&format!("{running} {}; done", kill_and_wait("$process")))?;

    let server = spawn(binary, &folder, port, options)?;
    let process = ServerProcess { server, will };
    let mut program = Program { binary: binary.to_owned(), folder, port, options, process };
    program.await_ready()?;
    Ok(program)
}

fn spawn(binary: &Path, folder: &Path, port: u16, options: RedisOptions) -> io::Result<Child> {
    let mut command = Command::new(binary);
    command
        .arg0("redis-server")
        .args(options.arguments(port))
        .args(["--bind", "127.0.0.1", "--dir"])
        .arg(folder)
        // A Ctrl-C must not reach the server before its will does.
        .process_group(0);
    let server = log_into(folder, &mut command)?.spawn()?;
    fs::write(pid_file(folder), server.id().to_string())?;
    Ok(server)
}

/// Names the running server, and is gone while there is none: the number may then belong to another process.
fn pid_file(folder: &Path) -> PathBuf {
    folder.join("pid")
}

/// A server on this machine that may be started several times.
#[derive(Debug)]
struct Program {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
    options: RedisOptions,
    process: ServerProcess,
}

impl Program {
    fn await_ready(&mut self) -> io::Result<()> {
        await_ready(&mut self.process.server, &self.folder, "Ready to accept connections")
            .map_err(|reason| io::Error::other(format!("{} {reason}", self.binary.display())))
    }

    /// The server's number, which is safe to use until the server is reaped.
    fn running(&mut self) -> io::Result<Pid> {
        match self.process.server.try_wait()? {
            None => Ok(Pid::from_child(&self.process.server)),
            Some(status) => Err(io::Error::other(format!("it has ended ({status})"))),
        }
    }
}

impl Engine for Program {
    fn kill(&mut self) -> io::Result<()> {
        self.process.server.kill()?;
        if fs::exists(pid_file(&self.folder))? {
            fs::remove_file(pid_file(&self.folder))?;
        }
        self.process.server.wait().map(drop)
    }

    fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        // The old one says that the server is ready.
        fs::remove_file(log_file(&self.folder))?;
        self.process.server = spawn(&self.binary, &self.folder, self.port, self.options)?;
        self.await_ready()
    }

    fn freeze(&mut self) -> io::Result<()> {
        let server = self.running()?;
        kill_process(server, Signal::STOP)?;
        // Seen, not reaped: that is for `Child` to do.
        let seen = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(server), seen)?;
        Ok(())
    }

    fn thaw(&mut self) -> io::Result<()> {
        Ok(kill_process(self.running()?, Signal::CONT)?)
    }
}
