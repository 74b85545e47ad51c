//! Products, stock movements and sales figures.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::product::{Product, ProductRepository, Returned, StockMovement};
use jangteo_domain::{Money, ProductId, RepositoryError};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbBackend, EntityTrait, NotSet, QueryFilter, QueryOrder, QuerySelect,
    Select,
};

use crate::entity::{hourly_sales, products, stock_movements};
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
        products: &BTreeSet<ProductId>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError> {
        let on_sale = products::Entity::find()
            .filter(products::Column::Active.eq(true))
            .filter(products::Column::DeletedAt.is_null());
        self.lock_products(&on_sale, products).await
    }

    async fn sell(&mut self, sales: &[StockMovement]) -> Result<(), RepositoryError> {
        self.writes.insert(sales.iter().map(movement_row));
        let mut pieces: BTreeMap<i64, i64> = BTreeMap::new();
        let mut hourly: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for sale in sales {
            *pieces.entry(sale.product.0).or_default() -= sale.quantity;
            *hourly.entry((hour(sale.at), sale.product.0)).or_default() -= sale.quantity;
        }
        self.count_sales(&hourly);
        self.take_stock(&pieces);
        Ok(())
    }

    async fn lock_sold(
        &mut self,
        products: &BTreeSet<ProductId>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError> {
        self.lock_products(&products::Entity::find(), products).await
    }

    async fn take_back(&mut self, returned: &[Returned]) -> Result<(), RepositoryError> {
        self.writes.insert(returned.iter().map(|returned| movement_row(&returned.movement)));
        let mut pieces: BTreeMap<i64, i64> = BTreeMap::new();
        let mut hourly: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
        for Returned { movement, sold_at } in returned {
            let (product, quantity) = (movement.product.0, movement.quantity);
            *pieces.entry(product).or_default() += quantity;
            *hourly.entry(hour(*sold_at)).or_default().entry(product).or_default() += quantity;
        }
        for (hour, pieces) in hourly {
            self.uncount_sales(hour, &pieces);
        }
        self.return_stock(&pieces);
        Ok(())
    }
}

impl Transaction {
    async fn lock_products(
        &mut self,
        among: &Select<products::Entity>,
        products: &BTreeSet<ProductId>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut locked = BTreeMap::new();
        for list in padded(products.iter().map(|product| product.0)) {
            let rows: Vec<(i64, String, i64, i64)> = among
                .clone()
                .select_only()
                .columns([
                    products::Column::Id,
                    products::Column::Name,
                    products::Column::Price,
                    products::Column::Stock,
                ])
                .filter(products::Column::Id.is_in(list))
                .order_by_asc(products::Column::Id)
                .lock_exclusive()
                .into_tuple()
                .all(transaction)
                .await
                .map_err(failed)?;
            locked.extend(rows.into_iter().map(|(id, name, price, stock)| {
                let id = ProductId(id);
                (id, Product { id, name, price: Money::from_minor(price), stock })
            }));
        }
        Ok(locked)
    }

    fn take_stock(&mut self, pieces: &BTreeMap<i64, i64>) {
        use products::Column::{Id, SalesVolume, Stock};
        // That no stock becomes negative is the table's CHECK, which fails the statement.
        self.writes.update_by_key::<products::Entity>(Id, pieces, |update, sold| {
            update
                .col_expr(Stock, Expr::col(Stock).sub(sold.clone()))
                .col_expr(SalesVolume, Expr::col(SalesVolume).add(sold))
        });
    }

    fn return_stock(&mut self, pieces: &BTreeMap<i64, i64>) {
        use products::Column::{Id, SalesVolume, Stock};
        // That no more is returned than was sold is the CHECK of the sales volume, and that of the hourly figures.
        self.writes.update_by_key::<products::Entity>(Id, pieces, |update, returned| {
            update
                .col_expr(Stock, Expr::col(Stock).add(returned.clone()))
                .col_expr(SalesVolume, Expr::col(SalesVolume).sub(returned))
        });
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

pub(crate) fn movement_row(movement: &StockMovement) -> stock_movements::ActiveModel {
    stock_movements::ActiveModel {
        id: NotSet,
        product_id: Set(movement.product.0),
        kind: Set(stock_movement_kind(movement.kind).to_owned()),
        quantity: Set(movement.quantity),
        stock_after: Set(movement.stock_after),
        order_id: Set(movement.order.map(|order| order.0)),
        reason: NotSet,
        created_at: Set(movement.at),
        variant_id: NotSet,
    }
}
