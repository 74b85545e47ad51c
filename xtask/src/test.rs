use std::io::{BufRead, BufReader, Write, stdout};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Message, TargetKind};

use crate::cargo::cargo;
use crate::servers;

/// Runs `cargo test --workspace` with one MariaDB, one Redis and one broker for all test binaries.
pub(crate) fn run(arguments: &[String]) -> Result<Summary> {
    let servers = servers::provide(&compile()?)?;
    // Every binary runs even if an earlier one failed, or the totals would depend on the order.
    let mut tests = cargo(["test", "--workspace", "--no-fail-fast"]);
    tests.args(arguments).envs(servers.iter().map(|server| (server.variable, &server.url)));
    let mut tests = tests.stdout(Stdio::piped()).spawn().context("cannot run cargo test")?;
    let output = tests.stdout.take().expect("piped above");

    let mut totals = Totals::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read the output of cargo test")?;
        // Lossy, because a test may print anything.
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        totals.count(&line);
    }
    stdout().flush()?;
    let status = tests.wait().context("cargo test")?;
    Ok(Summary { totals, status })
}

/// Compiles all tests and returns the program that starts servers for them.
///
/// Cargo builds that program along with testkit's integration tests. Built by its own name instead, it would come
/// with fewer features and compile most of the database driver a second time.
fn compile() -> Result<PathBuf> {
    let mut command = cargo(["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"]);
    let mut compiler = command.stdout(Stdio::piped()).spawn().context("cannot run cargo test")?;
    let messages = BufReader::new(compiler.stdout.take().expect("piped above"));
    let mut program = None;
    for message in Message::parse_stream(messages) {
        if let Message::CompilerArtifact(artifact) = message?
            && artifact.target.name == "testkit-server"
            && artifact.target.kind == [TargetKind::Bin]
            && !artifact.profile.test
        {
            program = artifact.executable;
        }
    }
    ensure!(compiler.wait()?.success(), "the tests do not compile");
    let program = program.context("cargo did not build testkit-server along with the tests")?;
    Ok(program.into_std_path_buf())
}

/// What the test binaries reported, and how cargo ended.
pub(crate) struct Summary {
    totals: Totals,
    status: ExitStatus,
}

impl Summary {
    /// Prints the totals, and nothing after them.
    pub(crate) fn print(&self) -> ExitCode {
        let Totals { passed, failed, ignored, failures } = &self.totals;
        println!();
        for name in failures {
            println!("failed: {name}");
        }
        if *ignored > 0 {
            println!("ignored: {ignored}");
        }
        let mut failed = *failed;
        if !self.status.success() && failed == 0 {
            // A test binary that crashes takes its unreported tests with it: one failed at the least.
            println!("cargo test ended with {} before all tests had reported", self.status);
            failed = 1;
        }
        println!("{passed} passed, {failed} failed");
        if self.status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[derive(Debug, Default, PartialEq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
    failures: Vec<String>,
}

impl Totals {
    /// Takes in one line of a test binary's output. Colours, if any, stand between the words looked at.
    fn count(&mut self, line: &str) {
        if line.starts_with("test result: ") {
            self.passed += number_before(line, " passed");
            self.failed += number_before(line, " failed");
            self.ignored += number_before(line, " ignored");
        } else if let Some((name, verdict)) =
            line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
            && verdict.contains("FAILED")
        {
            self.failures.push(name.to_owned());
        }
    }
}

fn number_before(line: &str, word: &str) -> u64 {
    let before = line.split(word).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(output: &str) -> Totals {
        let mut totals = Totals::default();
        output.lines().for_each(|line| totals.count(line));
        totals
    }

    #[test]
    fn results_of_all_binaries_add_up() {
        let output = "\
running 3 tests
test wallet::tests::a_charge_adds_up ... ok
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: \u{1b}[32mok\u{1b}[m. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s";
        assert_eq!(totals(output), Totals { passed: 15, failed: 0, ignored: 1, failures: vec![] });
    }

    #[test]
    fn failures_are_named() {
        let output = "\
test order::tests::a_paid_order_is_final ... \u{1b}[31mFAILED\u{1b}[m
test order::tests::an_order_has_lines ... ok
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let failures = vec!["order::tests::a_paid_order_is_final".to_owned()];
        assert_eq!(totals(output), Totals { passed: 1, failed: 1, ignored: 0, failures });
    }

    #[test]
    fn what_a_test_prints_is_not_counted() {
        assert_eq!(totals("3 passed; 2 failed\na test result: ok. 1 passed\ntest"), Totals::default());
    }
}
