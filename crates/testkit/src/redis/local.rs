use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::setup::Setup;
use super::{Engine, free_port};
use crate::last_will::LastWill;
use crate::server::ServerProcess;
use crate::server::local::{await_ready, find, folder, kill_and_wait, log_file, log_into};

/// The last is the server too, by another name: Debian's and Ubuntu's `redis-tools` have it without a service.
const BINARIES: [&str; 3] = ["redis-server", "valkey-server", "redis-check-rdb"];

/// Starts a program of this machine in a temporary folder. The error is the reason, for a person.
pub(super) fn start(setup: &dyn Fn(u16) -> Setup) -> Result<Box<dyn Engine>, String> {
    let binary = BINARIES
        .into_iter()
        .find_map(find)
        .ok_or("neither `redis-server` nor `valkey-server` is in PATH or a system folder")?;
    // A port that was free a moment ago may be taken by the time the server binds it.
    let program = start_once(&binary, setup).or_else(|_| start_once(&binary, setup));
    Ok(Box::new(program.map_err(|error| error.to_string())?))
}

fn start_once(binary: &Path, setup: &dyn Fn(u16) -> Setup) -> io::Result<Program> {
    let mut will = LastWill::new()?;
    let folder = folder("jangteo-redis-", &mut will)?;
    // Read from a file at the end, because a restart changes the process.
    let running = format!("for process in $(cat '{}'); do", pid_file(&folder).display());
    will.add(&format!("{running} {}; done", kill_and_wait("$process")))?;

    let port = free_port()?;
    let setup = setup(port);
    setup.write_files(&folder)?;
    let server = spawn(binary, &folder, &setup)?;
    let process = ServerProcess { server, will };
    let mut program = Program { binary: binary.to_owned(), folder, port, setup, process };
    program.await_ready()?;
    Ok(program)
}

fn spawn(binary: &Path, folder: &Path, setup: &Setup) -> io::Result<Child> {
    let mut command = Command::new(binary);
    command
        .arg0("redis-server")
        .args(&setup.arguments)
        .args(["--bind", "127.0.0.1"])
        .current_dir(folder)
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

/// A server or a sentinel on this machine that may be started several times.
#[derive(Debug)]
struct Program {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
    setup: Setup,
    process: ServerProcess,
}

impl Program {
    fn await_ready(&mut self) -> io::Result<()> {
        await_ready(&mut self.process.server, &self.folder, self.setup.ready)
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
    fn host(&self) -> String {
        "127.0.0.1".to_owned()
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

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
        self.process.server = spawn(&self.binary, &self.folder, &self.setup)?;
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
