use std::env;
use std::fs;
use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Message, TargetKind};

use crate::cargo::{cargo, root};

/// Settings of a shop that believes what callers say of themselves.
pub(crate) const HEADERS: Settings = &[("JANGTEO_AUTH", "header")];
/// Settings of a shop that wants tokens, signed with [`SECRET`].
pub(crate) const TOKENS: Settings = &[("JANGTEO_AUTH", "jwt"), ("JANGTEO_JWT_SECRET", SECRET)];
pub(crate) const SECRET: &str = "a secret of a server that lives for minutes";

pub(crate) type Settings = &'static [(&'static str, &'static str)];

const PAUSE: Duration = Duration::from_millis(100);

/// A demo shop in a folder of its own, that nobody has been to yet.
pub(crate) struct Shop<'a> {
    server: &'a Path,
    settings: Settings,
    pub(crate) folder: PathBuf,
}

impl<'a> Shop<'a> {
    /// `name` is that of the folder, below `target`.
    pub(crate) fn new(server: &'a Path, name: &str, settings: Settings) -> Result<Self> {
        let folder = root().join("target").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Self { server, settings, folder })
    }

    /// The server's program on the database in this folder, untouched by the settings of whoever runs this.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.server);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JANGTEO_")) {
            command.env_remove(name);
        }
        command.current_dir(&self.folder).stdin(Stdio::null()).envs(self.settings.iter().copied());
        command.env("JANGTEO_DATABASE_URL", "sqlite://shop.db").env("JANGTEO_LOG", "warn");
        command
    }

    pub(crate) fn open(&self) -> Result<Open> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = self.folder.join("server.log");
        let mut serve = self.command();
        serve.args(["serve", "--listen", &address.to_string()]);
        serve.stdout(Stdio::null()).stderr(fs::File::create(&log)?);
        let server = serve.spawn().context("cannot start the server")?;
        let mut open = Open { server, log, url: format!("http://{address}") };
        while TcpStream::connect(address).is_err() {
            open.check()?;
            thread::sleep(PAUSE);
        }
        Ok(open)
    }
}

/// A shop that can be asked, until this is dropped.
pub(crate) struct Open {
    server: Child,
    log: PathBuf,
    pub(crate) url: String,
}

impl Open {
    /// Fails when it has ended of itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.server.try_wait()? {
            bail!("the server has ended ({status}); see {}", self.log.display());
        }
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The server's program.
pub(crate) fn build() -> Result<PathBuf> {
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
