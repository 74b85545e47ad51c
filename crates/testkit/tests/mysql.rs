//! The promises of the crate page, kept on a real server.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jangteo_testkit::{MysqlServer, ServerOptions, TestDatabase, mysql};
use sqlx::{Connection, MySqlConnection};

async fn connect(url: &str) -> MySqlConnection {
    MySqlConnection::connect(url).await.expect("the database answers")
}

async fn start(options: ServerOptions) -> MysqlServer {
    let started = tokio::task::spawn_blocking(move || MysqlServer::start(options)).await;
    started.expect("no panic").expect("a server")
}

async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} did not happen within 30 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn table_count(database: &TestDatabase) -> i64 {
    let count = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()";
    sqlx::query_scalar(count).fetch_one(&mut connect(&database.url).await).await.expect("a count")
}

#[tokio::test]
async fn every_database_is_empty_and_apart_from_the_others() {
    let (one, other) = tokio::join!(mysql(), mysql());
    assert_ne!(one.url, other.url);

    let mut connection = connect(&one.url).await;
    sqlx::raw_sql("CREATE TABLE orders (id BIGINT PRIMARY KEY)")
        .execute(&mut connection)
        .await
        .expect("created");

    assert_eq!(table_count(&one).await, 1);
    assert_eq!(table_count(&other).await, 0);
}

#[tokio::test]
async fn a_dropped_database_is_gone_from_the_server() {
    let database = mysql().await;
    let url = database.url.clone();
    drop(database);
    eventually("DROP DATABASE", || async { MySqlConnection::connect(&url).await.is_err() }).await;
}

#[tokio::test]
async fn a_started_server_has_the_options_asked_for_and_room_for_many_pools() {
    let options = ServerOptions { durable: true, buffer_pool_mib: 64 };
    let server = start(options).await;
    let database = server.database().await;

    let options: (i64, i64, i64) = sqlx::query_as(
        "SELECT CAST(@@innodb_flush_log_at_trx_commit AS SIGNED), CAST(@@innodb_buffer_pool_size AS SIGNED), \
                CAST(@@max_connections AS SIGNED)",
    )
    .fetch_one(&mut connect(&database.url).await)
    .await
    .expect("the options");

    assert_eq!(options, (1, 64 << 20, 1000));
}

#[tokio::test]
async fn a_dropped_server_answers_no_more() {
    let server = start(ServerOptions::default()).await;
    let url = server.url().to_owned();
    connect(&url).await.close().await.expect("closed");

    tokio::task::spawn_blocking(move || drop(server)).await.expect("dropped");

    assert!(MySqlConnection::connect(&url).await.is_err());
}

#[tokio::test]
async fn a_server_goes_with_its_process_even_if_that_is_killed() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_testkit-server"))
        .arg("mysql")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut url = String::new();
    BufReader::new(process.stdout.take().expect("piped")).read_line(&mut url).expect("a line");
    let url = url.trim_end();
    connect(url).await.close().await.expect("closed");

    process.kill().expect("SIGKILL");
    process.wait().expect("ended");

    eventually("the end of the server", || async { MySqlConnection::connect(url).await.is_err() }).await;
}
