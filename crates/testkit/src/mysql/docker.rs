use testcontainers_modules::mariadb::Mariadb;
use testcontainers_modules::testcontainers::core::Mount;
use testcontainers_modules::testcontainers::{Container, ImageExt, TestcontainersError};

use super::{Keeper, MysqlServer, ServerOptions};
use crate::server::ServerContainer;

/// A long-term release, and the one of Debian 12: what passes on it passes on later ones.
const MARIADB_TAG: &str = "10.11";

/// Starts a container. The error is the reason, for a person.
pub(super) fn start(options: ServerOptions) -> Result<MysqlServer, String> {
    let mut request = Mariadb::default().with_tag(MARIADB_TAG).with_cmd(options.arguments());
    if !options.durable {
        request = request.with_mount(Mount::tmpfs_mount("/var/lib/mysql"));
    }
    let container = Box::new(ServerContainer::start(request)?);
    let url = url_of(container.container()).map_err(|error| error.to_string())?;
    Ok(MysqlServer { url, _keeper: Keeper::Container { _container: container } })
}

fn url_of(container: &Container<Mariadb>) -> Result<String, TestcontainersError> {
    Ok(format!("mysql://root@{}:{}", container.get_host()?, container.get_host_port_ipv4(3306)?))
}
