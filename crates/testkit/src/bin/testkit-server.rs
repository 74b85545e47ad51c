//! Keeps a throwaway server up until standard input ends, and prints its URL, of a broker its address.
//!
//! `cargo xtask test` runs it to share one server of each kind between all test binaries, without linking any of
//! this into xtask. By hand, `cargo run -p jangteo-testkit mysql` (or `redis`, or `kafka`) gives a server to try
//! things on until Ctrl-C.

use std::env;
use std::error::Error;
use std::io;
use std::process::ExitCode;

use jangteo_testkit::{KafkaOptions, KafkaServer, MysqlServer, RedisOptions, RedisServer, ServerOptions};

fn main() -> ExitCode {
    match run(env::args().nth(1).as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(kind: Option<&str>) -> Result<(), Box<dyn Error>> {
    match kind {
        Some("mysql") => keep_up(MysqlServer::start(ServerOptions::default())?.url()),
        Some("redis") => keep_up(RedisServer::start(RedisOptions::default())?.url()),
        Some("kafka") => keep_up(KafkaServer::start(KafkaOptions::default())?.brokers()),
        _ => return Err("usage: testkit-server mysql|redis|kafka".into()),
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the URL is this program's output")]
fn keep_up(url: &str) {
    println!("{url}");
    // Ends when the other end of the pipe closes, or with Ctrl-D.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}
