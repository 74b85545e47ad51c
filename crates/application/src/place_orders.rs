//! Placing orders, to be paid at once from the wallet or later.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jangteo_domain::checkout::{Counter, Refusal, Sale, settle};
use jangteo_domain::coupon::{CouponFault, Redemption};
use jangteo_domain::order::{OrderStatus, Terms};
use jangteo_domain::product::{NotSold, OutOfStock};
use jangteo_domain::wallet::InsufficientBalance;
use jangteo_domain::{
    CouponCode, CouponId, Money, Order, OrderId, OrderRequest, ProductId, Quantity, RepositoryError, Sku,
    UserId, VariantId,
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
    /// The order: paid, or waiting for it.
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
        let lines: Vec<LineAsked> = request.lines().iter().map(LineAsked::from).collect();
        let coupon = request.coupon.as_ref().map(CouponCode::as_str);
        match request.terms {
            Terms::Immediate => Fingerprint::of(&(lines, coupon)),
            Terms::Deferred { .. } => Fingerprint::of(&(lines, coupon, "DEFERRED")),
        }
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        requests: &[&OrderRequest],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let mut counter = lay_out(work, requests.iter().copied()).await?;
        let verdicts =
            settle(&mut counter, requests.iter().copied(), &mut work.ids.by_ref().map(OrderId), work.now);
        let (outcomes, sales) = separate(verdicts);
        if !sales.is_empty() {
            store(work, sales).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        match outcome {
            Err(refusal) if refusal.too_large || refusal.names_no_variant() => None,
            outcome => Some(to_json(&Record::from(outcome))),
        }
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        from_json::<Record>(record)?.try_into()
    }
}

/// A line in a fingerprint. Without a variant it is what it was when there were none: a retry may meet a newer version.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum LineAsked {
    Product(i64, i64),
    Variant(i64, i64, i64),
}

impl From<&(Sku, Quantity)> for LineAsked {
    fn from((sku, pieces): &(Sku, Quantity)) -> Self {
        match sku.variant {
            None => Self::Product(sku.product.0, pieces.get()),
            Some(variant) => Self::Variant(sku.product.0, pieces.get(), variant.0),
        }
    }
}

/// Locks what the requests touch, in the order that everybody locks, and lays it out on the counter.
pub(crate) async fn lay_out<'a>(
    work: &mut Work<'_>,
    requests: impl Iterator<Item = &'a OrderRequest> + Clone + Send,
) -> Result<Counter, RepositoryError> {
    let skus: BTreeSet<Sku> = requests.clone().flat_map(OrderRequest::lines).map(|&(sku, _)| sku).collect();
    let codes: BTreeSet<CouponCode> = requests.clone().filter_map(|request| request.coupon.clone()).collect();
    let wallets = std::mem::take(&mut work.wallets);
    let products = work.uow.products().lock_many(&skus).await?;
    let mut counter = Counter { wallets, products, ..Counter::default() };
    if codes.is_empty() {
        return Ok(counter);
    }
    counter.coupons = work.uow.coupons().find_many(&codes).await?;
    let holders: BTreeSet<(UserId, CouponId)> = requests
        .filter_map(|request| Some((request.user, counter.coupons.get(request.coupon.as_ref()?)?.id)))
        .collect();
    if !holders.is_empty() {
        counter.held = work.uow.coupons().lock_held(&holders).await?;
    }
    Ok(counter)
}

/// The rows that a batch of sales comes to, by the table they go to.
#[derive(Default)]
pub(crate) struct Sales {
    orders: Vec<Order>,
    payments: Vec<jangteo_domain::Payment>,
    ledger: Vec<jangteo_domain::wallet::LedgerEntry>,
    movements: Vec<jangteo_domain::product::StockMovement>,
    redemptions: Vec<Redemption>,
    events: Vec<OutboxMessage>,
}

fn separate(verdicts: Vec<Result<Sale, Refusal>>) -> (Vec<Outcome<PlaceOrders>>, Sales) {
    let mut sales = Sales::default();
    let outcomes = verdicts.into_iter().map(|verdict| verdict.map(|sale| sales.enter(sale))).collect();
    (outcomes, sales)
}

impl Sales {
    /// Notes what has to be written of a sale, and says what the customer gets.
    pub(crate) fn enter(&mut self, sale: Sale) -> Receipt {
        let left = StockLeft::after(&sale.movements, sale.order.id);
        if sale.order.status == OrderStatus::Paid {
            self.events.push(OutboxMessage::order_paid(&sale.order));
        }
        self.orders.push(sale.order.clone());
        self.payments.push(sale.payment);
        self.ledger.extend(sale.ledger);
        self.movements.extend(sale.movements);
        self.redemptions.extend(sale.redemption);
        Receipt { order: sale.order, balance: sale.balance, left }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }
}

/// Orders first: everything else refers to them.
pub(crate) async fn store(work: &mut Work<'_>, sales: Sales) -> Result<(), RepositoryError> {
    work.uow.orders().insert_many(&sales.orders).await?;
    work.uow.orders().insert_payments(&sales.payments).await?;
    if !sales.ledger.is_empty() {
        work.uow.wallets().post(&sales.ledger).await?;
    }
    work.uow.products().post(&sales.movements).await?;
    if !sales.redemptions.is_empty() {
        work.uow.coupons().redeem(&sales.redemptions).await?;
    }
    if !sales.events.is_empty() {
        work.uow.outbox().append(&sales.events).await?;
    }
    Ok(())
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Record {
    Placed { order: OrderSnapshot, balance: MoneyText },
    Refused(RefusalRecord),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefusalRecord {
    unknown_user: bool,
    unknown_products: Vec<SkuRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unknown_variants: Vec<SkuRecord>,
    coupon: Option<FaultRecord>,
    shortages: Vec<ShortageRecord>,
    balance: Option<(MoneyText, MoneyText)>,
}

/// A product, or a variant of one.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum SkuRecord {
    Product(i64),
    Variant(i64, i64),
}

/// What, pieces asked for, pieces left.
#[derive(Serialize, Deserialize)]
pub(crate) struct ShortageRecord(SkuRecord, i64, i64);

fn not_sold(refusal: &Refusal, why: NotSold) -> Vec<SkuRecord> {
    let not_sold = refusal.not_sold.iter().filter(|(_, not_sold)| *not_sold == why);
    not_sold.map(|(sku, _)| SkuRecord::from(*sku)).collect()
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
                unknown_products: not_sold(refusal, NotSold::UnknownProduct),
                unknown_variants: not_sold(refusal, NotSold::UnknownVariant),
                coupon: refusal.coupon.map(|fault| match fault {
                    CouponFault::Unknown => FaultRecord::Unknown,
                    CouponFault::NotHeld => FaultRecord::NotHeld,
                    CouponFault::AlreadyUsed => FaultRecord::AlreadyUsed,
                    CouponFault::Expired => FaultRecord::Expired,
                    CouponFault::BelowMinimum { minimum } => FaultRecord::BelowMinimum(MoneyText(minimum)),
                }),
                shortages: refusal.shortages.iter().map(ShortageRecord::from).collect(),
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
                let mut order = order.into_order(0)?;
                if order.status == OrderStatus::Paid {
                    // Its first event told that it was paid, at once.
                    (order.events, order.paid_at) = (1, Some(order.created_at));
                }
                return Ok(Ok(Receipt { order, balance: balance.0, left: Vec::new() }));
            }
            Record::Refused(refusal) => refusal,
        };
        Ok(Err(Refusal {
            unknown_user: refusal.unknown_user,
            not_sold: refusal
                .unknown_products
                .into_iter()
                .map(|sku| (sku.into(), NotSold::UnknownProduct))
                .chain(refusal.unknown_variants.into_iter().map(|sku| (sku.into(), NotSold::UnknownVariant)))
                .collect(),
            too_large: false,
            coupon: refusal.coupon.map(|fault| match fault {
                FaultRecord::Unknown => CouponFault::Unknown,
                FaultRecord::NotHeld => CouponFault::NotHeld,
                FaultRecord::AlreadyUsed => CouponFault::AlreadyUsed,
                FaultRecord::Expired => CouponFault::Expired,
                FaultRecord::BelowMinimum(minimum) => CouponFault::BelowMinimum { minimum: minimum.0 },
            }),
            shortages: refusal.shortages.into_iter().map(OutOfStock::try_from).collect::<Result<_, _>>()?,
            balance: refusal.balance.map(|(required, available)| InsufficientBalance {
                required: required.0,
                available: available.0,
            }),
        }))
    }
}

impl From<Sku> for SkuRecord {
    fn from(sku: Sku) -> Self {
        match sku.variant {
            None => Self::Product(sku.product.0),
            Some(variant) => Self::Variant(sku.product.0, variant.0),
        }
    }
}

impl From<SkuRecord> for Sku {
    fn from(record: SkuRecord) -> Self {
        match record {
            SkuRecord::Product(product) => ProductId(product).into(),
            SkuRecord::Variant(product, variant) => {
                Self { product: ProductId(product), variant: Some(VariantId(variant)) }
            }
        }
    }
}

impl From<&OutOfStock> for ShortageRecord {
    fn from(short: &OutOfStock) -> Self {
        Self(short.sku.into(), short.requested.get(), short.available)
    }
}

impl TryFrom<ShortageRecord> for OutOfStock {
    type Error = serde_json::Error;

    fn try_from(
        ShortageRecord(sku, requested, available): ShortageRecord,
    ) -> Result<Self, serde_json::Error> {
        let requested = Quantity::new(requested).map_err(serde_json::Error::custom)?;
        Ok(Self { sku: sku.into(), requested, available })
    }
}
