//! Which of the numbers 1, 2, 3... have come.

use std::collections::BTreeMap;

/// Numbers as they come. While they come in order they need no room.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    /// All from 1 to this one have come.
    whole: u32,
    /// Those beyond a gap that have come, and whether something in a gap before them has come later.
    beyond: BTreeMap<u32, bool>,
}

impl Sequences {
    /// Enters a number, and tells which ones came too early, as is known now.
    pub(super) fn enter(&mut self, number: u32) -> Vec<u32> {
        if number <= self.whole || self.beyond.contains_key(&number) {
            return Vec::new();
        }
        let mut early = Vec::new();
        for (later, told) in self.beyond.range_mut(number..) {
            if !std::mem::replace(told, true) {
                early.push(*later);
            }
        }
        self.beyond.insert(number, false);
        while let Some(next) = self.beyond.first_entry().filter(|next| *next.key() == self.whole + 1) {
            self.whole = next.remove_entry().0;
        }
        early
    }

    /// How many have come.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.whole) + self.beyond.len() as u64
    }

    /// How many have not come though a later one has.
    pub(super) fn missing(&self) -> u64 {
        u64::from(self.last()) - self.len()
    }

    /// The first of those, at most so many.
    pub(super) fn first_missing(&self, at_most: usize) -> Vec<u32> {
        (self.whole + 1..self.last())
            .filter(|number| !self.beyond.contains_key(number))
            .take(at_most)
            .collect()
    }

    fn last(&self) -> u32 {
        self.beyond.last_key_value().map_or(self.whole, |(last, _)| *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(numbers: &[u32]) -> (Sequences, Vec<u32>) {
        let mut sequences = Sequences::default();
        let early = numbers.iter().flat_map(|number| sequences.enter(*number)).collect();
        (sequences, early)
    }

    #[test]
    fn in_order_nothing_is_missing_and_nothing_is_kept() {
        let (sequences, early) = entered(&[1, 2, 3]);
        assert_eq!((sequences.len(), sequences.missing(), sequences.beyond.len()), (3, 0, 0));
        assert!(early.is_empty());
    }

    #[test]
    fn what_is_missing_is_known_once_a_later_one_has_come() {
        let (sequences, early) = entered(&[2, 5, 6]);
        assert_eq!((sequences.len(), sequences.missing()), (3, 3));
        assert_eq!(sequences.first_missing(2), [1, 3]);
        assert_eq!(sequences.first_missing(9), [1, 3, 4]);
        assert!(early.is_empty(), "what never comes is a gap, and no disorder");
    }

    #[test]
    fn each_that_came_before_an_earlier_one_is_told_once() {
        assert_eq!(entered(&[2, 1]).1, [2]);
        assert_eq!(entered(&[3, 1, 2]).1, [3]);
        assert_eq!(entered(&[3, 1, 4, 2]).1, [3, 4]);
        let (sequences, early) = entered(&[1, 3, 2, 5, 4]);
        assert_eq!((early, sequences.missing(), sequences.beyond.len()), (vec![3, 5], 0, 0));
    }

    #[test]
    fn a_number_that_comes_again_changes_nothing() {
        let (sequences, early) = entered(&[1, 1, 3, 3, 1]);
        assert_eq!((sequences.len(), sequences.missing(), early), (2, 1, vec![]));
    }

    #[test]
    fn the_last_number_there_is_can_come() {
        let (sequences, _) = entered(&[u32::MAX, 1]);
        assert_eq!(sequences.missing(), u64::from(u32::MAX) - 2);
        assert_eq!(sequences.first_missing(1), [2]);
    }
}
