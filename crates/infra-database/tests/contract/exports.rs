//! Exports: every row once, as of one moment, a portion at a time.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_application::Exports;
use jangteo_application::cancel_orders::{Cancel, CancelOrders};
use jangteo_application::charge_wallets::ChargeWallets;
use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::exports::{EntriesToExport, Export, ExportedLine, OrdersToExport, Span};
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::CustomerQueries;
use jangteo_domain::order::OrderStatus;
use jangteo_domain::wallet::LedgerKind;
use jangteo_domain::{OrderId, ProductId, RepositoryError, UserId};
use jangteo_infra_database::DatabaseKind;

use crate::support::{Shop, charge, claim, money, now, order, policy, request, unkeyed};

crate::on_both_databases! {
    a_row_has_what_its_line_and_its_order_came_to
    an_export_shows_everything_as_it_was_when_it_began
    orders_are_exported_by_time_and_status
    entries_are_exported_by_time_and_customer
    many_orders_come_in_small_portions_while_others_are_placed
    an_order_without_lines_is_no_end_of_an_export
    nothing_is_exported_of_an_empty_shop
}

async fn all<R>(mut export: Box<dyn Export<R>>) -> Result<Vec<R>, RepositoryError> {
    let mut rows = Vec::new();
    loop {
        let portion = export.next().await?;
        if portion.is_empty() {
            return Ok(rows);
        }
        rows.extend(portion);
    }
}

async fn lines(shop: &Shop, which: OrdersToExport) -> Vec<ExportedLine> {
    all(Exports::orders(&shop.store, which).await.unwrap()).await.unwrap()
}

async fn placed(shop: &Shop, user: i64, lines: &[(i64, i64)], coupon: Option<&str>) -> OrderId {
    let orders = shop.batcher(PlaceOrders);
    let placed = order(&orders, request(user, lines, coupon)).await.unwrap().outcome.unwrap();
    placed.order.id
}

async fn cancelled(shop: &Shop, id: OrderId) {
    let order = shop.store.order(id).await.unwrap().unwrap();
    let by = order.user;
    let cancel = unkeyed(Cancel { order, by, administrator: None, reason: None });
    assert!(shop.batcher(CancelOrders).submit(cancel).await.unwrap().outcome.is_ok());
}

async fn a_row_has_what_its_line_and_its_order_came_to(shop: Shop) {
    let shop = shop.stocked(2, 3, 100, 1).await;
    claim(&shop.batcher(ClaimCoupons), 1, "TENTH").await.unwrap();
    let first = placed(&shop, 1, &[(3, 1), (1, 2)], Some("TENTH")).await;
    let second = placed(&shop, 2, &[(2, 5)], None).await;
    let rows = lines(&shop, OrdersToExport::default()).await;
    let of = |row: &ExportedLine| (row.order, row.user.0, row.product.0, row.quantity);
    let expected = [(first, 1, 3, 1), (first, 1, 1, 2), (second, 2, 2, 5)];
    assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), expected);
    let row = &rows[1];
    assert_eq!((row.name.as_str(), row.product), ("Product 1", ProductId(1)));
    assert_eq!((row.variant, row.variant_name.as_deref()), (None, None));
    assert_eq!((row.unit_price, row.subtotal), (money("10"), money("20")));
    assert_eq!((row.total, row.discount, row.paid), (money("30"), money("3"), money("27")));
    assert_eq!((row.status, row.coupon.as_deref()), (OrderStatus::Paid, Some("TENTH")));
    assert_eq!(row.paid_at, Some(row.placed_at));
    assert_eq!((rows[2].discount, rows[2].coupon.as_deref()), (money("0"), None));

    shop.tamper("UPDATE order_items SET variant_id = 7, variant_name = 'L' WHERE product_id = 2").await;
    let rows = lines(&shop, OrdersToExport::default()).await;
    assert_eq!(rows[2].variant.map(|variant| variant.0), Some(7));
    assert_eq!(rows[2].variant_name.as_deref(), Some("L"));
    shop.tamper("UPDATE order_items SET variant_id = 0, variant_name = NULL").await;
    shop.assert_audit_is_clean().await;
}

async fn an_export_shows_everything_as_it_was_when_it_began(shop: Shop) {
    let shop = shop.stocked(2, 2, 100, 1).await;
    let first = placed(&shop, 1, &[(1, 1)], None).await;
    let orders = Exports::orders(&shop.store, OrdersToExport::default()).await.unwrap();
    let entries = shop.store.entries(EntriesToExport::default()).await.unwrap();
    placed(&shop, 2, &[(2, 1)], None).await;
    cancelled(&shop, first).await;

    let rows = all(orders).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.order, row.status)).collect::<Vec<_>>(),
        [(first, OrderStatus::Paid)]
    );
    // Two customers with a balance, and what one of them paid.
    assert_eq!(all(entries).await.unwrap().len(), 3);
    assert_eq!(lines(&shop, OrdersToExport::default()).await.len(), 2);
    shop.assert_audit_is_clean().await;
}

async fn orders_are_exported_by_time_and_status(shop: Shop) {
    let shop = shop.stocked(1, 1, 100, 1).await;
    for _ in 0..4 {
        placed(&shop, 1, &[(1, 1)], None).await;
    }
    let ids: Vec<OrderId> =
        lines(&shop, OrdersToExport::default()).await.iter().map(|row| row.order).collect();
    cancelled(&shop, ids[1]).await;
    // The second was placed by an instance whose ids are old: it came last.
    for (id, day) in [(ids[0], 1), (ids[1], 5), (ids[2], 2), (ids[3], 3)] {
        let at = match shop.store.kind() {
            DatabaseKind::MySql => format!("2025-11-0{day} 12:00:00"),
            DatabaseKind::Sqlite => format!("2025-11-0{day}T12:00:00.000000+00:00"),
        };
        shop.tamper(&format!("UPDATE orders SET created_at = '{at}' WHERE id = {id}")).await;
    }
    let moment = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let found = async |from: Option<&str>, to: Option<&str>, status| {
        let placed = Span { from: from.map(moment), to: to.map(moment) };
        let rows = lines(&shop, OrdersToExport { placed, status }).await;
        rows.into_iter().map(|row| row.order).collect::<Vec<_>>()
    };
    assert_eq!(found(None, None, None).await, ids);
    let (second, fifth) = ("2025-11-02T12:00:00Z", "2025-11-05T12:00:00Z");
    assert_eq!(found(Some(second), Some(fifth), None).await, [ids[2], ids[3]]);
    assert_eq!(found(Some(second), None, None).await, [ids[1], ids[2], ids[3]]);
    assert_eq!(found(None, Some(second), None).await, [ids[0]]);
    assert_eq!(found(None, None, Some(OrderStatus::Cancelled)).await, [ids[1]]);
    assert_eq!(found(None, Some(fifth), Some(OrderStatus::Cancelled)).await, []);
}

async fn entries_are_exported_by_time_and_customer(shop: Shop) {
    let shop = shop.stocked(2, 1, 100, 1).await;
    let charges = shop.batcher(ChargeWallets { policy: policy() });
    charge(&charges, 1, "5").await.unwrap().outcome.unwrap();
    charge(&charges, 2, "7").await.unwrap().outcome.unwrap();
    let order = placed(&shop, 1, &[(1, 3)], None).await;
    let entries = async |at: Span, user: Option<i64>| {
        let which = EntriesToExport { at, user: user.map(UserId) };
        all(shop.store.entries(which).await.unwrap()).await.unwrap()
    };
    let always = Span::default();
    let everything = entries(always, None).await;
    assert_eq!(everything.len(), 5);
    assert!(everything.is_sorted_by_key(|entry| entry.id));
    let mine = entries(always, Some(1)).await;
    let kinds: Vec<LedgerKind> = mine.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [LedgerKind::Charge, LedgerKind::Charge, LedgerKind::Use]);
    assert_eq!(
        (mine[2].order, mine[2].amount, mine[2].balance_after),
        (Some(order), money("-30"), money("975"))
    );
    let (hour, now) = (TimeDelta::hours(1), now());
    let around = Span { from: Some(now - hour), to: Some(now + hour) };
    assert_eq!(entries(around, Some(1)).await, mine);
    assert_eq!(entries(Span { from: None, to: Some(now - hour) }, None).await, []);
    assert_eq!(entries(Span { from: Some(now + hour), to: None }, None).await, []);
    shop.assert_audit_is_clean().await;
}

/// Orders 1,000,001 and on: as many as a power of two.
async fn fill(shop: &Shop, doublings: u32) {
    let id = placed(shop, 1, &[(1, 1), (2, 2)], None).await;
    let columns = "user_id, status, total_amount, discount_amount, paid_amount, user_coupon_id, created_at, updated_at, \
                   paid_at, events";
    let items = "product_id, variant_id, line_no, name, unit_price, quantity, subtotal";
    let copy = async |from: &str, by: u64| {
        for (table, id, columns) in [("orders", "id", columns), ("order_items", "order_id", items)] {
            let copies = format!("SELECT {id} + {by}, {columns} FROM {table} WHERE {id} {from}");
            shop.tamper(&format!("INSERT INTO {table} ({id}, {columns}) {copies}")).await;
        }
    };
    copy(&format!("= {id}"), 1_000_001 - id.0.unsigned_abs()).await;
    for doubling in 0..doublings {
        copy("> 1000000", 1 << doubling).await;
    }
}

async fn many_orders_come_in_small_portions_while_others_are_placed(shop: Shop) {
    let shop = shop.stocked(1, 2, 100, 1).await;
    fill(&shop, 14).await;
    let mut export = Exports::orders(&shop.store, OrdersToExport::default()).await.unwrap();
    let (mut ids, mut rows, mut minor) = (BTreeSet::new(), 0, 0);
    for number in 0.. {
        let portion = export.next().await.unwrap();
        if portion.is_empty() {
            break;
        }
        assert!(portion.len() <= 1000, "{}", portion.len());
        rows += portion.len();
        minor += portion.iter().map(|row| row.subtotal.minor()).sum::<i64>();
        ids.extend(portion.into_iter().map(|row| row.order));
        if number % 10 == 0 {
            placed(&shop, 1, &[(1, 1)], None).await;
        }
    }
    let orders = 1 + (1 << 14);
    assert_eq!((ids.len(), rows, minor), (orders, 2 * orders, 30_00 * orders as i64));
}

async fn an_order_without_lines_is_no_end_of_an_export(shop: Shop) {
    let shop = shop.stocked(1, 1, 100, 1).await;
    let first = placed(&shop, 1, &[(1, 1)], None).await;
    placed(&shop, 1, &[(1, 1)], None).await;
    shop.tamper(&format!("DELETE FROM order_items WHERE order_id = {first}")).await;
    let mut export = Exports::orders(&shop.store, OrdersToExport::default()).await.unwrap();
    let error = export.next().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, format!("corrupt row: order_items.product_id of {first}"));
}

async fn nothing_is_exported_of_an_empty_shop(shop: Shop) {
    assert_eq!(lines(&shop, OrdersToExport::default()).await, []);
    let placed = Span { from: Some(now()), to: None };
    assert_eq!(lines(&shop, OrdersToExport { placed, status: None }).await, []);
    let entries = shop.store.entries(EntriesToExport { at: placed, user: None }).await.unwrap();
    assert_eq!(all(entries).await.unwrap(), []);
}
