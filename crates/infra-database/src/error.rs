//! What a database's error means to whoever asked.

use jangteo_domain::RepositoryError;
use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::sqlx::mysql::MySqlDatabaseError;
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// A row that breaks the rules it should have been stored by.
#[derive(Debug, thiserror::Error)]
#[error("corrupt row: {table}.{column} of {id}")]
pub struct Corrupt {
    /// The table.
    pub table: &'static str,
    /// The column whose value makes no sense.
    pub column: &'static str,
    /// The row.
    pub id: String,
}

impl Corrupt {
    pub(crate) fn new(table: &'static str, column: &'static str, id: impl ToString) -> Self {
        Self { table, column, id: id.to_string() }
    }
}

impl From<Corrupt> for RepositoryError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Backend(corrupt.into())
    }
}

/// An error of anything but a commit.
pub(crate) fn failed(error: DbErr) -> RepositoryError {
    match cause(&error) {
        Cause::Conflict => RepositoryError::Conflict(error.into()),
        Cause::RolledBack | Cause::ConnectionLost => RepositoryError::Transient(error.into()),
        Cause::Other => RepositoryError::Backend(error.into()),
    }
}

/// An error of a commit. A connection lost while committing leaves open whether it happened: trying again could do
/// the work twice.
pub(crate) fn commit_failed(error: DbErr) -> RepositoryError {
    match cause(&error) {
        Cause::Conflict => RepositoryError::Conflict(error.into()),
        Cause::RolledBack => RepositoryError::Transient(error.into()),
        Cause::ConnectionLost | Cause::Other => RepositoryError::Backend(error.into()),
    }
}

enum Cause {
    /// A unique key or a check refused the row, or an update missed one.
    Conflict,
    /// A deadlock, or a lock that took too long.
    RolledBack,
    /// Nobody answers, or no connection was free in time.
    ConnectionLost,
    Other,
}

fn cause(error: &DbErr) -> Cause {
    match error {
        DbErr::ConnectionAcquire(_) => Cause::ConnectionLost,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => match error.as_ref() {
            sqlx::Error::Database(error) => database_cause(error.as_ref()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Cause::ConnectionLost,
            _ => Cause::Other,
        },
        _ => Cause::Other,
    }
}

fn database_cause(error: &dyn DatabaseError) -> Cause {
    if matches!(error.kind(), ErrorKind::UniqueViolation | ErrorKind::CheckViolation) {
        return Cause::Conflict;
    }
    match error.try_downcast_ref::<MySqlDatabaseError>() {
        Some(mysql) => match mysql.number() {
            LOCK_WAIT_TIMEOUT | DEADLOCK => Cause::RolledBack,
            MARIADB_CHECK_VIOLATED | MYSQL_CHECK_VIOLATED | OUT_OF_RANGE => Cause::Conflict,
            TOO_MANY_CONNECTIONS | SHUTTING_DOWN | CONNECTION_KILLED => Cause::ConnectionLost,
            _ => Cause::Other,
        },
        // SQLite: the low byte is the primary code, 5 is BUSY and 6 is LOCKED, whatever their extended reason.
        None => match error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
            Some(5 | 6) => Cause::RolledBack,
            Some(1) if error.message() == INTEGER_OVERFLOW => Cause::Conflict,
            _ => Cause::Other,
        },
    }
}

const TOO_MANY_CONNECTIONS: u16 = 1040;
const SHUTTING_DOWN: u16 = 1053;
const LOCK_WAIT_TIMEOUT: u16 = 1205;
const DEADLOCK: u16 = 1213;
const CONNECTION_KILLED: u16 = 1927;
/// With [`INTEGER_OVERFLOW`], how a script's update that missed rows fails.
const OUT_OF_RANGE: u16 = 1690;
const MYSQL_CHECK_VIOLATED: u16 = 3819;
const MARIADB_CHECK_VIOLATED: u16 = 4025;
const INTEGER_OVERFLOW: &str = "integer overflow";
