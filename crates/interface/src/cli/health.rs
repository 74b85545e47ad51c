//! Asking a process of the shop whether it is well: in a container there may be nothing else to ask with.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

/// For an answer from the same machine. Container engines wait a little longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// What is read at most, in bytes: the status is at the beginning.
const LONGEST: u64 = 100;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to ask
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080/health/live")]
    page: Page,
}

/// A page on a server that speaks HTTP without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    /// With its port.
    host: String,
    path: String,
}

#[derive(Debug, thiserror::Error)]
#[error("must be http://HOST:PORT/PATH")]
struct NoPage;

impl FromStr for Page {
    type Err = NoPage;

    fn from_str(url: &str) -> Result<Self, NoPage> {
        let rest = url.strip_prefix("http://").ok_or(NoPage)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, port) = host.rsplit_once(':').ok_or(NoPage)?;
        let sound = !name.is_empty() && port.parse::<u16>().is_ok() && !path.contains(char::is_whitespace);
        sound.then(|| Self { host: host.to_owned(), path: format!("/{path}") }).ok_or(NoPage)
    }
}

/// Succeeds when the answer is 200.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Page { host, path } = &arguments.page;
    let status = ask(host, path).with_context(|| format!("{host} does not answer"))?;
    match status.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => bail!("{host} answers {:?}", status.trim_end()),
    }
}

/// The first line of the answer.
fn ask(host: &str, path: &str) -> io::Result<String> {
    let nowhere = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
    let address: SocketAddr = host.to_socket_addrs()?.next().ok_or_else(nowhere)?;
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(connection.take(LONGEST)).read_line(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Asks somebody who answers so.
    fn asked(answer: &'static str) -> Result<(), String> {
        let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/health/live", server.local_addr().expect("an address"));
        let answering = thread::spawn(move || {
            let (mut client, _) = server.accept().expect("a client");
            let mut request = String::new();
            BufReader::new(&client).read_line(&mut request).expect("a request");
            client.write_all(answer.as_bytes()).expect("it takes an answer");
            request
        });
        let outcome = run(&Arguments { page: url.parse().expect("a page") });
        assert_eq!(answering.join().expect("it answers"), "GET /health/live HTTP/1.1\r\n");
        outcome.map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn only_200_is_well() {
        assert_eq!(asked("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), Ok(()));
        for answer in ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "200", ""] {
            let problem = asked(answer).expect_err(answer);
            assert!(problem.contains("answers"), "{problem}");
        }
    }

    #[test]
    fn nobody_there_is_not_well() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
        let page = format!("http://{free}").parse().expect("a page");
        let problem = run(&Arguments { page }).expect_err("nobody is there").to_string();
        assert!(problem.contains("does not answer"), "{problem}");
    }

    #[test]
    fn what_is_asked_is_a_page_of_a_server() {
        let page = |host: &str, path: &str| Page { host: host.to_owned(), path: path.to_owned() };
        for (url, expected) in [
            ("http://127.0.0.1:8080/health/live", page("127.0.0.1:8080", "/health/live")),
            ("http://[::1]:9090", page("[::1]:9090", "/")),
        ] {
            assert_eq!(url.parse::<Page>().expect("a page"), expected);
        }
        for url in
            ["", "127.0.0.1:8080", "https://a:1/", "http://a/", "http://a:b/", "http://:80/", "http://a:1/ b"]
        {
            assert!(url.parse::<Page>().is_err(), "{url}");
        }
    }
}
