//! Changing the catalogue: products, what they are sold as, and their pictures.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::catalogue::{
    AdjustmentKind, CatalogueChanges, ChangeRefusal, ImageUrl, ManagedProduct, ProductChanges,
    ProductDetails, StockAdjustment, VariantChanges, VariantDetails,
};
use jangteo_domain::{ProductId, RepositoryError, StoreId, UserId, VariantId};
use serde::{Deserialize, Serialize};

use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::snapshot::{from_json, to_json};
use crate::trail::{Administrator, Subject, TrailEntry};
use crate::versions::{Expected, Stale};

mod snapshot;

use snapshot::ProductSnapshot;

/// Product, variants, pictures, first stock and trail change together or not at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct EditProducts;

/// Change one product.
#[derive(Debug, Clone)]
pub struct EditProduct {
    /// Who asks.
    pub by: Administrator,
    /// For what.
    pub edit: Edit,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Put a new product into the catalogue.
    Create(NewProduct),
    /// Change one that is there.
    Update {
        /// Which.
        product: ProductId,
        /// The versions that the change is meant for.
        expected: Expected,
        /// The change.
        update: Update,
    },
}

/// A change of a product that is there.
#[derive(Debug, Clone)]
pub enum Update {
    /// What the product is.
    Details(ProductChanges),
    /// Whether it is there at all.
    Delete,
    /// One variant more.
    AddVariant(NewVariant),
    /// What a variant is.
    Variant(VariantId, VariantChanges),
    /// Its pictures, all of them.
    Images(Vec<ImageUrl>),
}

/// A product to put into the catalogue.
#[derive(Debug, Clone)]
pub struct NewProduct {
    /// What it is.
    pub details: ProductDetails,
    /// Pieces received at first, of a product without variants.
    pub stock: i64,
    /// Where its pictures are, in sequence.
    pub images: Vec<ImageUrl>,
    /// What it is sold as, if not as such.
    pub variants: Vec<NewVariant>,
}

/// Something more that a product is sold as.
#[derive(Debug, Clone)]
pub struct NewVariant {
    /// What it is.
    pub details: VariantDetails,
    /// Pieces received at first.
    pub stock: i64,
}

/// A product as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The product.
    pub product: ManagedProduct,
    /// The variant that was added or changed.
    pub variant: Option<VariantId>,
}

/// Why a product was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum EditRefusal {
    /// There is no such product.
    #[error("there is no such product")]
    Unknown,
    /// There is no such store, or not any more.
    #[error("there is no such store")]
    UnknownStore,
    /// Somebody else has changed it since it was looked at.
    #[error("it is version {version} by now")]
    Stale {
        /// The version there is.
        version: i32,
    },
    /// As [`ChangeRefusal::Deleted`].
    #[error("the product was deleted")]
    Deleted,
    /// As [`ChangeRefusal::PricedByVariants`].
    #[error("the price is that of the variants")]
    PricedByVariants,
    /// As [`ChangeRefusal::OwnStock`].
    #[error("the product has {stock} pieces of its own")]
    OwnStock {
        /// How many.
        stock: i64,
    },
    /// As [`ChangeRefusal::UnknownVariant`].
    #[error("the product has no such variant")]
    UnknownVariant,
    /// As [`ChangeRefusal::NameTaken`].
    #[error("another variant has this name")]
    NameTaken,
    /// As [`ChangeRefusal::TooManyVariants`].
    #[error("the product has as many variants as it can have")]
    TooManyVariants,
    /// As [`ChangeRefusal::TooManyPieces`].
    #[error("there is room for {room} more")]
    TooManyPieces {
        /// Pieces that fit in.
        room: i64,
    },
}

impl From<Stale> for EditRefusal {
    fn from(Stale { version }: Stale) -> Self {
        Self::Stale { version }
    }
}

impl From<ChangeRefusal> for EditRefusal {
    fn from(refusal: ChangeRefusal) -> Self {
        match refusal {
            ChangeRefusal::Deleted => Self::Deleted,
            ChangeRefusal::PricedByVariants => Self::PricedByVariants,
            ChangeRefusal::OwnStock { stock } => Self::OwnStock { stock },
            ChangeRefusal::UnknownVariant => Self::UnknownVariant,
            ChangeRefusal::NameTaken => Self::NameTaken,
            ChangeRefusal::TooManyVariants => Self::TooManyVariants,
            ChangeRefusal::TooManyPieces { room } => Self::TooManyPieces { room },
        }
    }
}

/// The edit that puts a product into the catalogue.
pub const CREATE_PRODUCT: &str = "create-product";
const CHANGE_PRODUCT: &str = "change-product";
/// The edit that takes a product out of the catalogue.
pub const DELETE_PRODUCT: &str = "delete-product";
/// The edit that gives a product one variant more.
pub const ADD_VARIANT: &str = "add-variant";
/// The edit of what a variant is.
pub const CHANGE_VARIANT: &str = "change-variant";
const SET_IMAGES: &str = "set-images";

impl Edit {
    /// Names it in idempotency keys and on the trail.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => CREATE_PRODUCT,
            Self::Update { update, .. } => match update {
                Update::Details(_) => CHANGE_PRODUCT,
                Update::Delete => DELETE_PRODUCT,
                Update::AddVariant(_) => ADD_VARIANT,
                Update::Variant(..) => CHANGE_VARIANT,
                Update::Images(_) => SET_IMAGES,
            },
        }
    }

    /// The store that the product is to belong to.
    fn store(&self) -> Option<StoreId> {
        match self {
            Self::Create(new) => Some(new.details.store),
            Self::Update { update: Update::Details(changes), .. } => changes.store,
            Self::Update { .. } => None,
        }
    }

    fn product(&self) -> Option<ProductId> {
        match self {
            Self::Create(_) => None,
            Self::Update { product, .. } => Some(*product),
        }
    }
}

#[async_trait]
impl Operation for EditProducts {
    const NAME: &'static str = "edit-product";
    const KEY_SCOPES: &'static [&'static str] =
        &[CREATE_PRODUCT, CHANGE_PRODUCT, DELETE_PRODUCT, ADD_VARIANT, CHANGE_VARIANT, SET_IMAGES];
    const IDS: Option<Sequence> = Some(Sequence::Products);
    const PART_IDS: Option<Sequence> = Some(Sequence::Variants);

    type Command = EditProduct;
    type Success = Edited;
    type Refusal = EditRefusal;

    fn customer(_: &EditProduct) -> Option<UserId> {
        None
    }

    fn key_scope(command: &EditProduct) -> (Option<UserId>, &'static str) {
        (Some(command.by.user), command.edit.name())
    }

    fn parts(command: &EditProduct) -> usize {
        match &command.edit {
            Edit::Create(new) => new.variants.len(),
            Edit::Update { update: Update::AddVariant(_), .. } => 1,
            Edit::Update { .. } => 0,
        }
    }

    fn fingerprint(command: &EditProduct) -> Fingerprint {
        snapshot::fingerprint(&command.edit)
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&EditProduct],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let stores: BTreeSet<StoreId> = commands.iter().filter_map(|command| command.edit.store()).collect();
        let stores = match stores.is_empty() {
            true => stores,
            false => work.uow.catalogue().lock_stores(&stores).await?,
        };
        let ids: BTreeSet<ProductId> = commands.iter().filter_map(|command| command.edit.product()).collect();
        let products = match ids.is_empty() {
            true => BTreeMap::new(),
            false => work.uow.catalogue().lock_managed(&ids).await?,
        };
        let mut ledger = Ledger { stores, products, now: work.now, written: Written::default() };
        let outcomes = commands.iter().map(|command| ledger.enter(command, work)).collect();
        let (changes, trail) = ledger.close();
        if !trail.is_empty() {
            work.uow.catalogue().store(&changes, work.now).await?;
            work.uow.trail().append(&trail).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        Some(to_json(&match outcome {
            Ok(edited) => Record::Edited {
                product: ProductSnapshot::from(&edited.product),
                variant: edited.variant.map(|variant| variant.0),
            },
            Err(EditRefusal::Unknown | EditRefusal::UnknownStore) => return None,
            Err(refusal) => Record::Refused(*refusal),
        }))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::Edited { product, variant } => {
                Ok(Edited { product: product.into_product()?, variant: variant.map(VariantId) })
            }
            Record::Refused(refusal) => Err(refusal),
        })
    }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Edited { product: ProductSnapshot, variant: Option<i64> },
    Refused(EditRefusal),
}

/// Products as the commands before left them, and what has to be written of them.
struct Ledger {
    stores: BTreeSet<StoreId>,
    products: BTreeMap<ProductId, ManagedProduct>,
    now: DateTime<Utc>,
    written: Written,
}

#[derive(Default)]
struct Written {
    created: Vec<ManagedProduct>,
    changed: BTreeSet<ProductId>,
    new_variants: Vec<(ProductId, VariantId)>,
    changed_variants: BTreeSet<(ProductId, VariantId)>,
    images: BTreeSet<ProductId>,
    received: Vec<StockAdjustment>,
    trail: Vec<TrailEntry>,
}

impl Ledger {
    fn enter(&mut self, command: &EditProduct, work: &mut Work<'_>) -> Result<Edited, EditRefusal> {
        match &command.edit {
            Edit::Create(new) => {
                if !self.stores.contains(&new.details.store) {
                    return Err(EditRefusal::UnknownStore);
                }
                let product = self.create(new, work)?;
                self.note(command, None, &product);
                Ok(Edited { product, variant: None })
            }
            Edit::Update { product, expected, update } => {
                let before = self.products.get(product).ok_or(EditRefusal::Unknown)?.clone();
                expected.check(before.version)?;
                let mut after = before.clone();
                let variant = self.update(&mut after, update, work)?;
                if after != before {
                    after.version += 1;
                    after.updated_at = self.now;
                    self.written.changed.insert(after.id);
                    self.note(command, Some(&before), &after);
                    self.products.insert(after.id, after.clone());
                }
                Ok(Edited { product: after, variant })
            }
        }
    }

    fn create(&mut self, new: &NewProduct, work: &mut Work<'_>) -> Result<ManagedProduct, EditRefusal> {
        let NewProduct { details, stock, images, variants } = new;
        let id = ProductId(work.ids.next().expect("an id for every command"));
        let mut product = ManagedProduct::new(id, details.clone(), images.clone(), *stock, self.now)?;
        let mut received = Vec::from_iter(received(&product, None, *stock));
        for variant in variants {
            let (_, pieces) = add_variant(&mut product, variant, work)?;
            received.extend(pieces);
        }
        self.written.received.extend(received);
        self.written.created.push(product.clone());
        Ok(product)
    }

    /// The variant that it is about.
    fn update(
        &mut self,
        product: &mut ManagedProduct,
        update: &Update,
        work: &mut Work<'_>,
    ) -> Result<Option<VariantId>, EditRefusal> {
        match update {
            Update::Details(changes) => {
                if changes.store.is_some_and(|store| !self.stores.contains(&store)) {
                    return Err(EditRefusal::UnknownStore);
                }
                product.change(changes.clone())?;
                Ok(None)
            }
            Update::Delete => {
                product.delete(self.now)?;
                Ok(None)
            }
            Update::Images(images) => {
                product.show(images.clone())?;
                self.written.images.insert(product.id);
                Ok(None)
            }
            Update::AddVariant(new) => {
                let (variant, pieces) = add_variant(product, new, work)?;
                self.written.new_variants.push((product.id, variant));
                self.written.received.extend(pieces);
                Ok(Some(variant))
            }
            Update::Variant(variant, changes) => {
                product.change_variant(*variant, changes.clone())?;
                self.written.changed_variants.insert((product.id, *variant));
                Ok(Some(*variant))
            }
        }
    }

    fn note(&mut self, command: &EditProduct, before: Option<&ManagedProduct>, after: &ManagedProduct) {
        let action = command.edit.name();
        let subject = (Subject::Product, after.id.0);
        let (before, after) = (before.map(ProductSnapshot::from), ProductSnapshot::from(after));
        let is_gone = matches!(command.edit, Edit::Update { update: Update::Delete, .. });
        let after = (!is_gone).then_some(&after);
        let entry = TrailEntry::new(&command.by, action, subject, (before.as_ref(), after), self.now);
        self.written.trail.push(entry);
    }

    /// What has to be written: of what changed several times, how it is in the end.
    fn close(self) -> (CatalogueChanges, Vec<TrailEntry>) {
        let Self { products, written, .. } = self;
        let variant =
            |(product, variant): &(ProductId, VariantId)| products[product].variant(*variant).cloned();
        let new_variants =
            written.new_variants.iter().filter_map(|place| Some((place.0, variant(place)?))).collect();
        let changes = CatalogueChanges {
            changed: written.changed.iter().map(|product| products[product].clone()).collect(),
            new_variants,
            changed_variants: written.changed_variants.iter().filter_map(variant).collect(),
            images: written.images.iter().map(|id| (*id, products[id].images.clone())).collect(),
            created: written.created,
            adjustments: written.received,
        };
        (changes, written.trail)
    }
}

fn add_variant(
    product: &mut ManagedProduct,
    new: &NewVariant,
    work: &mut Work<'_>,
) -> Result<(VariantId, Option<StockAdjustment>), EditRefusal> {
    let variant = VariantId(work.part_ids.next().expect("an id for every variant"));
    product.add_variant(variant, new.details.clone(), new.stock)?;
    Ok((variant, received(product, Some(variant), new.stock)))
}

/// What something new has from the beginning.
fn received(product: &ManagedProduct, variant: Option<VariantId>, quantity: i64) -> Option<StockAdjustment> {
    (quantity > 0).then_some(StockAdjustment {
        product: product.id,
        variant,
        kind: AdjustmentKind::Receive,
        quantity,
        stock_after: product.stock,
        reason: None,
    })
}
