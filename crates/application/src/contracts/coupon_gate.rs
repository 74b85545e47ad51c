use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::coupon::ClaimRefusal;
use jangteo_domain::{CouponCode, CouponId, UserId};

use crate::coupon_gate::{Admission, CouponGate, Edition, Opening, Settled, Settlement};

/// How long the gate has to wait for a claim that it let in.
const ADMISSION: TimeDelta = TimeDelta::seconds(5);

/// What a [`CouponGate`] must do that waits five seconds for the claims it lets in.
pub async fn coupon_gate(gate: Arc<dyn CouponGate>) {
    it_knows_no_coupon_that_was_not_opened(&gate).await;
    it_lets_in_as_many_as_there_are_places(&gate).await;
    it_lets_nobody_in_outside_the_window(&gate).await;
    it_turns_holders_away_and_lets_who_is_waited_for_in_again(&gate).await;
    a_place_that_comes_back_is_given_to_the_next(&gate).await;
    what_is_said_too_late_or_twice_changes_nothing(&gate).await;
    it_tells_who_is_overdue_to_one_caller(&gate).await;
    a_later_opening_replaces_an_earlier_one(&gate).await;
    one_at_a_time_leads(&gate).await;
    a_crowd_gets_each_ticket_once(&gate).await;
    who_knows_of_later_terms_finds_an_earlier_gate_closed(&gate).await;
    a_change_closes_the_gate_and_keeps_earlier_openings_out(&gate).await;
    claims_of_a_closed_gate_open_nothing_and_their_winners_count(&gate).await;
    a_code_may_come_to_be_another_coupons(&gate).await;
    a_crowd_gets_each_ticket_once_while_the_gate_is_closed_and_opened(&gate).await;
}

/// A coupon of its own for every test, and for every run where the gate outlives one.
fn new_code() -> CouponCode {
    format!("C-{:016X}", rand::random::<u64>()).parse().expect("a code")
}

/// Now, by the tests' clock: far enough ahead that nothing expires by the server's.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_secs(4_000_000_000).expect("a time")
}

/// The first coupon's terms at a version.
fn version(version: i32) -> Edition {
    Edition { coupon: CouponId(1), version }
}

fn opening(tickets: Range<i64>, holders: &[(i64, i64)]) -> Opening {
    Opening {
        edition: version(1),
        starts_at: now() - TimeDelta::hours(1),
        ends_at: now() + TimeDelta::hours(1),
        tickets,
        holders: holders.iter().map(|&(user, ticket)| (UserId(user), ticket)).collect(),
        opened_at: now(),
    }
}

async fn opened(gate: &Arc<dyn CouponGate>, tickets: Range<i64>, holders: &[(i64, i64)]) -> CouponCode {
    let code = new_code();
    gate.open(&code, &opening(tickets, holders)).await.expect("it is there");
    code
}

async fn admit_at(gate: &Arc<dyn CouponGate>, code: &CouponCode, user: i64, at: DateTime<Utc>) -> Admission {
    gate.admit(code, Some(version(1)), UserId(user), at).await.expect("it is there")
}

async fn admit(gate: &Arc<dyn CouponGate>, code: &CouponCode, user: i64) -> Admission {
    admit_at(gate, code, user, now()).await
}

async fn settle(gate: &Arc<dyn CouponGate>, code: &CouponCode, user: i64, ticket: i64, outcome: Settled) {
    let settlement = Settlement { user: UserId(user), ticket, outcome };
    gate.settle(code, &[settlement]).await.expect("it is there");
}

fn admitted(ticket: i64) -> Admission {
    Admission::Admitted { ticket }
}

fn holder(ticket: i64) -> Admission {
    Admission::Refused(ClaimRefusal::AlreadyClaimed { ticket })
}

const TAKEN: Admission = Admission::Refused(ClaimRefusal::SoldOut);

async fn it_knows_no_coupon_that_was_not_opened(gate: &Arc<dyn CouponGate>) {
    let code = new_code();
    assert_eq!(admit(gate, &code, 1).await, Admission::Closed);
    settle(gate, &code, 1, 1, Settled::Issued(1)).await;
    assert_eq!(gate.overdue(&code, now()).await, Ok(BTreeMap::new()));
    assert_eq!(admit(gate, &code, 1).await, Admission::Closed, "what is settled opens nothing");
}

async fn it_lets_in_as_many_as_there_are_places(gate: &Arc<dyn CouponGate>) {
    let code = opened(gate, 7..9, &[]).await;
    assert_eq!(admit(gate, &code, 1).await, admitted(7));
    assert_eq!(admit(gate, &code, 2).await, admitted(8));
    assert_eq!(admit(gate, &code, 3).await, TAKEN);
    settle(gate, &code, 1, 7, Settled::Issued(7)).await;
    assert_eq!(admit(gate, &code, 3).await, TAKEN, "one place may still come back");
    settle(gate, &code, 2, 8, Settled::Issued(8)).await;
    assert_eq!(admit(gate, &code, 3).await, Admission::Exhausted);
    let none = opened(gate, 3..3, &[]).await;
    assert_eq!(admit(gate, &none, 1).await, Admission::Exhausted);
}

async fn it_lets_nobody_in_outside_the_window(gate: &Arc<dyn CouponGate>) {
    let code = opened(gate, 1..2, &[]).await;
    let Opening { starts_at, ends_at, .. } = opening(1..2, &[]);
    let moment = TimeDelta::microseconds(1);
    let too_early = Admission::Refused(ClaimRefusal::NotStarted(starts_at));
    let too_late = Admission::Refused(ClaimRefusal::Ended(ends_at));
    assert_eq!(admit_at(gate, &code, 1, starts_at - moment).await, too_early);
    assert_eq!(admit_at(gate, &code, 1, ends_at).await, too_late);
    assert_eq!(admit_at(gate, &code, 1, starts_at).await, admitted(1));
    assert_eq!(admit_at(gate, &code, 1, ends_at - moment).await, admitted(1));
}

async fn it_turns_holders_away_and_lets_who_is_waited_for_in_again(gate: &Arc<dyn CouponGate>) {
    let code = opened(gate, 3..6, &[(1, 1), (2, 2)]).await;
    assert_eq!(admit(gate, &code, 1).await, holder(1));
    assert_eq!(admit(gate, &code, 3).await, admitted(3));
    assert_eq!(admit(gate, &code, 3).await, admitted(3), "the same place");
    settle(gate, &code, 3, 3, Settled::Issued(3)).await;
    assert_eq!(admit(gate, &code, 3).await, holder(3));
    assert_eq!(admit(gate, &code, 4).await, admitted(4));
}

async fn a_place_that_comes_back_is_given_to_the_next(gate: &Arc<dyn CouponGate>) {
    let code = opened(gate, 1..4, &[]).await;
    for user in 1..=3 {
        assert_eq!(admit(gate, &code, user).await, admitted(user));
    }
    settle(gate, &code, 3, 3, Settled::Returned).await;
    settle(gate, &code, 2, 2, Settled::Returned).await;
    assert_eq!(admit(gate, &code, 4).await, admitted(2), "the first place that came back");
    assert_eq!(admit(gate, &code, 2).await, admitted(3), "who gave one back may come again");
    // Issued before, on a ticket that this gate does not know.
    settle(gate, &code, 4, 2, Settled::Held(9)).await;
    assert_eq!(admit(gate, &code, 4).await, holder(9));
    assert_eq!(admit(gate, &code, 5).await, admitted(2));
    // Found out twice: by the claim itself, and by whoever looked for it.
    settle(gate, &code, 5, 2, Settled::Held(2)).await;
    settle(gate, &code, 5, 2, Settled::Issued(2)).await;
    assert_eq!(admit(gate, &code, 6).await, TAKEN);
}

async fn what_is_said_too_late_or_twice_changes_nothing(gate: &Arc<dyn CouponGate>) {
    let code = opened(gate, 1..3, &[]).await;
    assert_eq!(admit(gate, &code, 1).await, admitted(1));
    settle(gate, &code, 1, 1, Settled::Returned).await;
    settle(gate, &code, 1, 1, Settled::Returned).await;
    assert_eq!(admit(gate, &code, 2).await, admitted(1));
    settle(gate, &code, 1, 1, Settled::Returned).await;
    assert_eq!(admit(gate, &code, 3).await, admitted(2));
    assert_eq!(admit(gate, &code, 4).await, TAKEN, "one ticket came back once");
    // Given back while its claim was on its way, which then came through, and a second claim is on its way meanwhile.
    let code = opened(gate, 1..4, &[]).await;
    assert_eq!(admit(gate, &code, 1).await, admitted(1));
    settle(gate, &code, 1, 1, Settled::Returned).await;
    assert_eq!(admit(gate, &code, 2).await, admitted(1));
    assert_eq!(admit(gate, &code, 1).await, admitted(2));
    settle(gate, &code, 1, 1, Settled::Issued(99)).await;
    assert_eq!(admit(gate, &code, 1).await, admitted(2), "the second claim is waited for");
    settle(gate, &code, 1, 2, Settled::Held(99)).await;
    assert_eq!(admit(gate, &code, 1).await, holder(99));
    assert_eq!(admit(gate, &code, 4).await, admitted(2), "its place is free");
    assert_eq!(admit(gate, &code, 5).await, admitted(3));
    assert_eq!(admit(gate, &code, 6).await, TAKEN);
    // A ticket of another opening is none of this gate's.
    settle(gate, &code, 9, 77, Settled::Returned).await;
    assert_eq!(admit(gate, &code, 7).await, TAKEN);
}

async fn it_tells_who_is_overdue_to_one_caller(gate: &Arc<dyn CouponGate>) {
    let code = opened(gate, 1..3, &[]).await;
    admit_at(gate, &code, 1, now()).await;
    admit_at(gate, &code, 2, now() + TimeDelta::seconds(1)).await;
    let due = now() + ADMISSION;
    assert_eq!(gate.overdue(&code, due - TimeDelta::microseconds(1)).await, Ok(BTreeMap::new()));
    assert_eq!(admit_at(gate, &code, 3, due - TimeDelta::microseconds(1)).await, TAKEN);
    assert_eq!(admit_at(gate, &code, 3, due).await, Admission::Exhausted, "the first is overdue");
    assert_eq!(gate.overdue(&code, due).await, Ok([(UserId(1), 1)].into()));
    assert_eq!(gate.overdue(&code, due).await, Ok(BTreeMap::new()), "somebody sees to it");
    assert_eq!(admit_at(gate, &code, 3, due).await, TAKEN);
    let later = due + ADMISSION;
    assert_eq!(gate.overdue(&code, later).await, Ok([(UserId(1), 1), (UserId(2), 2)].into()));
}

async fn a_later_opening_replaces_an_earlier_one(gate: &Arc<dyn CouponGate>) {
    let code = opened(gate, 1..6, &[]).await;
    assert_eq!(admit(gate, &code, 1).await, admitted(1));
    gate.open(&code, &opening(6..10, &[(2, 2)])).await.expect("it is there");
    assert_eq!(admit(gate, &code, 2).await, holder(2));
    assert_eq!(admit(gate, &code, 3).await, admitted(6));
    gate.open(&code, &opening(1..6, &[])).await.expect("it is there");
    assert_eq!(admit(gate, &code, 4).await, admitted(7), "an earlier one comes too late");
    settle(gate, &code, 1, 1, Settled::Returned).await;
    assert_eq!(admit(gate, &code, 5).await, admitted(8), "its tickets are not handed out again");
    settle(gate, &code, 1, 1, Settled::Issued(1)).await;
    assert_eq!(admit(gate, &code, 1).await, holder(1), "and its winners count");
}

async fn one_at_a_time_leads(gate: &Arc<dyn CouponGate>) {
    let (code, other) = (new_code(), new_code());
    let lead = gate.lead(&code).await.expect("it is there").expect("nobody leads");
    assert_eq!(gate.lead(&code).await, Ok(None));
    assert!(gate.lead(&other).await.expect("it is there").is_some(), "coupons do not wait for each other");
    gate.done(&code, lead).await.expect("it is there");
    let next = gate.lead(&code).await.expect("it is there").expect("nobody leads any more");
    gate.done(&code, next).await.expect("it is there");
}

async fn a_crowd_gets_each_ticket_once(gate: &Arc<dyn CouponGate>) {
    let holders: Vec<(i64, i64)> = (1..=2500).map(|user| (user, user)).collect();
    let code = opened(gate, 2501..2601, &holders).await;
    // Two hundred new customers, each twice, and two hundred of those who hold it.
    let users = (2401..=2600).chain(2601..=2800).chain(2601..=2800);
    let claims: Vec<_> = users
        .map(|user| {
            let (gate, code) = (Arc::clone(gate), code.clone());
            tokio::spawn(async move { (user, gate.admit(&code, None, UserId(user), now()).await) })
        })
        .collect();
    let mut places: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for claim in claims {
        let (user, admission) = claim.await.expect("no panic");
        match admission.expect("it is there") {
            Admission::Admitted { ticket } => drop(places.entry(ticket).or_default().insert(user)),
            Admission::Refused(ClaimRefusal::AlreadyClaimed { ticket }) => assert_eq!(ticket, user),
            other => assert_eq!(other, TAKEN),
        }
    }
    assert!(places.keys().copied().eq(2501..=2600), "every ticket is handed out");
    assert!(places.values().all(|users| users.len() == 1), "to one customer");
}

async fn admit_knowing(
    gate: &Arc<dyn CouponGate>,
    code: &CouponCode,
    known: impl Into<Option<Edition>>,
    user: i64,
) -> Admission {
    gate.admit(code, known.into(), UserId(user), now()).await.expect("it is there")
}

async fn open_for(gate: &Arc<dyn CouponGate>, code: &CouponCode, edition: Edition, tickets: Range<i64>) {
    let opening = Opening { edition, ..opening(tickets, &[]) };
    gate.open(code, &opening).await.expect("it is there");
}

async fn close(gate: &Arc<dyn CouponGate>, code: &CouponCode, edition: Edition) {
    gate.close(code, edition).await.expect("it is there");
}

async fn who_knows_of_later_terms_finds_an_earlier_gate_closed(gate: &Arc<dyn CouponGate>) {
    let code = new_code();
    open_for(gate, &code, version(9), 1..10).await;
    assert_eq!(admit_knowing(gate, &code, version(10), 1).await, Admission::Closed);
    assert_eq!(admit_knowing(gate, &code, version(9), 1).await, admitted(1));
    assert_eq!(admit_knowing(gate, &code, version(8), 2).await, admitted(2), "who knows less is told");
    assert_eq!(admit_knowing(gate, &code, None, 3).await, admitted(3));
    open_for(gate, &code, version(10), 5..5).await;
    assert_eq!(admit_knowing(gate, &code, version(10), 4).await, Admission::Exhausted, "it replaces more");
    open_for(gate, &code, version(9), 20..30).await;
    assert_eq!(admit_knowing(gate, &code, version(9), 4).await, Admission::Exhausted);
}

async fn a_change_closes_the_gate_and_keeps_earlier_openings_out(gate: &Arc<dyn CouponGate>) {
    let code = new_code();
    close(gate, &code, version(2)).await;
    open_for(gate, &code, version(1), 1..10).await;
    assert_eq!(admit_knowing(gate, &code, None, 1).await, Admission::Closed, "it was on its way");
    open_for(gate, &code, version(2), 10..20).await;
    assert_eq!(admit_knowing(gate, &code, version(2), 1).await, admitted(10));
    close(gate, &code, version(2)).await;
    close(gate, &code, version(1)).await;
    assert_eq!(
        admit_knowing(gate, &code, version(2), 2).await,
        admitted(11),
        "it was opened for these terms"
    );
    close(gate, &code, version(3)).await;
    assert_eq!(admit_knowing(gate, &code, version(2), 2).await, Admission::Closed);
    close(gate, &code, version(2)).await;
    open_for(gate, &code, version(2), 30..40).await;
    assert_eq!(admit_knowing(gate, &code, None, 2).await, Admission::Closed);
    open_for(gate, &code, version(3), 20..30).await;
    assert_eq!(admit_knowing(gate, &code, version(3), 2).await, admitted(20));
}

async fn claims_of_a_closed_gate_open_nothing_and_their_winners_count(gate: &Arc<dyn CouponGate>) {
    let code = opened(gate, 1..6, &[]).await;
    for user in 1..=3 {
        assert_eq!(admit(gate, &code, user).await, admitted(user));
    }
    close(gate, &code, version(2)).await;
    settle(gate, &code, 1, 1, Settled::Issued(1)).await;
    assert_eq!(gate.overdue(&code, now() + ADMISSION).await, Ok(BTreeMap::new()));
    assert_eq!(admit_knowing(gate, &code, None, 1).await, Admission::Closed);
    open_for(gate, &code, version(2), 6..8).await;
    settle(gate, &code, 2, 2, Settled::Issued(2)).await;
    settle(gate, &code, 3, 3, Settled::Returned).await;
    assert_eq!(admit_knowing(gate, &code, version(2), 2).await, holder(2));
    assert_eq!(admit_knowing(gate, &code, version(2), 3).await, admitted(6));
    assert_eq!(admit_knowing(gate, &code, version(2), 4).await, admitted(7));
    assert_eq!(admit_knowing(gate, &code, version(2), 5).await, TAKEN, "the third ticket is not this gate's");
}

async fn a_code_may_come_to_be_another_coupons(gate: &Arc<dyn CouponGate>) {
    let code = new_code();
    let other = Edition { coupon: CouponId(2), version: 1 };
    open_for(gate, &code, version(7), 1..10).await;
    assert_eq!(admit_knowing(gate, &code, other, 1).await, Admission::Closed);
    open_for(gate, &code, other, 1..10).await;
    assert_eq!(admit_knowing(gate, &code, other, 1).await, admitted(1));
    assert_eq!(admit_knowing(gate, &code, version(7), 1).await, Admission::Closed);
    close(gate, &code, version(8)).await;
    assert_eq!(admit_knowing(gate, &code, other, 1).await, Admission::Closed);
    open_for(gate, &code, other, 1..10).await;
    assert_eq!(admit_knowing(gate, &code, other, 1).await, admitted(1));
}

async fn a_crowd_gets_each_ticket_once_while_the_gate_is_closed_and_opened(gate: &Arc<dyn CouponGate>) {
    let code = opened(gate, 1..51, &[]).await;
    let claims: Vec<_> = (1..=300)
        .map(|user| {
            let (gate, code) = (Arc::clone(gate), code.clone());
            tokio::spawn(async move {
                loop {
                    match gate.admit(&code, None, UserId(user), now()).await.expect("it is there") {
                        Admission::Admitted { ticket } => return Some(ticket),
                        Admission::Closed => tokio::time::sleep(Duration::from_millis(5)).await,
                        Admission::Refused(_) | Admission::Exhausted => return None,
                    }
                }
            })
        })
        .collect();
    for change in 2..=5 {
        close(gate, &code, version(change)).await;
        let first = i64::from(change - 1) * 50 + 1;
        open_for(gate, &code, version(change), first..first + 50).await;
    }
    let mut tickets = Vec::new();
    for claim in claims {
        tickets.extend(claim.await.expect("no panic"));
    }
    let different: BTreeSet<i64> = tickets.iter().copied().collect();
    assert_eq!(different.len(), tickets.len(), "nobody has the ticket of another");
    assert!(different.iter().all(|ticket| (1..251).contains(ticket)));
}
