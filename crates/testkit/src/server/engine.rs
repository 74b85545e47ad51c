use std::fmt::Debug;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// What runs a server that may be made to fail: it goes down with it on `Drop`.
pub(crate) trait Engine: Debug + Send + Sync {
    fn host(&self) -> String;
    fn port(&self) -> u16;
    /// Where the files are with which the server was started.
    fn folder(&self) -> &Path;
    fn kill(&mut self) -> io::Result<()>;
    /// MUST return only when the server answers.
    fn restart(&mut self) -> io::Result<()>;
    /// MUST return only when the server has stopped.
    fn freeze(&mut self) -> io::Result<()>;
    fn thaw(&mut self) -> io::Result<()>;
}

/// A free port that remains free while the server is down: none of those that the system gives to outgoing
/// connections. A client that tries to reconnect could otherwise get this very port for its end, and reach itself.
pub(crate) fn free_port() -> io::Result<u16> {
    loop {
        // Spread by the system's own choice, so that processes side by side seldom want the same.
        let chosen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let port = 10_000 + chosen % 12_000;
        if is_free(port) {
            return Ok(port);
        }
    }
}

pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
