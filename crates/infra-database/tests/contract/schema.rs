//! Migrations up, down and up again.

use crate::support::Shop;

crate::on_both_databases! {
    migrations_go_up_down_and_up
    instances_that_start_together_migrate_once
}

async fn instances_that_start_together_migrate_once(shop: Shop) {
    assert!(shop.store.migrate_down().await.unwrap());
    let (second, third) = (shop.second_instance().await, shop.second_instance().await);
    let applied = tokio::join!(shop.store.migrate_up(), second.migrate_up(), third.migrate_up());
    let applied = [applied.0.unwrap(), applied.1.unwrap(), applied.2.unwrap()];
    assert_eq!(applied.iter().sum::<usize>(), 1, "{applied:?}");
}

async fn migrations_go_up_down_and_up(shop: Shop) {
    assert!(shop.store.migrations().await.unwrap().iter().all(|migration| migration.applied));
    assert_eq!(shop.store.migrate_up().await.unwrap(), 0);
    assert!(shop.store.migrate_down().await.unwrap());
    assert!(shop.store.migrations().await.unwrap().iter().any(|migration| !migration.applied));
    assert_eq!(shop.store.migrate_up().await.unwrap(), 1);
    let shop = shop.stocked(1, 1, 1, 1).await;
    shop.assert_audit_is_clean().await;
}
