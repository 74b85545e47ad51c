//! The promises of the crate page, kept on SQLite.

use std::path::Path;

use jangteo_testkit::sqlite;
use sqlx::{Connection, SqliteConnection};

#[tokio::test]
async fn every_database_is_an_empty_file_of_its_own() {
    let one = sqlite().await;
    let other = sqlite().await;
    assert_ne!(one.url, other.url);

    let mut connection = SqliteConnection::connect(&one.url).await.expect("the database opens");
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master")
        .fetch_one(&mut connection)
        .await
        .expect("a count");
    assert_eq!(tables, 0);
}

#[tokio::test]
async fn a_dropped_database_leaves_nothing_behind() {
    let database = sqlite().await;
    let file = database.url.strip_prefix("sqlite://").expect("a SQLite URL").to_owned();
    assert!(Path::new(&file).is_file());

    drop(database);

    assert!(!Path::new(&file).parent().expect("a folder").exists());
}
