use std::env;
use std::fs;
use std::io::BufReader;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Message, TargetKind};

use crate::cargo::{self, cargo, root};
use crate::servers::TOOLS;

/// Of Python's package index.
const SCHEMATHESIS: &str = "4.32.5";

/// What must be true of every answer.
const CHECKS: [&str; 7] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
];

/// Who sends the requests.
struct Mode {
    name: &'static str,
    /// How the server recognises callers.
    settings: &'static [(&'static str, &'static str)],
    /// What every request says; the rest is made up.
    headers: &'static [&'static str],
    /// What `jangteo token` is asked for, whose token every request has.
    token: Option<&'static [&'static str]>,
}

const HEADERS: &[(&str, &str)] = &[("JANGTEO_AUTH", "header")];
const TOKENS: &[(&str, &str)] =
    &[("JANGTEO_AUTH", "jwt"), ("JANGTEO_JWT_SECRET", "a secret of a server that lives for minutes")];

/// Of the demo shop, customer 1 has money. Whoever makes up who asks is mostly nobody, and sometimes somebody.
const MODES: [Mode; 6] = [
    Mode { name: "anybody", settings: HEADERS, headers: &[], token: None },
    Mode { name: "customer", settings: HEADERS, headers: &["X-User-Id: 1"], token: None },
    Mode {
        name: "administrator",
        settings: HEADERS,
        headers: &["X-User-Id: 1", "X-User-Role: ADMIN"],
        token: None,
    },
    Mode { name: "anybody-without-token", settings: TOKENS, headers: &[], token: None },
    Mode { name: "customer-with-token", settings: TOKENS, headers: &[], token: Some(&["--user", "1"]) },
    Mode {
        name: "administrator-with-token",
        settings: TOKENS,
        headers: &[],
        token: Some(&["--user", "1", "--role", "ADMIN"]),
    },
];

/// Makes up requests from the API's own document, against a fresh demo shop for each mode, which the audit must find in
/// order afterwards.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (server, schemathesis) = (build()?, schemathesis()?);
    let mut failed = Vec::new();
    for mode in &MODES {
        println!("\nRequests of: {}", mode.name);
        if let Err(error) = mode.run(&server, &schemathesis, arguments) {
            println!("{error:#}");
            failed.push(mode.name);
        }
    }
    ensure!(failed.is_empty(), "the API does not do what its document says, to: {}", failed.join(", "));
    Ok(())
}

impl Mode {
    fn run(&self, server: &Path, schemathesis: &Path, arguments: &[String]) -> Result<()> {
        let folder = root().join("target/fuzz").join(self.name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut serve = self.command(server, &folder);
        let log = fs::File::create(folder.join("server.log"))?;
        serve.args(["serve", "--listen", &format!("127.0.0.1:{port}")]).stdout(Stdio::null()).stderr(log);
        let mut running = Running(serve.spawn().context("cannot start the server")?);

        let mut requests = self.requests(schemathesis, &folder, port);
        if let Some(token) = self.token(server, &folder)? {
            requests.arg("--header").arg(format!("Authorization: Bearer {token}"));
        }
        // What is said twice counts as it is said last.
        let checked = cargo::run(requests.args(arguments));
        if let Some(status) = running.0.try_wait()? {
            bail!("the server has ended ({status}); see {}", folder.join("server.log").display());
        }
        drop(running);
        checked?;
        cargo::run(self.command(server, &folder).arg("audit"))
    }

    /// The server's program on the database in this folder, untouched by the settings of whoever runs this.
    fn command(&self, server: &Path, folder: &Path) -> Command {
        let mut command = Command::new(server);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JANGTEO_")) {
            command.env_remove(name);
        }
        command.current_dir(folder).stdin(Stdio::null()).envs(self.settings.iter().copied());
        command.env("JANGTEO_DATABASE_URL", "sqlite://shop.db").env("JANGTEO_LOG", "warn");
        command
    }

    fn token(&self, server: &Path, folder: &Path) -> Result<Option<String>> {
        let Some(asked) = self.token else { return Ok(None) };
        let token = self.command(server, folder).arg("token").args(asked).output()?;
        ensure!(token.status.success(), "there is no token: {}", String::from_utf8_lossy(&token.stderr));
        Ok(Some(String::from_utf8(token.stdout)?.trim_end().to_owned()))
    }

    fn requests(&self, schemathesis: &Path, folder: &Path, port: u16) -> Command {
        let mut requests = Command::new(schemathesis);
        requests.current_dir(folder).arg("run").arg(format!("http://127.0.0.1:{port}/openapi.json"));
        requests.args(["--wait-for-schema", "30", "--phases", "examples,coverage,fuzzing"]);
        requests.args(["--checks", &CHECKS.join(","), "--max-examples", "50", "--continue-on-failure"]);
        requests.args(["--generation-database", "none", "--warnings", "off"]);
        requests.args(self.headers.iter().flat_map(|header| ["--header", header]));
        requests
    }
}

/// A server that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn build() -> Result<PathBuf> {
    let mut command = cargo(["build", "--package", "jangteo", "--message-format=json-render-diagnostics"]);
    let mut compiler = command.stdout(Stdio::piped()).spawn().context("cannot run cargo build")?;
    let messages = BufReader::new(compiler.stdout.take().expect("piped above"));
    let mut server = None;
    for message in Message::parse_stream(messages) {
        if let Message::CompilerArtifact(artifact) = message?
            && artifact.target.kind == [TargetKind::Bin]
        {
            server = artifact.executable;
        }
    }
    ensure!(compiler.wait()?.success(), "the server does not compile");
    Ok(server.context("cargo built no server")?.into_std_path_buf())
}

/// In an environment of its own, so that nothing becomes part of anybody's Python. What is there may be half an
/// installation, or another version.
fn schemathesis() -> Result<PathBuf> {
    let home = root().join(TOOLS).join("schemathesis");
    let program = home.join("bin/schemathesis");
    let version = Command::new(&program).arg("--version").output();
    if version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains(SCHEMATHESIS)) {
        return Ok(program);
    }
    println!("Installing schemathesis {SCHEMATHESIS} from Python's package index into {TOOLS}");
    cargo::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home)).context(
        "schemathesis needs Python 3 with its module venv (Debian, Ubuntu: apt-get install python3-venv)",
    )?;
    let mut install = Command::new(home.join("bin/pip"));
    install.env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    cargo::run(install.args(["install", "--quiet", &format!("schemathesis=={SCHEMATHESIS}")]))?;
    Ok(program)
}
