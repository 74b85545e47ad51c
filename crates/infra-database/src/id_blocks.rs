//! Ids in blocks (hi/lo): a table keeps the next unused id of each sequence, an instance takes many at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jangteo_application::ids::{IdAllocator, Sequence};
use jangteo_domain::RepositoryError;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::entity::id_blocks;
use crate::error::{Corrupt, commit_failed, failed};
use crate::store::Store;

/// The ids that this instance has taken and not used yet.
#[derive(Default)]
pub(crate) struct IdBlocks(BTreeMap<Sequence, Block>);

#[derive(Default)]
struct Block {
    free: Mutex<BTreeSet<i64>>,
    /// One at a time takes the next block.
    taking: tokio::sync::Mutex<()>,
}

impl IdBlocks {
    pub(crate) fn new() -> Self {
        Self(Sequence::ALL.into_iter().map(|sequence| (sequence, Block::default())).collect())
    }
}

/// How many ids are taken at once: what a restart can leave unused.
fn block_size(sequence: Sequence) -> usize {
    match sequence {
        // Fewer than a registration has attempts: seeding a running shop may have used those that it holds.
        Sequence::Users | Sequence::Stores | Sequence::Products | Sequence::Variants | Sequence::Coupons => 5,
        Sequence::Orders | Sequence::UserCoupons => 1000,
    }
}

#[async_trait]
impl IdAllocator for Store {
    async fn reserve(&self, sequence: Sequence, count: usize) -> Result<Vec<i64>, RepositoryError> {
        let block = &self.id_blocks().0[&sequence];
        loop {
            if let Some(ids) = block.reserve(count) {
                return Ok(ids);
            }
            let _taking = block.taking.lock().await;
            let missing = count.saturating_sub(block.len());
            if missing > 0 {
                let first = self.take_block(sequence, missing.max(block_size(sequence))).await?;
                block.add(first);
            }
        }
    }

    fn give_back(&self, sequence: Sequence, unused: Vec<i64>) {
        self.id_blocks().0[&sequence].add(unused);
    }
}

impl Block {
    fn reserve(&self, count: usize) -> Option<Vec<i64>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        match free.len() >= count {
            true => Some((0..count).filter_map(|_| free.pop_first()).collect()),
            false => None,
        }
    }

    fn len(&self) -> usize {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn add(&self, ids: impl IntoIterator<Item = i64>) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
    }
}

impl Store {
    /// Takes ids in a transaction of its own, so that nobody waits for the one that will use them.
    async fn take_block(
        &self,
        sequence: Sequence,
        count: usize,
    ) -> Result<std::ops::Range<i64>, RepositoryError> {
        let transaction = self.begin_writing().await?;
        let range = advance(&transaction, sequence.name(), count).await?;
        transaction.commit().await.map_err(commit_failed)?;
        Ok(range)
    }
}

/// Takes the next `count` ids of a sequence.
pub(crate) async fn advance(
    connection: &impl ConnectionTrait,
    sequence: &'static str,
    count: usize,
) -> Result<std::ops::Range<i64>, RepositoryError> {
    let count = i64::try_from(count).map_err(|error| RepositoryError::Backend(error.into()))?;
    id_blocks::Entity::update_many()
        .col_expr(id_blocks::Column::NextId, Expr::col(id_blocks::Column::NextId).add(count))
        .filter(id_blocks::Column::Name.eq(sequence))
        .exec(connection)
        .await
        .map_err(failed)?;
    let next = id_blocks::Entity::find_by_id(sequence).one(connection).await.map_err(failed)?;
    let next = next.ok_or_else(|| Corrupt::new("id_blocks", "name", sequence))?.next_id;
    Ok(next - count..next)
}
