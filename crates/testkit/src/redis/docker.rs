use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testcontainers_modules::redis::Redis;
use testcontainers_modules::testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers_modules::testcontainers::{ContainerRequest, ImageExt};

use super::setup::Setup;
use super::{Engine, free_port};
use crate::server::ServerContainer;

/// The one of Debian 12: what passes on it passes on later ones.
const REDIS_TAG: &str = "7.0";

const RESTART_DEADLINE: Duration = Duration::from_secs(60);

/// Starts a container. The error is the reason, for a person.
pub(super) fn start(setup: &(dyn Fn(u16) -> Setup + Sync)) -> Result<Box<dyn Engine>, String> {
    // Chosen here: a port that Docker chooses is another one after a restart.
    let port = free_port().map_err(|error| error.to_string())?;
    let setup = setup(port);
    let folder = copies(&setup).map_err(|error| error.to_string())?;
    let container = ServerContainer::start(request(&setup, port))?;
    let host = container.container().get_host().map_err(|error| error.to_string())?.to_string();
    Ok(Box::new(RedisContainer { container, host, port, folder, ready: setup.ready }))
}

/// The files once more, for those who need them outside the container.
fn copies(setup: &Setup) -> io::Result<TempDir> {
    let folder = TempDir::with_prefix("jangteo-redis-")?;
    setup.write_files(folder.path())?;
    Ok(folder)
}

fn request(setup: &Setup, port: u16) -> ContainerRequest<Redis> {
    let arguments = ["redis-server".to_owned()].into_iter().chain(setup.arguments.iter().cloned());
    let mut request = Redis::default()
        .with_tag(REDIS_TAG)
        .with_cmd(arguments.chain(["--protected-mode", "no"].map(str::to_owned)))
        .with_ready_conditions(vec![WaitFor::message_on_stdout(setup.ready)]);
    for (name, content) in &setup.files {
        // The image starts the server there.
        request = request.with_copy_to(format!("/data/{name}"), content.clone().into_bytes());
    }
    if setup.calls_this_machine {
        request.with_network("host")
    } else {
        request.with_mapped_port(port, port.tcp())
    }
}

#[derive(Debug)]
struct RedisContainer {
    container: ServerContainer<Redis>,
    host: String,
    port: u16,
    folder: TempDir,
    ready: &'static str,
}

impl RedisContainer {
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

impl Engine for RedisContainer {
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
