//! Migrations up, down and up again.

use crate::support::Shop;

crate::on_both_databases! {
    migrations_go_up_down_and_up
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
