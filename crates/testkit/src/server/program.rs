use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::ServerProcess;
use super::engine::Engine;
use super::local::{await_ready, folder, kill_and_wait, log_file, log_into};
use crate::last_will::LastWill;

/// How a program of this machine is started, each time.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) binary: PathBuf,
    /// The name it is called by, which some programs go by.
    pub(crate) name: &'static str,
    pub(crate) arguments: Vec<String>,
    /// What it logs when it is ready.
    pub(crate) ready: &'static str,
}

/// A server on this machine that may be started several times.
#[derive(Debug)]
pub(crate) struct Program {
    launch: Launch,
    folder: PathBuf,
    port: u16,
    process: ServerProcess,
}

impl Program {
    /// Starts it in a temporary folder, which `prepare` fills, and waits until it is ready.
    pub(crate) fn start(
        launch: Launch,
        port: u16,
        prepare: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut will = LastWill::new()?;
        let folder = folder(&format!("jangteo-{}-", launch.name), &mut will)?;
        // Read from a file at the end, because a restart changes the process.
        let running = format!("for process in $(cat '{}'); do", pid_file(&folder).display());
        will.add(&format!("{running} {}; done", kill_and_wait("$process")))?;

        prepare(&folder)?;
        let server = spawn(&launch, &folder)?;
        let mut program = Self { launch, folder, port, process: ServerProcess { server, will } };
        program.await_ready()?;
        Ok(program)
    }

    fn await_ready(&mut self) -> io::Result<()> {
        await_ready(&mut self.process.server, &self.folder, self.launch.ready)
            .map_err(|reason| io::Error::other(format!("{} {reason}", self.launch.binary.display())))
    }

    /// The server's number, which is safe to use until the server is reaped.
    fn running(&mut self) -> io::Result<Pid> {
        match self.process.server.try_wait()? {
            None => Ok(Pid::from_child(&self.process.server)),
            Some(status) => Err(io::Error::other(format!("it has ended ({status})"))),
        }
    }
}

fn spawn(launch: &Launch, folder: &Path) -> io::Result<Child> {
    let mut command = Command::new(&launch.binary);
    command
        .arg0(launch.name)
        .args(&launch.arguments)
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
        self.process.server = spawn(&self.launch, &self.folder)?;
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
