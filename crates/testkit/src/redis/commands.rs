//! What tests say to a server directly. It is little, so it is said in the server's own words, and without a client.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

use super::RedisServer;

/// They block, for as long as the server takes.
///
/// # Panics
///
/// When the server does not answer, or refuses.
impl RedisServer {
    /// The keys that there are.
    pub fn keys(&self) -> BTreeSet<String> {
        self.ask("KEYS *").into_iter().collect()
    }

    /// Has the server forget everything.
    pub fn flush(&self) {
        self.ask("FLUSHALL");
    }

    /// Has the server write down what it knows now. Unless it is [persistent](super::RedisOptions::persistent), this is
    /// what it knows when it is [restarted](Self::restart), whatever came afterwards.
    pub fn save(&self) {
        self.ask("SAVE");
    }

    fn ask(&self, command: &str) -> Vec<String> {
        self.answer(command).unwrap_or_else(|error| panic!("{command} at {}: {error}", self.url))
    }

    fn answer(&self, command: &str) -> io::Result<Vec<String>> {
        let address = self.url.trim_start_matches("redis://").trim_end_matches('/');
        let mut server = BufReader::new(TcpStream::connect(address)?);
        server.get_mut().write_all(format!("{command}\r\n").as_bytes())?;
        let line = line(&mut server)?;
        match line.split_at(1) {
            ("+", _) => Ok(Vec::new()),
            ("*", length) => (0..number(length)?).map(|_| text(&mut server)).collect(),
            _ => Err(io::Error::other(line)),
        }
    }
}

/// A text after its length in bytes.
fn text(server: &mut impl BufRead) -> io::Result<String> {
    let length = number(line(server)?.trim_start_matches('$'))?;
    let mut text = vec![0; length + 2];
    server.read_exact(&mut text)?;
    text.truncate(length);
    String::from_utf8(text).map_err(io::Error::other)
}

fn line(server: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    match server.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

fn number(text: &str) -> io::Result<usize> {
    text.parse().map_err(io::Error::other)
}
