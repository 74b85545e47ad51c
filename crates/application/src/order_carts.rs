//! Ordering what is in carts.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jangteo_domain::cart::{Cart, CartEdit, CartLine, CartOrder, NoOrder};
use jangteo_domain::checkout::{Counter, Refusal, settle};
use jangteo_domain::order::Terms;
use jangteo_domain::{
    CartItemId, CouponCode, OrderId, OrderRequest, ProductId, Quantity, RepositoryError, Sku, UserId,
    VariantId,
};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::place_orders::{self, PlaceOrders, Receipt, Sales, lay_out, store};
use crate::snapshot::{from_json, to_json};

/// Orders carts, or chosen lines of them, and takes just those lines out: both or neither.
///
/// It is the same as [`PlaceOrders`] but for where the lines come from. They are those of the cart once the customer's wallet is
/// locked, so what was put in or taken out before counts and whatever comes later waits.
#[derive(Debug, Clone, Copy, Default)]
pub struct OrderCarts;

/// Order a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderCart {
    /// Whose.
    pub user: UserId,
    /// Which lines; all when none are chosen.
    pub items: Option<BTreeSet<CartItemId>>,
    /// The coupon to use.
    pub coupon: Option<CouponCode>,
    /// When it is paid.
    pub terms: Terms,
}

/// Why a cart was not ordered. It is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOrdered {
    /// There is nothing to order, or not what was chosen.
    NoOrder(NoOrder),
    /// The order is refused.
    Refused {
        /// For all of these reasons.
        refusal: Box<Refusal>,
        /// What was to be ordered.
        lines: Vec<CartLine>,
    },
}

impl OrderCart {
    fn order(&self, cart: &Cart) -> Result<CartOrder, NoOrder> {
        cart.order(self.items.as_ref(), self.coupon.clone(), self.terms)
    }
}

#[async_trait]
impl Operation for OrderCarts {
    const NAME: &'static str = "order-cart";
    const IDS: Option<Sequence> = Some(Sequence::Orders);

    type Command = OrderCart;
    type Success = Receipt;
    type Refusal = NotOrdered;

    fn customer(command: &OrderCart) -> Option<UserId> {
        Some(command.user)
    }

    fn fingerprint(command: &OrderCart) -> Fingerprint {
        let items: Option<Vec<i64>> =
            command.items.as_ref().map(|items| items.iter().map(|item| item.0).collect());
        let coupon = command.coupon.as_ref().map(CouponCode::as_str);
        Fingerprint::of(&(items, coupon, matches!(command.terms, Terms::Deferred { .. })))
    }

    /// One command after the other on the same counter: a second order of a cart finds what the first one left in it.
    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&OrderCart],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let users: BTreeSet<UserId> = commands.iter().map(|command| command.user).collect();
        let mut carts = work.uow.carts().load_many(&users).await?;
        // Carts become only smaller from here on: nothing will be asked for that is not in these.
        let wanted = commands.iter().filter_map(|command| command.order(&carts[&command.user]).ok());
        let wanted: Vec<OrderRequest> = wanted.map(|order| order.request).collect();
        let mut counter = lay_out(work, wanted.iter()).await?;
        let (mut sales, mut removed) = (Sales::default(), Vec::new());
        let outcomes = commands
            .iter()
            .map(|command| {
                let cart = carts.get_mut(&command.user).expect("everybody has a cart");
                let (receipt, ordered) = sell(work, &mut counter, &mut sales, command, cart)?;
                cart.take(&ordered);
                removed.extend(ordered.into_iter().map(|line| CartEdit::Remove { item: line.id }));
                Ok(receipt)
            })
            .collect();
        if !sales.is_empty() {
            store(work, sales).await?;
            work.uow.carts().apply(&removed, work.now).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        let record = match outcome {
            Ok(receipt) => Record::Ordered(place_orders::Record::from(&Ok(receipt.clone()))),
            Err(NotOrdered::NoOrder(NoOrder::Empty)) => Record::Empty,
            Err(NotOrdered::NoOrder(NoOrder::UnknownItems(_))) => return None,
            Err(NotOrdered::Refused { refusal, lines }) => {
                let refused: Outcome<PlaceOrders> = Err(Refusal::clone(refusal));
                PlaceOrders::record(&refused)?;
                let lines = lines.iter().map(LineRecord::from).collect();
                Record::Refused { order: place_orders::Record::from(&refused), lines }
            }
        };
        Some(to_json(&record))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        let (order, lines) = match from_json(record)? {
            Record::Empty => return Ok(Err(NotOrdered::NoOrder(NoOrder::Empty))),
            Record::Ordered(order) => (order, Vec::new()),
            Record::Refused { order, lines } => (order, lines),
        };
        let lines = lines.into_iter().map(CartLine::try_from).collect::<Result<_, _>>()?;
        let order = Outcome::<PlaceOrders>::try_from(order)?;
        Ok(order.map_err(|refusal| NotOrdered::Refused { refusal: Box::new(refusal), lines }))
    }
}

/// Decides one order, and notes what has to be written of it.
fn sell(
    work: &mut Work<'_>,
    counter: &mut Counter,
    sales: &mut Sales,
    command: &OrderCart,
    cart: &Cart,
) -> Result<(Receipt, Vec<CartLine>), NotOrdered> {
    let CartOrder { request, lines } = command.order(cart).map_err(NotOrdered::NoOrder)?;
    let verdicts = settle(counter, [&request], &mut work.ids.by_ref().map(OrderId), work.now);
    let verdict = verdicts.into_iter().next().expect("a verdict for the request");
    match verdict {
        Ok(sale) => Ok((sales.enter(sale), lines)),
        Err(refusal) => Err(NotOrdered::Refused { refusal: Box::new(refusal), lines }),
    }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Ordered(place_orders::Record),
    Refused { order: place_orders::Record, lines: Vec<LineRecord> },
    Empty,
}

/// A line of a cart: its id, product, variant and pieces.
#[derive(Serialize, Deserialize)]
struct LineRecord(i64, i64, Option<i64>, i64);

impl From<&CartLine> for LineRecord {
    fn from(line: &CartLine) -> Self {
        let CartLine { id, sku, quantity } = line;
        Self(id.0, sku.product.0, sku.variant.map(|variant| variant.0), quantity.get())
    }
}

impl TryFrom<LineRecord> for CartLine {
    type Error = serde_json::Error;

    fn try_from(LineRecord(id, product, variant, pieces): LineRecord) -> Result<Self, serde_json::Error> {
        let sku = Sku { product: ProductId(product), variant: variant.map(VariantId) };
        let quantity = Quantity::new(pieces).map_err(serde_json::Error::custom)?;
        Ok(Self { id: CartItemId(id), sku, quantity })
    }
}

#[cfg(test)]
mod tests;
