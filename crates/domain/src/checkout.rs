//! The heart of the shop: deciding orders.
//!
//! [`settle`] is a pure function. Whoever runs the shop loads (and locks) what the requests touch into a
//! [`Counter`], calls it, and stores the [`Sale`]s that come back. Every request gets its own verdict: a refused
//! one changes nothing and does not disturb its neighbours.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::coupon::{Coupon, CouponCode, CouponFault, Redemption, UserCoupon};
use crate::order::{AppliedCoupon, Order, OrderLine, OrderRequest, OrderStatus, Terms};
use crate::product::{NotSold, OutOfStock, Product, Sku, StockMovement, StockMovementKind};
use crate::wallet::{InsufficientBalance, LedgerEntry, Wallet};
use crate::{CouponId, Money, OrderId, Payment, ProductId, UserId};

/// Everything that a list of requests touches, as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counter {
    /// The customers' wallets.
    pub wallets: BTreeMap<UserId, Wallet>,
    /// The products on sale.
    pub products: BTreeMap<ProductId, Product>,
    /// The coupons named.
    pub coupons: BTreeMap<CouponCode, Coupon>,
    /// The customers' copies of them.
    pub held: BTreeMap<(UserId, CouponId), UserCoupon>,
}

/// An order that was accepted, with everything that has to be stored with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The order.
    pub order: Order,
    /// Its payment.
    pub payment: Payment,
    /// What moved in the wallet; nothing when the order cost nothing, or is to be paid later.
    pub ledger: Option<LedgerEntry>,
    /// What moved in the stocks, a movement a line.
    pub movements: Vec<StockMovement>,
    /// The coupon that was used up.
    pub redemption: Option<Redemption>,
    /// The customer's balance right after it.
    pub balance: Money,
}

/// Everything that is wrong with a request, at once. At least one of the fields says something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The customer does not exist; nothing else was looked at.
    pub unknown_user: bool,
    /// What is not sold, or not as it was asked for, by the reason.
    pub not_sold: Vec<(Sku, NotSold)>,
    /// The price passes what can be counted.
    pub too_large: bool,
    /// The coupon's fault.
    pub coupon: Option<CouponFault>,
    /// Each short line.
    pub shortages: Vec<OutOfStock>,
    /// The missing balance.
    pub balance: Option<InsufficientBalance>,
}

impl Refusal {
    /// Whether a product that is sold as variants only was asked for without naming one.
    #[must_use]
    pub fn names_no_variant(&self) -> bool {
        self.not_sold.iter().any(|(_, not_sold)| *not_sold == NotSold::VariantRequired)
    }
}

/// What a request came to.
pub type Verdict = Result<Sale, Refusal>;

/// Decides requests in the order they arrived, each on what its predecessors left.
///
/// `ids` gives the accepted orders their ids and must not run out before the requests do. The same requests in
/// the same order get the same verdicts however they are cut into batches.
///
/// # Panics
/// When `ids` runs out.
pub fn settle<'a>(
    counter: &mut Counter,
    requests: impl IntoIterator<Item = &'a OrderRequest>,
    ids: &mut impl Iterator<Item = OrderId>,
    now: DateTime<Utc>,
) -> Vec<Verdict> {
    requests
        .into_iter()
        .map(|request| {
            let quote = quote(counter, request, now)?;
            let id = ids.next().expect("an id for every request");
            Ok(sell(counter, request, quote, id, now))
        })
        .collect()
}

/// What an acceptable request will cost.
struct Quote {
    lines: Vec<OrderLine>,
    total: Money,
    discount: Money,
    paid: Money,
    coupon: Option<CouponId>,
}

fn quote(counter: &Counter, request: &OrderRequest, now: DateTime<Utc>) -> Result<Quote, Refusal> {
    let Some(wallet) = counter.wallets.get(&request.user) else {
        return Err(Refusal { unknown_user: true, ..Refusal::default() });
    };
    let mut refusal = Refusal::default();
    let mut lines = Vec::with_capacity(request.lines().len());
    let mut total = Money::ZERO;
    for &(sku, quantity) in request.lines() {
        let Some(product) = counter.products.get(&sku.product) else {
            refusal.not_sold.push((sku, NotSold::UnknownProduct));
            continue;
        };
        let offer = match product.offer(sku.variant) {
            Ok(offer) => offer,
            Err(not_sold) => {
                refusal.not_sold.push((sku, not_sold));
                continue;
            }
        };
        if let Err(shortage) = offer.has(sku.product, quantity) {
            refusal.shortages.push(shortage);
        }
        let subtotal = offer.price.checked_mul(quantity);
        match subtotal.and_then(|subtotal| Ok((subtotal, total.checked_add(subtotal)?))) {
            Ok((subtotal, sum)) => {
                total = sum;
                let (name, unit_price) = (product.name.clone(), offer.price);
                let variant_name = offer.variant.map(|variant| variant.name.clone());
                lines.push(OrderLine { sku, name, variant_name, unit_price, quantity, subtotal });
            }
            Err(_) => refusal.too_large = true,
        }
    }
    let priced = refusal.not_sold.is_empty() && !refusal.too_large;
    let (coupon, discount) = match applicable_coupon(counter, request, priced.then_some(total), now) {
        Ok(Some((coupon, discount))) => (Some(coupon), discount),
        Ok(None) => (None, Money::ZERO),
        Err(fault) => {
            refusal.coupon = Some(fault);
            (None, Money::ZERO)
        }
    };
    let paid = total.checked_sub(discount).unwrap_or(total);
    if priced && request.terms == Terms::Immediate {
        refusal.balance = wallet.covers(paid).err();
    }
    refusal.not_sold.sort_by_key(|(_, not_sold)| *not_sold);
    match refusal == Refusal::default() {
        true => Ok(Quote { lines, total, discount, paid, coupon }),
        false => Err(refusal),
    }
}

/// The coupon and what it takes off; `total` is `None` when the order cannot be priced.
fn applicable_coupon(
    counter: &Counter,
    request: &OrderRequest,
    total: Option<Money>,
    now: DateTime<Utc>,
) -> Result<Option<(CouponId, Money)>, CouponFault> {
    let Some(code) = &request.coupon else { return Ok(None) };
    let coupon = counter.coupons.get(code).ok_or(CouponFault::Unknown)?;
    let held = counter.held.get(&(request.user, coupon.id)).ok_or(CouponFault::NotHeld)?;
    held.check_usable(now)?;
    let discount = total.map_or(Ok(Money::ZERO), |total| coupon.discount_on(total))?;
    Ok(Some((coupon.id, discount)))
}

/// Carries an accepted request out: nothing can be refused any more once it has a quote.
fn sell(
    counter: &mut Counter,
    request: &OrderRequest,
    quote: Quote,
    id: OrderId,
    now: DateTime<Utc>,
) -> Sale {
    let user = request.user;
    let held_until = match request.terms {
        Terms::Immediate => None,
        Terms::Deferred { hold } => Some(now + hold),
    };
    let kind = held_until.map_or(StockMovementKind::Sale, |_| StockMovementKind::Hold);
    let take = |line: &OrderLine| {
        let product =
            counter.products.get_mut(&line.sku.product).expect("a quoted product is on the counter");
        let taken = product.take((line.sku.variant, line.quantity), kind, id, now);
        taken.expect("a quoted line is in stock")
    };
    let movements = quote.lines.iter().map(take).collect();
    let wallet = counter.wallets.get_mut(&user).expect("a quoted customer is at the counter");
    let ledger = match request.terms {
        Terms::Immediate => wallet.debit(quote.paid, id, now).expect("a quoted balance suffices"),
        Terms::Deferred { .. } => None,
    };
    let balance = wallet.balance;
    let redeemed = quote.coupon.map(|coupon| {
        let held = counter.held.get_mut(&(user, coupon)).expect("a quoted coupon is held");
        held.redeem(now).expect("a quoted coupon is usable");
        held.id
    });
    let (status, payment, paid_at, events) = match request.terms {
        Terms::Immediate => (OrderStatus::Paid, Payment::completed(id, quote.paid, now), Some(now), 1),
        Terms::Deferred { .. } => (OrderStatus::Pending, Payment::pending(id, quote.paid, now), None, 0),
    };
    let order = Order {
        id,
        user,
        status,
        lines: quote.lines,
        total: quote.total,
        discount: quote.discount,
        paid: quote.paid,
        coupon: redeemed
            .zip(request.coupon.clone())
            .map(|(user_coupon, code)| AppliedCoupon { user_coupon, code }),
        created_at: now,
        paid_at,
        held_until,
        events,
    };
    Sale {
        payment,
        order,
        ledger,
        movements,
        redemption: redeemed.map(|user_coupon| Redemption { user_coupon, order: id, at: now }),
        balance,
    }
}
