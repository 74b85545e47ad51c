use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::run;

/// A kind of server that tests need.
struct Kind {
    name: &'static str,
    /// What testkit-server calls it.
    argument: &'static str,
    /// Names a server to the tests, and to us one that is there already.
    variable: &'static str,
    /// The server's programs without the system service, which would otherwise be started.
    packages: &'static [&'static str],
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "MariaDB",
        argument: "mysql",
        variable: "TEST_MYSQL_URL",
        packages: &["mariadb-server-core", "mariadb-client-core"],
    },
    // redis-tools has the server under the name redis-check-rdb, by which testkit knows it.
    Kind { name: "Redis", argument: "redis", variable: "TEST_REDIS_URL", packages: &["redis-tools"] },
];

/// A server for the tests.
pub(crate) struct Server {
    /// The environment variable by which the tests find it.
    pub(crate) variable: &'static str,
    pub(crate) url: String,
    /// Stops the server when its standard input ends: when this value is dropped, and also when this process
    /// ends in any other way, such as Ctrl-C.
    started: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(program) = &mut self.started {
            drop(program.stdin.take());
            let _ = program.wait();
        }
    }
}

/// One server of each kind: the one that its variable names, or one that `program` (testkit-server) starts. Where
/// that finds none to start, and this is a Debian or Ubuntu system and the user is root, installs one first.
pub(crate) fn provide(program: &Path) -> Result<Vec<Server>> {
    KINDS.iter().map(|kind| kind.provide(program)).collect()
}

impl Kind {
    fn provide(&self, program: &Path) -> Result<Server> {
        if let Ok(url) = env::var(self.variable) {
            println!("{}: the one {} names", self.name, self.variable);
            return Ok(Server { variable: self.variable, url, started: None });
        }
        match self.start(program)? {
            Started::Server(server) => Ok(server),
            Started::Nothing(reason) if !may_install() => bail!("{reason}"),
            Started::Nothing(_) => {
                self.install()?;
                match self.start(program)? {
                    Started::Server(server) => Ok(server),
                    Started::Nothing(reason) => bail!("{reason}"),
                }
            }
        }
    }

    fn start(&self, program: &Path) -> Result<Started> {
        let mut child = Command::new(program)
            .arg(self.argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run testkit-server")?;
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("piped above")).read_line(&mut url)?;
        let url = url.trim_end().to_owned();
        if url.is_empty() {
            let mut reason = String::new();
            child.stderr.take().expect("piped above").read_to_string(&mut reason)?;
            child.wait()?;
            return Ok(Started::Nothing(reason.trim_end().to_owned()));
        }
        println!("{}: started for this run", self.name);
        Ok(Started::Server(Server { variable: self.variable, url, started: Some(child) }))
    }

    fn install(&self) -> Result<()> {
        println!("{}: none found. Installing {} with apt-get", self.name, self.packages.join(" and "));
        let apt_get = || {
            let mut command = Command::new("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        };
        run(apt_get().arg("update"))?;
        run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(self.packages))
    }
}

enum Started {
    Server(Server),
    /// Why, and what to install.
    Nothing(String),
}

fn may_install() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own_process| own_process.uid() == 0);
    root && Path::new("/etc/debian_version").exists()
}
