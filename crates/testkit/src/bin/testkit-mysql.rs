//! Keeps a throwaway MariaDB or MySQL server up until standard input ends, and prints its URL.
//!
//! `cargo xtask test` runs it to share one server between all test binaries, without linking any of this into
//! xtask. By hand, `cargo run -p jangteo-testkit` gives a server to try things on until Ctrl-C.

use std::io;
use std::process::ExitCode;

use jangteo_testkit::{MysqlServer, ServerOptions};

#[expect(clippy::print_stdout, reason = "the URL is this program's output")]
fn main() -> ExitCode {
    match MysqlServer::start(ServerOptions::default()) {
        Ok(server) => {
            println!("{}", server.url());
            // Ends when the other end of the pipe closes, or with Ctrl-D.
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
