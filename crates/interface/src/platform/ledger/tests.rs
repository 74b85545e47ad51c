use serde_json::json;

use super::*;

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().expect("a moment")
}

/// An event of an order that was created at the given moment, as it happened right then.
fn event(order: u32, sequence: u32, created_at: &str) -> Event {
    Event {
        id: format!("order-{order}-{sequence}").into(),
        source: "/shop".into(),
        event_type: if sequence == 1 { "paid".into() } else { "shipped".into() },
        subject: Some(format!("orders/{order}").into()),
        sequence: Some(sequence),
        time: Some(moment(created_at)),
        created_at: Some(moment(created_at)),
        json: "{}".into(),
    }
}

const NOON: &str = "2025-11-09T12:00:00Z";

/// As if each had come a tenth of a second after it happened.
fn ledger(events: &[Event]) -> Ledger {
    let mut ledger = Ledger::new();
    for event in events {
        ledger.enter(event, event.time.expect("a time") + TimeDelta::milliseconds(100));
    }
    ledger
}

fn ordered(events: &[(u32, u32)]) -> Ledger {
    ledger(&events.iter().map(|(order, sequence)| event(*order, *sequence, NOON)).collect::<Vec<_>>())
}

#[test]
fn an_event_is_known_by_its_source_and_id_alone() {
    let ledger = ordered(&[(1, 1)]);
    let again = Event { json: "{ }".into(), sequence: None, ..event(1, 1, NOON) };
    assert!(ledger.knows(&again));
    assert!(!ledger.knows(&Event { source: "/other-shop".into(), ..again }));
    assert!(!ledger.knows(&event(1, 2, NOON)));
}

#[test]
fn orders_coupons_and_types_are_counted() {
    let mut events = vec![event(1, 1, NOON), event(1, 2, NOON), event(2, 1, NOON)];
    let coupon =
        Event { subject: Some("user-coupons/1".into()), id: "user-coupon-1-1".into(), ..event(1, 1, NOON) };
    events.push(Event { event_type: "issued".into(), ..coupon });
    let mut ledger = ledger(&events);
    ledger.count_duplicates(3);
    let summary = ledger.summary();
    assert_eq!((summary.received, summary.duplicates, summary.events), (7, 3, 4));
    assert_eq!((summary.orders, summary.coupons), (2, 1));
    assert_eq!(json!(summary.by_type), json!({"paid": 2, "shipped": 1, "issued": 1}));
}

#[test]
fn a_gap_is_told_until_it_is_filled() {
    let mut ledger = ordered(&[(1, 1), (2, 1), (1, 4)]);
    let gaps = ledger.summary().gaps;
    assert_eq!(gaps.count, 2);
    assert_eq!(gaps.first, [Gap { subject: "orders/1".into(), missing: vec![2, 3] }]);
    assert_eq!(ledger.missing_of_order("1"), [2, 3]);
    for sequence in [3, 2] {
        ledger.enter(&event(1, sequence, NOON), moment(NOON));
    }
    let summary = ledger.summary();
    assert_eq!((summary.gaps.count, summary.gaps.first.len()), (0, 0));
    assert_eq!(
        summary.out_of_order.first,
        [(4, 3), (3, 2)].map(|(sequence, before)| OutOfOrder {
            subject: "orders/1".into(),
            sequence,
            before
        })
    );
}

#[test]
fn the_same_order_of_two_shops_is_two_orders() {
    let elsewhere = Event { source: "/other-shop".into(), ..event(1, 2, NOON) };
    let summary = ledger(&[event(1, 1, NOON), elsewhere]).summary();
    assert_eq!((summary.orders, summary.gaps.count, summary.out_of_order.count), (2, 1, 0));
}

#[test]
fn only_the_first_faults_are_listed_and_all_are_counted() {
    let late: Vec<(u32, u32)> = (1..=30).flat_map(|order| [(order, 3), (order, 2)]).collect();
    let summary = ordered(&late).summary();
    assert_eq!((summary.gaps.count, summary.gaps.first.len()), (30, EXAMPLES));
    assert_eq!((summary.out_of_order.count, summary.out_of_order.first.len()), (30, EXAMPLES));
}

#[test]
fn delays_are_told_in_milliseconds_and_clocks_may_differ() {
    let mut ledger = ordered(&[]);
    for (order, delay) in [(1, -5000), (2, 250), (3, 60_000)] {
        ledger.enter(&event(order, 1, NOON), moment(NOON) + TimeDelta::milliseconds(delay));
    }
    let delivery = ledger.summary().delivery;
    assert!((249.0..=251.0).contains(&delivery.p50), "{delivery:?}");
    assert!((59_900.0..=60_100.0).contains(&delivery.max), "{delivery:?}");
}

#[test]
fn completeness_counts_orders_by_the_hour_they_were_created_in() {
    let (eleven, one) = ("2025-11-09T11:59:59.999999Z", "2025-11-09T13:00:00Z");
    let ledger = ledger(&[
        event(1, 1, eleven),
        event(2, 1, NOON),
        event(2, 2, NOON),
        event(3, 1, "2025-11-09T12:30:00Z"),
        event(3, 3, "2025-11-09T12:30:00Z"),
        event(4, 1, one),
        Event { subject: Some("user-coupons/9".into()), ..event(9, 1, NOON) },
    ]);
    let told = ledger.completeness(moment("2025-11-09T11:30:00Z")..moment(one));
    assert_eq!(
        json!(told),
        json!({
            "from": "2025-11-09T11:30:00Z", "to": "2025-11-09T13:00:00Z", "orders": 3, "events": 5,
            "hours": [
                {"from": "2025-11-09T11:00:00Z", "orders": 1, "events": 1},
                {"from": "2025-11-09T12:00:00Z", "orders": 2, "events": 4},
            ],
        })
    );
    assert_eq!(ledger.completeness(moment(one)..moment(one)).orders, 0);
}
