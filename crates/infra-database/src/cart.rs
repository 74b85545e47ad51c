//! Carts.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::cart::{Cart, CartEdit, CartFault, CartLine, CartLineView, CartRepository, CartView};
use jangteo_domain::product::{Product, Variant};
use jangteo_domain::{CartItemId, Money, ProductId, Quantity, RepositoryError, Sku, UserId, VariantId};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, NotSet, QueryFilter,
    QueryOrder, QuerySelect,
};

use crate::entity::cart_items::{ActiveModel, Column, Entity};
use crate::entity::{products, variants};
use crate::error::{Corrupt, failed};
use crate::rows::{read_variant, variant_column};
use crate::script::Script;
use crate::statement::{LARGEST, padded};
use crate::store::Store;
use crate::transaction::Transaction;

#[async_trait]
impl CartRepository for Transaction {
    async fn load_many(
        &mut self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Cart>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let empty = |&user| (user, Cart { user, lines: Vec::new() });
        let mut carts: BTreeMap<UserId, Cart> = users.iter().map(empty).collect();
        for list in padded(users.iter().map(|user| user.0)) {
            let rows: Vec<(i64, i64, i64, i64, i64)> = Entity::find()
                .select_only()
                .columns([Column::Id, Column::UserId, Column::ProductId, Column::VariantId, Column::Quantity])
                .filter(Column::UserId.is_in(list))
                .order_by_asc(Column::Id)
                .into_tuple()
                .all(transaction)
                .await
                .map_err(failed)?;
            for (id, user, product, variant, quantity) in rows {
                let cart = carts.get_mut(&UserId(user)).expect("only these customers' lines were asked for");
                cart.lines.push(line(id, (product, variant), quantity)?);
            }
        }
        Ok(carts)
    }

    async fn show_many(
        &mut self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, CartView>, RepositoryError> {
        show(self.up_to_date().await?, users).await
    }

    /// A new line makes MySQL lock the row of its product until the end of the transaction, shared, as there is a foreign
    /// key: hence in the order of their ids.
    async fn apply(&mut self, edits: &[CartEdit], at: DateTime<Utc>) -> Result<(), RepositoryError> {
        let (mut inserted, mut changed, mut removed) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for edit in edits {
            match *edit {
                CartEdit::Insert { user, sku, quantity } => drop(inserted.insert((sku, user), quantity)),
                CartEdit::Change { item, quantity } => drop(changed.insert(item.0, quantity.get())),
                CartEdit::Remove { item } => drop(removed.insert(item.0)),
            }
        }
        self.writes.insert(inserted.into_iter().map(|((sku, user), quantity)| ActiveModel {
            id: NotSet,
            user_id: Set(user.0),
            product_id: Set(sku.product.0),
            variant_id: Set(variant_column(sku.variant)),
            quantity: Set(quantity.get()),
            created_at: Set(at),
            updated_at: Set(at),
        }));
        let at = self.writes.moment(at);
        self.writes.update_by_key::<Entity>(Column::Id, &changed, |update, pieces| {
            update.col_expr(Column::Quantity, pieces).col_expr(Column::UpdatedAt, at.clone())
        });
        remove(&mut self.writes, &removed.into_iter().collect::<Vec<_>>());
        Ok(())
    }

    /// By id: by customer, MySQL might lock other customers' lines on the way.
    async fn clear(&mut self, users: &BTreeSet<UserId>) -> Result<(), RepositoryError> {
        let carts = self.load_many(users).await?;
        let lines: Vec<i64> = carts.values().flat_map(|cart| &cart.lines).map(|line| line.id.0).collect();
        remove(&mut self.writes, &lines);
        Ok(())
    }
}

fn remove(writes: &mut Script, lines: &[i64]) {
    for list in lines.chunks(LARGEST) {
        let these = Entity::delete_many().filter(Column::Id.is_in(list.iter().copied()));
        writes.delete(these, list.len());
    }
}

impl Store {
    pub(crate) async fn find_cart(&self, user: UserId) -> Result<CartView, RepositoryError> {
        let mut shown = show(self.readers(), &BTreeSet::from([user])).await?;
        Ok(shown.remove(&user).unwrap_or_else(|| CartView::of([])))
    }
}

/// Carts of customers as they see them, what is not on sale included.
async fn show(
    connection: &impl ConnectionTrait,
    users: &BTreeSet<UserId>,
) -> Result<BTreeMap<UserId, CartView>, RepositoryError> {
    let mut lines: BTreeMap<UserId, Vec<CartLineView>> =
        users.iter().map(|&user| (user, Vec::new())).collect();
    for list in padded(users.iter().map(|user| user.0)) {
        let select = shown_lines().and_where(Expr::col((Entity, Column::UserId)).is_in(list)).take();
        let rows = ShownRow::find_by_statement(connection.get_database_backend().build(&select));
        for row in rows.all(connection).await.map_err(failed)? {
            lines.entry(UserId(row.user_id)).or_default().push(row.try_into()?);
        }
    }
    Ok(lines.into_iter().map(|(user, lines)| (user, CartView::of(lines))).collect())
}

/// The first picture of a line's product.
const IMAGE: &str = "(SELECT i.url FROM product_images i WHERE i.product_id = cart_items.product_id \
                     ORDER BY i.sequence LIMIT 1)";

fn shown_lines() -> SelectStatement {
    let line = |column: Column| (Entity, column);
    let product = |column: products::Column| Expr::col((products::Entity, column));
    let variant = |column: variants::Column| Expr::col((variants::Entity, column));
    Query::select()
        .columns([
            line(Column::Id),
            line(Column::UserId),
            line(Column::ProductId),
            line(Column::VariantId),
            line(Column::Quantity),
        ])
        .expr_as(product(products::Column::Name), Alias::new("name"))
        .expr_as(product(products::Column::Price), Alias::new("price"))
        .expr_as(product(products::Column::Stock), Alias::new("stock"))
        .expr_as(product(products::Column::Active), Alias::new("active"))
        .expr_as(product(products::Column::DeletedAt), Alias::new("deleted_at"))
        .expr_as(product(products::Column::HasVariants), Alias::new("has_variants"))
        .expr_as(variant(variants::Column::Name), Alias::new("variant_name"))
        .expr_as(variant(variants::Column::Price), Alias::new("variant_price"))
        .expr_as(variant(variants::Column::Stock), Alias::new("variant_stock"))
        .expr_as(variant(variants::Column::Active), Alias::new("variant_active"))
        .expr_as(Expr::cust(IMAGE), Alias::new("image_url"))
        .from(Entity)
        .join(
            JoinType::InnerJoin,
            products::Entity,
            product(products::Column::Id).equals(line(Column::ProductId)),
        )
        .join(
            JoinType::LeftJoin,
            variants::Entity,
            variant(variants::Column::Id)
                .equals(line(Column::VariantId))
                .and(variant(variants::Column::ProductId).equals(line(Column::ProductId))),
        )
        .order_by(line(Column::Id), Order::Asc)
        .take()
}

#[derive(FromQueryResult)]
struct ShownRow {
    id: i64,
    user_id: i64,
    product_id: i64,
    variant_id: i64,
    quantity: i64,
    name: String,
    price: i64,
    stock: i64,
    active: bool,
    deleted_at: Option<DateTime<Utc>>,
    has_variants: bool,
    variant_name: Option<String>,
    variant_price: Option<i64>,
    variant_stock: Option<i64>,
    variant_active: Option<bool>,
    image_url: Option<String>,
}

impl ShownRow {
    /// The variant that the line names, whether it is on sale or not.
    fn variant(&self) -> Option<Variant> {
        Some(Variant {
            id: VariantId(self.variant_id),
            name: self.variant_name.clone()?,
            price: Money::from_minor(self.variant_price?),
            stock: self.variant_stock?,
        })
    }

    /// The product as it would be ordered.
    fn product(&self, variant: Option<&Variant>) -> Product {
        let on_sale = variant.filter(|_| self.variant_active == Some(true));
        let on_sale = || on_sale.map(|variant| (variant.id, variant.clone())).into_iter().collect();
        Product {
            id: ProductId(self.product_id),
            name: self.name.clone(),
            price: Money::from_minor(self.price),
            stock: self.stock,
            variants: self.has_variants.then(on_sale),
        }
    }
}

impl TryFrom<ShownRow> for CartLineView {
    type Error = Corrupt;

    fn try_from(row: ShownRow) -> Result<Self, Corrupt> {
        let line = line(row.id, (row.product_id, row.variant_id), row.quantity)?;
        let variant = row.variant();
        let product = row.product(variant.as_ref());
        let is_on_sale = row.active && row.deleted_at.is_none();
        let fault = match is_on_sale {
            true => product.offer(line.sku.variant).err().map(CartFault::from),
            false => Some(CartFault::UnknownProduct),
        };
        Ok(Self {
            line,
            unit_price: variant.as_ref().map_or(product.price, |variant| variant.price),
            stock: variant.as_ref().map_or(product.stock, |variant| variant.stock),
            name: product.name,
            variant_name: variant.map(|variant| variant.name),
            image_url: row.image_url,
            fault,
        })
    }
}

fn line(id: i64, (product, variant): (i64, i64), quantity: i64) -> Result<CartLine, Corrupt> {
    let variant = read_variant(variant);
    let quantity = Quantity::new(quantity).map_err(|_| Corrupt::new("cart_items", "quantity", id))?;
    Ok(CartLine { id: CartItemId(id), sku: Sku { product: ProductId(product), variant }, quantity })
}
