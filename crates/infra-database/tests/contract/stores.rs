//! Stores: what holds them while products are put into them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::{join, join_all};
use jangteo_application::Database;
use jangteo_application::manage_stores::{ManageStore, ManageStores, StoreAction, StoreRefusal};
use jangteo_application::versions::Expected;
use jangteo_domain::StoreId;

use crate::support::{Shop, administrator, unkeyed};

crate::on_both_databases! {
    a_store_is_not_deleted_while_somebody_puts_a_product_into_it
    names_go_from_one_store_to_the_next_within_a_batch
}

fn command(action: StoreAction) -> ManageStore {
    ManageStore { by: administrator(), action }
}

fn delete(id: i64) -> ManageStore {
    command(StoreAction::Delete { id: StoreId(id), expected: Expected::Any })
}

async fn a_store_is_not_deleted_while_somebody_puts_a_product_into_it(shop: Shop) {
    let shop = shop.stocked(1, 1, 1, 1).await;
    shop.tamper("UPDATE products SET deleted_at = created_at").await;
    let stores = shop.batcher(ManageStores);
    let mut uow = shop.store.begin().await.unwrap();
    let locked = uow.stores().lock_many(&BTreeSet::from([StoreId(1), StoreId(99)])).await.unwrap();
    assert_eq!(locked.keys().copied().collect::<Vec<_>>(), [StoreId(1)]);
    let deleting = tokio::spawn(async move { stores.submit(unkeyed(delete(1))).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!deleting.is_finished(), "it waits for whoever holds the store");
    drop(uow);
    assert!(deleting.await.unwrap().unwrap().outcome.is_ok());
    shop.assert_audit_is_clean().await;
}

async fn names_go_from_one_store_to_the_next_within_a_batch(shop: Shop) {
    let create = |name: &str| command(StoreAction::Create { name: name.parse().unwrap() });
    let rename = |id, name: &str| {
        let (id, expected, name) = (StoreId(id), Expected::Any, name.parse().unwrap());
        command(StoreAction::Rename { id, expected, name })
    };
    let stores = shop.batcher(ManageStores);
    let mut ids = Vec::new();
    for name in ["A", "B"] {
        ids.push(stores.submit(unkeyed(create(name))).await.unwrap().outcome.unwrap().id.0);
    }
    // Together, while another holds them up: A and B change places by way of C, and a new one is refused A.
    let uow = shop.store.begin().await.unwrap();
    let swap = [rename(ids[0], "C"), rename(ids[1], "A"), rename(ids[0], "B"), create("A"), create("C")];
    let swapping = join_all(swap.map(|command| stores.submit(unkeyed(command))));
    let letting_go = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(uow);
    };
    let (replies, ()) = join(swapping, letting_go).await;
    let outcomes: Vec<_> = replies.into_iter().map(|reply| reply.unwrap().outcome).collect();
    assert_eq!(outcomes[3], Err(StoreRefusal::NameTaken));
    assert!(outcomes[..3].iter().chain(&outcomes[4..]).all(Result::is_ok), "{outcomes:?}");
    assert_eq!(shop.count("SELECT COUNT(*) FROM admin_changes").await, 6);
}
