//! Settings that are many values, each with a name: a table in a file, `name=value,name=value` elsewhere.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

pub(super) fn named_values<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<Vec<(String, String)>, Error: Display>,
{
    deserializer.deserialize_any(NamedValues(PhantomData))
}

struct NamedValues<T>(PhantomData<T>);

impl<'de, T: TryFrom<Vec<(String, String)>, Error: Display>> Visitor<'de> for NamedValues<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("name=value,name=value or a table")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let pairs = text.split(',').map(|pair| match pair.split_once('=') {
            Some((name, value)) if is_name(name.trim()) => {
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(E::custom(NOT_PAIRS)),
        });
        T::try_from(pairs.collect::<Result<_, _>>()?).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut pairs = Vec::new();
        while let Some((name, written)) = map.next_entry()? {
            written_out(name, written, &mut pairs);
        }
        T::try_from(pairs).map_err(A::Error::custom)
    }
}

/// Anything else may be a part of a value, which no message must repeat.
fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

const NOT_PAIRS: &str =
    "must be name=value,name=value; a value with a comma in it can stand in a table of the settings file";

/// A value as it stands in a file.
#[derive(Deserialize)]
#[serde(untagged, expecting = "values must be texts, numbers, true or false")]
enum Written {
    Text(String),
    Flag(bool),
    Whole(i64),
    Fraction(f64),
    Table(BTreeMap<String, Written>),
}

/// In a file, a name with dots that is not in quotes is a table within a table.
fn written_out(name: String, written: Written, pairs: &mut Vec<(String, String)>) {
    let text = match written {
        Written::Text(text) => text,
        Written::Flag(flag) => flag.to_string(),
        Written::Whole(number) => number.to_string(),
        Written::Fraction(number) => number.to_string(),
        Written::Table(table) => {
            for (rest, written) in table {
                written_out(format!("{name}.{rest}"), written, pairs);
            }
            return;
        }
    };
    pairs.push((name, text));
}
