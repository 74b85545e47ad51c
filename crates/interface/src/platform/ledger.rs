//! What came of the events: the accounts that show whether all of them came, once, and in order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use hdrhistogram::Histogram;

use super::event::Event;
use super::reports::{Completeness, Count, Delivery, Gap, Hour, OutOfOrder, Summary};
use sequences::Sequences;

mod sequences;

/// How many examples a summary has of what is wrong.
const EXAMPLES: usize = 10;
const ORDERS: &str = "orders/";
const COUPONS: &str = "user-coupons/";
/// The longest delay that is told apart from longer ones, in microseconds: a week.
const LONGEST_DELAY: u64 = 7 * 24 * 3600 * 1_000_000;
/// Digits of delays.
const DIGITS: u8 = 3;

/// Accounts of every event that was kept, in the order of arrival.
pub(super) struct Ledger {
    senders: HashMap<Arc<str>, Sender>,
    duplicates: u64,
    unreadable: u64,
    events: u64,
    orders: u64,
    coupons: u64,
    missing: u64,
    with_gaps: BTreeSet<(Arc<str>, Arc<str>)>,
    out_of_order: Count<OutOfOrder>,
    delays: Histogram<u64>,
    by_type: BTreeMap<Arc<str>, u64>,
}

/// One source, which gives its events ids and its things names of its own.
#[derive(Default)]
struct Sender {
    ids: HashSet<Arc<str>>,
    subjects: HashMap<Arc<str>, Subject>,
}

#[derive(Default)]
struct Subject {
    created_at: Option<DateTime<Utc>>,
    received: Sequences,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            senders: HashMap::new(),
            duplicates: 0,
            unreadable: 0,
            events: 0,
            orders: 0,
            coupons: 0,
            missing: 0,
            with_gaps: BTreeSet::new(),
            out_of_order: Count::default(),
            delays: Histogram::new_with_max(LONGEST_DELAY, DIGITS).expect("there can be such a histogram"),
            by_type: BTreeMap::new(),
        }
    }

    /// Tells whether the event came before.
    pub(super) fn knows(&self, event: &Event) -> bool {
        self.senders.get(&event.source).is_some_and(|sender| sender.ids.contains(&event.id))
    }

    /// Enters an event that is not known yet.
    pub(super) fn enter(&mut self, event: &Event, received_at: DateTime<Utc>) {
        self.events += 1;
        *self.by_type.entry(event.event_type.clone()).or_default() += 1;
        if let Some(time) = event.time {
            // Clocks may differ: an event cannot come before it happened.
            let delay = (received_at - time).num_microseconds().unwrap_or_default().max(0);
            self.delays.saturating_record(delay.unsigned_abs());
        }
        let sender = self.senders.entry(event.source.clone()).or_default();
        sender.ids.insert(event.id.clone());
        if let Some(name) = &event.subject {
            self.enter_subject(name, event);
        }
    }

    fn enter_subject(&mut self, name: &Arc<str>, event: &Event) {
        let sender = self.senders.entry(event.source.clone()).or_default();
        let subject = sender.subjects.entry(name.clone()).or_insert_with(|| {
            self.orders += u64::from(name.starts_with(ORDERS));
            self.coupons += u64::from(name.starts_with(COUPONS));
            Subject::default()
        });
        subject.created_at = subject.created_at.or(event.created_at);
        let Some(sequence) = event.sequence else { return };
        let missed = subject.received.missing();
        let early = subject.received.enter(sequence);
        let missing = subject.received.missing();
        self.missing = self.missing + missing - missed;
        if (missing == 0) != (missed == 0) {
            let key = (event.source.clone(), name.clone());
            let _ = if missing == 0 { self.with_gaps.remove(&key) } else { self.with_gaps.insert(key) };
        }
        for early in early {
            let example = || OutOfOrder { subject: name.clone(), sequence: early, before: sequence };
            self.out_of_order.add(EXAMPLES, example);
        }
    }

    /// Counts events that came again.
    pub(super) fn count_duplicates(&mut self, duplicates: u64) {
        self.duplicates += duplicates;
    }

    /// Counts something that came where nobody is told that it is no event.
    pub(super) fn count_unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// All that came, duplicates included.
    pub(super) fn received(&self) -> u64 {
        self.events + self.duplicates
    }

    pub(super) fn summary(&self) -> Summary {
        let gap = |(source, name): &(Arc<str>, Arc<str>)| {
            let subject = self.senders.get(source)?.subjects.get(name)?;
            let missing = subject.received.first_missing(EXAMPLES);
            Some(Gap { subject: name.clone(), missing })
        };
        Summary {
            received: self.received(),
            duplicates: self.duplicates,
            unreadable: self.unreadable,
            events: self.events,
            orders: self.orders,
            coupons: self.coupons,
            gaps: Count {
                count: self.missing,
                first: self.with_gaps.iter().filter_map(gap).take(EXAMPLES).collect(),
            },
            out_of_order: self.out_of_order.clone(),
            delivery: Delivery {
                p50: milliseconds(self.delays.value_at_quantile(0.5)),
                p99: milliseconds(self.delays.value_at_quantile(0.99)),
                max: milliseconds(self.delays.max()),
            },
            by_type: self.by_type.clone(),
        }
    }

    /// The first sequences of an order that are missing, as far as can be told from those that came.
    pub(super) fn missing_of_order(&self, order: &str) -> Vec<u32> {
        let name = subject_of_order(order);
        let mut subjects = self.senders.values().filter_map(|sender| sender.subjects.get(&*name));
        subjects.next().map_or_else(Vec::new, |subject| subject.received.first_missing(EXAMPLES))
    }

    /// The orders created in a range of time, and how many of their events came.
    pub(super) fn completeness(&self, range: Range<DateTime<Utc>>) -> Completeness {
        let mut hours = BTreeMap::new();
        for (name, subject) in self.senders.values().flat_map(|sender| &sender.subjects) {
            let created_at = subject.created_at.filter(|at| range.contains(at));
            if let Some(created_at) = created_at.filter(|_| name.starts_with(ORDERS)) {
                let from = created_at.duration_trunc(TimeDelta::hours(1)).unwrap_or(created_at);
                let hour = hours.entry(from).or_insert(Hour { from, orders: 0, events: 0 });
                hour.orders += 1;
                hour.events += subject.received.len();
            }
        }
        let hours: Vec<Hour> = hours.into_values().collect();
        Completeness {
            from: range.start,
            to: range.end,
            orders: hours.iter().map(|hour| hour.orders).sum(),
            events: hours.iter().map(|hour| hour.events).sum(),
            hours,
        }
    }
}

/// What events call an order.
pub(super) fn subject_of_order(order: &str) -> String {
    format!("{ORDERS}{order}")
}

fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests;
