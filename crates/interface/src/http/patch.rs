//! Fields of a change: what is not named stays.

use serde::{Deserialize, Deserializer};

/// A field that may be left out, and null.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Field<T> {
    /// It is not named.
    #[default]
    Absent,
    /// It is named, as none.
    Null,
    Given(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Given))
    }
}

#[cfg(test)]
mod tests {
    use super::super::exact::{AmountInput, WholeInput};
    use super::*;

    #[derive(Deserialize)]
    struct Change {
        #[serde(default)]
        days: Field<WholeInput>,
        #[serde(default)]
        most: Field<AmountInput>,
    }

    #[test]
    fn what_is_null_is_told_from_what_is_not_named() {
        let read = |text: &str| serde_json::from_str::<Change>(text).unwrap();
        let nothing = read("{}");
        assert_eq!((nothing.days, nothing.most), (Field::Absent, Field::Absent));
        let none = read(r#"{"days":null,"most":null}"#);
        assert_eq!((none.days, none.most), (Field::Null, Field::Null));
        let both = read(r#"{"days":7,"most":"5.00"}"#);
        assert_eq!(both.days, Field::Given(WholeInput::Whole(7)));
        assert_eq!(both.most, Field::Given(AmountInput::Amount("5".parse().unwrap())));
    }
}
