use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::cancellation::{CancelReason, Cancellation};
use jangteo_domain::coupon::{UserCoupon, UserCouponState};
use jangteo_domain::order::{AppliedCoupon, OrderLine, OrderStatus};
use jangteo_domain::payment::{Payment, PaymentReason};
use jangteo_domain::{
    CouponId, Money, Order, OrderId, ProductId, Quantity, Sku, UserCouponId, UserId, VariantId,
};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::*;
use crate::outbox::{EventType, OutboxMessage};

const SCHEMA: &str = include_str!("../../../../docs/events.schema.json");
const GUIDE: &str = include_str!("../../../../docs/events.md");

/// The schema as it is published: whoever reads events must let pass what was added to them later.
fn published() -> Validator {
    jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap()
}

/// The schema without that leave, as nothing was added yet: a field that it does not name is misspelt, or not described.
fn strict() -> Validator {
    let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
    schema["unevaluatedProperties"] = false.into();
    for event in schema["oneOf"].as_array_mut().unwrap() {
        event["properties"]["data"]["unevaluatedProperties"] = false.into();
    }
    // An order has fields more, depending on the event: they are seen above.
    for name in ["line", "appliedCoupon"] {
        schema["$defs"][name]["additionalProperties"] = false.into();
    }
    jsonschema::validator_for(&schema).unwrap()
}

fn paid(coupon: bool) -> Order {
    let money = Money::from_minor;
    Order {
        id: OrderId(5551),
        user: UserId(7),
        status: OrderStatus::Paid,
        lines: vec![OrderLine {
            sku: Sku { product: ProductId(101), variant: coupon.then_some(VariantId(7)) },
            name: "유기농 면 \"티셔츠\"".into(),
            variant_name: coupon.then(|| "빨강-L".into()),
            unit_price: money(19_900_00),
            quantity: Quantity::new(2).unwrap(),
            subtotal: money(39_800_00),
        }],
        total: money(39_800_00),
        discount: money(if coupon { 3_980_50 } else { 0 }),
        paid: money(if coupon { 35_819_50 } else { 39_800_00 }),
        coupon: coupon
            .then(|| AppliedCoupon { user_coupon: UserCouponId(3), code: "WELCOME10".parse().unwrap() }),
        created_at: DateTime::UNIX_EPOCH,
        paid_at: Some(DateTime::UNIX_EPOCH),
        held_until: None,
        events: 1,
    }
}

fn issued(expires: bool) -> OutboxMessage {
    let coupon = UserCoupon {
        id: UserCouponId(88),
        user: UserId(7),
        coupon: CouponId(2),
        ticket: 31,
        claimed_at: DateTime::UNIX_EPOCH,
        expires_at: expires.then(|| DateTime::UNIX_EPOCH + TimeDelta::microseconds(1)),
        state: UserCouponState::Claimed,
    };
    OutboxMessage::coupon_issued(&coupon, &"FLASH_5000".parse().unwrap())
}

fn cancelled(order: Order, at: DateTime<Utc>, reason: Option<CancelReason>) -> OutboxMessage {
    let payment = Payment::completed(order.id, order.paid, order.created_at)
        .cancel(reason.map(PaymentReason::Said), at)
        .unwrap();
    OutboxMessage::order_cancelled(&Cancellation {
        order: order.cancel().unwrap(),
        payment,
        ledger: None,
        returned: Vec::new(),
        restoration: None,
        was_held: false,
        balance: Money::ZERO,
    })
}

/// Events of a type, as they may be.
fn events(event_type: EventType) -> [OutboxMessage; 2] {
    let at = DateTime::UNIX_EPOCH + TimeDelta::days(1);
    let shipped = |coupon| paid(coupon).ship().unwrap();
    match event_type {
        EventType::OrderPaid => [true, false].map(|coupon| OutboxMessage::order_paid(&paid(coupon))),
        EventType::OrderCancelled => {
            [cancelled(paid(true), at, Some("늦음".parse().unwrap())), cancelled(paid(false), at, None)]
        }
        EventType::OrderShipped => {
            [true, false].map(|coupon| OutboxMessage::order_shipped(&shipped(coupon), at))
        }
        EventType::OrderDelivered => [true, false]
            .map(|coupon| OutboxMessage::order_delivered(&shipped(coupon).deliver().unwrap(), at)),
        EventType::CouponIssued => [issued(true), issued(false)],
    }
}

fn sent(message: OutboxMessage) -> Value {
    let stored = StoredEvent {
        id: 1,
        aggregate: message.aggregate,
        aggregate_id: message.aggregate_id,
        sequence: message.sequence.into(),
        event_type: message.event_type.name().into(),
        payload: message.payload,
        at: message.at,
        attempts: 0,
    };
    serde_json::from_str(&CloudEvent::new(&stored, "urn:jangteo:test").unwrap().json).unwrap()
}

fn faults(schema: &Validator, event: &Value) -> Vec<String> {
    schema.iter_errors(event).map(|fault| format!("{} in {event}", fault)).collect()
}

#[test]
fn every_event_is_as_the_schema_says_and_has_nothing_that_it_leaves_out() {
    let types = [
        EventType::OrderPaid,
        EventType::OrderCancelled,
        EventType::OrderShipped,
        EventType::OrderDelivered,
        EventType::CouponIssued,
    ];
    for event in types.into_iter().flat_map(events).map(sent) {
        assert_eq!(faults(&published(), &event), [""; 0]);
        assert_eq!(faults(&strict(), &event), [""; 0]);
    }
}

#[test]
fn the_schema_refuses_what_is_no_event_of_this_shop() {
    let [paid, _] = events(EventType::OrderPaid).map(sent);
    let wrong = [
        ("/specversion", json!("0.3")),
        ("/id", json!("order-5551")),
        ("/source", json!("https://example.com")),
        ("/type", json!("jangteo.order.payed.v1")),
        ("/type", json!("jangteo.order.shipped.v1")),
        ("/type", json!("jangteo.coupon.issued.v1")),
        ("/subject", json!("user-coupons/5551")),
        ("/time", json!("1970-01-01T00:00:00Z")),
        ("/time", json!("1970-01-01T09:00:00.000000+09:00")),
        ("/sequence", json!(1)),
        ("/sequence", json!("0")),
        ("/data", json!("{}")),
        ("/data/status", json!("CANCELLED")),
        ("/data/items", json!([])),
        ("/data/items/0/qty", json!("2")),
        ("/data/items/0/unitPrice", json!(19900.00)),
        ("/data/totalAmount", json!("39800.0")),
        ("/data/paidAmount", json!("-1.00")),
        ("/data/appliedCoupon/code", json!("welcome 10")),
        ("/data/createdAt", json!(0)),
    ];
    for (path, value) in wrong {
        let mut event = paid.clone();
        *event.pointer_mut(path).unwrap() = value.clone();
        assert!(!published().is_valid(&event), "{path} was {value}");
    }
}

#[test]
fn the_schema_misses_each_field() {
    let [paid, _] = events(EventType::OrderPaid).map(sent);
    let [cancelled, _] = events(EventType::OrderCancelled).map(sent);
    let [shipped, _] = events(EventType::OrderShipped).map(sent);
    let [delivered, _] = events(EventType::OrderDelivered).map(sent);
    let [coupon, _] = events(EventType::CouponIssued).map(sent);
    for (event, path) in [
        (&paid, ""),
        (&paid, "/data/items/0"),
        (&paid, "/data/appliedCoupon"),
        (&paid, "/data"),
        (&cancelled, "/data"),
        (&shipped, "/data"),
        (&delivered, "/data"),
        (&coupon, "/data"),
    ] {
        // Those that not every order has.
        let optional = ["paidAt", "variantId", "variantName"];
        let fields = event.pointer(path).unwrap().as_object().unwrap().keys();
        for field in fields.filter(|field| !optional.contains(&field.as_str())) {
            let mut event = event.clone();
            event.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(field);
            assert!(!published().is_valid(&event), "{path}/{field}");
        }
    }
}

#[test]
fn a_receiver_that_checks_the_schema_lets_new_fields_pass() {
    let [paid, _] = events(EventType::OrderPaid).map(sent);
    let [coupon, _] = events(EventType::CouponIssued).map(sent);
    let paths = ["", "/data", "/data/items/0", "/data/appliedCoupon"];
    for (event, path) in paths.map(|path| (&paid, path)).into_iter().chain([(&coupon, "/data")]) {
        let mut event = event.clone();
        event.pointer_mut(path).unwrap()["addedLater"] = json!(true);
        assert!(published().is_valid(&event), "{path}");
        assert!(!strict().is_valid(&event), "{path}");
    }
}

#[test]
fn the_examples_of_the_guide_are_events() {
    let blocks = GUIDE.split("```json\n").skip(1).filter_map(|block| block.split("```").next());
    let examples: Vec<Value> = blocks
        .filter(|block| block.contains("specversion"))
        .map(|block| serde_json::from_str(block).expect("an example is JSON"))
        .collect();
    assert!(examples.len() >= 2, "an order and a coupon");
    for example in examples {
        assert_eq!(faults(&strict(), &example), [""; 0]);
    }
}
