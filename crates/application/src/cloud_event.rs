//! Events as they are sent: CloudEvents 1.0, structured JSON. docs/events.md describes them.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::outbox::{Aggregate, StoredEvent};
use crate::snapshot::{Moment, to_json};

/// An event as the platform gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudEvent {
    /// Names the event, in every copy of it.
    pub id: String,
    /// Names what it is about: events of the same key are sent one after the other.
    pub key: String,
    /// What happened, with the version of its schema.
    pub event_type: String,
    /// All of it, as JSON.
    pub json: String,
}

/// An event that no receiver could read.
#[derive(Debug, thiserror::Error)]
#[error("the event's payload is not JSON: {0}")]
pub struct Malformed(#[from] serde_json::Error);

/// How an event is called outside, wherever it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventName {
    /// Names the event, in every copy of it.
    pub id: String,
    /// What happened, with the version of its schema.
    pub event_type: String,
    /// What it is about.
    pub subject: String,
}

impl EventName {
    /// Of an event as it is stored.
    #[must_use]
    pub fn new(aggregate: Aggregate, aggregate_id: i64, sequence: i64, event_type: &str) -> Self {
        let (name, path) = match aggregate {
            Aggregate::Order => ("order", "orders"),
            Aggregate::UserCoupon => ("user-coupon", "user-coupons"),
        };
        Self {
            id: format!("{name}-{aggregate_id}-{sequence}"),
            event_type: format!("jangteo.{event_type}.v{VERSION}"),
            subject: format!("{path}/{aggregate_id}"),
        }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    subject: &'a str,
    time: Moment,
    datacontenttype: &'static str,
    /// An extension, and so a text.
    sequence: String,
    partitionkey: &'a str,
    data: &'a RawValue,
}

impl CloudEvent {
    /// Puts a stored event into its envelope. With the source, which names the shop, its id is unique in the world.
    ///
    /// # Errors
    /// [`Malformed`] when what is stored is not JSON.
    pub fn new(event: &StoredEvent, source: &str) -> Result<Self, Malformed> {
        let EventName { id, event_type, subject } =
            EventName::new(event.aggregate, event.aggregate_id, event.sequence, &event.event_type);
        let key = event.aggregate_id.to_string();
        let json = to_json(&Envelope {
            specversion: "1.0",
            id: &id,
            source,
            event_type: &event_type,
            subject: &subject,
            time: Moment(event.at),
            datacontenttype: "application/json",
            sequence: event.sequence.to_string(),
            partitionkey: &key,
            data: serde_json::from_str(&event.payload)?,
        });
        Ok(Self { id, key, event_type, json })
    }
}

/// Of the schema of events. It grows when a receiver of the one before could not read them.
const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
