use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use jangteo_domain::coupon::{Coupon, Discount, UserCoupon, UserCouponState};
use jangteo_domain::{CouponId, Money, UserCouponId, Wallet};
use mockall::Sequence;

use super::*;
use crate::batcher::BatcherSettings;
use crate::coupon_gate::{
    Admission, Claimable, Edition, GateAway, Lead, MockCouponGate, MockCouponPlaces, Opening, Over,
};
use crate::mocks::{Counting, MockedUnitOfWork, Prepared, Stopped, backend};
use crate::operation::{Executor, Outcome};

const USER: UserId = UserId(1);
const STRANGER: UserId = UserId(9);

fn code() -> CouponCode {
    "FLASH".parse().unwrap()
}

fn moment(hours: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
}

/// Ten of it, of which so many were issued; a gate has tickets 1 to 10.
fn coupon(issued_quantity: i64) -> Coupon {
    Coupon {
        id: CouponId(1),
        code: code(),
        name: String::new(),
        discount: Discount::Fixed(Money::from_minor(1_00)),
        min_order_amount: Money::ZERO,
        max_discount: None,
        claim_starts_at: moment(-1),
        claim_ends_at: moment(1),
        valid_until: None,
        valid_days: None,
        total_quantity: 10,
        issued_quantity,
        next_ticket: 11,
        retired_at: None,
        version: 1,
    }
}

fn held(user: UserId, ticket: i64) -> UserCoupon {
    UserCoupon {
        id: UserCouponId(77),
        user,
        coupon: CouponId(1),
        ticket,
        claimed_at: moment(0),
        expires_at: None,
        state: UserCouponState::Claimed,
    }
}

/// The database at one batch of claims: these hold the coupon, and these tickets are theirs.
fn database(issued: i64, holders: &[(UserId, i64)]) -> MockedUnitOfWork {
    let mut uow = MockedUnitOfWork::default();
    uow.wallets.expect_lock_many().returning(|users| {
        let known = users.iter().filter(|user| **user != STRANGER);
        Ok(known.map(|user| (*user, Wallet { user: *user, balance: Money::ZERO })).collect())
    });
    uow.coupons.expect_lock_many().returning(move |_| Ok([(code(), coupon(issued))].into()));
    let holders: BTreeMap<UserId, i64> = holders.iter().copied().collect();
    let tickets: BTreeSet<(CouponId, i64)> = holders.values().map(|ticket| (CouponId(1), *ticket)).collect();
    uow.coupons.expect_lock_held().returning(move |asked| {
        let found =
            asked.iter().filter_map(|holder| Some((*holder, held(holder.0, *holders.get(&holder.0)?))));
        Ok(found.collect())
    });
    uow.coupons.expect_taken_tickets().returning(move |asked| Ok(&tickets & asked));
    uow.idempotency.expect_find_many().returning(|_| Ok(BTreeMap::new()));
    uow.idempotency.expect_insert_many().returning(|_| Ok(()));
    uow
}

/// The same, and so many are issued on these tickets.
fn issuing(mut uow: MockedUnitOfWork, tickets: &'static [i64]) -> MockedUnitOfWork {
    let issued = |issued: &[UserCoupon]| issued.iter().map(|issued| issued.ticket).collect::<Vec<_>>();
    uow.coupons.expect_issue().times(1).withf(move |some| issued(some) == tickets).returning(|_| Ok(()));
    uow.outbox.expect_append().times(1).returning(|_| Ok(()));
    uow
}

struct Claiming {
    claims: CouponClaims,
    database: Arc<Prepared>,
}

fn claiming(gate: MockCouponGate, places: MockCouponPlaces, batches: Vec<MockedUnitOfWork>) -> Claiming {
    let database = Prepared::new(batches.into_iter().map(Ok));
    let executor =
        Executor::new(ClaimCoupons, database.clone(), Arc::new(Counting::default()), Arc::new(Stopped));
    let settings =
        BatcherSettings { batch_size: 16, queue_length: 1000, lanes: 1, deadline: Duration::from_secs(3600) };
    let batcher = Batcher::start(executor, settings);
    let claims = CouponClaims::start(Arc::new(gate), Arc::new(places), batcher, Arc::new(Stopped));
    Claiming { claims, database }
}

impl Claiming {
    async fn claim(&self, user: UserId) -> Reply<ClaimCoupons> {
        self.claims.claim(user, code(), None).await
    }

    async fn outcome(&self, user: UserId) -> Outcome<ClaimCoupons> {
        self.claim(user).await.unwrap().outcome
    }

    /// Waits until the gate and the database were told everything; how many batches there were.
    async fn batches(self) -> usize {
        self.claims.drain().await;
        self.database.begun()
    }
}

fn ticket(outcome: Outcome<ClaimCoupons>) -> i64 {
    outcome.unwrap().user_coupon.ticket
}

/// A gate that says the same to everybody.
fn gate(admission: Admission) -> MockCouponGate {
    let mut gate = MockCouponGate::new();
    gate.expect_admit().returning(move |_, _, _, _| Ok(admission));
    gate
}

fn expect_settled(gate: &mut MockCouponGate, user: UserId, ticket: i64, outcome: Settled) {
    let settlement = Settlement { user, ticket, outcome };
    gate.expect_settle().times(1).withf(move |_, told| told == [settlement]).returning(|_, _| Ok(()));
}

/// Whoever asks may see to the gate.
fn anybody_leads(gate: &mut MockCouponGate) {
    gate.expect_lead().returning(|_| Ok(Some(Lead(1))));
    gate.expect_done().returning(|_, _| Ok(()));
}

/// The terms of the coupon at a version.
fn edition(version: i32) -> Edition {
    Edition { coupon: CouponId(1), version }
}

fn claimable(version: i32, window: Range<DateTime<Utc>>) -> Claimable {
    Claimable { edition: edition(version), window }
}

/// There is such a coupon, and it can be claimed.
fn on_offer() -> MockCouponPlaces {
    let mut places = MockCouponPlaces::new();
    places.expect_claimable().returning(|_| Ok(Some(claimable(1, moment(-1)..moment(1)))));
    places
}

fn opening() -> Opening {
    Opening {
        edition: edition(1),
        starts_at: moment(-1),
        ends_at: moment(1),
        tickets: 1..11,
        holders: BTreeMap::new(),
        opened_at: moment(0),
    }
}

fn over(version: i32, holders: Option<BTreeMap<UserId, i64>>) -> Over {
    Over { edition: edition(version), starts_at: moment(-1), ends_at: moment(1), holders }
}

#[tokio::test]
async fn who_is_let_in_gets_the_coupon_on_the_ticket_and_the_gate_is_told() {
    let mut gate = gate(Admission::Admitted { ticket: 4 });
    expect_settled(&mut gate, USER, 4, Settled::Issued(4));
    let shop = claiming(gate, on_offer(), vec![issuing(database(3, &[]), &[4])]);
    assert_eq!(ticket(shop.outcome(USER).await), 4);
    assert_eq!(shop.batches().await, 1);
}

#[tokio::test]
async fn who_is_turned_away_does_not_reach_the_database() {
    for refusal in [
        ClaimRefusal::NotStarted(moment(1)),
        ClaimRefusal::Ended(moment(-1)),
        ClaimRefusal::AlreadyClaimed { ticket: 3 },
        ClaimRefusal::SoldOut,
    ] {
        let shop = claiming(gate(Admission::Refused(refusal)), on_offer(), vec![]);
        assert_eq!(shop.outcome(USER).await, Err(refusal));
        assert_eq!(shop.batches().await, 0);
    }
}

#[tokio::test]
async fn a_claim_with_a_key_is_recorded_and_does_not_pass_those_who_were_let_in() {
    let shop = claiming(
        gate(Admission::Refused(ClaimRefusal::SoldOut)),
        on_offer(),
        // Nine are issued, and the tenth is on its way to somebody who came before.
        vec![database(9, &[])],
    );
    let reply = shop.claims.claim(USER, code(), Some("key".parse().unwrap())).await;
    assert_eq!(reply.unwrap().outcome, Err(ClaimRefusal::SoldOut));
    assert_eq!(shop.batches().await, 1);
}

#[tokio::test]
async fn without_a_gate_the_database_hands_out_the_next_ticket() {
    let mut gate = MockCouponGate::new();
    gate.expect_admit().returning(|_, _, _, _| Err(GateAway));
    let shop = claiming(gate, on_offer(), vec![issuing(database(3, &[]), &[11])]);
    assert_eq!(ticket(shop.outcome(USER).await), 11);
}

#[tokio::test]
async fn a_ticket_that_somebody_holds_or_that_was_never_handed_out_is_replaced() {
    for handed_out_twice in [4, 11] {
        let mut gate = gate(Admission::Admitted { ticket: handed_out_twice });
        expect_settled(&mut gate, USER, handed_out_twice, Settled::Issued(11));
        let batch = issuing(database(3, &[(UserId(2), 4)]), &[11]);
        let shop = claiming(gate, on_offer(), vec![batch]);
        assert_eq!(ticket(shop.outcome(USER).await), 11);
        shop.batches().await;
    }
}

#[tokio::test]
async fn a_place_that_comes_to_nothing_is_written_down_and_then_free() {
    let mut order = Sequence::new();
    let mut places = on_offer();
    let given_back = |_: &CouponCode, tickets: &BTreeSet<i64>| *tickets == BTreeSet::from([4]);
    places.expect_give_back().times(1).in_sequence(&mut order).withf(given_back).returning(|_, _| Ok(()));
    let mut gate = gate(Admission::Admitted { ticket: 4 });
    let returned = Settlement { user: STRANGER, ticket: 4, outcome: Settled::Returned };
    gate.expect_settle()
        .times(1)
        .in_sequence(&mut order)
        .withf(move |_, told| told == [returned])
        .returning(|_, _| Ok(()));
    let shop = claiming(gate, places, vec![database(3, &[])]);
    assert!(matches!(shop.claim(STRANGER).await, Err(WriteError::UnknownUser(STRANGER))));
    assert_eq!(shop.batches().await, 1);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_down_stays_taken_until_it_is_overdue() {
    let mut places = on_offer();
    places.expect_give_back().times(1).returning(|_, _| Err(backend()));
    let mut gate = gate(Admission::Admitted { ticket: 4 });
    gate.expect_settle().times(1).withf(|_, told| told.is_empty()).returning(|_, _| Ok(()));
    let shop = claiming(gate, places, vec![database(3, &[])]);
    assert!(shop.claim(STRANGER).await.is_err());
    shop.batches().await;
}

#[tokio::test]
async fn a_holder_whom_the_gate_does_not_know_keeps_the_old_ticket() {
    let mut places = on_offer();
    places.expect_give_back().times(1).returning(|_, _| Ok(()));
    let mut gate = gate(Admission::Admitted { ticket: 4 });
    expect_settled(&mut gate, USER, 4, Settled::Held(2));
    let shop = claiming(gate, places, vec![database(3, &[(USER, 2)])]);
    assert_eq!(shop.outcome(USER).await, Err(ClaimRefusal::AlreadyClaimed { ticket: 2 }));
    shop.batches().await;
}

#[tokio::test]
async fn what_is_not_known_is_not_told() {
    let mut uow = issuing(database(3, &[]), &[4]);
    uow.commit_fails = Some(backend());
    let shop = claiming(gate(Admission::Admitted { ticket: 4 }), on_offer(), vec![uow]);
    assert!(matches!(shop.claim(USER).await, Err(WriteError::Unknown(_))));
    assert_eq!(shop.batches().await, 1, "the gate is told nothing");
}

#[tokio::test]
async fn a_closed_gate_is_opened_once_for_all_who_come() {
    let mut gate = MockCouponGate::new();
    let open = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_open = Arc::clone(&open);
    gate.expect_admit().returning(move |_, _, _, _| {
        Ok(match is_open.load(std::sync::atomic::Ordering::SeqCst) {
            true => Admission::Refused(ClaimRefusal::SoldOut),
            false => Admission::Closed,
        })
    });
    gate.expect_open().times(1).withf(|_, told| *told == opening()).returning(move |_, _| {
        open.store(true, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    });
    anybody_leads(&mut gate);
    let mut places = on_offer();
    places.expect_hand_out().times(1).returning(|_| Ok(Some(opening())));
    let shop = claiming(gate, places, vec![]);
    let outcomes = join_all((1..=50).map(|user| shop.outcome(UserId(user)))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Err(ClaimRefusal::SoldOut)));
}

#[tokio::test]
async fn an_unknown_code_opens_nothing_and_is_remembered_for_a_moment() {
    let mut places = MockCouponPlaces::new();
    places.expect_claimable().times(1).returning(|_| Ok(None));
    let shop = claiming(gate(Admission::Closed), places, vec![]);
    for user in 1..=50 {
        assert_eq!(shop.outcome(UserId(user)).await, Err(ClaimRefusal::Unknown));
    }
}

#[tokio::test]
async fn a_coupon_whose_window_is_closed_gets_no_gate() {
    let mut places = MockCouponPlaces::new();
    // For the claim, and once more because the gate is closed.
    places.expect_claimable().times(2).returning(|_| Ok(Some(claimable(1, moment(-1)..moment(0)))));
    let shop = claiming(gate(Admission::Closed), places, vec![]);
    for user in 1..=50 {
        assert_eq!(shop.outcome(UserId(user)).await, Err(ClaimRefusal::Ended(moment(0))));
    }
}

#[tokio::test]
async fn who_finds_no_place_has_the_overdue_ones_looked_up() {
    let mut gate = MockCouponGate::new();
    let mut order = Sequence::new();
    let mut say = |admission: Admission, times: usize| {
        gate.expect_admit().times(times).in_sequence(&mut order).returning(move |_, _, _, _| Ok(admission));
    };
    // As it is met, among those who wait, and as the leader.
    say(Admission::Exhausted, 3);
    say(Admission::Admitted { ticket: 5 }, 1);
    anybody_leads(&mut gate);
    gate.expect_overdue().times(1).returning(|_, _| Ok([(UserId(2), 4), (UserId(3), 5)].into()));
    let found_out = [
        Settlement { user: UserId(2), ticket: 4, outcome: Settled::Held(4) },
        Settlement { user: UserId(3), ticket: 5, outcome: Settled::Returned },
    ];
    gate.expect_settle().times(1).withf(move |_, told| told == found_out).returning(|_, _| Ok(()));
    expect_settled(&mut gate, USER, 5, Settled::Issued(5));
    let mut places = on_offer();
    places.expect_holders().times(1).returning(|_, _| Ok([(UserId(2), 4)].into()));
    let given_back = |_: &CouponCode, tickets: &BTreeSet<i64>| *tickets == BTreeSet::from([5]);
    places.expect_give_back().times(1).withf(given_back).returning(|_, _| Ok(()));
    let shop = claiming(gate, places, vec![issuing(database(9, &[]), &[5])]);
    assert_eq!(ticket(shop.outcome(USER).await), 5);
    shop.batches().await;
}

#[tokio::test]
async fn a_sold_out_coupon_is_remembered_with_its_holders() {
    let mut gate = MockCouponGate::new();
    gate.expect_admit().times(3).returning(|_, _, _, _| Ok(Admission::Exhausted));
    gate.expect_overdue().returning(|_, _| Ok(BTreeMap::new()));
    anybody_leads(&mut gate);
    let mut places = on_offer();
    let over = || over(1, Some([(UserId(2), 7)].into()));
    places.expect_sold_out().times(1).returning(move |_, _| Ok(Some(over())));
    let shop = claiming(gate, places, vec![]);
    for _ in 0..50 {
        assert_eq!(shop.outcome(USER).await, Err(ClaimRefusal::SoldOut));
        assert_eq!(shop.outcome(UserId(2)).await, Err(ClaimRefusal::AlreadyClaimed { ticket: 7 }));
    }
}

#[tokio::test]
async fn a_gate_that_lost_places_is_opened_anew() {
    let mut gate = MockCouponGate::new();
    let mut order = Sequence::new();
    gate.expect_admit().times(3).in_sequence(&mut order).returning(|_, _, _, _| Ok(Admission::Exhausted));
    gate.expect_open().times(1).in_sequence(&mut order).returning(|_, _| Ok(()));
    gate.expect_admit()
        .times(1)
        .in_sequence(&mut order)
        .returning(|_, _, _, _| Ok(Admission::Refused(ClaimRefusal::AlreadyClaimed { ticket: 1 })));
    gate.expect_overdue().returning(|_, _| Ok(BTreeMap::new()));
    anybody_leads(&mut gate);
    let mut places = on_offer();
    places.expect_sold_out().times(1).returning(|_, _| Ok(None));
    places.expect_hand_out().times(1).returning(|_| Ok(Some(opening())));
    let shop = claiming(gate, places, vec![]);
    assert_eq!(shop.outcome(USER).await, Err(ClaimRefusal::AlreadyClaimed { ticket: 1 }));
}

#[tokio::test]
async fn a_claim_with_a_key_that_came_too_early_stays_too_early() {
    let too_early = ClaimRefusal::NotStarted(moment(0));
    // The window has opened when the database gets to it.
    let shop = claiming(gate(Admission::Refused(too_early)), on_offer(), vec![database(0, &[])]);
    let reply = shop.claims.claim(USER, code(), Some("key".parse().unwrap())).await;
    assert_eq!(reply.unwrap().outcome, Err(too_early));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_another_instance_goes_to_the_database() {
    let mut gate = gate(Admission::Closed);
    gate.expect_lead().returning(|_| Ok(None));
    let shop = claiming(gate, on_offer(), vec![issuing(database(3, &[]), &[11])]);
    assert_eq!(ticket(shop.outcome(USER).await), 11);
}

#[tokio::test(start_paused = true)]
async fn a_coupon_that_was_sold_out_is_not_once_there_are_more() {
    let mut gate = MockCouponGate::new();
    let known = |version| {
        move |_: &CouponCode, known: &Option<Edition>, _: &UserId, _: &DateTime<Utc>| {
            *known == Some(edition(version))
        }
    };
    gate.expect_admit().times(3).withf(known(1)).returning(|_, _, _, _| Ok(Admission::Exhausted));
    gate.expect_admit()
        .times(1)
        .withf(known(2))
        .returning(|_, _, _, _| Ok(Admission::Refused(ClaimRefusal::AlreadyClaimed { ticket: 11 })));
    gate.expect_overdue().returning(|_, _| Ok(BTreeMap::new()));
    anybody_leads(&mut gate);
    let mut places = MockCouponPlaces::new();
    let mut version = 0;
    places.expect_claimable().returning(move |_| {
        version += 1;
        Ok(Some(claimable(version, moment(-1)..moment(1))))
    });
    places.expect_sold_out().times(1).returning(|_, _| Ok(Some(over(1, Some(BTreeMap::new())))));
    let shop = claiming(gate, places, vec![]);
    for _ in 0..10 {
        assert_eq!(shop.outcome(USER).await, Err(ClaimRefusal::SoldOut));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(shop.outcome(USER).await, Err(ClaimRefusal::AlreadyClaimed { ticket: 11 }));
}

#[tokio::test]
async fn what_was_changed_here_counts_at_once_though_the_gate_be_away() {
    let mut gate = MockCouponGate::new();
    gate.expect_admit().returning(|_, _, _, _| Ok(Admission::Closed));
    gate.expect_close().times(1).withf(|_, now| *now == edition(2)).returning(|_, _| Err(GateAway));
    anybody_leads(&mut gate);
    let mut places = MockCouponPlaces::new();
    places.expect_claimable().returning(|_| Ok(Some(claimable(2, moment(-1)..moment(0)))));
    let shop = claiming(gate, places, vec![]);
    shop.claims.changed(&Coupon { version: 2, retired_at: Some(moment(0)), ..coupon(3) }).await;
    assert_eq!(shop.outcome(USER).await, Err(ClaimRefusal::Ended(moment(0))));
}

#[tokio::test]
async fn while_the_database_says_nothing_the_gate_is_believed() {
    let mut gate = MockCouponGate::new();
    gate.expect_admit()
        .withf(|_, known, _, _| known.is_none())
        .returning(|_, _, _, _| Ok(Admission::Refused(ClaimRefusal::SoldOut)));
    let mut places = MockCouponPlaces::new();
    places.expect_claimable().returning(|_| Err(backend()));
    let shop = claiming(gate, places, vec![]);
    assert_eq!(shop.outcome(USER).await, Err(ClaimRefusal::SoldOut));
}
