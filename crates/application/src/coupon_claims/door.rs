//! Between the claims and the gate: opens it, sees to places that are overdue, and remembers what cannot change.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jangteo_domain::coupon::ClaimRefusal;
use jangteo_domain::{Coupon, CouponCode, RepositoryError, UserId};
use metrics::counter;
use moka::sync::Cache;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::knowledge::{Knowledge, Known};
use crate::clock::Clock;
use crate::coupon_gate::{
    Admission, Claimable, CouponGate, CouponPlaces, Edition, GateAway, Opening, Over, Settled, Settlement,
};

/// How long it is believed that a coupon is sold out, unless it is changed.
const SOLD_OUT_FOR: Duration = Duration::from_secs(60);
/// Holders of sold-out coupons that are remembered, some 20 bytes each.
const HOLDERS: u64 = 1_000_000;
/// Of one coupon. If there are more, the gate is asked.
const HOLDERS_OF_ONE: u64 = 200_000;
/// How long a claim waits for the gate to be opened before the database has to do without.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(5);
/// Coupons that can be seen to at the same time.
const TURNS: usize = 64;

/// What the door says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    Admitted {
        ticket: i64,
    },
    Refused(ClaimRefusal),
    /// The gate is away.
    Ungated,
}

/// What asking the gate came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Done(Entrance),
    Exhausted,
    Closed,
}

impl Attempt {
    pub(super) fn entrance(self) -> Option<Entrance> {
        match self {
            Self::Done(entrance) => Some(entrance),
            Self::Exhausted | Self::Closed => None,
        }
    }
}

/// The gate could not be seen to, because it or the database is away.
struct Trouble;

impl From<GateAway> for Trouble {
    fn from(_: GateAway) -> Self {
        Self
    }
}

/// The next claim that reaches the database reports what is wrong with it.
impl From<RepositoryError> for Trouble {
    fn from(error: RepositoryError) -> Self {
        tracing::debug!(cause = ?error, "the coupon gate could not be seen to");
        Self
    }
}

pub(super) struct Door {
    gate: Arc<dyn CouponGate>,
    places: Arc<dyn CouponPlaces>,
    clock: Arc<dyn Clock>,
    knowledge: Arc<Knowledge>,
    /// Nobody can enter any more by these terms: who holds it is final.
    over: Cache<CouponCode, Arc<Over>>,
    /// One claim at a time sees to a gate, and others wait for it. Coupons may share a turn.
    turns: [Mutex<()>; TURNS],
}

impl Door {
    pub(super) fn new(
        gate: Arc<dyn CouponGate>,
        places: Arc<dyn CouponPlaces>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let weight = |_: &CouponCode, over: &Arc<Over>| {
            let holders = over.holders.as_ref().map_or(0, BTreeMap::len);
            u32::try_from(holders).unwrap_or(u32::MAX).saturating_add(100)
        };
        Self {
            knowledge: Knowledge::here(Arc::clone(&places)),
            gate,
            places,
            clock,
            over: Cache::builder().max_capacity(HOLDERS).weigher(weight).time_to_live(SOLD_OUT_FOR).build(),
            turns: [const { Mutex::const_new(()) }; TURNS],
        }
    }

    /// From memory, or with one question to the gate.
    pub(super) async fn try_enter(&self, code: &CouponCode, user: UserId) -> Attempt {
        let known = match self.knowledge.of(code).await {
            Known::NoSuchCoupon => return Attempt::Done(Entrance::Refused(ClaimRefusal::Unknown)),
            known @ (Known::Claimable(_) | Known::Nothing) => known.edition(),
        };
        let now = self.clock.now();
        let over = self.remembered(code, known);
        if let Some(refusal) = over.as_ref().and_then(|over| over.refusal(user, now)) {
            return Attempt::Done(Entrance::Refused(refusal));
        }
        match self.gate.admit(code, known, user, now).await {
            // Who holds it is more than is remembered, and the gate does not know either.
            Ok(Admission::Closed) if over.is_some() => Attempt::Done(Entrance::Ungated),
            Ok(Admission::Exhausted) if over.is_some() => {
                Attempt::Done(Entrance::Refused(ClaimRefusal::SoldOut))
            }
            Ok(Admission::Admitted { ticket }) => Attempt::Done(Entrance::Admitted { ticket }),
            Ok(Admission::Refused(refusal)) => Attempt::Done(Entrance::Refused(refusal)),
            Ok(Admission::Exhausted) => Attempt::Exhausted,
            Ok(Admission::Closed) => Attempt::Closed,
            Err(GateAway) => Attempt::Done(Entrance::Ungated),
        }
    }

    /// That nobody can enter any more, unless there are later terms.
    fn remembered(&self, code: &CouponCode, known: Option<Edition>) -> Option<Arc<Over>> {
        self.over.get(code).filter(|over| known.is_none_or(|known| over.edition.supersedes(known)))
    }

    /// Who claims from now on does so by these terms.
    pub(super) async fn changed(&self, coupon: &Coupon) {
        let claimable = Claimable::from(coupon);
        let edition = claimable.edition;
        self.knowledge.changed(&coupon.code, claimable);
        if self.gate.close(&coupon.code, edition).await.is_err() {
            tracing::warn!(coupon = %coupon.code, "the gate could not be closed: it is when the next claim comes");
        }
    }

    /// Has the gate opened, or asks the database about places, until the claim has its answer.
    pub(super) async fn see_to_it_and_enter(&self, code: &CouponCode, user: UserId) -> Entrance {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let attempt = self.try_enter(code, user).await;
            if let Some(entrance) = attempt.entrance() {
                return entrance;
            }
            let Ok(_turn) = self.turn(code).try_lock() else {
                // Somebody is at it, for all who wait here.
                drop(self.turn(code).lock().await);
                continue;
            };
            match self.see_to_it(attempt, code, user).await {
                Ok(Some(entrance)) => return entrance,
                Ok(None) => {}
                Err(Trouble) => break,
            }
        }
        Entrance::Ungated
    }

    fn turn(&self, code: &CouponCode) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        code.hash(&mut hasher);
        &self.turns[hasher.finish() as usize % TURNS]
    }

    /// One instance at a time. It asks again first: another may just have done what is to be done.
    async fn see_to_it(
        &self,
        attempt: Attempt,
        code: &CouponCode,
        user: UserId,
    ) -> Result<Option<Entrance>, Trouble> {
        if attempt == Attempt::Closed
            && let Some(refusal) = self.must_stay_closed(code).await?
        {
            return Ok(Some(Entrance::Refused(refusal)));
        }
        let Some(lead) = self.gate.lead(code).await? else {
            tokio::time::sleep(LOOK).await;
            return Ok(None);
        };
        let seeing = AssertUnwindSafe(self.lead(code, user)).catch_unwind();
        let seen_to = seeing.await.unwrap_or(Err(Trouble));
        self.gate.done(code, lead).await?;
        seen_to
    }

    /// Why there is no gate to be opened: nobody needs to lead for that, and nothing is left behind.
    async fn must_stay_closed(&self, code: &CouponCode) -> Result<Option<ClaimRefusal>, Trouble> {
        let Some(Claimable { edition, window }) = self.knowledge.learn(code).await? else {
            return Ok(Some(ClaimRefusal::Unknown));
        };
        let (starts_at, ends_at) = (window.start, window.end);
        if self.clock.now() < ends_at {
            return Ok(None);
        }
        self.over.insert(code.clone(), Arc::new(Over { edition, starts_at, ends_at, holders: None }));
        Ok(Some(ClaimRefusal::Ended(ends_at)))
    }

    async fn lead(&self, code: &CouponCode, user: UserId) -> Result<Option<Entrance>, Trouble> {
        match self.try_enter(code, user).await {
            Attempt::Done(entrance) => Ok(Some(entrance)),
            Attempt::Closed => self.open(code).await.map(|()| None),
            Attempt::Exhausted => self.look_for_places(code, user).await,
        }
    }

    async fn open(&self, code: &CouponCode) -> Result<(), Trouble> {
        let Some(opening) = self.places.hand_out(code).await? else { return Ok(()) };
        counter!("jangteo_coupon_gate_openings_total").increment(1);
        let Opening { tickets, holders, .. } = &opening;
        tracing::info!(coupon = %code, ?tickets, holders = holders.len(), "opening the gate before a coupon");
        Ok(self.gate.open(code, &opening).await?)
    }

    /// The gate has no place left: of those that were let in and not heard of since, the database knows what became.
    async fn look_for_places(&self, code: &CouponCode, user: UserId) -> Result<Option<Entrance>, Trouble> {
        let now = self.clock.now();
        let overdue = self.gate.overdue(code, now).await?;
        if overdue.is_empty() {
            return match self.sold_out(code).await? {
                Some(over) => {
                    let refusal = over.refusal(user, now).unwrap_or(ClaimRefusal::SoldOut);
                    Ok(Some(Entrance::Refused(refusal)))
                }
                // The gate has lost places.
                None => self.open(code).await.map(|()| None),
            };
        }
        let held = self.places.holders(code, &overdue.keys().copied().collect()).await?;
        let settlements = overdue.into_iter().map(|(user, ticket)| {
            let outcome = held.get(&user).map_or(Settled::Returned, |held| Settled::Held(*held));
            Settlement { user, ticket, outcome }
        });
        self.settle(code, settlements.collect()).await;
        Ok(None)
    }

    /// What is not learned now will be when somebody asks again.
    pub(super) async fn learn_whether_it_is_sold_out(&self, code: &CouponCode) {
        drop(self.sold_out(code).await);
    }

    /// Asks the database, unless it is known.
    async fn sold_out(&self, code: &CouponCode) -> Result<Option<Arc<Over>>, Trouble> {
        if let Some(over) = self.remembered(code, self.knowledge.last(code).edition()) {
            return Ok(Some(over));
        }
        let over = self.places.sold_out(code, HOLDERS_OF_ONE).await?.map(Arc::new);
        if let Some(over) = &over {
            self.over.insert(code.clone(), Arc::clone(over));
        }
        Ok(over)
    }

    /// Tickets that come back are written down before anybody else can get them.
    pub(super) async fn settle(&self, code: &CouponCode, mut settlements: Vec<Settlement>) {
        let returned: BTreeSet<i64> = settlements
            .iter()
            .filter(|settled| settled.is_returned())
            .map(|settled| settled.ticket)
            .collect();
        if !returned.is_empty() {
            match self.places.give_back(code, &returned).await {
                Ok(()) => counter!("jangteo_coupon_gate_returned_total").increment(returned.len() as u64),
                Err(error) => {
                    tracing::warn!(coupon = %code, cause = ?error, "tickets could not be given back yet");
                    // They will be overdue, and seen to then.
                    settlements.retain(|settlement| !settlement.is_returned());
                }
            }
        }
        // A gate that is away has forgotten them, or they will be overdue.
        let _ = self.gate.settle(code, &settlements).await;
    }
}
