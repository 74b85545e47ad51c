use std::io;
use std::path::Path;

use super::free_port;
use super::setup::Setup;
use crate::server::engine::Engine;
use crate::server::local::find;
use crate::server::program::{Launch, Program};

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
    let port = free_port()?;
    let setup = setup(port);
    let bind = ["--bind", "127.0.0.1"].map(str::to_owned);
    let launch = Launch {
        binary: binary.to_owned(),
        name: "redis-server",
        arguments: setup.arguments.iter().cloned().chain(bind).collect(),
        ready: setup.ready,
    };
    Program::start(launch, port, |folder| setup.write_files(folder))
}
