use anyhow::Result;

use crate::cargo;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    // The benchmark starts the server's binary, which nothing else here would bring up to date.
    cargo::run(&mut cargo::cargo(["build", "--release", "--package", "jangteo"]))?;
    cargo::run(cargo::cargo(["run", "--release", "--package", "jangteo-loadtest", "--"]).args(arguments))
}
