//! All orders, and what they came to.

use chrono::{DateTime, DurationRound, FixedOffset, Offset, TimeDelta, Utc};
use jangteo_application::OrderBook;
use jangteo_application::cancel_orders::{Cancel, CancelOrders};
use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::exports::Span;
use jangteo_application::order_book::{OrderSearch, SalesFigures, SalesOfPeriod, SalesQuestion, SalesStep};
use jangteo_application::outbox_queries::Period;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::PageRequest;
use jangteo_domain::order::OrderStatus;
use jangteo_domain::{Order, UserId};
use jangteo_infra_database::DatabaseKind;

use crate::support::{Shop, batcher_at, claim, money, now, order, request, unkeyed};

crate::on_both_databases! {
    sales_are_summed_up_when_they_were_paid_and_refunds_when_they_were_made
    a_summary_agrees_with_the_ledger_and_the_orders
    orders_of_everybody_are_found_latest_first
}

async fn placed(
    shop: &Shop,
    user: i64,
    lines: &[(i64, i64)],
    coupon: Option<&str>,
    at: DateTime<Utc>,
) -> Order {
    let orders = batcher_at(&shop.store, PlaceOrders, at);
    order(&orders, request(user, lines, coupon)).await.unwrap().outcome.unwrap().order
}

async fn cancelled(shop: &Shop, order: Order, at: DateTime<Utc>) {
    let by = order.user;
    let cancel = unkeyed(Cancel { order, by, administrator: None, reason: None });
    let cancels = batcher_at(&shop.store, CancelOrders, at);
    assert!(cancels.submit(cancel).await.unwrap().outcome.is_ok());
}

/// The midnight that comes next: journals are written in the order of time.
fn midnight() -> DateTime<Utc> {
    now().duration_trunc(TimeDelta::days(1)).unwrap() + TimeDelta::days(1)
}

async fn sales(shop: &Shop, days: i64, step: SalesStep, zone: FixedOffset) -> Vec<SalesOfPeriod> {
    let period = Period { from: midnight(), to: midnight() + TimeDelta::days(days) };
    shop.store.sales(SalesQuestion { period, step, zone }).await.unwrap()
}

fn sold(orders: u64, gross: &str, discount: &str, revenue: &str) -> SalesFigures {
    let (gross, discount, revenue) = (money(gross), money(discount), money(revenue));
    SalesFigures { orders_paid: orders, gross, discount, revenue, ..SalesFigures::default() }
}

async fn sales_are_summed_up_when_they_were_paid_and_refunds_when_they_were_made(shop: Shop) {
    let shop = shop.stocked(3, 2, 100, 3).await;
    let at = |hours: i64, minutes: i64| midnight() + TimeDelta::minutes(60 * hours + minutes);
    for user in 1..=2 {
        claim(&shop.batcher(ClaimCoupons), user, "TENTH").await.unwrap().outcome.unwrap();
    }
    placed(&shop, 3, &[(2, 50)], None, midnight() - TimeDelta::minutes(1)).await;
    let first = placed(&shop, 1, &[(1, 2), (2, 1)], Some("TENTH"), at(0, 0)).await;
    placed(&shop, 2, &[(1, 1)], None, at(23, 30)).await;
    // What costs nothing is a sale all the same, and comes back without a refund.
    shop.tamper("UPDATE coupons SET value = 10000").await;
    let free = placed(&shop, 2, &[(1, 5)], Some("TENTH"), at(24, 0)).await;
    assert_eq!(free.paid, money("0"));
    cancelled(&shop, first, at(49, 0)).await;
    cancelled(&shop, free, at(49, 59)).await;

    let none = SalesFigures::default();
    let taken_back = SalesFigures { orders_cancelled: 2, refunded: money("27"), ..none };
    let by_day = sales(&shop, 3, SalesStep::Day, Utc.fix()).await;
    let days = [at(0, 0), at(24, 0), at(48, 0)];
    assert_eq!(by_day.iter().map(|day| day.from).collect::<Vec<_>>(), days);
    let figures = |periods: &[SalesOfPeriod]| periods.iter().map(|period| period.figures).collect::<Vec<_>>();
    assert_eq!(figures(&by_day), [sold(2, "40", "3", "37"), sold(1, "50", "50", "0"), taken_back]);

    let seoul = FixedOffset::east_opt(9 * 3600).unwrap();
    let by_day = sales(&shop, 3, SalesStep::Day, seoul).await;
    assert_eq!((by_day.len(), by_day[0].from), (4, at(-9, 0)));
    let expected = [sold(1, "30", "3", "27"), sold(2, "60", "50", "10"), taken_back, none];
    assert_eq!(figures(&by_day), expected);

    let by_hour = sales(&shop, 3, SalesStep::Hour, Utc.fix()).await;
    assert_eq!(by_hour.len(), 72);
    let busy = by_hour.iter().filter(|hour| hour.figures != none).map(|hour| hour.from);
    assert_eq!(busy.collect::<Vec<_>>(), [at(0, 0), at(23, 0), at(24, 0), at(49, 0)]);
    shop.tamper("UPDATE coupons SET value = 1000").await;
    shop.assert_audit_is_clean().await;
}

async fn a_summary_agrees_with_the_ledger_and_the_orders(shop: Shop) {
    let shop = shop.stocked(4, 3, 1000, 4).await;
    for user in 1..=4 {
        claim(&shop.batcher(ClaimCoupons), user, "TENTH").await.unwrap().outcome.unwrap();
    }
    for number in 0..24 {
        let (user, at) = (1 + number % 4, midnight() + TimeDelta::minutes(173 * number));
        let coupon = (number < 4).then_some("TENTH");
        let order = placed(&shop, user, &[(1 + number % 3, 1 + number % 5)], coupon, at).await;
        if number % 5 == 0 {
            cancelled(&shop, order, at + TimeDelta::minutes(100)).await;
        }
    }
    let periods = sales(&shop, 31, SalesStep::Hour, Utc.fix()).await;
    let totals =
        periods.iter().try_fold(SalesFigures::default(), |sum, hour| sum.plus(&hour.figures)).unwrap();
    // A sum is a DECIMAL on MySQL.
    let integer = if shop.store.kind() == DatabaseKind::MySql { "SIGNED" } else { "INTEGER" };
    let sum =
        async |what: &str, of: &str| shop.count(&format!("SELECT CAST({what} AS {integer}) FROM {of}")).await;
    assert_eq!(totals.orders_paid as i64, sum("COUNT(*)", "orders").await);
    assert_eq!(totals.gross.minor(), sum("SUM(total_amount)", "orders").await);
    assert_eq!(totals.discount.minor(), sum("SUM(discount_amount)", "orders").await);
    assert_eq!(totals.revenue.minor(), sum("-SUM(amount)", "ledger_entries WHERE kind = 'USE'").await);
    assert_eq!(totals.refunded.minor(), sum("SUM(amount)", "ledger_entries WHERE kind = 'REFUND'").await);
    assert_eq!(totals.orders_cancelled as i64, sum("COUNT(*)", "orders WHERE status = 'CANCELLED'").await);
    shop.assert_audit_is_clean().await;
}

async fn orders_of_everybody_are_found_latest_first(shop: Shop) {
    let shop = shop.stocked(2, 1, 100, 1).await;
    let at = |hours: i64| midnight() + TimeDelta::hours(hours);
    // The third was placed by an instance whose clock is behind.
    let mut ids = Vec::new();
    for (user, hours) in [(1, 1), (2, 2), (1, 0), (2, 3)] {
        ids.push(placed(&shop, user, &[(1, 1)], None, at(hours)).await.id);
    }
    let second =
        OrderBook::orders(&shop.store, OrderSearch::default(), PageRequest { page: 2, size: 1 }).await;
    let second = second.unwrap();
    assert_eq!((second.total, second.content[0].id), (4, ids[0]));
    cancelled(&shop, second.content[0].clone(), at(5)).await;

    let found = async |search: OrderSearch| {
        let page = OrderBook::orders(&shop.store, search, PageRequest { page: 0, size: 3 }).await.unwrap();
        (page.content.into_iter().map(|order| order.id).collect::<Vec<_>>(), page.total)
    };
    let all = OrderSearch::default();
    assert_eq!(found(all).await, (vec![ids[3], ids[1], ids[0]], 4));
    assert_eq!(found(OrderSearch { user: Some(UserId(1)), ..all }).await, (vec![ids[0], ids[2]], 2));
    let status = Some(OrderStatus::Cancelled);
    assert_eq!(found(OrderSearch { status, ..all }).await, (vec![ids[0]], 1));
    let placed = Span { from: Some(at(1)), to: Some(at(3)) };
    assert_eq!(found(OrderSearch { placed, ..all }).await, (vec![ids[1], ids[0]], 2));
    assert_eq!(found(OrderSearch { placed, status, user: Some(UserId(2)) }).await, (vec![], 0));
    shop.assert_audit_is_clean().await;
}
