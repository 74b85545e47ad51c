//! What the platform tells about what it has, as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

/// How all events fared.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    /// All that came.
    pub(super) received: u64,
    /// What came again, and was dropped.
    pub(super) duplicates: u64,
    /// Messages from Kafka that are no events, and were dropped.
    pub(super) unreadable: u64,
    /// What was kept.
    pub(super) events: u64,
    pub(super) orders: u64,
    pub(super) coupons: u64,
    /// Events that did not come though a later one of the same order did.
    pub(super) gaps: Count<Gap>,
    /// Events that came before an earlier one of the same order.
    pub(super) out_of_order: Count<OutOfOrder>,
    pub(super) delivery: Delivery,
    pub(super) by_type: BTreeMap<Arc<str>, u64>,
}

/// A number of things, and the first of them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Count<T> {
    pub(super) count: u64,
    pub(super) first: Vec<T>,
}

impl<T> Default for Count<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

impl<T> Count<T> {
    pub(super) fn add(&mut self, at_most: usize, example: impl FnOnce() -> T) {
        self.count += 1;
        if self.first.len() < at_most {
            self.first.push(example());
        }
    }
}

/// What is missing of a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Gap {
    pub(super) subject: Arc<str>,
    pub(super) missing: Vec<u32>,
}

/// An event that came before an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct OutOfOrder {
    pub(super) subject: Arc<str>,
    pub(super) sequence: u32,
    pub(super) before: u32,
}

/// From the time of an event until it came, in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Delivery {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

/// Orders by when they were created, to compare with what the shop says.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Completeness {
    #[serde(serialize_with = "moment")]
    pub(super) from: DateTime<Utc>,
    #[serde(serialize_with = "moment")]
    pub(super) to: DateTime<Utc>,
    pub(super) orders: u64,
    /// How many of their events came. When none is missing, that is the sum of their last sequences.
    pub(super) events: u64,
    pub(super) hours: Vec<Hour>,
}

/// The orders of an hour.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Hour {
    #[serde(serialize_with = "moment")]
    pub(super) from: DateTime<Utc>,
    pub(super) orders: u64,
    pub(super) events: u64,
}

/// ISO-8601 in UTC.
pub(super) fn moment<S: Serializer>(moment: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}
