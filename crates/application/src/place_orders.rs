//! Placing orders that are paid at once from the wallet.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jangteo_domain::checkout::{Counter, Refusal, Sale, settle};
use jangteo_domain::coupon::{CouponFault, Redemption};
use jangteo_domain::product::OutOfStock;
use jangteo_domain::wallet::InsufficientBalance;
use jangteo_domain::{
    CouponCode, CouponId, Money, Order, OrderId, OrderRequest, ProductId, Quantity, RepositoryError, UserId,
};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::cache::StockLeft;
use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::outbox::OutboxMessage;
use crate::snapshot::{MoneyText, OrderSnapshot, from_json, to_json};

/// Stock, wallet, coupon, order, payment, ledger, sales figures and event change together or not at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlaceOrders;

/// What the customer gets for an accepted order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The order, paid.
    pub order: Order,
    /// The balance right after it.
    pub balance: Money,
    /// What it left of its products; nothing when it is told again.
    pub left: Vec<StockLeft>,
}

#[async_trait]
impl Operation for PlaceOrders {
    const NAME: &'static str = "place-order";
    const IDS: Option<Sequence> = Some(Sequence::Orders);

    type Command = OrderRequest;
    type Success = Receipt;
    type Refusal = Refusal;

    fn customer(request: &OrderRequest) -> Option<UserId> {
        Some(request.user)
    }

    fn fingerprint(request: &OrderRequest) -> Fingerprint {
        let lines: Vec<(i64, i64)> =
            request.lines().iter().map(|(product, pieces)| (product.0, pieces.get())).collect();
        Fingerprint::of(&(lines, request.coupon.as_ref().map(CouponCode::as_str)))
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        requests: &[&OrderRequest],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let mut counter = load(work, requests).await?;
        let verdicts =
            settle(&mut counter, requests.iter().copied(), &mut work.ids.by_ref().map(OrderId), work.now);
        let (outcomes, sales) = separate(verdicts);
        if !sales.orders.is_empty() {
            store(work, sales).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        match outcome {
            Err(refusal) if refusal.too_large => None,
            outcome => Some(to_json(&Record::from(outcome))),
        }
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        from_json::<Record>(record)?.try_into()
    }
}

/// Locks what the requests touch, in the order that everybody locks.
async fn load(work: &mut Work<'_>, requests: &[&OrderRequest]) -> Result<Counter, RepositoryError> {
    let products: BTreeSet<ProductId> =
        requests.iter().flat_map(|request| request.lines()).map(|&(product, _)| product).collect();
    let codes: BTreeSet<CouponCode> = requests.iter().filter_map(|request| request.coupon.clone()).collect();
    let wallets = std::mem::take(&mut work.wallets);
    let products = work.uow.products().lock_many(&products).await?;
    let mut counter = Counter { wallets, products, ..Counter::default() };
    if codes.is_empty() {
        return Ok(counter);
    }
    counter.coupons = work.uow.coupons().find_many(&codes).await?;
    let holders: BTreeSet<(UserId, CouponId)> = requests
        .iter()
        .filter_map(|request| Some((request.user, counter.coupons.get(request.coupon.as_ref()?)?.id)))
        .collect();
    if !holders.is_empty() {
        counter.held = work.uow.coupons().lock_held(&holders).await?;
    }
    Ok(counter)
}

/// The rows that a batch of sales comes to, by the table they go to.
#[derive(Default)]
struct Sales {
    orders: Vec<Order>,
    payments: Vec<jangteo_domain::Payment>,
    ledger: Vec<jangteo_domain::wallet::LedgerEntry>,
    movements: Vec<jangteo_domain::product::StockMovement>,
    redemptions: Vec<Redemption>,
    events: Vec<OutboxMessage>,
}

fn separate(verdicts: Vec<Result<Sale, Refusal>>) -> (Vec<Outcome<PlaceOrders>>, Sales) {
    let mut sales = Sales::default();
    let outcomes = verdicts
        .into_iter()
        .map(|verdict| {
            verdict.map(|sale| {
                sales.events.push(OutboxMessage::order_paid(&sale.order));
                let decided = (sale.order.created_at, sale.order.id);
                let left = sale.movements.iter().map(|movement| StockLeft {
                    product: movement.product,
                    stock: movement.stock_after,
                    decided,
                });
                let left = left.collect();
                sales.orders.push(sale.order.clone());
                sales.payments.push(sale.payment);
                sales.ledger.extend(sale.ledger);
                sales.movements.extend(sale.movements);
                sales.redemptions.extend(sale.redemption);
                Receipt { order: sale.order, balance: sale.balance, left }
            })
        })
        .collect();
    (outcomes, sales)
}

/// Orders first: everything else refers to them.
async fn store(work: &mut Work<'_>, sales: Sales) -> Result<(), RepositoryError> {
    work.uow.orders().insert_many(&sales.orders).await?;
    work.uow.orders().pay_many(&sales.payments).await?;
    if !sales.ledger.is_empty() {
        work.uow.wallets().post(&sales.ledger).await?;
    }
    work.uow.products().sell(&sales.movements).await?;
    if !sales.redemptions.is_empty() {
        work.uow.coupons().redeem(&sales.redemptions).await?;
    }
    work.uow.outbox().append(&sales.events).await
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Placed { order: OrderSnapshot, balance: MoneyText },
    Refused(RefusalRecord),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefusalRecord {
    unknown_user: bool,
    unknown_products: Vec<i64>,
    coupon: Option<FaultRecord>,
    shortages: Vec<(i64, i64, i64)>,
    balance: Option<(MoneyText, MoneyText)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum FaultRecord {
    Unknown,
    NotHeld,
    AlreadyUsed,
    Expired,
    BelowMinimum(MoneyText),
}

impl From<&Outcome<PlaceOrders>> for Record {
    fn from(outcome: &Outcome<PlaceOrders>) -> Self {
        match outcome {
            Ok(receipt) => Self::Placed {
                order: OrderSnapshot::from(&receipt.order),
                balance: MoneyText(receipt.balance),
            },
            Err(refusal) => Self::Refused(RefusalRecord {
                unknown_user: refusal.unknown_user,
                unknown_products: refusal.unknown_products.iter().map(|product| product.0).collect(),
                coupon: refusal.coupon.map(|fault| match fault {
                    CouponFault::Unknown => FaultRecord::Unknown,
                    CouponFault::NotHeld => FaultRecord::NotHeld,
                    CouponFault::AlreadyUsed => FaultRecord::AlreadyUsed,
                    CouponFault::Expired => FaultRecord::Expired,
                    CouponFault::BelowMinimum { minimum } => FaultRecord::BelowMinimum(MoneyText(minimum)),
                }),
                shortages: refusal
                    .shortages
                    .iter()
                    .map(|short| (short.product.0, short.requested.get(), short.available))
                    .collect(),
                balance: refusal.balance.map(|short| (MoneyText(short.required), MoneyText(short.available))),
            }),
        }
    }
}

impl TryFrom<Record> for Outcome<PlaceOrders> {
    type Error = serde_json::Error;

    fn try_from(record: Record) -> Result<Self, serde_json::Error> {
        let refusal = match record {
            Record::Placed { order, balance } => {
                // Its first event told that it was paid.
                let order = order.into_order(1)?;
                return Ok(Ok(Receipt { order, balance: balance.0, left: Vec::new() }));
            }
            Record::Refused(refusal) => refusal,
        };
        Ok(Err(Refusal {
            unknown_user: refusal.unknown_user,
            unknown_products: refusal.unknown_products.into_iter().map(ProductId).collect(),
            too_large: false,
            coupon: refusal.coupon.map(|fault| match fault {
                FaultRecord::Unknown => CouponFault::Unknown,
                FaultRecord::NotHeld => CouponFault::NotHeld,
                FaultRecord::AlreadyUsed => CouponFault::AlreadyUsed,
                FaultRecord::Expired => CouponFault::Expired,
                FaultRecord::BelowMinimum(minimum) => CouponFault::BelowMinimum { minimum: minimum.0 },
            }),
            shortages: refusal
                .shortages
                .into_iter()
                .map(|(product, requested, available)| {
                    let requested = Quantity::new(requested).map_err(serde_json::Error::custom)?;
                    Ok(OutOfStock { product: ProductId(product), requested, available })
                })
                .collect::<Result<_, serde_json::Error>>()?,
            balance: refusal.balance.map(|(required, available)| InsufficientBalance {
                required: required.0,
                available: available.0,
            }),
        }))
    }
}
