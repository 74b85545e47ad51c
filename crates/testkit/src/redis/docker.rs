use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use testcontainers_modules::redis::Redis;
use testcontainers_modules::testcontainers::ImageExt;
use testcontainers_modules::testcontainers::core::IntoContainerPort;

use super::{Engine, RedisOptions, RedisServer, free_port};
use crate::server::ServerContainer;

/// The one of Debian 12: what passes on it passes on later ones.
const REDIS_TAG: &str = "7.0";

const RESTART_DEADLINE: Duration = Duration::from_secs(60);

/// Starts a container. The error is the reason, for a person.
pub(super) fn start(options: RedisOptions) -> Result<RedisServer, String> {
    // Chosen here: a port that Docker chooses is another one after a restart.
    let port = free_port().map_err(|error| error.to_string())?;
    let arguments = options.arguments(port).into_iter().chain(["--protected-mode", "no"].map(str::to_owned));
    let request = Redis::default().with_tag(REDIS_TAG).with_cmd(arguments).with_mapped_port(port, port.tcp());
    let container = ServerContainer::start(request)?;
    let host = container.container().get_host().map_err(|error| error.to_string())?;
    Ok(RedisServer {
        url: format!("redis://{host}:{port}"),
        engine: Some(Box::new(RedisContainer { container, port })),
    })
}

#[derive(Debug)]
struct RedisContainer {
    container: ServerContainer<Redis>,
    port: u16,
}

impl RedisContainer {
    /// The client's own commands: testcontainers knows neither SIGKILL nor a runtime that is not its own.
    fn docker(&self, command: &str, arguments: &[&str]) -> io::Result<String> {
        let mut client = Command::new("docker");
        let output = client.args([command, self.container.container().id()]).args(arguments).output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }

    fn answers(&self) -> bool {
        let ping = ["redis-cli", "-p", &self.port.to_string(), "ping"];
        self.docker("exec", &ping).is_ok_and(|answer| answer.trim() == "PONG")
    }
}

impl Engine for RedisContainer {
    fn kill(&mut self) -> io::Result<()> {
        if self.docker("inspect", &["--format", "{{.State.Paused}}"])?.trim() == "true" {
            self.thaw()?;
        }
        if self.docker("inspect", &["--format", "{{.State.Running}}"])?.trim() == "true" {
            self.docker("kill", &[])?;
        }
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        self.docker("start", &[])?;
        let started = Instant::now();
        while !self.answers() {
            if started.elapsed() > RESTART_DEADLINE {
                return Err(io::Error::other("it does not answer"));
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
