use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, root};
use crate::python;
use crate::shop::{self, HEADERS, Open, SECRET, Settings, Shop, TOKENS};

/// Of Python's package index. The README of the scripts and the Compose file name it too.
const K6: &str = "1.1.0";

const SCRIPTS: &str = "docker/k6";

/// What k6 ends with when a threshold is crossed.
const CROSSED: i32 = 99;

/// Enough to come by every line of a script. How long answers take is not what this is about: the server is not
/// optimised, and the machine may be busy.
const A_LITTLE: Settings = &[
    ("DURATION", "2s"),
    ("VUS", "4"),
    ("RATE", "20"),
    ("USERS", "100"),
    ("PRODUCTS", "10"),
    ("COUPONS", "10"),
    ("P99", "30000"),
    ("DROPPED", "100"),
];

/// A kind of load, and the shop that it is for.
struct Mode {
    name: &'static str,
    shop: Settings,
    scripts: Settings,
}

const MODES: [Mode; 2] = [
    Mode { name: "closed", shop: HEADERS, scripts: &[("LOAD", "closed")] },
    Mode { name: "open", shop: TOKENS, scripts: &[("LOAD", "open"), ("JWT_SECRET", SECRET)] },
];

/// Runs each script for k6 for a moment in each mode, on a fresh demo shop. Each run ends with the audit.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (server, k6, scripts) = (shop::build()?, python::program("k6", K6)?, scripts()?);
    let mut failed = Vec::new();
    for mode in &MODES {
        let shop = Shop::new(&server, &format!("k6/{}", mode.name), mode.shop)?;
        let mut open = shop.open()?;
        for script in &scripts {
            println!("\n{script}, {}", mode.name);
            if let Err(error) = cargo::run(mode.command(&k6, &open).arg(script).args(arguments)) {
                println!("{error:#}");
                failed.push(format!("{script} ({})", mode.name));
            }
            open.check()?;
        }
        mode.check_that_thresholds_count(&k6, &open, &scripts[0])?;
    }
    ensure!(failed.is_empty(), "thresholds were crossed, or scripts are broken: {}", failed.join(", "));
    Ok(())
}

impl Mode {
    fn command(&self, k6: &Path, open: &Open) -> Command {
        let mut command = Command::new(k6);
        // The variables of whoever runs this are for runs of their own.
        command.current_dir(root().join(SCRIPTS)).args(["run", "--include-system-env-vars=false"]);
        // Without the interface by which k6 is asked in turn: its port may be taken.
        command.args(["--address=", "--quiet", "--no-usage-report"]);
        command.arg("--env").arg(format!("BASE_URL={}", open.url));
        for (name, value) in A_LITTLE.iter().chain(self.scripts) {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        command
    }

    /// Were they not heeded, no other run would tell anything.
    fn check_that_thresholds_count(&self, k6: &Path, open: &Open, script: &str) -> Result<()> {
        let mut command = self.command(k6, open);
        command.args(["--env", "P99=0.001", script]).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().context("cannot run k6")?;
        ensure!(status.code() == Some(CROSSED), "{script} in no time at all ended with {status}");
        Ok(())
    }
}

fn scripts() -> Result<Vec<String>> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(root().join(SCRIPTS))? {
        scripts.push(entry?.file_name().to_string_lossy().into_owned());
    }
    scripts.retain(|name| name.ends_with(".js"));
    scripts.sort();
    Ok(scripts)
}
