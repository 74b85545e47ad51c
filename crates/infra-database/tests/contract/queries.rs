//! Lists and figures.

use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::{
    CatalogueQueries, Direction, PageRequest, ProductList, ProductSort, Readiness,
};
use jangteo_domain::ProductId;

use crate::support::{Shop, money, order, request};

crate::on_both_databases! {
    products_are_listed_in_pages_and_ids_break_ties
    popular_products_are_those_sold_most
    best_sellers_are_those_sold_most_of_all_time
}

async fn products_are_listed_in_pages_and_ids_break_ties(shop: Shop) {
    let shop = shop.stocked(1, 25, 10, 1).await;
    shop.store.check().await.unwrap();
    let list = |page, sort, direction| {
        shop.store.products(ProductList {
            search: None,
            store: None,
            in_stock: None,
            page: PageRequest { page, size: 10 },
            sort,
            direction,
        })
    };
    let ids = |page: jangteo_application::queries::Page<jangteo_application::queries::ProductView>| {
        page.content.iter().map(|product| product.id.0).collect::<Vec<_>>()
    };
    let last = list(2, ProductSort::Price, Direction::Ascending).await.unwrap();
    assert_eq!(last.total, 25);
    assert_eq!(ids(last), [21, 22, 23, 24, 25]);
    let newest = list(0, ProductSort::CreatedAt, Direction::Descending).await.unwrap();
    assert_eq!(ids(newest), (16..=25).rev().collect::<Vec<_>>());
    let by_name = list(0, ProductSort::Name, Direction::Ascending).await.unwrap();
    assert_eq!(ids(by_name)[..3], [1, 10, 11]);
    assert!(list(9, ProductSort::SalesVolume, Direction::Descending).await.unwrap().content.is_empty());
    let product = shop.store.product(ProductId(7)).await.unwrap().unwrap().product;
    assert_eq!((product.name.as_str(), product.store_name.as_str()), ("Product 7", "장터"));
    assert!(shop.store.product(ProductId(99)).await.unwrap().is_none());
}

async fn popular_products_are_those_sold_most(shop: Shop) {
    let shop = shop.stocked(3, 4, 100, 1).await;
    let orders = shop.batcher(PlaceOrders);
    for (user, lines) in [(1, [(2, 3), (3, 1)]), (2, [(2, 4), (4, 1)]), (3, [(4, 2), (3, 2)])] {
        assert!(order(&orders, request(user, &lines, None)).await.unwrap().outcome.is_ok());
    }
    let popular = shop.store.popular(3, 2).await.unwrap().products;
    assert_eq!(
        popular.iter().map(|product| (product.id.0, product.sold)).collect::<Vec<_>>(),
        [(2, 7), (3, 3)]
    );
    assert_eq!(shop.store.popular(1, 50).await.unwrap().products.len(), 3);
    shop.assert_audit_is_clean().await;
}

async fn best_sellers_are_those_sold_most_of_all_time(shop: Shop) {
    let shop = shop.stocked(1, 6, 100, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let lines = [(2, 3), (3, 1), (4, 3), (5, 9), (6, 9)];
    assert!(order(&orders, request(1, &lines, None)).await.unwrap().outcome.is_ok());
    // Long ago; and what is not on sale any more is not shown.
    shop.tamper("UPDATE hourly_sales SET hour = 1").await;
    shop.tamper("UPDATE products SET active = 0 WHERE id = 5").await;
    shop.tamper("UPDATE products SET deleted_at = created_at WHERE id = 6").await;
    let best = async |limit| {
        let best = shop.store.best_sellers(limit).await.unwrap().products;
        best.iter().map(|product| (product.id.0, product.sold)).collect::<Vec<_>>()
    };
    assert_eq!(best(50).await, [(2, 3), (4, 3), (3, 1)]);
    assert_eq!(best(1).await, [(2, 3)]);
    let first = shop.store.best_sellers(1).await.unwrap().products.remove(0);
    assert_eq!((first.name.as_str(), first.price), ("Product 2", money("10")));
    assert!(shop.store.popular(30, 50).await.unwrap().products.is_empty());
}
