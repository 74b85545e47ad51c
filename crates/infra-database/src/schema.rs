//! Bringing the schema up to date, one instance at a time.

use jangteo_domain::RepositoryError;
use jangteo_migrations::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DatabaseExecutor, DatabaseTransaction, DbBackend, Statement, TransactionTrait,
};

use crate::error::{commit_failed, failed};
use crate::store::{DatabaseKind, Store};

/// One migration and whether it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its name.
    pub name: String,
    /// Whether it was applied.
    pub applied: bool,
}

/// Another instance migrates, and takes long.
#[derive(Debug, thiserror::Error)]
#[error("another instance has been migrating the database for {PATIENCE_SECONDS} seconds")]
struct Occupied;

/// How long an instance waits for another one's migrations.
const PATIENCE_SECONDS: u32 = 60;

impl Store {
    /// Applies every migration that is missing; how many there were. Instances that start together take turns.
    ///
    /// # Errors
    /// [`RepositoryError`] when a migration fails, or another instance's take longer than a minute.
    pub async fn migrate_up(&self) -> Result<usize, RepositoryError> {
        let turn = self.take_turn().await?;
        let applied = up(self.during(&turn)).await;
        self.end_turn(turn, applied.is_ok()).await?;
        applied
    }

    /// Takes the last migration back, with its data; whether there was one.
    ///
    /// # Errors
    /// As [`Store::migrate_up`].
    pub async fn migrate_down(&self) -> Result<bool, RepositoryError> {
        let turn = self.take_turn().await?;
        let undone = down(self.during(&turn)).await;
        self.end_turn(turn, undone.is_ok()).await?;
        undone
    }

    /// Every migration, oldest first.
    ///
    /// # Errors
    /// [`RepositoryError`] when the database does not answer.
    pub async fn migrations(&self) -> Result<Vec<MigrationStatus>, RepositoryError> {
        let pending = Migrator::get_pending_migrations(self.writers()).await.map_err(failed)?;
        let pending: Vec<&str> = pending.iter().map(|migration| migration.name()).collect();
        let all = Migrator::get_migration_files();
        let status =
            |name: &str| MigrationStatus { name: name.to_owned(), applied: !pending.contains(&name) };
        Ok(all.iter().map(|migration| status(migration.name())).collect())
    }

    /// Begins what keeps others out: on SQLite the transaction that migrates. On MySQL, where every definition commits by
    /// itself, a lock that a connection beside it holds.
    async fn take_turn(&self) -> Result<DatabaseTransaction, RepositoryError> {
        if self.kind() == DatabaseKind::Sqlite {
            return self.begin_writing().await;
        }
        let turn = self.readers().begin().await.map_err(failed)?;
        let lock = format!("SELECT GET_LOCK({LOCK}, {PATIENCE_SECONDS})");
        let row = turn.query_one_raw(Statement::from_string(DbBackend::MySql, lock)).await.map_err(failed)?;
        let locked: Option<i64> = match row {
            Some(row) => row.try_get_by_index(0).map_err(failed)?,
            None => None,
        };
        match locked {
            Some(1) => Ok(turn),
            _ => Err(RepositoryError::Transient(Occupied.into())),
        }
    }

    /// What migrates during a turn.
    fn during<'a>(&'a self, turn: &'a DatabaseTransaction) -> DatabaseExecutor<'a> {
        match self.kind() {
            DatabaseKind::Sqlite => turn.into(),
            DatabaseKind::MySql => self.writers().into(),
        }
    }

    async fn end_turn(&self, turn: DatabaseTransaction, keep: bool) -> Result<(), RepositoryError> {
        if self.kind() == DatabaseKind::MySql {
            turn.execute_unprepared(&format!("DO RELEASE_LOCK({LOCK})")).await.map_err(failed)?;
        }
        match keep {
            true => turn.commit().await.map_err(commit_failed),
            false => turn.rollback().await.map_err(failed),
        }
    }
}

async fn up(over: DatabaseExecutor<'_>) -> Result<usize, RepositoryError> {
    let pending = Migrator::get_pending_migrations(&over).await.map_err(failed)?.len();
    Migrator::up(over, None).await.map_err(failed)?;
    Ok(pending)
}

async fn down(over: DatabaseExecutor<'_>) -> Result<bool, RepositoryError> {
    let applied = Migrator::get_applied_migrations(&over).await.map_err(failed)?.len();
    Migrator::down(over, Some(1)).await.map_err(failed)?;
    Ok(applied > 0)
}

/// Names the lock: a server has one set of names for all of its databases, of 64 characters at most.
const LOCK: &str = "CONCAT('jangteo.', SHA1(DATABASE()))";
