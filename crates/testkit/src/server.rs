use std::process::Child;
use std::thread;

use testcontainers_modules::testcontainers::{Container, Image};

use crate::last_will::LastWill;

pub(crate) mod container;
pub(crate) mod docker;
pub(crate) mod engine;
pub(crate) mod local;
pub(crate) mod program;

/// There is no server of this kind to be had; the message says why and what to install.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is needed, and none could be started:\n\
     - Docker: {docker}\n\
     - on this machine: {local}\n\
     Do one of these, then run again:\n\
     {}\n\
     - start a Docker engine",
    kind.name,
    kind.remedies
)]
pub struct NoServer {
    kind: &'static Kind,
    /// Why there is no container.
    docker: String,
    /// Why there is no server on this machine.
    local: String,
}

/// A kind of server, as told to a person who has none.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// What makes the tests find one, a line each.
    pub(crate) remedies: &'static str,
}

/// Starts a container or, failing that, a server on this machine. Their errors are reasons, for a person.
pub(crate) fn start<T: Send>(
    kind: &'static Kind,
    in_container: impl FnOnce() -> Result<T, String> + Send,
    on_this_machine: impl FnOnce() -> Result<T, String>,
) -> Result<T, NoServer> {
    // On a thread of its own, as a container is started on a runtime, which async code must not enter.
    let docker = thread::scope(|scope| {
        scope
            .spawn(
                || if docker::engine_answers() { in_container() } else { Err(docker::NO_ENGINE.to_owned()) },
            )
            .join()
    });
    docker
        .unwrap_or_else(|_| Err("starting a container panicked".to_owned()))
        .or_else(|docker| on_this_machine().map_err(|local| NoServer { kind, docker, local }))
}

/// A container that goes away when this value is dropped, and at the latest when the process ends.
#[derive(Debug)]
pub(crate) struct ServerContainer<I: Image> {
    /// Removes itself on `Drop`. Never `None` before.
    container: Option<Container<I>>,
    /// Removes the container when the process ends without `Drop`.
    _will: LastWill,
}

/// On a thread of its own, as the container drops a runtime, which async code must not.
impl<I: Image> Drop for ServerContainer<I> {
    fn drop(&mut self) {
        let container = self.container.take();
        let _ = thread::scope(|scope| scope.spawn(|| drop(container)).join());
    }
}

/// A server on this machine that goes away when this value is dropped, and at the latest when the process ends.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    pub(crate) server: Child,
    /// Kills the server and removes its folder.
    pub(crate) will: LastWill,
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.will.execute();
        // Reaped here: the will waits for the process to be gone before it removes the folder.
        let _ = self.server.wait();
    }
}
