//! `cancel` of what `settle` sold.

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::cancellation::{CancelRefusal, Cancellation, Returns, cancel};
use jangteo_domain::checkout::{Counter, Sale};
use jangteo_domain::coupon::UserCouponState;
use jangteo_domain::order::{OrderStatus, WrongStatus};
use jangteo_domain::{Money, OrderId, OrderRequest};
use proptest::prelude::*;

use crate::shop::{counter, now, requests, settled};

fn later() -> DateTime<Utc> {
    now() + TimeDelta::days(1)
}

/// The shop once it has sold what it could, and what it has sold.
fn sold(mut counter: Counter, requests: &[OrderRequest]) -> (Returns, Vec<Sale>) {
    let sales: Vec<Sale> = settled(&mut counter, requests, &mut 0).into_iter().flatten().collect();
    let returns = Returns {
        orders: sales.iter().map(|sale| (sale.order.id, sale.order.clone())).collect(),
        payments: sales.iter().map(|sale| (sale.order.id, sale.payment.clone())).collect(),
        wallets: counter.wallets,
        products: counter.products,
        held: counter.held.into_values().map(|held| (held.id, held)).collect(),
    };
    (returns, sales)
}

fn cancelled(returns: &mut Returns, orders: &[OrderId]) -> Vec<Result<Cancellation, CancelRefusal>> {
    cancel(returns, orders.iter().map(|&order| (order, None)), later())
}

/// Some of the orders, in any order, some of them again and again.
fn chosen(sales: &[Sale], picks: &[prop::sample::Index]) -> Vec<OrderId> {
    match sales.is_empty() {
        true => Vec::new(),
        false => picks.iter().map(|pick| pick.get(sales).order.id).collect(),
    }
}

fn picks() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..40)
}

/// Money, pieces and unused coupons: in the shop, and in the orders that stand.
fn holdings(returns: &Returns) -> (i64, i64, usize) {
    let standing = || returns.orders.values().filter(|order| order.status == OrderStatus::Paid);
    let balances: i64 = returns.wallets.values().map(|wallet| wallet.balance.minor()).sum();
    let paid: i64 = standing().map(|order| order.paid.minor()).sum();
    let stocks: i64 = returns.products.values().map(|product| product.stock).sum();
    let taken: i64 = standing().flat_map(|order| &order.lines).map(|line| line.quantity.get()).sum();
    let claimed = returns.held.values().filter(|held| held.state == UserCouponState::Claimed).count();
    (balances + paid, stocks + taken, claimed + standing().filter(|order| order.coupon.is_some()).count())
}

proptest! {
    #[test]
    fn money_pieces_and_coupons_are_conserved(before in counter(), requests in requests(), picks in picks()) {
        let (mut returns, sales) = sold(before, &requests);
        let held = holdings(&returns);
        let verdicts = cancelled(&mut returns, &chosen(&sales, &picks));
        prop_assert_eq!(holdings(&returns), held);
        for cancellation in verdicts.iter().flatten() {
            let order = &cancellation.order;
            prop_assert_eq!(cancellation.ledger.as_ref().map_or(Money::ZERO, |entry| entry.amount), order.paid);
            prop_assert_eq!(cancellation.returned.len(), order.lines.len());
            prop_assert_eq!(cancellation.restoration.map(|restored| restored.user_coupon),
                order.coupon.as_ref().map(|coupon| coupon.user_coupon));
            prop_assert!(cancellation.returned.iter().all(|returned| returned.sold_at == now()));
            prop_assert_eq!(order.events, 2);
        }
    }

    #[test]
    fn an_order_is_cancelled_once(before in counter(), requests in requests(), picks in picks()) {
        let (mut returns, sales) = sold(before, &requests);
        let asked = chosen(&sales, &picks);
        let mut seen = std::collections::BTreeSet::new();
        for (order, verdict) in asked.iter().zip(cancelled(&mut returns, &asked)) {
            let refused = Err(CancelRefusal::Status(WrongStatus(OrderStatus::Cancelled)));
            let again = !seen.insert(*order);
            prop_assert_eq!(verdict.is_err(), again);
            prop_assert!(!again || verdict == refused);
        }
    }

    #[test]
    fn when_all_is_cancelled_the_shop_is_as_it_was(before in counter(), requests in requests()) {
        let (mut returns, sales) = sold(before.clone(), &requests);
        let all: Vec<OrderId> = sales.iter().map(|sale| sale.order.id).collect();
        prop_assert!(cancelled(&mut returns, &all).iter().all(Result::is_ok));
        prop_assert_eq!(&returns.wallets, &before.wallets);
        prop_assert_eq!(&returns.products, &before.products);
        prop_assert!(before.held.values().all(|held| returns.held[&held.id] == *held));
    }

    #[test]
    fn an_order_that_was_shipped_stays_as_it_is(before in counter(), requests in requests()) {
        let (mut returns, sales) = sold(before, &requests);
        for order in returns.orders.values_mut() {
            *order = order.clone().ship().unwrap();
        }
        let shipped = returns.clone();
        let all: Vec<OrderId> = sales.iter().map(|sale| sale.order.id).collect();
        let refused = CancelRefusal::Status(WrongStatus(OrderStatus::Shipping));
        prop_assert!(cancelled(&mut returns, &all).iter().all(|verdict| *verdict == Err(refused)));
        prop_assert_eq!(returns, shipped);
    }
}
