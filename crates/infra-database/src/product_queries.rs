//! What those who keep the catalogue read of it, and what they and guests look for in it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::product_queries::{
    ManagedCatalogue, ManagedList, ManagedView, StockChange, StockLine,
};
use jangteo_application::queries::{Direction, Page, PageRequest, ProductSort, Search};
use jangteo_domain::catalogue::ManagedProduct;
use jangteo_domain::{Money, OrderId, ProductId, RepositoryError, StoreId, VariantId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, DerivePartialModel, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder,
};

use crate::catalogue::Details;
use crate::entity::{product_images, products, stock_movements, variants};
use crate::error::{Corrupt, failed};
use crate::pages::paged;
use crate::store::Store;

#[async_trait]
impl ManagedCatalogue for Store {
    async fn managed_products(&self, list: ManagedList) -> Result<Page<ManagedView>, RepositoryError> {
        let products = products::Entity::find().filter(asked_for(&list));
        let total = products.clone().count(self.readers()).await.map_err(failed)?;
        let (column, direction) = (sort_column(list.sort), sort_order(list.direction));
        let products = products.order_by(column, direction.clone()).order_by(products::Column::Id, direction);
        let rows = paged(products, list.page).into_partial_model::<ManagedRow>().all(self.readers());
        let content = rows.await.map_err(failed)?.into_iter().map(ManagedView::from).collect();
        Ok(Page { content, request: list.page, total })
    }

    async fn managed_product(&self, id: ProductId) -> Result<Option<ManagedProduct>, RepositoryError> {
        let row = products::Entity::find_by_id(id.0).one(self.readers()).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        // The product with its version first: what is changed meanwhile is newer than the version says.
        let mut details = Details::default();
        details.add_variants(self.variants_of(id).await?)?;
        details.add_images(self.images_of(id).await?)?;
        Ok(Some(details.complete(row)?))
    }

    async fn stock_movements(
        &self,
        product: ProductId,
        page: PageRequest,
    ) -> Result<Option<Page<StockLine>>, RepositoryError> {
        let known = products::Entity::find_by_id(product.0).count(self.readers()).await.map_err(failed)?;
        if known == 0 {
            return Ok(None);
        }
        let movements =
            stock_movements::Entity::find().filter(stock_movements::Column::ProductId.eq(product.0));
        let total = self.count_up_to_most(movements.clone()).await?;
        let latest = paged(movements.order_by_desc(stock_movements::Column::Id), page);
        let rows = latest.all(self.readers()).await.map_err(failed)?;
        let content = rows.into_iter().map(stock_line).collect::<Result<_, Corrupt>>()?;
        Ok(Some(Page { content, request: page, total }))
    }
}

impl Store {
    /// By ascending ids.
    pub(crate) async fn variants_of(
        &self,
        product: ProductId,
    ) -> Result<Vec<variants::Model>, RepositoryError> {
        let variants = variants::Entity::find().filter(variants::Column::ProductId.eq(product.0));
        variants.order_by_asc(variants::Column::Id).all(self.readers()).await.map_err(failed)
    }

    /// In sequence.
    pub(crate) async fn images_of(
        &self,
        product: ProductId,
    ) -> Result<Vec<product_images::Model>, RepositoryError> {
        let images = product_images::Entity::find().filter(product_images::Column::ProductId.eq(product.0));
        images.order_by_asc(product_images::Column::Sequence).all(self.readers()).await.map_err(failed)
    }
}

fn asked_for(list: &ManagedList) -> Condition {
    let deleted = match list.deleted {
        true => products::Column::DeletedAt.is_not_null(),
        false => products::Column::DeletedAt.is_null(),
    };
    Condition::all()
        .add(deleted)
        .add_option(list.store.map(|store| products::Column::StoreId.eq(store.0)))
        .add_option(list.active.map(|active| products::Column::Active.eq(active)))
        .add_option(list.search.as_ref().map(has_words))
}

/// Each of the words is in the name or in the description, in capitals or not. Of what SQLite can tell, these are the
/// letters of ASCII.
pub(crate) fn has_words(search: &Search) -> Condition {
    search.words().fold(Condition::all(), |all, word| {
        let pattern = format!("%{}%", literally(word));
        let is_in = |column: products::Column| {
            let values = [Expr::col((products::Entity, column)), Expr::val(pattern.as_str())];
            Expr::cust_with_exprs("LOWER(?) LIKE LOWER(?) ESCAPE '!'", values)
        };
        all.add(is_in(products::Column::Name).or(is_in(products::Column::Description)))
    })
}

/// A word of a pattern, in which no character stands for others.
pub(crate) fn literally(word: &str) -> String {
    let mut literal = String::with_capacity(word.len());
    for c in word.chars() {
        if matches!(c, '!' | '%' | '_') {
            literal.push('!');
        }
        literal.push(c);
    }
    literal
}

pub(crate) fn sort_column(sort: ProductSort) -> products::Column {
    match sort {
        ProductSort::CreatedAt => products::Column::CreatedAt,
        ProductSort::Price => products::Column::Price,
        ProductSort::Name => products::Column::Name,
        ProductSort::SalesVolume => products::Column::SalesVolume,
    }
}

pub(crate) fn sort_order(direction: Direction) -> Order {
    match direction {
        Direction::Ascending => Order::Asc,
        Direction::Descending => Order::Desc,
    }
}

/// Without the description, which no list shows.
#[derive(DerivePartialModel)]
#[sea_orm(entity = "products::Entity")]
struct ManagedRow {
    id: i64,
    store_id: i64,
    name: String,
    price: i64,
    stock: i64,
    has_variants: bool,
    active: bool,
    sales_volume: i64,
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    deleted_at: Option<DateTime<Utc>>,
}

impl From<ManagedRow> for ManagedView {
    fn from(row: ManagedRow) -> Self {
        Self {
            id: ProductId(row.id),
            store: StoreId(row.store_id),
            name: row.name,
            price: Money::from_minor(row.price),
            stock: row.stock,
            has_variants: row.has_variants,
            active: row.active,
            sales_volume: row.sales_volume,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        }
    }
}

fn stock_line(row: stock_movements::Model) -> Result<StockLine, Corrupt> {
    Ok(StockLine {
        id: row.id,
        change: match row.kind.as_str() {
            "SALE" => StockChange::Sale,
            "RETURN" => StockChange::Return,
            "RECEIVE" => StockChange::Receive,
            "ADJUST" => StockChange::Adjust,
            "HOLD" => StockChange::Hold,
            "RELEASE" => StockChange::Release,
            _ => return Err(Corrupt::new("stock_movements", "kind", row.id)),
        },
        quantity: row.quantity,
        stock_after: row.stock_after,
        variant: row.variant_id.map(VariantId),
        order: row.order_id.map(OrderId),
        reason: row.reason,
        at: row.created_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_word_stands_for_others() {
        assert_eq!(literally("100%_off!"), "100!%!_off!!");
        assert_eq!(literally("a\\b"), "a\\b");
    }
}
