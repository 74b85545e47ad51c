use std::process::{Command, Stdio};

use testcontainers_modules::mariadb::Mariadb;
use testcontainers_modules::testcontainers::core::Mount;
use testcontainers_modules::testcontainers::runners::SyncRunner;
use testcontainers_modules::testcontainers::{Container, ImageExt, TestcontainersError};

use super::{Keeper, MysqlServer, ServerContainer, ServerOptions};
use crate::last_will::LastWill;

/// A long-term release, and the one of Debian 12: what passes on it passes on later ones.
const MARIADB_TAG: &str = "10.11";

/// Starts a container. The error is the reason, for a person.
pub(super) fn start(options: ServerOptions) -> Result<MysqlServer, String> {
    if !engine_answers() {
        return Err("no engine answers to `docker version`".to_owned());
    }
    let mut request = Mariadb::default().with_tag(MARIADB_TAG).with_cmd(options.arguments());
    if !options.durable {
        request = request.with_mount(Mount::tmpfs_mount("/var/lib/mysql"));
    }
    let container = request.start().map_err(|error| error.to_string())?;
    let will = remove_at_the_end(&container).map_err(|error| error.to_string())?;
    let url = url_of(&container).map_err(|error| error.to_string())?;
    let container = Box::new(ServerContainer { container: Some(container), _will: will });
    Ok(MysqlServer { url, _keeper: Keeper::Container { _container: container } })
}

/// An installed client says nothing about the engine: this asks the engine itself.
fn engine_answers() -> bool {
    Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn remove_at_the_end(container: &Container<Mariadb>) -> std::io::Result<LastWill> {
    let mut will = LastWill::new()?;
    will.add(&format!("docker rm --force --volumes {}", container.id()))?;
    Ok(will)
}

fn url_of(container: &Container<Mariadb>) -> Result<String, TestcontainersError> {
    Ok(format!("mysql://root@{}:{}", container.get_host()?, container.get_host_port_ipv4(3306)?))
}
