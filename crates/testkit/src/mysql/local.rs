use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use super::{Keeper, MysqlServer, ServerOptions};
use crate::last_will::LastWill;
use crate::server::ServerProcess;
use crate::server::local::{await_ready, find, folder, kill_and_wait, last_lines, log_into};

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
    let folder = folder("jangteo-mysql-", &mut will).map_err(failed)?;
    let port = free_port().map_err(failed)?;
    initialise(binary, &folder).map_err(|error| failed(error) + &last_lines(&folder))?;
    let server = spawn(binary, &folder, port, options).map_err(failed)?;
    will.add(&kill_and_wait(&server.id().to_string())).map_err(failed)?;
    let mut process = ServerProcess { server, will };
    await_ready(&mut process.server, &folder, ": ready for connections")
        .map_err(|reason| format!("{} {reason}", binary.display()))?;
    Ok(MysqlServer {
        url: format!("mysql://root@127.0.0.1:{port}"),
        _keeper: Keeper::Process { _process: process },
    })
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
    command.arg(format!("--datadir={}", folder.join("data").display()));
    // The folder is new, so its owner is the user we run as. Servers refuse to run as root unasked.
    if fs::metadata(folder)?.uid() == 0 {
        command.arg("--user=root");
    }
    log_into(folder, command)
}
