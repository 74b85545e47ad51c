//! Orders of the past that are made up.

use chrono::TimeDelta;
use jangteo_application::order_book::OrderSearch;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::{CustomerQueries, PageRequest};
use jangteo_application::seeding::{PastOrders, SeedPlan, SeedReport, Seeder};
use jangteo_application::{Clock, OrderBook, SystemClock};
use jangteo_domain::order::OrderStatus;
use jangteo_domain::{RepositoryError, UserId};

use crate::on_both_databases;
use crate::support::{Shop, money, order, plan_of, policy, request};

on_both_databases! {
    books_balance_with_orders_of_the_past
    a_shop_with_a_past_sells_on
    asked_for_again_there_are_no_more_orders
    a_seed_that_is_cut_off_leaves_balanced_books_and_goes_on
    wallets_keep_to_their_limit_and_journals_to_the_order_of_time
    orders_that_cannot_have_been_placed_are_refused
}

const USERS: i64 = 20;
const PRODUCTS: i64 = 7;

fn past(total: u64) -> PastOrders {
    PastOrders {
        total,
        days: 365,
        at_a_time: 400,
        balance: money("1000"),
        wallet: policy(),
        events_kept_for: TimeDelta::days(7),
    }
}

/// Customers, products and orders at once.
fn plan(orders: PastOrders) -> SeedPlan {
    SeedPlan { orders: Some(orders), ..plan_of(USERS, PRODUCTS, 0, 10) }
}

async fn seed(shop: &Shop, orders: PastOrders) -> Result<SeedReport, RepositoryError> {
    shop.store.seed(&plan(orders), &|_| {}).await
}

async fn books_balance_with_orders_of_the_past(shop: Shop) {
    let report = seed(&shop, past(1000)).await.unwrap();
    assert_eq!((report.users, report.products, report.orders), (20, 7, 1000));
    shop.assert_audit_is_clean().await;

    let count = async |status: Option<OrderStatus>| {
        let search = OrderSearch { status, ..OrderSearch::default() };
        OrderBook::orders(&shop.store, search, PageRequest { page: 0, size: 5 }).await.unwrap().total
    };
    assert_eq!(count(None).await, 1000);
    assert_eq!(count(Some(OrderStatus::Pending)).await, 0);
    for (status, expected) in
        [(OrderStatus::Delivered, 900..1000), (OrderStatus::Cancelled, 20..50), (OrderStatus::Paid, 20..40)]
    {
        assert!(expected.contains(&count(Some(status)).await), "{status:?}");
    }
    // A week's events are kept, one of each order that was paid in it and one more of each that was cancelled.
    let recent = "SELECT COUNT(*) FROM orders WHERE status = 'PAID'";
    let events = shop.count("SELECT COUNT(*) FROM outbox WHERE status = 'SENT'").await;
    assert!((10..=shop.count(recent).await).contains(&events), "{events}");
    assert_eq!(shop.count("SELECT COUNT(*) FROM outbox WHERE status <> 'SENT'").await, 0);
}

async fn a_shop_with_a_past_sells_on(shop: Shop) {
    seed(&shop, past(500)).await.unwrap();
    let last = shop.count("SELECT MAX(id) FROM orders").await;
    let orders = shop.batcher(PlaceOrders);
    // What was received was sold, but for what came back.
    let sku = shop.count("SELECT MAX(id) FROM products WHERE stock > 0").await;
    let placed = order(&orders, request(3, &[(sku, 1)], None)).await.unwrap().outcome.unwrap();
    assert!(placed.order.id.0 > last);
    assert!(placed.balance >= money("990"));
    shop.assert_audit_is_clean().await;

    let ledger = shop.store.ledger(UserId(3), PageRequest { page: 0, size: 2 }).await.unwrap();
    assert_eq!(ledger.content[0].balance_after, placed.balance);
    assert_eq!(ledger.content[1].balance_after, placed.balance.checked_add(money("10")).unwrap());
}

async fn asked_for_again_there_are_no_more_orders(shop: Shop) {
    seed(&shop, past(500)).await.unwrap();
    assert_eq!(seed(&shop, past(500)).await.unwrap(), SeedReport::default());
    assert_eq!(seed(&shop, past(100)).await.unwrap(), SeedReport::default());
    assert_eq!(seed(&shop, past(501)).await.unwrap(), SeedReport { orders: 1, ..SeedReport::default() });
    shop.assert_audit_is_clean().await;
}

async fn a_seed_that_is_cut_off_leaves_balanced_books_and_goes_on(shop: Shop) {
    let (store, (sender, mut told)) = (shop.store.clone(), tokio::sync::mpsc::unbounded_channel());
    let filling = tokio::spawn(async move {
        let progress = move |progress: jangteo_application::seeding::SeedProgress| {
            let _ = sender.send((progress.what, progress.done));
        };
        store.seed(&plan(past(100_000)), &progress).await
    });
    while told.recv().await.expect("it goes on") != ("orders", 800) {}
    filling.abort();
    assert!(filling.await.unwrap_err().is_cancelled());
    shop.assert_audit_is_clean().await;

    let there = shop.count("SELECT COUNT(*) FROM orders").await;
    assert!(there >= 800 && there % 400 == 0, "{there}");
    let wanted = there + 300;
    let report = seed(&shop, past(wanted.unsigned_abs())).await.unwrap();
    assert_eq!(report, SeedReport { orders: 300, ..SeedReport::default() });
    shop.assert_audit_is_clean().await;
}

async fn wallets_keep_to_their_limit_and_journals_to_the_order_of_time(shop: Shop) {
    // An order costs up to a half of what a wallet may hold: who has more than is left for it spends that first.
    let narrow = PastOrders {
        wallet: jangteo_domain::wallet::WalletPolicy { max_balance: money("1000"), ..policy() },
        ..past(2000)
    };
    seed(&shop, narrow).await.unwrap();
    shop.assert_audit_is_clean().await;
    for (table, moved, after, of) in [
        ("ledger_entries", "amount", "balance_after", "user_id"),
        ("stock_movements", "quantity", "stock_after", "product_id"),
    ] {
        let running = format!(
            "SELECT COUNT(*) FROM (SELECT {after} AS told, SUM({moved}) OVER (PARTITION BY {of} ORDER BY id) AS counted, \
             created_at, LAG(created_at) OVER (ORDER BY id) AS before_it FROM {table}) t \
             WHERE told <> counted OR created_at < before_it"
        );
        assert_eq!(shop.count(&running).await, 0, "{table}");
    }
    assert_eq!(shop.count("SELECT COUNT(*) FROM ledger_entries WHERE balance_after > 100000").await, 0);
    assert!(shop.count("SELECT MIN(balance) FROM wallets").await >= 10_000);
    assert_eq!(
        shop.count(
            "SELECT COUNT(*) FROM orders o JOIN users u ON u.id = o.user_id WHERE o.created_at < u.created_at"
        )
        .await,
        0
    );
}

async fn orders_that_cannot_have_been_placed_are_refused(shop: Shop) {
    let refused = async |plan: SeedPlan| {
        let error = shop.store.seed(&plan, &|_| {}).await.unwrap_err();
        std::error::Error::source(&error).expect("a reason").to_string()
    };
    let nobody = SeedPlan { orders: Some(past(1)), ..SeedPlan::default() };
    assert!(refused(nobody).await.contains("there are no customers"));
    let nothing = SeedPlan { products: Vec::new(), ..plan(past(1)) };
    assert!(refused(nothing).await.contains("there are no products"));
    let endless = plan(past(u64::MAX));
    assert!(refused(endless).await.contains("do not fit between"));
    let ids = format!("UPDATE id_blocks SET next_id = {} WHERE name = 'orders'", i64::MAX - 10);
    shop.tamper(&ids).await;
    assert!(refused(plan(past(100))).await.contains("not as many ids"));
    assert_eq!(shop.count("SELECT COUNT(*) FROM orders").await, 0);

    // In a shop where something has just happened there is no past.
    assert!(shop.store.seed(&plan_of(USERS + 1, PRODUCTS, 0, 10), &|_| {}).await.is_ok());
    let late = SystemClock.now() + TimeDelta::microseconds(1);
    let shop_at_once = shop.instance_at(late).await;
    let error = shop_at_once.seed(&plan(past(5_000_000)), &|_| {}).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("do not fit between"));
}
