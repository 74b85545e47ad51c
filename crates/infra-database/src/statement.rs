//! Set-based statements of few shapes.
//!
//! Every distinct text is prepared once per connection, and preparing one with thousands of parameters is slow. So id
//! lists are padded to a power of two by repeating the last id.

use sea_orm::ColumnTrait;
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, SimpleExpr, Value};

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
}
