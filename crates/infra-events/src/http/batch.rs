//! Many events in a request.

use std::borrow::Cow;

use jangteo_application::cloud_event::CloudEvent;
use sha2::{Digest, Sha256};

/// Names a request by all of its events. A receiver may drop what has come before under the same name, so requests that
/// begin alike and end differently need different ones.
pub(super) fn id(events: &[CloudEvent]) -> Cow<'_, str> {
    let [first, others @ ..] = events else { return Cow::from("") };
    if others.is_empty() {
        return Cow::from(&first.id);
    }
    let mut digest = Sha256::new();
    for event in events {
        digest.update(&event.id);
        digest.update("\n");
    }
    let digest: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Cow::from(format!("{}-and-{}-more-{digest}", first.id, others.len()))
}

/// A JSON list of them.
pub(super) fn body(events: &[CloudEvent]) -> String {
    let length: usize = events.iter().map(|event| event.json.len() + 1).sum();
    let mut body = String::with_capacity(length + 1);
    for (nth, event) in events.iter().enumerate() {
        body.push(if nth == 0 { '[' } else { ',' });
        body.push_str(&event.json);
    }
    body.push(']');
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(ids: &[&str]) -> Vec<CloudEvent> {
        let event = |id: &&str| CloudEvent {
            id: (*id).to_owned(),
            key: "7".to_owned(),
            event_type: "jangteo.order.paid.v1".to_owned(),
            json: format!("{{\"id\":\"{id}\"}}"),
        };
        ids.iter().map(event).collect()
    }

    #[test]
    fn events_are_a_list_and_one_is_a_list_of_one() {
        assert_eq!(body(&events(&["a"])), r#"[{"id":"a"}]"#);
        assert_eq!(body(&events(&["a", "b"])), r#"[{"id":"a"},{"id":"b"}]"#);
    }

    #[test]
    fn a_request_has_the_name_of_its_events_and_no_other_has_it() {
        let id = |ids: &[&str]| id(&events(ids)).into_owned();
        assert_eq!(id(&["order-7-1"]), "order-7-1");
        assert_eq!(id(&["order-7-1", "order-8-1"]), id(&["order-7-1", "order-8-1"]));
        assert!(id(&["order-7-1", "order-8-1"]).starts_with("order-7-1-and-1-more-"));
        assert_ne!(id(&["order-7-1", "order-8-1"]), id(&["order-7-1", "order-9-1"]));
    }
}
