//! Which name was meant.

/// More changes than this and the resemblance is chance.
const MOST_CHANGES: usize = 2;

/// The known name that is the fewest changes away, if it takes few.
pub(super) fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|known| (distance(name, known), *known))
        .filter(|(changes, _)| *changes <= MOST_CHANGES)
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, known)| known)
}

/// How many letters must be added, dropped or replaced to make one text of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // From what was read of `from` so far to every beginning of `to`.
    let mut changes: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.chars().enumerate() {
        let mut diagonal = row;
        changes[0] = row + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = changes[column + 1];
            changes[column + 1] = replaced.min(diagonal + 1).min(changes[column] + 1);
        }
    }
    changes[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters_added_dropped_and_replaced() {
        for (from, to, changes) in [
            ("", "", 0),
            ("", "auth", 4),
            ("listn", "listen", 1),
            ("lissen", "listen", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), changes, "{from} {to}");
            assert_eq!(distance(to, from), changes, "{to} {from}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["listen", "log", "log_format"];
        assert_eq!(nearest("listn", &known), Some("listen"));
        assert_eq!(nearest("logg", &known), Some("log"));
        assert_eq!(nearest("server", &known), None);
    }
}
