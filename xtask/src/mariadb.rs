use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::run;

/// The server's programs without the system service, which would otherwise be started.
const PACKAGES: [&str; 2] = ["mariadb-server-core", "mariadb-client-core"];

/// A server for the tests.
pub(crate) struct Mariadb {
    url: String,
    /// Stops the server when its standard input ends: when this value is dropped, and also when this process
    /// ends in any other way, such as Ctrl-C.
    started: Option<Child>,
}

impl Mariadb {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        if let Some(program) = &mut self.started {
            drop(program.stdin.take());
            let _ = program.wait();
        }
    }
}

/// Takes the server named by `TEST_MYSQL_URL`, or has `program` (testkit-mysql) start one. Where that finds none
/// to start, and this is a Debian or Ubuntu system and the user is root, installs one first.
pub(crate) fn provide(program: &Path) -> Result<Mariadb> {
    if let Ok(url) = env::var("TEST_MYSQL_URL") {
        println!("MariaDB: the one TEST_MYSQL_URL names");
        return Ok(Mariadb { url, started: None });
    }
    match start(program)? {
        Started::Server(mariadb) => Ok(mariadb),
        Started::Nothing(reason) if !may_install() => bail!("{reason}"),
        Started::Nothing(_) => {
            install()?;
            match start(program)? {
                Started::Server(mariadb) => Ok(mariadb),
                Started::Nothing(reason) => bail!("{reason}"),
            }
        }
    }
}

enum Started {
    Server(Mariadb),
    /// Why, and what to install.
    Nothing(String),
}

fn start(program: &Path) -> Result<Started> {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run testkit-mysql")?;
    let mut url = String::new();
    BufReader::new(child.stdout.take().expect("piped above")).read_line(&mut url)?;
    let url = url.trim_end().to_owned();
    if url.is_empty() {
        let mut reason = String::new();
        child.stderr.take().expect("piped above").read_to_string(&mut reason)?;
        child.wait()?;
        return Ok(Started::Nothing(reason.trim_end().to_owned()));
    }
    println!("MariaDB: started for this run");
    Ok(Started::Server(Mariadb { url, started: Some(child) }))
}

fn may_install() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own_process| own_process.uid() == 0);
    root && Path::new("/etc/debian_version").exists()
}

fn install() -> Result<()> {
    println!("MariaDB: none found. Installing {} with apt-get", PACKAGES.join(" and "));
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(apt_get().arg("update"))?;
    run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(PACKAGES))
}
