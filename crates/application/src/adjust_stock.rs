//! Stock that no order moves: what suppliers bring, what was counted anew, broken, lost or found.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jangteo_domain::catalogue::{
    AdjustmentKind, CatalogueChanges, ManagedProduct, StockAdjustment, StockReason, StockRefusal, Variant,
};
use jangteo_domain::{ProductId, RepositoryError, UserId, VariantId};
use serde::{Deserialize, Serialize};

use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::snapshot::{from_json, to_json};
use crate::trail::{Administrator, Subject, TrailEntry};

/// Stock, its movement and the trail change together or not at all. The version of the product stays: who changes what a
/// product is need not know how many there are.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdjustStock;

/// Move stock of one product.
#[derive(Debug, Clone)]
pub struct Adjust {
    /// Who asks.
    pub by: Administrator,
    /// The product.
    pub product: ProductId,
    /// The variant, of a product that has any.
    pub variant: Option<VariantId>,
    /// What for.
    pub kind: AdjustmentKind,
    /// Signed: what is added to the stock. Not zero.
    pub quantity: i64,
    /// Why.
    pub reason: StockReason,
}

/// What there is since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StockAfter {
    /// The product.
    pub product_id: i64,
    /// Which variant, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_id: Option<i64>,
    /// Pieces of the product, those of its variants together.
    pub stock: i64,
    /// Pieces of the variant.
    pub variant_stock: Option<i64>,
}

/// Why stock was not moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AdjustRefusal {
    /// There is no such product.
    #[error("there is no such product")]
    Unknown,
    /// As [`StockRefusal::Deleted`].
    #[error("the product was deleted")]
    Deleted,
    /// As [`StockRefusal::VariantNeeded`].
    #[error("a variant must be named")]
    VariantNeeded,
    /// As [`StockRefusal::NoVariants`].
    #[error("the product has no variants")]
    NoVariants,
    /// As [`StockRefusal::UnknownVariant`].
    #[error("the product has no such variant")]
    UnknownVariant,
    /// As [`StockRefusal::Short`].
    #[error("{requested} to be taken out, {available} left")]
    Short {
        /// Pieces to be taken out.
        requested: i64,
        /// Pieces left.
        available: i64,
    },
    /// As [`StockRefusal::TooMany`].
    #[error("there is room for {room} more")]
    TooMany {
        /// Pieces that fit in.
        room: i64,
    },
}

impl From<StockRefusal> for AdjustRefusal {
    fn from(refusal: StockRefusal) -> Self {
        match refusal {
            StockRefusal::Deleted => Self::Deleted,
            StockRefusal::VariantNeeded => Self::VariantNeeded,
            StockRefusal::NoVariants => Self::NoVariants,
            StockRefusal::UnknownVariant => Self::UnknownVariant,
            StockRefusal::Short { requested, available } => Self::Short { requested, available },
            StockRefusal::TooMany { room } => Self::TooMany { room },
        }
    }
}

#[async_trait]
impl Operation for AdjustStock {
    const NAME: &'static str = "adjust-stock";
    const IDS: Option<Sequence> = None;

    type Command = Adjust;
    type Success = StockAfter;
    type Refusal = AdjustRefusal;

    fn customer(_: &Adjust) -> Option<UserId> {
        None
    }

    fn key_scope(adjust: &Adjust) -> (Option<UserId>, &'static str) {
        (Some(adjust.by.user), Self::NAME)
    }

    fn fingerprint(adjust: &Adjust) -> Fingerprint {
        let variant = adjust.variant.map(|variant| variant.0);
        let (kind, reason) = (kind_name(adjust.kind), adjust.reason.as_str());
        Fingerprint::of(&(adjust.product.0, variant, kind, adjust.quantity, reason))
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&Adjust],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let ids: BTreeSet<ProductId> = commands.iter().map(|command| command.product).collect();
        let mut products = work.uow.catalogue().lock_managed(&ids).await?;
        let (mut moved, mut trail) = (Moved::default(), Vec::new());
        let outcomes = commands
            .iter()
            .map(|command| {
                let product = products.get_mut(&command.product).ok_or(AdjustRefusal::Unknown)?;
                let before = StockSnapshot::before(product, command);
                product.adjust(command.variant, command.quantity)?;
                let after = StockSnapshot::after(product, command);
                let subject = (Subject::Product, command.product.0);
                let change = (Some(&before), Some(&after));
                trail.push(TrailEntry::new(&command.by, Self::NAME, subject, change, work.now));
                moved.note(product, command);
                Ok(left(product, command))
            })
            .collect();
        if !trail.is_empty() {
            let changes = moved.changes(|id| products[&id].clone());
            work.uow.catalogue().store(&changes, work.now).await?;
            work.uow.trail().append(&trail).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        match outcome {
            Err(AdjustRefusal::Unknown) => None,
            outcome => Some(to_json(outcome)),
        }
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        from_json(record)
    }
}

#[derive(Default)]
struct Moved {
    products: BTreeSet<ProductId>,
    variants: BTreeSet<(ProductId, VariantId)>,
    adjustments: Vec<StockAdjustment>,
}

impl Moved {
    fn note(&mut self, product: &ManagedProduct, command: &Adjust) {
        self.products.insert(product.id);
        self.variants.extend(command.variant.map(|variant| (product.id, variant)));
        self.adjustments.push(StockAdjustment {
            product: product.id,
            variant: command.variant,
            kind: command.kind,
            quantity: command.quantity,
            stock_after: product.stock,
            reason: Some(command.reason.clone()),
        });
    }

    /// Of what moved several times, how much there is in the end.
    fn changes(self, product: impl Fn(ProductId) -> ManagedProduct) -> CatalogueChanges {
        let variant = |&(id, variant): &(ProductId, VariantId)| -> Option<Variant> {
            product(id).variant(variant).cloned()
        };
        CatalogueChanges {
            changed_variants: self.variants.iter().filter_map(variant).collect(),
            changed: self.products.into_iter().map(&product).collect(),
            adjustments: self.adjustments,
            ..CatalogueChanges::default()
        }
    }
}

fn left(product: &ManagedProduct, command: &Adjust) -> StockAfter {
    let variant = command.variant.and_then(|variant| product.variant(variant));
    StockAfter {
        product_id: product.id.0,
        variant_id: variant.map(|variant| variant.id.0),
        stock: product.stock,
        variant_stock: variant.map(|variant| variant.stock),
    }
}

fn kind_name(kind: AdjustmentKind) -> &'static str {
    match kind {
        AdjustmentKind::Receive => "RECEIVE",
        AdjustmentKind::Adjust => "ADJUST",
    }
}

/// What the trail tells: how many there were, how many there are, and what was said about it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StockSnapshot {
    #[serde(flatten)]
    stock: StockAfter,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl StockSnapshot {
    fn before(product: &ManagedProduct, command: &Adjust) -> Self {
        Self { stock: left(product, command), kind: None, quantity: None, reason: None }
    }

    fn after(product: &ManagedProduct, command: &Adjust) -> Self {
        Self {
            kind: Some(kind_name(command.kind)),
            quantity: Some(command.quantity),
            reason: Some(command.reason.to_string()),
            ..Self::before(product, command)
        }
    }
}
