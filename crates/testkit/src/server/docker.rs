use std::io;
use std::process::{Command, Stdio};

use testcontainers_modules::testcontainers::runners::SyncRunner;
use testcontainers_modules::testcontainers::{Container, ContainerRequest, Image};

use super::ServerContainer;
use crate::last_will::LastWill;

pub(crate) const NO_ENGINE: &str = "no engine answers to `docker version`";

/// An installed client says nothing about the engine: this asks the engine itself.
pub(crate) fn engine_answers() -> bool {
    Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl<I: Image> ServerContainer<I> {
    /// The error is the reason, for a person.
    pub(crate) fn start(request: ContainerRequest<I>) -> Result<Self, String> {
        let container = request.start().map_err(|error| error.to_string())?;
        let will = remove_at_the_end(&container).map_err(|error| error.to_string())?;
        Ok(Self { container: Some(container), _will: will })
    }

    pub(crate) fn container(&self) -> &Container<I> {
        self.container.as_ref().expect("there until it is dropped")
    }
}

fn remove_at_the_end<I: Image>(container: &Container<I>) -> io::Result<LastWill> {
    let mut will = LastWill::new()?;
    will.add(&format!("docker rm --force --volumes {}", container.id()))?;
    Ok(will)
}
