use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::cargo::{cargo, run as run_command};
use crate::{test, tidy};

/// The quick checks first, so that a slip shows within seconds.
pub(crate) fn run() -> Result<ExitCode> {
    step("fmt", || run_command(&mut cargo(["fmt", "--all", "--check"])))?;
    step("tidy", tidy::run)?;
    step("clippy", || {
        run_command(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
    })?;
    // What the README's first command builds; optimising meets limits of the compiler that checking does not.
    step("release", || run_command(&mut cargo(["build", "--release", "--package", "jangteo"])))?;
    step("doc", || {
        run_command(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    Ok(step("test", || test::run(&[]))?.print())
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let started = Instant::now();
    let outcome = work();
    let verdict = if outcome.is_ok() { "done" } else { "failed" };
    println!("==> {name} {verdict} after {:.1} s", started.elapsed().as_secs_f64());
    outcome
}
