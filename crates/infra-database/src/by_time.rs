//! Finding rows of a period in tables that no index has in the order of time: each purchase would have to pay for it.
//! Their ids are given in it, nearly.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::RepositoryError;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::error::failed;

/// Rows are stored in the order of time but for this much: batches that run side by side, and clocks that differ.
const DISORDER: TimeDelta = TimeDelta::minutes(10);

/// What a journal has of each row.
pub(crate) struct Journal<E: EntityTrait> {
    pub(crate) id: E::Column,
    pub(crate) created_at: E::Column,
}

impl<E: EntityTrait> Journal<E> {
    /// Where the rows since a moment and before another are stored, and a few around them.
    pub(crate) async fn stored_between(
        &self,
        connection: &impl ConnectionTrait,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Range<i64>, RepositoryError> {
        let end = 1 + self.last(connection).await?;
        let first = match from {
            Some(from) => self.first_since(connection, from - DISORDER, end).await?,
            None => 0,
        };
        let last = match to {
            Some(to) => self.first_since(connection, to + DISORDER, end).await?,
            None => end,
        };
        Ok(first..last)
    }

    /// By bisection: the row before it is earlier.
    async fn first_since(
        &self,
        connection: &impl ConnectionTrait,
        at: DateTime<Utc>,
        end: i64,
    ) -> Result<i64, RepositoryError> {
        let (mut low, mut high) = (0, end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.first_from(connection, middle).await? {
                Some((id, stored)) if stored < at => low = id + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    async fn last(&self, connection: &impl ConnectionTrait) -> Result<i64, RepositoryError> {
        let last = E::find().order_by_desc(self.id).select_only().column(self.id);
        let last = last.into_tuple::<i64>().one(connection).await.map_err(failed)?;
        Ok(last.unwrap_or_default())
    }

    /// The first row from an id on, and when it was stored.
    async fn first_from(
        &self,
        connection: &impl ConnectionTrait,
        id: i64,
    ) -> Result<Option<(i64, DateTime<Utc>)>, RepositoryError> {
        let row = E::find().filter(self.id.gte(id)).order_by_asc(self.id);
        let row = row.select_only().columns([self.id, self.created_at]).into_tuple();
        row.one(connection).await.map_err(failed)
    }
}
