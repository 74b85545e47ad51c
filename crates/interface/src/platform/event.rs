//! Reading events: CloudEvents 1.0 in JSON.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

/// An event as it came. What is not needed to keep accounts is only in its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// With its source it is the event's name in the world: what comes again under it is the same event.
    pub(super) id: Arc<str>,
    pub(super) source: Arc<str>,
    pub(super) event_type: Arc<str>,
    /// What it is about.
    pub(super) subject: Option<Arc<str>>,
    /// 1, 2, 3... for each subject.
    pub(super) sequence: Option<u32>,
    /// When it happened.
    pub(super) time: Option<DateTime<Utc>>,
    /// When the order that it tells of was created.
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) json: Arc<str>,
}

/// Why something is no event. For people.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("not UTF-8: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
    #[error("not a CloudEvent in JSON: {0}")]
    NotAnEvent(#[from] serde_json::Error),
    #[error("not an event but a list or a value: expected an object")]
    NotAnObject,
    #[error("`specversion` is {0:?}, and only \"1.0\" is known")]
    OtherVersion(String),
    #[error("`{0}` is empty")]
    Empty(&'static str),
    #[error("`{name}` is no moment such as 2025-11-09T12:34:56Z: {text:?}")]
    NotAMoment { name: &'static str, text: String },
    #[error("`sequence` is no whole number from 1 as a text: {0:?}")]
    NotASequence(String),
}

/// How the events of a text are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    One,
    Batch,
    /// A list is a batch.
    Either,
}

/// Reads all events of a text, or none.
pub(super) fn read(bytes: &[u8], form: Form) -> Result<Vec<Event>, Unreadable> {
    let text = str::from_utf8(bytes)?;
    let batch = match form {
        Form::One => false,
        Form::Batch => true,
        Form::Either => text.trim_start().starts_with('['),
    };
    if !batch {
        return Ok(vec![Event::read(text)?]);
    }
    let events: Vec<&RawValue> = serde_json::from_str(text)?;
    events.into_iter().map(|event| Event::read(event.get())).collect()
}

/// A text that is copied only if it has to be.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    specversion: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    source: Text<'a>,
    #[serde(borrow, rename = "type")]
    event_type: Text<'a>,
    #[serde(borrow)]
    subject: Option<Text<'a>>,
    #[serde(borrow)]
    sequence: Option<Text<'a>>,
    #[serde(borrow)]
    time: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Data<'a> {
    #[serde(borrow)]
    created_at: Option<Text<'a>>,
}

impl Event {
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        // What derives `Deserialize` would take a list of its fields' values as well.
        if text.trim_start().starts_with(|first| first != '{') {
            return Err(Unreadable::NotAnObject);
        }
        let envelope: Envelope = serde_json::from_str(text)?;
        if envelope.specversion.0 != "1.0" {
            return Err(Unreadable::OtherVersion(envelope.specversion.0.into_owned()));
        }
        let created_at = envelope.data.and_then(|data| data.created_at);
        Ok(Self {
            id: name("id", &envelope.id)?,
            source: name("source", &envelope.source)?,
            event_type: name("type", &envelope.event_type)?,
            subject: envelope.subject.map(|subject| subject.0.into()),
            sequence: envelope.sequence.as_ref().map(sequence).transpose()?,
            time: envelope.time.as_ref().map(|time| moment("time", time)).transpose()?,
            created_at: created_at.as_ref().map(|at| moment("data.createdAt", at)).transpose()?,
            json: text.trim().into(),
        })
    }
}

fn name(name: &'static str, text: &Text) -> Result<Arc<str>, Unreadable> {
    if text.0.is_empty() { Err(Unreadable::Empty(name)) } else { Ok(Arc::from(&*text.0)) }
}

fn sequence(text: &Text) -> Result<u32, Unreadable> {
    let number = text.0.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Unreadable::NotASequence(text.0.clone().into_owned()))
}

fn moment(name: &'static str, text: &Text) -> Result<DateTime<Utc>, Unreadable> {
    let moment = DateTime::parse_from_rfc3339(&text.0).map(|moment| moment.to_utc());
    moment.map_err(|_| Unreadable::NotAMoment { name, text: text.0.clone().into_owned() })
}

#[cfg(test)]
mod tests {
    use jangteo_application::cloud_event::CloudEvent;
    use jangteo_application::outbox::{Aggregate, StoredEvent};
    use serde_json::{Value, json};

    use super::*;

    fn sent_by_the_shop() -> CloudEvent {
        let at: DateTime<Utc> = "2025-11-09T12:34:56.789Z".parse().unwrap();
        let event = StoredEvent {
            id: 7,
            aggregate: Aggregate::Order,
            aggregate_id: 5551,
            sequence: 2,
            event_type: "order.cancelled".to_owned(),
            payload: json!({"orderId": 5551, "createdAt": "2025-11-09T12:00:00.000001Z"}).to_string(),
            at,
            attempts: 0,
        };
        CloudEvent::new(&event, "urn:shop:\"서울\"").unwrap()
    }

    #[test]
    fn what_the_shop_sends_is_understood() {
        let sent = sent_by_the_shop();
        let read = Event::read(&sent.json).unwrap();
        let moment = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(
            read,
            Event {
                id: "order-5551-2".into(),
                source: "urn:shop:\"서울\"".into(),
                event_type: "jangteo.order.cancelled.v1".into(),
                subject: Some("orders/5551".into()),
                sequence: Some(2),
                time: Some(moment("2025-11-09T12:34:56.789Z")),
                created_at: Some(moment("2025-11-09T12:00:00.000001Z")),
                json: sent.json.as_str().into(),
            }
        );
    }

    #[test]
    fn a_batch_is_a_list_and_each_event_keeps_its_own_json() {
        let event = sent_by_the_shop().json;
        let batch = format!(" [{event},\n {event}]");
        for form in [Form::Batch, Form::Either] {
            let events = read(batch.as_bytes(), form).unwrap();
            assert_eq!(events.iter().map(|event| &*event.json).collect::<Vec<_>>(), [&event, &event]);
        }
        assert_eq!(read(event.as_bytes(), Form::Either).unwrap().len(), 1);
        assert!(read(batch.as_bytes(), Form::One).is_err());
        assert!(read(event.as_bytes(), Form::Batch).is_err());
        assert_eq!(read(b"[]", Form::Batch).unwrap(), []);
    }

    #[test]
    fn an_event_needs_no_more_than_the_standard_asks_for() {
        let bare = json!({"specversion": "1.0", "id": "1", "source": "/", "type": "ping"}).to_string();
        let event = Event::read(&bare).unwrap();
        assert_eq!((event.subject, event.sequence, event.time), (None, None, None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let event: Value = serde_json::from_str(&sent_by_the_shop().json).unwrap();
        for (field, value, named) in [
            ("specversion", json!("0.3"), "`specversion` is \"0.3\""),
            ("id", json!(""), "`id` is empty"),
            ("id", json!(null), "expected a string"),
            ("sequence", json!("0"), "\"0\""),
            ("sequence", json!("one"), "\"one\""),
            ("time", json!("yesterday"), "`time`"),
            ("data", json!({"createdAt": "soon"}), "`data.createdAt`"),
            ("data", json!("text"), "expected an object"),
        ] {
            let mut event = event.clone();
            event[field] = value;
            let refused = Event::read(&event.to_string()).unwrap_err().to_string();
            assert!(refused.contains(named), "{refused}");
        }
        let refused = read(b"{\xff}", Form::One).unwrap_err().to_string();
        assert!(refused.contains("UTF-8"), "{refused}");
        let refused = read(b"{", Form::Either).unwrap_err().to_string();
        assert!(refused.contains("line 1"), "{refused}");
    }
}
