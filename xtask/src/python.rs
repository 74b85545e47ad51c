use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::{self, root};
use crate::servers::TOOLS;

/// A program that a package of Python's index carries, by the name of the package.
///
/// In an environment of its own, so that nothing becomes part of anybody's Python. What is there may be half an
/// installation, or another version.
pub(crate) fn program(name: &str, version: &str) -> Result<PathBuf> {
    let home = root().join(TOOLS).join(name);
    let program = home.join("bin").join(name);
    let found = Command::new(&program).arg("--version").output();
    if found.is_ok_and(|found| String::from_utf8_lossy(&found.stdout).contains(version)) {
        return Ok(program);
    }
    println!("Installing {name} {version} from Python's package index into {TOOLS}");
    cargo::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home)).with_context(|| {
        format!("{name} needs Python 3 with its module venv (Debian, Ubuntu: apt-get install python3-venv)")
    })?;
    let mut install = Command::new(home.join("bin/pip"));
    install.env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    cargo::run(install.args(["install", "--quiet", &format!("{name}=={version}")]))?;
    Ok(program)
}
