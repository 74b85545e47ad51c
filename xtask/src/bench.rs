use anyhow::Result;

use crate::cargo;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    // The benchmark starts the server's binary, which nothing else here would bring up to date. A load on a deployment that
    // runs already starts none.
    if !arguments.iter().any(|argument| argument == "--url" || argument.starts_with("--url=")) {
        cargo::run(&mut cargo::cargo(["build", "--release", "--package", "jangteo"]))?;
    }
    cargo::run(cargo::cargo(["run", "--release", "--package", "jangteo-loadtest", "--"]).args(arguments))
}
