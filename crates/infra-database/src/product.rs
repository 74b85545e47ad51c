//! Products, stock movements and sales figures.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::product::{Product, ProductRepository, StockMovement, StockMovementKind, Variant};
use jangteo_domain::{Money, ProductId, RepositoryError, Sku, VariantId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbBackend, EntityTrait, NotSet, QueryFilter,
    QueryOrder, QuerySelect, Select,
};

use crate::entity::{hourly_sales, products, stock_movements, variants};
use crate::error::failed;
use crate::rows::stock_movement_kind;
use crate::statement::padded;
use crate::transaction::Transaction;

/// Which hour since the epoch a moment falls into.
pub(crate) fn hour(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(3600)
}

#[async_trait]
impl ProductRepository for Transaction {
    async fn lock_many(
        &mut self,
        skus: &BTreeSet<Sku>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError> {
        let (products, variants) = on_sale();
        self.products_among(&products.lock_exclusive(), &variants.lock_exclusive(), skus).await
    }

    async fn find_many(
        &mut self,
        skus: &BTreeSet<Sku>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError> {
        let (products, variants) = on_sale();
        self.products_among(&products, &variants, skus).await
    }

    async fn lock_sold(
        &mut self,
        skus: &BTreeSet<Sku>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError> {
        let products = products::Entity::find().lock_exclusive();
        self.products_among(&products, &variants::Entity::find().lock_exclusive(), skus).await
    }

    async fn post(&mut self, movements: &[StockMovement]) -> Result<(), RepositoryError> {
        self.writes.insert(movements.iter().map(movement_row));
        let moved = Moved::by(movements);
        self.count_sales(&moved.sold_by_hour);
        for (hour, pieces) in &moved.returned_by_hour {
            self.uncount_sales(*hour, pieces);
        }
        self.move_stocks(&moved);
        Ok(())
    }
}

/// What can be bought.
fn on_sale() -> (Select<products::Entity>, Select<variants::Entity>) {
    let products = products::Entity::find()
        .filter(products::Column::Active.eq(true))
        .filter(products::Column::DeletedAt.is_null());
    (products, variants::Entity::find().filter(variants::Column::Active.eq(true)))
}

/// What movements come to.
#[derive(Default)]
struct Moved {
    /// Pieces that were sold out of the stock, or returned to it if negative, by product.
    sold: BTreeMap<i64, i64>,
    /// Pieces that were added to the stock without being returned, by product.
    stocked: BTreeMap<i64, i64>,
    /// Pieces that were sold without being taken out of the stock, by product: they were held before.
    released: BTreeMap<i64, i64>,
    /// Pieces that were added to the stock, by variant.
    variants: BTreeMap<i64, i64>,
    sold_by_hour: BTreeMap<(i64, i64), i64>,
    returned_by_hour: BTreeMap<i64, BTreeMap<i64, i64>>,
}

impl Moved {
    fn by(movements: &[StockMovement]) -> Self {
        let mut moved = Self::default();
        let mut products: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for StockMovement { sku, kind, quantity, at, .. } in movements {
            let (stocked, sold) = products.entry(sku.product.0).or_default();
            *stocked += quantity;
            match kind {
                StockMovementKind::Sale => {
                    *sold -= quantity;
                    *moved.sold_by_hour.entry((hour(*at), sku.product.0)).or_default() -= quantity;
                }
                StockMovementKind::Return { sold_at } => {
                    *sold -= quantity;
                    let pieces = moved.returned_by_hour.entry(hour(*sold_at)).or_default();
                    *pieces.entry(sku.product.0).or_default() += quantity;
                }
                StockMovementKind::Receive
                | StockMovementKind::Hold
                | StockMovementKind::Release
                | StockMovementKind::WriteOff => {}
            }
            if let Some(variant) = sku.variant {
                *moved.variants.entry(variant.0).or_default() += quantity;
            }
        }
        // Nearly always what is sold is what leaves the stock: one update does both.
        for (product, (stocked, sold)) in products {
            if sold == -stocked {
                moved.sold.insert(product, sold);
            } else {
                moved.stocked.insert(product, stocked);
                moved.released.insert(product, sold);
            }
        }
        for changes in [&mut moved.sold, &mut moved.stocked, &mut moved.released, &mut moved.variants] {
            changes.retain(|_, pieces| *pieces != 0);
        }
        moved
    }
}

impl Transaction {
    async fn products_among(
        &mut self,
        among: &Select<products::Entity>,
        among_variants: &Select<variants::Entity>,
        skus: &BTreeSet<Sku>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError> {
        use products::Column::{HasVariants, Id, Name, Price, Stock};
        let transaction = self.up_to_date().await?;
        let mut found = BTreeMap::new();
        let ids: BTreeSet<i64> = skus.iter().map(|sku| sku.product.0).collect();
        for list in padded(ids) {
            let rows: Vec<(i64, String, i64, i64, bool)> = among
                .clone()
                .select_only()
                .columns([Id, Name, Price, Stock, HasVariants])
                .filter(Id.is_in(list))
                .order_by_asc(Id)
                .into_tuple()
                .all(transaction)
                .await
                .map_err(failed)?;
            found.extend(rows.into_iter().map(|(id, name, price, stock, has_variants)| {
                let (id, price) = (ProductId(id), Money::from_minor(price));
                let variants = has_variants.then(BTreeMap::new);
                (id, Product { id, name, price, stock, variants })
            }));
        }
        let with_variants = |sku: &&Sku| found.get(&sku.product).is_some_and(|of| of.variants.is_some());
        let variants: BTreeSet<i64> =
            skus.iter().filter(with_variants).filter_map(|sku| Some(sku.variant?.0)).collect();
        for list in padded(variants) {
            add_variants(transaction, among_variants, list, &mut found).await?;
        }
        Ok(found)
    }

    fn move_stocks(&mut self, moved: &Moved) {
        use products::Column::{Id, SalesVolume, Stock};
        // That no stock becomes negative is the tables' CHECKs, which fail the statement; that no more is returned than was
        // sold is that of the sales volume, and that of the hourly figures.
        self.writes.update_by_key::<products::Entity>(Id, &moved.sold, |update, sold| {
            update
                .col_expr(Stock, Expr::col(Stock).sub(sold.clone()))
                .col_expr(SalesVolume, Expr::col(SalesVolume).add(sold))
        });
        self.writes.update_by_key::<products::Entity>(Id, &moved.stocked, |update, pieces| {
            update.col_expr(Stock, Expr::col(Stock).add(pieces))
        });
        self.writes.update_by_key::<products::Entity>(Id, &moved.released, |update, sold| {
            update.col_expr(SalesVolume, Expr::col(SalesVolume).add(sold))
        });
        let stock = variants::Column::Stock;
        self.writes.update_by_key::<variants::Entity>(
            variants::Column::Id,
            &moved.variants,
            |update, pieces| update.col_expr(stock, Expr::col(stock).add(pieces)),
        );
    }

    fn uncount_sales(&mut self, hour: i64, pieces: &BTreeMap<i64, i64>) {
        use hourly_sales::Column::{Hour, ProductId, Quantity};
        self.writes.update_by_key::<hourly_sales::Entity>(ProductId, pieces, |update, returned| {
            update.col_expr(Quantity, Expr::col(Quantity).sub(returned)).filter(Hour.eq(hour))
        });
    }

    fn count_sales(&mut self, hourly: &BTreeMap<(i64, i64), i64>) {
        let rows = hourly.iter().map(|(&(hour, product), &quantity)| hourly_sales::ActiveModel {
            hour: Set(hour),
            product_id: Set(product),
            quantity: Set(quantity),
        });
        let add = match self.writes.backend() {
            DbBackend::MySql => " ON DUPLICATE KEY UPDATE quantity = quantity + VALUES(quantity)",
            _ => " ON CONFLICT (hour, product_id) DO UPDATE SET quantity = quantity + excluded.quantity",
        };
        self.writes.insert_or(rows, add);
    }
}

/// Adds variants to their products.
async fn add_variants(
    transaction: &DatabaseTransaction,
    among: &Select<variants::Entity>,
    ids: Vec<i64>,
    products: &mut BTreeMap<ProductId, Product>,
) -> Result<(), RepositoryError> {
    use variants::Column::{Id, Name, Price, ProductId as Of, Stock};
    let rows: Vec<(i64, i64, String, i64, i64)> = among
        .clone()
        .select_only()
        .columns([Id, Of, Name, Price, Stock])
        .filter(Id.is_in(ids))
        .order_by_asc(Id)
        .into_tuple()
        .all(transaction)
        .await
        .map_err(failed)?;
    for (id, product, name, price, stock) in rows {
        let id = VariantId(id);
        let variant = Variant { id, name, price: Money::from_minor(price), stock };
        if let Some(variants) = products.get_mut(&ProductId(product)).and_then(|of| of.variants.as_mut()) {
            variants.insert(id, variant);
        }
    }
    Ok(())
}

/// Why pieces are written off that came back.
const WRITTEN_OFF_BECAUSE: &str = "sold as such, and the product has variants by now";

pub(crate) fn movement_row(movement: &StockMovement) -> stock_movements::ActiveModel {
    stock_movements::ActiveModel {
        id: NotSet,
        product_id: Set(movement.sku.product.0),
        kind: Set(stock_movement_kind(movement.kind).to_owned()),
        quantity: Set(movement.quantity),
        stock_after: Set(movement.stock_after),
        order_id: Set(movement.order.map(|order| order.0)),
        reason: Set((movement.kind == StockMovementKind::WriteOff).then(|| WRITTEN_OFF_BECAUSE.to_owned())),
        created_at: Set(movement.at),
        variant_id: Set(movement.sku.variant.map(|variant| variant.0)),
    }
}
