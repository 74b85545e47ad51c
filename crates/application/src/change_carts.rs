//! Filling carts and emptying them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jangteo_domain::cart::{Cart, CartEdit, CartRefusal, CartView};
use jangteo_domain::product::{NotSold, OutOfStock};
use jangteo_domain::{CartItemId, Product, ProductId, Quantity, RepositoryError, Sku, UserId, VariantId};
use serde::{Deserialize, Serialize};

use crate::cart_snapshot::CartSnapshot;
use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::place_orders::{LineAsked, ShortageRecord};
use crate::snapshot::{from_json, to_json};

/// Changes carts. The customer's wallet is locked, as for every operation of theirs: so two changes of a cart never overlap,
/// nor do a change and an order. Stocks are only looked at, and nothing is held.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChangeCarts;

/// Change a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CartChange {
    /// Whose.
    pub user: UserId,
    /// What about it.
    pub change: Change,
}

/// What to change about a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Add pieces to those that are there.
    Add(Sku, Quantity),
    /// Give a line another number of pieces.
    SetQuantity(CartItemId, Quantity),
    /// Take a line out.
    Remove(CartItemId),
    /// Take all lines out.
    Clear,
}

/// The change that puts something into a cart.
pub const ADD_CART_ITEM: &str = "add-cart-item";
const CHANGE_CART_ITEM: &str = "change-cart-item";
const REMOVE_CART_ITEM: &str = "remove-cart-item";
const CLEAR_CART: &str = "clear-cart";

impl Change {
    /// Names it in idempotency keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add(..) => ADD_CART_ITEM,
            Self::SetQuantity(..) => CHANGE_CART_ITEM,
            Self::Remove(_) => REMOVE_CART_ITEM,
            Self::Clear => CLEAR_CART,
        }
    }

    /// What has to be in stock for it.
    fn wants(self, cart: &Cart) -> Option<Sku> {
        match self {
            Self::Add(sku, _) => Some(sku),
            Self::SetQuantity(item, _) => Some(cart.line(item)?.sku),
            Self::Remove(_) | Self::Clear => None,
        }
    }

    /// Whether the customer is shown what the cart is like then.
    fn shows_cart(self) -> bool {
        match self {
            Self::Add(..) | Self::SetQuantity(..) => true,
            Self::Remove(_) | Self::Clear => false,
        }
    }

    /// What to write; a cart that is cleared has no single edit.
    fn decide(
        self,
        cart: &Cart,
        on_sale: &BTreeMap<ProductId, Product>,
    ) -> Result<Option<CartEdit>, CartRefusal> {
        let product = self.wants(cart).and_then(|sku| on_sale.get(&sku.product));
        match self {
            Self::Add(sku, quantity) => cart.add((sku, quantity), product).map(Some),
            Self::SetQuantity(item, quantity) => cart.set_quantity((item, quantity), product).map(Some),
            Self::Remove(item) => cart.remove(item).map(Some),
            Self::Clear => Ok(None),
        }
    }
}

#[async_trait]
impl Operation for ChangeCarts {
    const NAME: &'static str = "change-cart";
    const KEY_SCOPES: &'static [&'static str] =
        &[ADD_CART_ITEM, CHANGE_CART_ITEM, REMOVE_CART_ITEM, CLEAR_CART];
    const IDS: Option<Sequence> = None;

    type Command = CartChange;
    /// The cart after something was added or changed; nothing to show when something was taken out.
    type Success = Option<CartView>;
    type Refusal = CartRefusal;

    fn customer(command: &CartChange) -> Option<UserId> {
        Some(command.user)
    }

    /// Each change is a thing of its own, though all are decided here.
    fn key_scope(command: &CartChange) -> (Option<UserId>, &'static str) {
        (Some(command.user), command.change.name())
    }

    fn fingerprint(command: &CartChange) -> Fingerprint {
        match command.change {
            Change::Add(sku, quantity) => Fingerprint::of(&LineAsked::from(&(sku, quantity))),
            Change::SetQuantity(item, quantity) => Fingerprint::of(&(item.0, quantity.get())),
            Change::Remove(item) => Fingerprint::of(&item.0),
            Change::Clear => Fingerprint::of(&()),
        }
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&CartChange],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let mut outcomes = BTreeMap::new();
        for round in rounds(commands) {
            let changes: Vec<&CartChange> = round.iter().map(|&index| commands[index]).collect();
            outcomes.extend(round.into_iter().zip(decide_round(work, &changes).await?));
        }
        Ok(outcomes.into_values().collect())
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        Some(to_json(&match outcome {
            Ok(Some(cart)) => Record::Shown(CartSnapshot::from(cart)),
            Ok(None) => Record::Done,
            Err(
                CartRefusal::UnknownItem
                | CartRefusal::TooMany(_)
                | CartRefusal::NotSold(_, NotSold::VariantRequired),
            ) => return None,
            Err(CartRefusal::NotSold(sku, NotSold::UnknownProduct)) => {
                Record::UnknownProduct(sku.product.0, sku.variant.map(|variant| variant.0))
            }
            Err(CartRefusal::NotSold(sku, NotSold::UnknownVariant)) => {
                Record::UnknownVariant(sku.product.0, sku.variant.map(|variant| variant.0))
            }
            Err(CartRefusal::Short(short)) => Record::Short(ShortageRecord::from(short)),
            Err(CartRefusal::Full) => Record::Full,
        }))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::Shown(cart) => Ok(Some(cart.try_into()?)),
            Record::Done => Ok(None),
            Record::UnknownProduct(product, variant) => {
                Err(CartRefusal::NotSold(sku(product, variant), NotSold::UnknownProduct))
            }
            Record::UnknownVariant(product, variant) => {
                Err(CartRefusal::NotSold(sku(product, variant), NotSold::UnknownVariant))
            }
            Record::Short(short) => Err(OutOfStock::try_from(short)?.into()),
            Record::Full => Err(CartRefusal::Full),
        })
    }
}

/// The positions of the commands in rounds: of each customer at most one, in the order in which they came. A line gets its id
/// when it is written, so a second change of a cart has to see what the first one wrote.
fn rounds(commands: &[&CartChange]) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut earlier: BTreeMap<UserId, usize> = BTreeMap::new();
    for (index, command) in commands.iter().enumerate() {
        let round = earlier.entry(command.user).or_default();
        match rounds.get_mut(*round) {
            Some(round) => round.push(index),
            None => rounds.push(vec![index]),
        }
        *round += 1;
    }
    rounds
}

/// Decides changes of different carts.
async fn decide_round(
    work: &mut Work<'_>,
    changes: &[&CartChange],
) -> Result<Vec<Outcome<ChangeCarts>>, RepositoryError> {
    let users: BTreeSet<UserId> = changes.iter().map(|change| change.user).collect();
    let carts = work.uow.carts().load_many(&users).await?;
    let wanted: BTreeSet<Sku> =
        changes.iter().filter_map(|command| command.change.wants(&carts[&command.user])).collect();
    let on_sale = match wanted.is_empty() {
        true => BTreeMap::new(),
        false => work.uow.products().find_many(&wanted).await?,
    };
    let decided: Vec<_> =
        changes.iter().map(|command| command.change.decide(&carts[&command.user], &on_sale)).collect();
    write(work, changes, &decided).await?;
    let shown = accepted(changes, &decided).filter(|command| command.change.shows_cart());
    let shown: BTreeSet<UserId> = shown.map(|command| command.user).collect();
    let mut views = match shown.is_empty() {
        true => BTreeMap::new(),
        false => work.uow.carts().show_many(&shown).await?,
    };
    let outcomes = changes.iter().zip(decided);
    Ok(outcomes.map(|(command, decided)| decided.map(|_| views.remove(&command.user))).collect())
}

type Decided = Result<Option<CartEdit>, CartRefusal>;

fn accepted<'a>(
    changes: &'a [&CartChange],
    decided: &'a [Decided],
) -> impl Iterator<Item = &'a CartChange> + Clone {
    changes.iter().zip(decided).filter(|(_, decided)| decided.is_ok()).map(|(command, _)| *command)
}

async fn write(
    work: &mut Work<'_>,
    changes: &[&CartChange],
    decided: &[Decided],
) -> Result<(), RepositoryError> {
    let edits: Vec<CartEdit> = decided.iter().filter_map(|decided| decided.ok().flatten()).collect();
    if !edits.is_empty() {
        work.uow.carts().apply(&edits, work.now).await?;
    }
    let cleared = accepted(changes, decided).filter(|command| command.change == Change::Clear);
    let cleared: BTreeSet<UserId> = cleared.map(|command| command.user).collect();
    match cleared.is_empty() {
        true => Ok(()),
        false => work.uow.carts().clear(&cleared).await,
    }
}

fn sku(product: i64, variant: Option<i64>) -> Sku {
    Sku { product: ProductId(product), variant: variant.map(VariantId) }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Shown(CartSnapshot),
    Done,
    UnknownProduct(i64, Option<i64>),
    UnknownVariant(i64, Option<i64>),
    Short(ShortageRecord),
    Full,
}

#[cfg(test)]
mod tests;
