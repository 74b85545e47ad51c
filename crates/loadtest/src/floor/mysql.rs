use futures::future::BoxFuture;
use sqlx::error::DatabaseError;
use sqlx::mysql::{MySqlDatabaseError, MySqlQueryResult};
use sqlx::{Connection, Executor, MySql, MySqlConnection};

use super::till::Dialect;

const DEADLOCK: u16 = 1213;
const LOCK_WAIT_TIMEOUT: u16 = 1205;

impl Dialect for MySql {
    const BEGIN: &'static str = "BEGIN";
    const LOCK: &'static str = " FOR UPDATE";
    const ADD_QUANTITY: &'static str = "ON DUPLICATE KEY UPDATE quantity = quantity + VALUES(quantity)";

    fn connect(url: &str) -> BoxFuture<'_, sqlx::Result<MySqlConnection>> {
        Box::pin(async move {
            let mut connection = MySqlConnection::connect(url).await?;
            // As Jangteo does: the default locks gaps too, and would slow the floor.
            connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
            Ok(connection)
        })
    }

    fn rows_affected(result: &MySqlQueryResult) -> u64 {
        result.rows_affected()
    }

    fn is_collision(error: &(dyn DatabaseError + 'static)) -> bool {
        let number = error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number);
        matches!(number, Some(DEADLOCK | LOCK_WAIT_TIMEOUT))
    }
}
