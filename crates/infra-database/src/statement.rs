//! Set-based statements of few shapes.
//!
//! Every distinct text is prepared once per connection, and preparing one with thousands of parameters is slow. So id
//! lists are padded to a power of two by repeating the last id.

use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, Func, SimpleExpr};
use sea_orm::{ColumnTrait, DbBackend};

/// The most ids in one list.
pub(crate) const LARGEST: usize = 128;

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

/// The value of a row's key, found by bisection: a flat list of cases would be searched from its begin for every row.
/// The list is ascending by key.
pub(crate) fn by_key<C: ColumnTrait>(backend: DbBackend, key: C, values: &[(i64, i64)]) -> SimpleExpr {
    match backend {
        // INTERVAL says how many of the keys are not above the row's.
        DbBackend::MySql => {
            let keys = values.iter().map(|(key, _)| Expr::val(*key));
            let place = Func::cust("INTERVAL").args(std::iter::once(key.into_expr()).chain(keys));
            let values = values.iter().map(|(_, value)| Expr::val(*value));
            let value = Func::cust("ELT").args(std::iter::once(place.into()).chain(values));
            // ELT makes a text of the number, and a sum with a text is rounded.
            Func::cast_as(value, "SIGNED").into()
        }
        _ => nested_cases(key, values),
    }
}

fn nested_cases<C: ColumnTrait>(key: C, values: &[(i64, i64)]) -> SimpleExpr {
    let middle = values.len() / 2;
    match values {
        [] => Expr::val(0),
        [(_, value)] => Expr::val(*value),
        _ => CaseStatement::new()
            .case(key.into_expr().lt(values[middle].0), nested_cases(key, &values[..middle]))
            .finally(nested_cases(key, &values[middle..]))
            .into(),
    }
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
    fn a_value_is_found_by_bisection() {
        use sea_orm::sea_query::{MysqlQueryBuilder, Query, SqliteQueryBuilder};

        use crate::entity::wallets::Column::UserId;
        let select =
            |backend| Query::select().expr(by_key(backend, UserId, &[(1, 10), (2, 20), (3, 30)])).take();
        assert_eq!(
            select(DbBackend::Sqlite).to_string(SqliteQueryBuilder).replace(r#""wallets"."user_id""#, "user"),
            "SELECT (CASE WHEN (user < 2) THEN 10 ELSE (CASE WHEN (user < 3) THEN 20 ELSE 30 END) END)"
        );
        assert_eq!(
            select(DbBackend::MySql).to_string(MysqlQueryBuilder).replace("`wallets`.`user_id`", "user"),
            "SELECT CAST(ELT(INTERVAL(user, 1, 2, 3), 10, 20, 30) AS SIGNED)"
        );
    }
}
