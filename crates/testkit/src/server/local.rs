use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Keeper, MysqlServer, ServerOptions, ServerProcess};
use crate::last_will::LastWill;

/// Where servers live besides `PATH`, which for ordinary users leaves the system folders out.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec"];

const START_DEADLINE: Duration = Duration::from_secs(90);

/// Starts a server of this machine in a temporary folder. The error is the reason, for a person.
pub(super) fn start(options: ServerOptions) -> Result<MysqlServer, String> {
    let binary = find("mariadbd")
        .or_else(|| find("mysqld"))
        .ok_or("neither `mariadbd` nor `mysqld` is in PATH or a system folder")?;
    // A port that was free a moment ago may be taken by the time the server binds it.
    start_once(&binary, options).or_else(|_| start_once(&binary, options))
}

fn start_once(binary: &Path, options: ServerOptions) -> Result<MysqlServer, String> {
    let failed = |error: io::Error| format!("{}: {error}", binary.display());
    let mut will = LastWill::new().map_err(failed)?;
    // Kept: from here on the will removes it, after the server has gone.
    let folder = tempfile::Builder::new().prefix("jangteo-mysql-").tempdir().map_err(failed)?.keep();
    will.add(&format!("trap \"rm -rf -- '{}'\" EXIT", folder.display())).map_err(failed)?;

    let port = free_port().map_err(failed)?;
    initialise(binary, &folder).map_err(|error| failed(error) + &last_lines(&folder))?;
    let server = spawn(binary, &folder, port, options).map_err(failed)?;
    will.add(&kill_and_wait(server.id())).map_err(failed)?;
    let mut process = ServerProcess { server, will };
    await_ready(&mut process.server, &folder)
        .map_err(|reason| format!("{} {reason}{}", binary.display(), last_lines(&folder)))?;
    Ok(MysqlServer {
        url: format!("mysql://root@127.0.0.1:{port}"),
        _keeper: Keeper::Process { _process: process },
    })
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Creates the system tables, with a root that needs no password.
fn initialise(server: &Path, folder: &Path) -> io::Result<()> {
    let mut command = match find("mariadb-install-db").filter(|_| is_mariadb(server)) {
        Some(installer) => {
            let mut command = Command::new(installer);
            command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
            command
        }
        None => {
            let mut command = Command::new(server);
            command.args(["--no-defaults", "--initialize-insecure"]);
            command
        }
    };
    let status = in_folder(&mut command, folder)?.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("cannot create its system tables")) }
}

fn is_mariadb(server: &Path) -> bool {
    let version = Command::new(server).arg("--version").output();
    version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("MariaDB"))
}

fn spawn(binary: &Path, folder: &Path, port: u16, options: ServerOptions) -> io::Result<Child> {
    let mut command = Command::new(binary);
    command
        .arg("--no-defaults")
        .args(["--bind-address=127.0.0.1", &format!("--port={port}")])
        .arg(format!("--socket={}", folder.join("socket").display()))
        .arg(format!("--pid-file={}", folder.join("pid").display()))
        // MySQL's second protocol would fight over a fixed port. MariaDB has none, hence `loose`.
        .arg("--loose-mysqlx=OFF")
        .args(options.arguments())
        // A Ctrl-C must not reach the server before its will does.
        .process_group(0);
    in_folder(&mut command, folder)?.spawn()
}

/// What installer and server have in common: the data folder, the log, the user.
fn in_folder<'a>(command: &'a mut Command, folder: &Path) -> io::Result<&'a mut Command> {
    let log = File::options().create(true).append(true).open(log_file(folder))?;
    command.arg(format!("--datadir={}", folder.join("data").display()));
    // The folder is new, so its owner is the user we run as. Servers refuse to run as root unasked.
    if fs::metadata(folder)?.uid() == 0 {
        command.arg("--user=root");
    }
    Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
}

/// The server's log and not its port says when it is ready: the port might have gone to another process.
fn await_ready(server: &mut Child, folder: &Path) -> Result<(), String> {
    let started = Instant::now();
    while started.elapsed() < START_DEADLINE {
        if let Ok(Some(status)) = server.try_wait() {
            return Err(format!("ended at once ({status})"));
        }
        if read_log(folder).contains(": ready for connections") {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("was not ready within {} s", START_DEADLINE.as_secs()))
}

/// The wait is bounded, as a process may linger unreaped where nobody adopts orphans (containers without an init).
fn kill_and_wait(process: u32) -> String {
    format!(
        "kill -KILL {process}; n=0; \
         while kill -0 {process} && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done"
    )
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn read_log(folder: &Path) -> String {
    fs::read(log_file(folder)).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
}

fn last_lines(folder: &Path) -> String {
    let log = read_log(folder);
    let lines: Vec<&str> = log.lines().collect();
    let tail = &lines[lines.len().saturating_sub(10)..];
    tail.iter().map(|line| format!("\n    {line}")).collect()
}
