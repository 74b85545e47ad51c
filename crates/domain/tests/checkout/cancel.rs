//! `cancel` and `pay` of what `settle` placed.

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::cancellation::{CancelRefusal, Cancellation, Occasion, cancel};
use jangteo_domain::checkout::{Counter, Sale};
use jangteo_domain::coupon::UserCouponState;
use jangteo_domain::deferred::{PayRefusal, pay};
use jangteo_domain::order::{NotPayable, OrderStatus, WrongStatus};
use jangteo_domain::payment::PaymentStatus;
use jangteo_domain::placed_orders::PlacedOrders;
use jangteo_domain::product::StockMovementKind;
use jangteo_domain::{Money, OrderId, OrderRequest};
use proptest::prelude::*;

use crate::shop::{HOLD, counter, now, requests, settled};

fn later() -> DateTime<Utc> {
    now() + TimeDelta::days(1)
}

/// The shop once it has sold what it could, and what it has sold.
fn sold(mut counter: Counter, requests: &[OrderRequest]) -> (PlacedOrders, Vec<Sale>) {
    let sales: Vec<Sale> = settled(&mut counter, requests, &mut 0).into_iter().flatten().collect();
    let placed = PlacedOrders {
        orders: sales.iter().map(|sale| (sale.order.id, sale.order.clone())).collect(),
        payments: sales.iter().map(|sale| (sale.order.id, sale.payment.clone())).collect(),
        wallets: counter.wallets,
        products: counter.products,
        held: counter.held.into_values().map(|held| (held.id, held)).collect(),
    };
    (placed, sales)
}

fn cancelled(placed: &mut PlacedOrders, orders: &[OrderId]) -> Vec<Result<Cancellation, CancelRefusal>> {
    cancel(placed, orders.iter().map(|&order| (order, Occasion::Asked(None))), later())
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
fn holdings(placed: &PlacedOrders) -> (i64, i64, usize) {
    let paid = || placed.orders.values().filter(|order| order.status == OrderStatus::Paid);
    let standing = || placed.orders.values().filter(|order| order.status != OrderStatus::Cancelled);
    let balances: i64 = placed.wallets.values().map(|wallet| wallet.balance.minor()).sum();
    let spent: i64 = paid().map(|order| order.paid.minor()).sum();
    let stocks: i64 = placed.products.values().map(|product| product.stock).sum();
    let taken: i64 = standing().flat_map(|order| &order.lines).map(|line| line.quantity.get()).sum();
    let claimed = placed.held.values().filter(|held| held.state == UserCouponState::Claimed).count();
    (balances + spent, stocks + taken, claimed + standing().filter(|order| order.coupon.is_some()).count())
}

proptest! {
    #[test]
    fn money_pieces_and_coupons_are_conserved(before in counter(), requests in requests(), picks in picks()) {
        let (mut placed, sales) = sold(before, &requests);
        let held = holdings(&placed);
        let verdicts = cancelled(&mut placed, &chosen(&sales, &picks));
        prop_assert_eq!(holdings(&placed), held);
        for cancellation in verdicts.iter().flatten() {
            let order = &cancellation.order;
            let refund = if order.paid_at.is_some() { order.paid } else { Money::ZERO };
            prop_assert_eq!(cancellation.ledger.as_ref().map_or(Money::ZERO, |entry| entry.amount), refund);
            prop_assert_eq!(cancellation.was_held, order.paid_at.is_none());
            prop_assert_eq!(cancellation.returned.len(), order.lines.len());
            prop_assert_eq!(cancellation.restoration.map(|restored| restored.user_coupon),
                order.coupon.as_ref().map(|coupon| coupon.user_coupon));
            let kind = match order.paid_at {
                Some(sold_at) => StockMovementKind::Return { sold_at },
                None => StockMovementKind::Release,
            };
            prop_assert!(cancellation.returned.iter().all(|returned| returned.kind == kind));
            prop_assert_eq!(order.events, if order.paid_at.is_some() { 2 } else { 1 });
        }
    }

    #[test]
    fn an_order_is_cancelled_once(before in counter(), requests in requests(), picks in picks()) {
        let (mut placed, sales) = sold(before, &requests);
        let asked = chosen(&sales, &picks);
        let mut seen = std::collections::BTreeSet::new();
        for (order, verdict) in asked.iter().zip(cancelled(&mut placed, &asked)) {
            let refused = Err(CancelRefusal::Status(WrongStatus(OrderStatus::Cancelled)));
            let again = !seen.insert(*order);
            prop_assert_eq!(verdict.is_err(), again);
            prop_assert!(!again || verdict == refused);
        }
    }

    #[test]
    fn when_all_is_cancelled_the_shop_is_as_it_was(before in counter(), requests in requests()) {
        let (mut placed, sales) = sold(before.clone(), &requests);
        let all: Vec<OrderId> = sales.iter().map(|sale| sale.order.id).collect();
        prop_assert!(cancelled(&mut placed, &all).iter().all(Result::is_ok));
        prop_assert_eq!(&placed.wallets, &before.wallets);
        prop_assert_eq!(&placed.products, &before.products);
        prop_assert!(before.held.values().all(|held| placed.held[&held.id] == *held));
    }

    #[test]
    fn an_order_that_was_shipped_stays_as_it_is(before in counter(), requests in requests()) {
        let (mut placed, sales) = sold(before, &requests);
        placed.orders.retain(|_, order| order.status == OrderStatus::Paid);
        for order in placed.orders.values_mut() {
            *order = order.clone().ship().unwrap();
        }
        let shipped = placed.clone();
        let all: Vec<OrderId> = sales.iter().map(|sale| sale.order.id).filter(|id| placed.orders.contains_key(id)).collect();
        let refused = CancelRefusal::Status(WrongStatus(OrderStatus::Shipping));
        prop_assert!(cancelled(&mut placed, &all).iter().all(|verdict| *verdict == Err(refused)));
        prop_assert_eq!(placed, shipped);
    }

    #[test]
    fn what_is_paid_later_is_as_if_it_had_been_paid_at_once(before in counter(), requests in requests(), picks in picks()) {
        let (mut placed, sales) = sold(before, &requests);
        let held = holdings(&placed);
        let soon = now() + HOLD / 2;
        let asked = chosen(&sales, &picks);
        let mut paid = std::collections::BTreeSet::new();
        for (id, verdict) in asked.iter().zip(pay(&mut placed, asked.iter().copied(), soon)) {
            let waited = placed.orders[id].paid_at == Some(soon) || placed.orders[id].status == OrderStatus::Pending;
            match verdict {
                Ok(late) => {
                    prop_assert!(waited && paid.insert(*id), "an order is paid once");
                    prop_assert_eq!(late.ledger.map_or(Money::ZERO, |entry| entry.amount).minor(), -late.order.paid.minor());
                    prop_assert_eq!(late.movements.iter().map(|movement| movement.quantity).sum::<i64>(), 0);
                }
                Err(PayRefusal::Unaffordable { short, payment }) => {
                    prop_assert!(short.available < short.required);
                    prop_assert_eq!(payment.to, PaymentStatus::Failed);
                }
                Err(PayRefusal::NotPayable(refused)) => {
                    prop_assert_eq!(refused, NotPayable::Status(WrongStatus(OrderStatus::Paid)));
                }
            }
        }
        prop_assert_eq!(holdings(&placed), held);
        prop_assert!(placed.wallets.values().all(|wallet| !wallet.balance.is_negative()));
    }

    #[test]
    fn what_is_not_paid_in_time_gives_back_what_was_held_and_nothing_else(before in counter(), requests in requests()) {
        let (mut placed, sales) = sold(before, &requests);
        let held = holdings(&placed);
        let all: Vec<OrderId> = sales.iter().map(|sale| sale.order.id).collect();
        let overdue = |placed: &mut PlacedOrders, at| cancel(placed, all.iter().map(|&id| (id, Occasion::Overdue)), at);
        let too_early = overdue(&mut placed, now() + HOLD - TimeDelta::microseconds(1));
        prop_assert!(too_early.iter().all(|verdict| *verdict == Err(CancelRefusal::NotOverdue)));
        let end = now() + HOLD;
        for (verdict, sale) in overdue(&mut placed, end).iter().zip(&sales) {
            prop_assert_eq!(verdict.is_ok(), sale.order.status == OrderStatus::Pending);
        }
        prop_assert!(placed.orders.values().all(|order| order.status != OrderStatus::Pending));
        prop_assert!(placed.orders.values().all(|order| order.clone().pay(end).is_err()));
        prop_assert_eq!(holdings(&placed), held);
    }
}
