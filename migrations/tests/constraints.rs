//! Each constraint refuses the row it exists to refuse, on SQLite.
//!
//! `constraints/valid.sql` is one small, correct purchase; every line of `constraints/refused.sql` breaks it in
//! one way and names the constraint that must say no. Both files are portable, so that a suite with a MySQL or
//! MariaDB server at hand can run them there as well.

use jangteo_migrations::{Migrator, MigratorTrait};
use sea_orm_migration::sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbErr, Statement};

const VALID: &str = include_str!("constraints/valid.sql");
const REFUSED: &str = include_str!("constraints/refused.sql");

async fn database_with_a_purchase() -> Result<DatabaseConnection, DbErr> {
    let database = Database::connect("sqlite::memory:").await?;
    Migrator::up(&database, None).await?;
    for insert in VALID.lines() {
        database.execute_unprepared(insert).await?;
    }
    Ok(database)
}

/// What SQLite says when the named constraint refuses: it names checks only.
fn complaint(constraint: &str) -> &str {
    match constraint.split_once('_') {
        Some(("ck", _)) => constraint,
        Some(("uq" | "pk", _)) => "UNIQUE constraint failed",
        Some(("fk", _)) => "FOREIGN KEY constraint failed",
        _ => panic!("{constraint} is not a constraint's name"),
    }
}

#[tokio::test]
async fn every_broken_row_is_refused() -> Result<(), DbErr> {
    let database = database_with_a_purchase().await?;
    for line in REFUSED.lines() {
        let (statement, constraint) = line.split_once(" -- ").expect("a statement and a constraint");
        match database.execute_unprepared(statement).await {
            Ok(_) => panic!("accepted: {statement}"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains(complaint(constraint)), "{statement}: {error}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn no_check_is_without_a_row_it_refuses() -> Result<(), DbErr> {
    let database = database_with_a_purchase().await?;
    let tables = Statement::from_string(
        database.get_database_backend(),
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL",
    );
    let mut untried = Vec::new();
    for table in database.query_all_raw(tables).await? {
        let sql: String = table.try_get("", "sql")?;
        let names = sql.split('"').filter(|name| name.starts_with("ck_") || name.starts_with("uq_"));
        let tried = |name: &&str| REFUSED.lines().any(|line| line.ends_with(&format!("-- {name}")));
        untried.extend(names.filter(|name| !tried(name)).map(str::to_owned));
    }
    assert_eq!(untried, Vec::<String>::new());
    Ok(())
}
