//! What everybody may see.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jangteo_application::queries::{
    CatalogueQueries, Page, PageRequest, PopularProduct, PopularProducts, ProductDetail, ProductList,
    ProductView, VariantView,
};
use jangteo_domain::{Coupon, CouponCode, Money, ProductId, RepositoryError, StoreId, VariantId};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoColumnRef, JoinType, Order, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::entity::{hourly_sales, products, stores, variants};
use crate::error::failed;
use crate::product::hour;
use crate::product_queries::{has_words, sort_column, sort_order};
use crate::store::Store;

#[async_trait]
impl CatalogueQueries for Store {
    async fn products(&self, list: ProductList) -> Result<Page<ProductView>, RepositoryError> {
        let (column, direction) = (sort_column(list.sort), sort_order(list.direction));
        let listed = asked_for(&list);
        let total = Query::select().from(products::Entity).cond_where(listed.clone()).take();
        let total = self.count(total).await?;
        // What is rare has been looked for in the whole catalogue, and need not be once more when there is none.
        if total == 0 {
            return Ok(Page { content: Vec::new(), request: list.page, total });
        }
        let select = product_columns()
            .cond_where(listed)
            .order_by((products::Entity, column), direction.clone())
            .order_by((products::Entity, products::Column::Id), direction)
            .limit(u64::from(list.page.size))
            .offset(u64::from(list.page.page) * u64::from(list.page.size))
            .take();
        let rows = ProductRow::find_by_statement(self.readers().get_database_backend().build(&select));
        let content =
            rows.all(self.readers()).await.map_err(failed)?.into_iter().map(ProductView::from).collect();
        Ok(Page { content, request: list.page, total })
    }

    async fn product(&self, id: ProductId) -> Result<Option<ProductDetail>, RepositoryError> {
        let select = product_columns()
            .column((products::Entity, products::Column::Description))
            .and_where(on_sale())
            .and_where(Expr::col((products::Entity, products::Column::Id)).eq(id.0))
            .take();
        let row = DetailRow::find_by_statement(self.readers().get_database_backend().build(&select));
        let Some(row) = row.one(self.readers()).await.map_err(failed)? else { return Ok(None) };
        let images = self.images_of(id).await?.into_iter().map(|image| image.url).collect();
        let variants = self.variants_of(id).await?.into_iter().filter(|variant| variant.active);
        let variants = variants.map(VariantView::from).collect();
        Ok(Some(ProductDetail {
            product: row.product.into(),
            description: row.description,
            images,
            variants,
        }))
    }

    async fn popular(&self, days: u32, limit: u32) -> Result<PopularProducts, RepositoryError> {
        let generated_at = self.clock().now();
        let from_hour = hour(generated_at - TimeDelta::days(i64::from(days)));
        let (sales, sold) = (Alias::new("sales"), Alias::new("sold"));
        let pieces = Expr::col(hourly_sales::Column::Quantity).sum();
        // First what each product sold, then the products. MariaDB would rather look up each product's hours, by an index that
        // has every hour there ever was; that a sum and not a column is compared keeps it from that.
        let by_product = Query::select()
            .column(hourly_sales::Column::ProductId)
            // A sum is a DECIMAL on MySQL.
            .expr_as(pieces.clone().cast_as(self.big_integer()), sold.clone())
            .from(hourly_sales::Entity)
            .and_where(Expr::col(hourly_sales::Column::Hour).gte(from_hour))
            .group_by_col(hourly_sales::Column::ProductId)
            .and_having(pieces.gt(0))
            .take();
        let product = |column| (products::Entity, column);
        let select = Query::select()
            .columns([
                product(products::Column::Id),
                product(products::Column::Name),
                product(products::Column::Price),
            ])
            .column((sales.clone(), sold.clone()))
            .from_subquery(by_product, sales.clone())
            .inner_join(
                products::Entity,
                Expr::col(product(products::Column::Id)).eq(Expr::col((
                    sales.clone(),
                    hourly_sales::Column::ProductId,
                ))
                .add(0)),
            )
            .and_where(on_sale())
            .order_by((sales, sold), Order::Desc)
            .order_by(product(products::Column::Id), Order::Asc)
            .limit(u64::from(limit))
            .take();
        let rows = PopularRow::find_by_statement(self.readers().get_database_backend().build(&select));
        let rows = rows.all(self.readers()).await.map_err(failed)?;
        Ok(PopularProducts { products: rows.into_iter().map(PopularProduct::from).collect(), generated_at })
    }

    async fn best_sellers(&self, limit: u32) -> Result<PopularProducts, RepositoryError> {
        let generated_at = self.clock().now();
        let best = products::Entity::find()
            .select_only()
            .columns([products::Column::Id, products::Column::Name, products::Column::Price])
            .column_as(products::Column::SalesVolume, "sold")
            .filter(on_sale())
            .filter(products::Column::SalesVolume.gt(0))
            .order_by_desc(products::Column::SalesVolume)
            .order_by_asc(products::Column::Id)
            .limit(u64::from(limit));
        let rows = best.into_model::<PopularRow>().all(self.readers()).await.map_err(failed)?;
        Ok(PopularProducts { products: rows.into_iter().map(PopularProduct::from).collect(), generated_at })
    }

    async fn coupon_offers(&self, page: PageRequest) -> Result<Page<Coupon>, RepositoryError> {
        self.find_coupon_offers(page).await
    }

    async fn coupon_offer(&self, code: CouponCode) -> Result<Option<Coupon>, RepositoryError> {
        self.find_coupon(&code).await
    }
}

impl Store {
    /// How many rows a query finds; it must have no columns yet.
    pub(crate) async fn count(&self, mut select: SelectStatement) -> Result<u64, RepositoryError> {
        let select = select.expr_as(Expr::cust("COUNT(*)"), Alias::new("total")).take();
        let statement = self.readers().get_database_backend().build(&select);
        let row = self.readers().query_one_raw(statement).await.map_err(failed)?;
        let total: i64 = row.map_or(Ok(0), |row| row.try_get("", "total")).map_err(failed)?;
        Ok(u64::try_from(total).unwrap_or(0))
    }

    /// What a 64-bit integer is called in a CAST.
    pub(crate) fn big_integer(&self) -> &'static str {
        match self.kind() {
            crate::DatabaseKind::Sqlite => "INTEGER",
            crate::DatabaseKind::MySql => "SIGNED",
        }
    }
}

fn on_sale() -> Expr {
    Expr::col((products::Entity, products::Column::Active))
        .eq(true)
        .and(Expr::col((products::Entity, products::Column::DeletedAt)).is_null())
}

fn asked_for(list: &ProductList) -> Condition {
    let column = |column: products::Column| Expr::col((products::Entity, column));
    let in_stock = |in_stock| match in_stock {
        true => column(products::Column::Stock).gt(0),
        false => column(products::Column::Stock).eq(0),
    };
    Condition::all()
        .add(on_sale())
        .add_option(list.store.map(|store| column(products::Column::StoreId).eq(store.0)))
        .add_option(list.in_stock.map(in_stock))
        .add_option(list.search.as_ref().map(has_words))
}

fn product_columns() -> SelectStatement {
    let product = |column: products::Column| (products::Entity, column).into_column_ref();
    Query::select()
        .columns([
            product(products::Column::Id),
            product(products::Column::StoreId),
            product(products::Column::Name),
            product(products::Column::Price),
            product(products::Column::Stock),
            product(products::Column::SalesVolume),
            product(products::Column::CreatedAt),
        ])
        .expr_as(Expr::col((stores::Entity, stores::Column::Name)), Alias::new("store_name"))
        .from(products::Entity)
        .join(
            // Every product has its store. An inner join would tempt the optimiser to begin with the stores and to sort
            // the whole catalogue.
            JoinType::LeftJoin,
            stores::Entity,
            Expr::col((stores::Entity, stores::Column::Id))
                .equals((products::Entity, products::Column::StoreId)),
        )
        .take()
}

#[derive(FromQueryResult)]
struct ProductRow {
    id: i64,
    store_id: i64,
    store_name: String,
    name: String,
    price: i64,
    stock: i64,
    sales_volume: i64,
    created_at: DateTime<Utc>,
}

#[derive(FromQueryResult)]
struct DetailRow {
    #[sea_orm(nested)]
    product: ProductRow,
    description: String,
}

impl From<ProductRow> for ProductView {
    fn from(row: ProductRow) -> Self {
        Self {
            id: ProductId(row.id),
            store: StoreId(row.store_id),
            store_name: row.store_name,
            name: row.name,
            price: Money::from_minor(row.price),
            stock: row.stock,
            sales_volume: row.sales_volume,
            created_at: row.created_at,
        }
    }
}

impl From<variants::Model> for VariantView {
    fn from(row: variants::Model) -> Self {
        Self { id: VariantId(row.id), name: row.name, price: Money::from_minor(row.price), stock: row.stock }
    }
}

#[derive(FromQueryResult)]
struct PopularRow {
    id: i64,
    name: String,
    price: i64,
    sold: i64,
}

impl From<PopularRow> for PopularProduct {
    fn from(row: PopularRow) -> Self {
        Self { id: ProductId(row.id), name: row.name, price: Money::from_minor(row.price), sold: row.sold }
    }
}
