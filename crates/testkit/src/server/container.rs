use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testcontainers_modules::testcontainers::{ContainerRequest, Image};

use super::ServerContainer;
use super::engine::Engine;

const RESTART_DEADLINE: Duration = Duration::from_secs(60);

/// A server in a container that may be started several times.
#[derive(Debug)]
pub(crate) struct RestartableContainer<I: Image> {
    container: ServerContainer<I>,
    host: String,
    port: u16,
    /// The container's files once more, for those who need them outside.
    folder: TempDir,
    ready: &'static str,
}

impl<I: Image> RestartableContainer<I> {
    /// Starts what is requested, which MUST listen on this port of the machine: one that Docker chooses is another
    /// one after a restart. It logs `ready` each time it is. The error is the reason, for a person.
    pub(crate) fn start(
        request: ContainerRequest<I>,
        port: u16,
        folder: TempDir,
        ready: &'static str,
    ) -> Result<Self, String> {
        let container = ServerContainer::start(request)?;
        let host = container.container().get_host().map_err(|error| error.to_string())?.to_string();
        Ok(Self { container, host, port, folder, ready })
    }

    /// The client and not testcontainers, which has no SIGKILL and may not be called from async code.
    fn docker(&self, command: &str, arguments: &[&str]) -> io::Result<String> {
        let mut client = Command::new("docker");
        let output = client.arg(command).args(arguments).arg(self.container.container().id()).output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }

    fn is(&self, state: &str) -> io::Result<bool> {
        let answer = self.docker("inspect", &["--format", &format!("{{{{.State.{state}}}}}")])?;
        Ok(answer.trim() == "true")
    }

    /// How many times it has become ready.
    fn starts(&self) -> io::Result<usize> {
        Ok(self.docker("logs", &[])?.matches(self.ready).count())
    }
}

impl<I: Image + Debug> Engine for RestartableContainer<I> {
    fn host(&self) -> String {
        self.host.clone()
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn kill(&mut self) -> io::Result<()> {
        if self.is("Paused")? {
            self.thaw()?;
        }
        if self.is("Running")? {
            self.docker("kill", &[])?;
        }
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        let starts = self.starts()?;
        self.docker("start", &[])?;
        let started = Instant::now();
        while self.starts()? == starts {
            if started.elapsed() > RESTART_DEADLINE {
                return Err(io::Error::other("it was not ready within a minute"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn freeze(&mut self) -> io::Result<()> {
        self.docker("pause", &[]).map(drop)
    }

    fn thaw(&mut self) -> io::Result<()> {
        self.docker("unpause", &[]).map(drop)
    }
}
