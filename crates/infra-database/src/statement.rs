//! Set-based statements of few shapes.
//!
//! Every distinct text is prepared once per connection, and preparing one with thousands of parameters is slow. So id
//! lists are padded to a power of two by repeating the last id.

use sea_orm::ColumnTrait;
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, SimpleExpr};

/// The most ids in one list.
const LARGEST: usize = 128;

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

/// The value of a row's key, by bisection: a flat list of cases would be searched from its begin for every row.
/// The list is ascending by key.
pub(crate) fn by_key<C: ColumnTrait>(key: C, values: &[(i64, i64)]) -> SimpleExpr {
    let middle = values.len() / 2;
    match values {
        [] => Expr::val(0),
        [(_, value)] => Expr::val(*value),
        _ => CaseStatement::new()
            .case(key.into_expr().lt(values[middle].0), by_key(key, &values[..middle]))
            .finally(by_key(key, &values[middle..]))
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
        use sea_orm::sea_query::{Query, SqliteQueryBuilder};

        use crate::entity::wallets::Column::UserId;
        let text =
            Query::select().expr(by_key(UserId, &[(1, 10), (2, 20), (3, 30)])).to_string(SqliteQueryBuilder);
        let text = text.replace(r#""wallets"."user_id""#, "user");
        let expected = "(CASE WHEN (user < 2) THEN 10 ELSE (CASE WHEN (user < 3) THEN 20 ELSE 30 END) END)";
        assert!(text.ends_with(expected), "{text}");
    }
}
