//! How far a topic was read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rdkafka::Offset;

/// A message, as far as it tells the log that it is in from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) offset: i64,
    pub(super) timestamp: Option<i64>,
    pub(super) payload: Vec<u8>,
}

/// A message and where it was.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) partition: i32,
    pub(super) seen: Seen,
}

/// The topic is not the one that was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the topic is not the one that was read")]
pub(super) struct Replaced;

/// The last message of each partition that was taken in.
#[derive(Debug, Default)]
pub(super) struct Progress {
    last: BTreeMap<i32, Seen>,
    /// Partitions whose last message is read once more, and must be the same.
    unconfirmed: BTreeSet<i32>,
}

impl Progress {
    /// Where to read on in a partition that has these messages: from the last that was taken in, if it is there.
    pub(super) fn resume(&mut self, partition: i32, there: Range<i64>) -> Offset {
        self.unconfirmed.remove(&partition);
        match self.last.get(&partition) {
            Some(last) if there.contains(&last.offset) => {
                self.unconfirmed.insert(partition);
                Offset::Offset(last.offset)
            }
            _ => {
                self.last.remove(&partition);
                Offset::Beginning
            }
        }
    }

    /// Tells whether a message that came has yet to be taken in.
    pub(super) fn is_new(&mut self, record: &Record) -> Result<bool, Replaced> {
        let Some(last) = self.last.get(&record.partition) else { return Ok(true) };
        if self.unconfirmed.remove(&record.partition) {
            return if record.seen == *last { Ok(false) } else { Err(Replaced) };
        }
        if record.seen.offset > last.offset { Ok(true) } else { Err(Replaced) }
    }

    /// Notes that these were taken in.
    pub(super) fn advance(&mut self, records: Vec<Record>) {
        self.last.extend(records.into_iter().map(|record| (record.partition, record.seen)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, payload: &str) -> Record {
        Record { partition: 0, seen: Seen { offset, timestamp: Some(1), payload: payload.into() } }
    }

    /// Read up to the fifth message.
    fn progress() -> Progress {
        let mut progress = Progress::default();
        progress.advance(vec![record(3, "d"), record(4, "e")]);
        progress
    }

    #[test]
    fn what_was_never_read_is_read_from_its_beginning() {
        let mut progress = Progress::default();
        assert_eq!(progress.resume(0, 0..9), Offset::Beginning);
        assert_eq!(progress.is_new(&record(0, "a")), Ok(true));
    }

    #[test]
    fn what_comes_in_between_is_new_as_long_as_it_goes_forward() {
        let mut progress = progress();
        assert_eq!(progress.is_new(&record(5, "f")), Ok(true));
        assert_eq!(progress.is_new(&record(9, "j")), Ok(true), "a broker may leave numbers out");
        assert_eq!(progress.is_new(&record(4, "e")), Err(Replaced));
        assert_eq!(progress.is_new(&record(0, "a")), Err(Replaced));
    }

    #[test]
    fn after_an_interruption_the_last_message_must_be_the_same() {
        let mut progress = progress();
        assert_eq!(progress.resume(0, 0..9), Offset::Offset(4));
        assert_eq!(progress.is_new(&record(4, "e")), Ok(false));
        assert_eq!(progress.is_new(&record(5, "f")), Ok(true));
        for other in [record(4, "another"), record(5, "e")] {
            progress.resume(0, 0..9);
            assert_eq!(progress.is_new(&other), Err(Replaced));
        }
    }

    #[test]
    fn a_partition_without_the_last_message_begins_anew() {
        for there in [0..0, 0..4, 5..9] {
            let mut progress = progress();
            assert_eq!(progress.resume(0, there), Offset::Beginning);
            assert_eq!(progress.is_new(&record(0, "a")), Ok(true));
        }
    }
}
