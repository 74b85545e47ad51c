//! Filling a shop.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::ids::Sequence;
use jangteo_application::seeding::{SeedCoupon, SeedPlan, SeedProduct, SeedProgress, SeedReport, Seeder};
use jangteo_domain::product::{StockMovement, StockMovementKind};
use jangteo_domain::user::Profile;
use jangteo_domain::wallet::{LedgerEntry, LedgerKind};
use jangteo_domain::{CouponCode, Money, ProductId, RepositoryError, User, UserId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, NotSet, PaginatorTrait,
    QueryFilter, QuerySelect,
};

use crate::entity::{coupons, id_blocks, products, stores, users, wallets};
use crate::error::{commit_failed, failed};
use crate::id_blocks::advance;
use crate::product::movement_row;
use crate::rows::discount;
use crate::script::Script;
use crate::store::Store;
use crate::user::user_row;
use crate::wallet::ledger_row;

mod past_events;
mod past_orders;

/// A coupon that nobody could use, or for longer than there are dates.
#[derive(Debug, thiserror::Error)]
#[error(
    "coupon {code}: it can be used for 1 to {} days after the claim, not for {days}",
    SeedCoupon::MAX_VALID_DAYS
)]
struct ValidDaysOutOfRange {
    code: CouponCode,
    days: u32,
}

/// Rows in one transaction.
const BATCH: usize = 1000;
/// The store that sells what nobody else does.
const DEFAULT_STORE: i64 = 1;

#[async_trait]
impl Seeder for Store {
    async fn is_empty(&self) -> Result<bool, RepositoryError> {
        let users = users::Entity::find().limit(1).count(self.readers()).await.map_err(failed)?;
        let products = products::Entity::find().limit(1).count(self.readers()).await.map_err(failed)?;
        Ok(users + products == 0)
    }

    async fn seed(
        &self,
        plan: &SeedPlan,
        progress: &(dyn Fn(SeedProgress) + Send + Sync),
    ) -> Result<SeedReport, RepositoryError> {
        let mut report = SeedReport::default();
        // Who ordered in the past was a customer by then.
        let begin = match &plan.orders {
            Some(orders) => Some(self.beginning(orders).await?),
            None => None,
        };
        let users: Vec<_> = (1..).zip(&plan.users).collect();
        for (done, batch) in batches(&users) {
            report.users += self
                .in_transaction(async |transaction, now| {
                    seed_users(transaction, batch, begin.unwrap_or(now)).await
                })
                .await?;
            progress(SeedProgress { what: "users", done, total: users.len() });
        }
        let products: Vec<_> = (1..).zip(&plan.products).collect();
        for (done, batch) in batches(&products) {
            report.products += self
                .in_transaction(async |transaction, now| {
                    seed_products(transaction, batch, begin.unwrap_or(now)).await
                })
                .await?;
            progress(SeedProgress { what: "products", done, total: products.len() });
        }
        for (done, batch) in batches(&plan.coupons) {
            report.coupons += self
                .in_transaction(async |transaction, now| seed_coupons(transaction, batch, now).await)
                .await?;
            progress(SeedProgress { what: "coupons", done, total: plan.coupons.len() });
        }
        if let (Some(orders), Some(begin)) = (&plan.orders, begin) {
            report.orders = self.seed_orders(orders, begin, progress).await?;
        }
        Ok(report)
    }
}

impl Store {
    async fn in_transaction<T>(
        &self,
        work: impl AsyncFnOnce(&DatabaseTransaction, DateTime<Utc>) -> Result<T, RepositoryError>,
    ) -> Result<T, RepositoryError> {
        let transaction = self.begin_writing().await?;
        let result = work(&transaction, self.clock().now()).await?;
        transaction.commit().await.map_err(commit_failed)?;
        Ok(result)
    }
}

/// Batches, each with how many are done once it is.
fn batches<T>(all: &[T]) -> impl Iterator<Item = (usize, &[T])> {
    all.chunks(BATCH).scan(0, |done, batch| {
        *done += batch.len();
        Some((*done, batch))
    })
}

/// Those of a batch whose ids are not there yet.
async fn missing<'a, E: EntityTrait, T>(
    transaction: &DatabaseTransaction,
    id: E::Column,
    batch: &'a [(i64, T)],
) -> Result<Vec<&'a (i64, T)>, RepositoryError> {
    let there = E::find().select_only().column(id).filter(id.is_in(batch.iter().map(|(id, _)| *id)));
    let there: Vec<i64> = there.into_tuple().all(transaction).await.map_err(failed)?;
    let there: BTreeSet<i64> = there.into_iter().collect();
    Ok(batch.iter().filter(|(id, _)| !there.contains(id)).collect())
}

async fn seed_users(
    transaction: &DatabaseTransaction,
    batch: &[(i64, &(Profile, Money))],
    now: DateTime<Utc>,
) -> Result<usize, RepositoryError> {
    let missing = missing::<users::Entity, _>(transaction, users::Column::Id, batch).await?;
    let mut script = Script::new(transaction.get_database_backend());
    script.insert(missing.iter().map(|(id, (profile, _))| {
        user_row(&User { id: UserId(*id), profile: profile.clone(), created_at: now })
    }));
    script.insert(missing.iter().map(|(id, (_, balance))| wallets::ActiveModel {
        user_id: Set(*id),
        balance: Set(balance.minor()),
        updated_at: Set(now),
        closed_at: NotSet,
    }));
    let charged = missing.iter().filter(|(_, (_, balance))| *balance > Money::ZERO);
    script.insert(charged.map(|(id, (_, balance))| {
        ledger_row(&LedgerEntry {
            user: UserId(*id),
            kind: LedgerKind::Charge,
            amount: *balance,
            balance_after: *balance,
            order: None,
            reason: None,
            at: now,
        })
    }));
    script.run(transaction).await?;
    ids_used(transaction, Sequence::Users.name(), batch).await?;
    Ok(missing.len())
}

async fn seed_products(
    transaction: &DatabaseTransaction,
    batch: &[(i64, &SeedProduct)],
    now: DateTime<Utc>,
) -> Result<usize, RepositoryError> {
    seed_default_store(transaction, now).await?;
    let missing = missing::<products::Entity, _>(transaction, products::Column::Id, batch).await?;
    let mut script = Script::new(transaction.get_database_backend());
    script.insert(missing.iter().map(|(id, product)| products::ActiveModel {
        id: Set(*id),
        store_id: Set(DEFAULT_STORE),
        name: Set(product.name.clone()),
        description: Set(product.description.clone()),
        price: Set(product.price.minor()),
        stock: Set(product.stock),
        active: Set(true),
        sales_volume: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        version: NotSet,
        has_variants: NotSet,
    }));
    let received = missing.iter().filter(|(_, product)| product.stock > 0);
    script.insert(received.map(|(id, product)| {
        movement_row(&StockMovement {
            sku: ProductId(*id).into(),
            kind: StockMovementKind::Receive,
            quantity: product.stock,
            stock_after: product.stock,
            order: None,
            at: now,
        })
    }));
    script.run(transaction).await?;
    ids_used(transaction, "products", batch).await?;
    Ok(missing.len())
}

async fn seed_default_store(
    transaction: &DatabaseTransaction,
    now: DateTime<Utc>,
) -> Result<(), RepositoryError> {
    let there = stores::Entity::find_by_id(DEFAULT_STORE).one(transaction).await.map_err(failed)?;
    if there.is_some() {
        return Ok(());
    }
    let mut script = Script::new(transaction.get_database_backend());
    let store = stores::ActiveModel {
        id: Set(DEFAULT_STORE),
        name: Set("장터".to_owned()),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        version: NotSet,
    };
    script.insert([store]);
    script.run(transaction).await?;
    ids_used(transaction, "stores", &[(DEFAULT_STORE, ())]).await
}

async fn seed_coupons(
    transaction: &DatabaseTransaction,
    batch: &[SeedCoupon],
    now: DateTime<Utc>,
) -> Result<usize, RepositoryError> {
    let there = coupons::Entity::find()
        .select_only()
        .column(coupons::Column::Code)
        .filter(coupons::Column::Code.is_in(batch.iter().map(|coupon| coupon.code.as_str())));
    let there: Vec<String> = there.into_tuple().all(transaction).await.map_err(failed)?;
    let missing: Vec<_> =
        batch.iter().filter(|coupon| !there.iter().any(|code| code == coupon.code.as_str())).collect();
    if missing.is_empty() {
        return Ok(0);
    }
    let ids = advance(transaction, "coupons", missing.len()).await?;
    let rows = ids.zip(&missing).map(|(id, coupon)| coupon_row(id, coupon, now));
    let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|error| RepositoryError::Backend(error.into()))?;
    let mut script = Script::new(transaction.get_database_backend());
    script.insert(rows);
    script.run(transaction).await?;
    Ok(missing.len())
}

fn coupon_row(
    id: i64,
    coupon: &SeedCoupon,
    now: DateTime<Utc>,
) -> Result<coupons::ActiveModel, ValidDaysOutOfRange> {
    let (kind, value) = discount(coupon.discount);
    Ok(coupons::ActiveModel {
        id: Set(id),
        code: Set(coupon.code.to_string()),
        name: Set(coupon.name.clone()),
        kind: Set(kind.to_owned()),
        value: Set(value),
        min_order_amount: Set(coupon.min_order_amount.minor()),
        max_discount: Set(coupon.max_discount.map(Money::minor)),
        claim_starts_at: Set(coupon.claim_starts_at),
        claim_ends_at: Set(coupon.claim_ends_at),
        valid_until: Set(coupon.valid_until),
        valid_days: Set(coupon.valid_days.map(|days| valid_days(&coupon.code, days)).transpose()?),
        total_quantity: Set(coupon.total_quantity),
        issued_quantity: Set(0),
        next_ticket: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        version: NotSet,
        retired_at: NotSet,
    })
}

fn valid_days(code: &CouponCode, days: u32) -> Result<i32, ValidDaysOutOfRange> {
    let known = i32::try_from(days).ok().filter(|_| (1..=SeedCoupon::MAX_VALID_DAYS).contains(&days));
    known.ok_or_else(|| ValidDaysOutOfRange { code: code.clone(), days })
}

/// Ids that were given by place are not handed out again.
async fn ids_used<T>(
    transaction: &DatabaseTransaction,
    sequence: &'static str,
    batch: &[(i64, T)],
) -> Result<(), RepositoryError> {
    let Some(last) = batch.iter().map(|(id, _)| *id).max() else { return Ok(()) };
    id_blocks::Entity::update_many()
        .col_expr(id_blocks::Column::NextId, Expr::val(last + 1))
        .filter(id_blocks::Column::Name.eq(sequence))
        .filter(Expr::col(id_blocks::Column::NextId).lte(last))
        .exec(transaction)
        .await
        .map_err(failed)?;
    Ok(())
}
