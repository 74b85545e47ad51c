use std::io;

use tempfile::TempDir;
use testcontainers_modules::redis::Redis;
use testcontainers_modules::testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers_modules::testcontainers::{ContainerRequest, ImageExt};

use super::free_port;
use super::setup::Setup;
use crate::server::container::RestartableContainer;
use crate::server::engine::Engine;

/// The one of Debian 12: what passes on it passes on later ones.
const REDIS_TAG: &str = "7.0";

/// Starts a container. The error is the reason, for a person.
pub(super) fn start(setup: &(dyn Fn(u16) -> Setup + Sync)) -> Result<Box<dyn Engine>, String> {
    let port = free_port().map_err(|error| error.to_string())?;
    let setup = setup(port);
    let folder = copies(&setup).map_err(|error| error.to_string())?;
    Ok(Box::new(RestartableContainer::start(request(&setup, port), port, folder, setup.ready)?))
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
