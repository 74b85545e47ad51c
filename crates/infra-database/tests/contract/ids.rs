//! Ids in blocks.

use std::collections::BTreeSet;

use futures::future::join_all;
use jangteo_application::ids::{IdAllocator, Sequence};

use crate::support::Shop;

crate::on_both_databases! {
    no_id_is_handed_out_twice
    ids_that_were_not_used_are_handed_out_again
}

async fn no_id_is_handed_out_twice(shop: Shop) {
    let other = shop.second_instance().await;
    let reserve = |n: usize| {
        let store = if n.is_multiple_of(2) { &shop.store } else { &other };
        store.reserve(Sequence::Orders, 37 * n)
    };
    let ids: Vec<i64> = join_all((1..60).map(reserve)).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    assert_eq!(ids.len(), 37 * (1..60).sum::<usize>());
}

async fn ids_that_were_not_used_are_handed_out_again(shop: Shop) {
    let ids = shop.store.reserve(Sequence::Users, 3).await.unwrap();
    shop.store.give_back(Sequence::Users, ids[1..].to_vec());
    assert_eq!(shop.store.reserve(Sequence::Users, 2).await.unwrap(), ids[1..]);
}
