//! Set-based statements of few shapes.
//!
//! Every distinct text is prepared once per connection, and preparing one with thousands of parameters is slow. So id
//! lists are padded to a power of two by repeating the last id, and rows are inserted in chunks of few sizes.

use jangteo_domain::RepositoryError;
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, SimpleExpr, Value};
use sea_orm::{ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel};

use crate::error::failed;

/// The most rows in one INSERT, and the most ids in one list.
const LARGEST: usize = 128;
/// Rows beyond this many go in multiples of it, so that a table is written with at most two statements a chunk.
const STEP: usize = 16;

/// Cuts ids into lists of at most 128, each padded to a power of two.
pub(crate) fn padded<T: Clone>(ids: impl IntoIterator<Item = T>) -> Vec<Vec<T>> {
    let ids: Vec<T> = ids.into_iter().collect();
    ids.chunks(LARGEST)
        .map(|chunk| {
            let mut list = chunk.to_vec();
            let last = chunk[chunk.len() - 1].clone();
            list.resize(chunk.len().next_power_of_two(), last);
            list
        })
        .collect()
}

/// How many rows each INSERT takes: 1 to 15, or a multiple of 16 up to 128.
pub(crate) fn insert_sizes(mut rows: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let size = match rows {
            0 => return None,
            1..STEP => rows,
            _ => (rows - rows % STEP).min(LARGEST),
        };
        rows -= size;
        Some(size)
    })
}

/// Inserts rows, in order.
pub(crate) async fn insert<E, A>(
    transaction: &DatabaseTransaction,
    rows: impl IntoIterator<Item = A>,
) -> Result<(), RepositoryError>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + IntoActiveModel<A> + Send,
{
    let mut rows: Vec<A> = rows.into_iter().collect();
    for size in insert_sizes(rows.len()) {
        let later = rows.split_off(size);
        E::insert_many(rows).exec_without_returning(transaction).await.map_err(failed)?;
        rows = later;
    }
    Ok(())
}

/// `CASE WHEN key = k1 THEN v1 WHEN key = k2 THEN v2 ... END` over a padded list: the first of equal keys counts.
pub(crate) fn by_key<C: ColumnTrait>(key: C, values: &[(i64, i64)]) -> SimpleExpr {
    let cases = values.iter().fold(CaseStatement::new(), |cases, &(id, value)| {
        cases.case(key.into_expr().eq(id), Expr::val(Value::from(value)))
    });
    cases.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_lists_have_power_of_two_lengths() {
        assert_eq!(padded([7]), [vec![7]]);
        assert_eq!(padded([1, 2, 3]), [vec![1, 2, 3, 3]]);
        let long = padded(0..130);
        assert_eq!(long.iter().map(Vec::len).collect::<Vec<_>>(), [128, 2]);
    }

    #[test]
    fn rows_are_inserted_in_few_sizes() {
        let sizes = |rows| insert_sizes(rows).collect::<Vec<_>>();
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(64), [64]);
        assert_eq!(sizes(63), [48, 15]);
        assert_eq!(sizes(300), [128, 128, 32, 12]);
    }
}
