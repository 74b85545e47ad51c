//! Numbers and times in JSON, exactly: money never passes through a float.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use jangteo_domain::{Money, MoneyError};
use rust_decimal::Decimal;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// An amount, written as a number with two decimals: `19900.00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MoneyJson(pub(crate) Money);

impl Serialize for MoneyJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        exactly(self.0.to_string(), serializer)
    }
}

/// A number, written with at least two decimals: `10.00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DecimalJson(pub(crate) Decimal);

impl Serialize for DecimalJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let decimals = self.0.scale().max(2) as usize;
        exactly(format!("{:.decimals$}", self.0), serializer)
    }
}

fn exactly<S: Serializer>(number: String, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(number).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// An amount as a client wrote it: a number or a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum AmountInput {
    /// Not there, or null.
    #[default]
    Missing,
    Amount(Money),
    NotAnAmount(MoneyError),
}

impl<'de> Deserialize<'de> for AmountInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let parsed = match raw.get() {
            "null" => return Ok(Self::Missing),
            text if text.starts_with('"') => {
                serde_json::from_str::<String>(text).map_err(D::Error::custom)?.parse()
            }
            number => number.parse(),
        };
        Ok(parsed.map_or_else(Self::NotAnAmount, Self::Amount))
    }
}

/// A whole number as a client wrote it. Whatever else it is does not stop the rest from being read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum WholeInput {
    /// Not there, or null.
    #[default]
    Missing,
    Whole(i64),
    /// A fraction, a text, a list, beyond 64 bits...
    Other,
}

impl<'de> Deserialize<'de> for WholeInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl<'de> Visitor<'de> for WholeVisitor {
    type Value = WholeInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E>(self, number: i64) -> Result<WholeInput, E> {
        Ok(WholeInput::Whole(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<WholeInput, E> {
        Ok(i64::try_from(number).map_or(WholeInput::Other, WholeInput::Whole))
    }

    fn visit_f64<E>(self, _: f64) -> Result<WholeInput, E> {
        Ok(WholeInput::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<WholeInput, E> {
        Ok(WholeInput::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<WholeInput, E> {
        Ok(WholeInput::Other)
    }

    fn visit_unit<E>(self) -> Result<WholeInput, E> {
        Ok(WholeInput::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<WholeInput, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(WholeInput::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WholeInput, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(WholeInput::Other)
    }
}

/// A moment, written in UTC and whole seconds: `2025-11-09T12:34:56Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) DateTime<Utc>);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

fn number_schema(description: &str) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(Type::Number).description(Some(description)).build();
    schema.into()
}

impl PartialSchema for MoneyJson {
    fn schema() -> RefOr<Schema> {
        number_schema("An amount: an exact number with two decimals.")
    }
}

impl ToSchema for MoneyJson {
    fn name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A moment in UTC, in whole seconds."))
            .build();
        schema.into()
    }
}

impl ToSchema for Moment {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_as_an_exact_number() {
        for (minor, json) in
            [(1_990_000, "19900.00"), (5, "0.05"), (-3_10, "-3.10"), (i64::MAX, "92233720368547758.07")]
        {
            assert_eq!(serde_json::to_string(&MoneyJson(Money::from_minor(minor))).unwrap(), json);
        }
    }

    #[test]
    fn a_percentage_is_written_with_two_decimals() {
        for (percent, json) in
            [(Decimal::TEN, "10.00"), (Decimal::new(125, 1), "12.50"), (Decimal::new(3333, 3), "3.333")]
        {
            assert_eq!(serde_json::to_string(&DecimalJson(percent)).unwrap(), json);
        }
    }

    #[test]
    fn an_amount_is_read_exactly_from_a_number_or_a_text() {
        for json in ["50000.1", "\"50000.10\"", "5.00001e4", "\"5.00001E4\"", "5.00001E+4"] {
            let amount = AmountInput::Amount(Money::from_minor(5_000_010));
            assert_eq!(serde_json::from_str::<AmountInput>(json).unwrap(), amount, "{json}");
        }
        let most = AmountInput::Amount(Money::from_minor(i64::MAX));
        assert_eq!(serde_json::from_str::<AmountInput>("92233720368547758.07").unwrap(), most);
        assert_eq!(serde_json::from_str::<AmountInput>("null").unwrap(), AmountInput::Missing);
    }

    #[test]
    fn what_is_not_an_amount_is_told_from_what_is_not_json() {
        for (json, error) in [
            ("1.001", MoneyError::TooPrecise),
            ("1e400", MoneyError::TooLarge),
            ("1e-400", MoneyError::TooPrecise),
            ("\"NaN\"", MoneyError::NotANumber),
            ("\"\"", MoneyError::NotANumber),
            ("true", MoneyError::NotANumber),
            ("[1]", MoneyError::NotANumber),
            ("{\"a\":1}", MoneyError::NotANumber),
        ] {
            let read = serde_json::from_str::<AmountInput>(json).unwrap();
            assert_eq!(read, AmountInput::NotAnAmount(error), "{json}");
        }
        assert!(serde_json::from_str::<AmountInput>("NaN").is_err());
    }

    #[test]
    fn only_whole_numbers_of_64_bits_are_whole() {
        for (json, read) in [
            ("7", WholeInput::Whole(7)),
            ("-1", WholeInput::Whole(-1)),
            ("9223372036854775807", WholeInput::Whole(i64::MAX)),
            ("null", WholeInput::Missing),
            ("9223372036854775808", WholeInput::Other),
            ("99999999999999999999999", WholeInput::Other),
            ("1.5", WholeInput::Other),
            ("1.0", WholeInput::Other),
            ("\"1\"", WholeInput::Other),
            ("true", WholeInput::Other),
            ("[1,[2]]", WholeInput::Other),
            ("{\"a\":{\"b\":1}}", WholeInput::Other),
        ] {
            assert_eq!(serde_json::from_str::<WholeInput>(json).unwrap(), read, "{json}");
        }
    }
}
