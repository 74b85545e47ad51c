//! The coupon gate of one instance.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jangteo_application::CouponGate;
use jangteo_application::coupon_gate::{Admission, Edition, GateAway, Lead, Opening, Settlement};
use jangteo_domain::coupon::ClaimRefusal;
use jangteo_domain::{CouponCode, UserId};

/// Who leads for longer than that has come to grief.
const LONGEST_LEAD: Duration = Duration::from_secs(5);
/// How long what is left of a closed gate is kept: no opening is on its way for so long.
const KEPT: Duration = Duration::from_secs(3600);
/// Overdue places that are told at once.
const MANY: usize = 1_000;

/// Keeps the places of each coupon in memory.
pub struct MemoryCouponGate {
    gates: Mutex<HashMap<CouponCode, Gate>>,
    /// For which terms gates were closed, and when.
    closed: Mutex<HashMap<CouponCode, (Edition, Instant)>>,
    /// Since when somebody leads.
    leading: Mutex<HashMap<CouponCode, Instant>>,
    admission: TimeDelta,
}

struct Gate {
    edition: Edition,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    tickets: Range<i64>,
    /// The next ticket that nobody had yet.
    next: i64,
    /// Tickets that came back.
    free: BTreeSet<i64>,
    /// With their tickets; those who are let in and not settled yet included.
    holders: HashMap<UserId, i64>,
    /// Until when those are waited for.
    pending: HashMap<UserId, DateTime<Utc>>,
    /// The same, the earliest first.
    due: BTreeSet<(DateTime<Utc>, UserId)>,
}

impl MemoryCouponGate {
    /// A gate that knows no coupon yet, and waits so long to hear of a claim that it let in.
    #[must_use]
    pub fn new(admission: TimeDelta) -> Self {
        Self { gates: Mutex::default(), closed: Mutex::default(), leading: Mutex::default(), admission }
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<CouponCode, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken after the gates.
    fn closed(&self) -> MutexGuard<'_, HashMap<CouponCode, (Edition, Instant)>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leading(&self) -> MutexGuard<'_, HashMap<CouponCode, Instant>> {
        self.leading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CouponGate for MemoryCouponGate {
    async fn admit(
        &self,
        code: &CouponCode,
        known: Option<Edition>,
        user: UserId,
        now: DateTime<Utc>,
    ) -> Result<Admission, GateAway> {
        let mut gates = self.gates();
        match gates.get_mut(code).filter(|gate| known.is_none_or(|known| gate.edition.supersedes(known))) {
            Some(gate) => Ok(gate.admit(user, now, self.admission)),
            None => Ok(Admission::Closed),
        }
    }

    async fn open(&self, code: &CouponCode, opening: &Opening) -> Result<(), GateAway> {
        let mut gates = self.gates();
        // Openings are rare, and the gates before coupons that are over need not be kept.
        gates.retain(|_, gate| gate.ends_at > opening.opened_at);
        let closed = self.closed().get(code).map(|(edition, _)| *edition);
        let too_late = |edition: Edition| edition.supersedes(opening.edition) && edition != opening.edition;
        let later = gates.get(code).is_some_and(|gate| match gate.edition == opening.edition {
            true => gate.tickets.start >= opening.tickets.start,
            false => too_late(gate.edition),
        });
        if !later && !closed.is_some_and(too_late) {
            gates.insert(code.clone(), Gate::new(opening));
        }
        Ok(())
    }

    async fn close(&self, code: &CouponCode, edition: Edition) -> Result<(), GateAway> {
        let mut gates = self.gates();
        let mut closed = self.closed();
        closed.retain(|_, (_, since)| since.elapsed() < KEPT);
        if !closed.get(code).is_some_and(|(there, _)| there.supersedes(edition)) {
            closed.insert(code.clone(), (edition, Instant::now()));
        }
        if gates.get(code).is_some_and(|gate| !gate.edition.supersedes(edition)) {
            gates.remove(code);
        }
        Ok(())
    }

    async fn settle(&self, code: &CouponCode, settlements: &[Settlement]) -> Result<(), GateAway> {
        if let Some(gate) = self.gates().get_mut(code) {
            settlements.iter().for_each(|settlement| gate.settle(settlement));
        }
        Ok(())
    }

    async fn overdue(
        &self,
        code: &CouponCode,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<UserId, i64>, GateAway> {
        let mut gates = self.gates();
        Ok(gates.get_mut(code).map(|gate| gate.overdue(now, self.admission)).unwrap_or_default())
    }

    async fn lead(&self, code: &CouponCode) -> Result<Option<Lead>, GateAway> {
        let mut leading = self.leading();
        if leading.get(code).is_some_and(|since| since.elapsed() < LONGEST_LEAD) {
            return Ok(None);
        }
        leading.insert(code.clone(), Instant::now());
        Ok(Some(Lead(0)))
    }

    async fn done(&self, code: &CouponCode, _: Lead) -> Result<(), GateAway> {
        self.leading().remove(code);
        Ok(())
    }
}

impl Gate {
    fn new(opening: &Opening) -> Self {
        Self {
            edition: opening.edition,
            starts_at: opening.starts_at,
            ends_at: opening.ends_at,
            tickets: opening.tickets.clone(),
            next: opening.tickets.start,
            free: BTreeSet::new(),
            holders: opening.holders.iter().map(|(&user, &ticket)| (user, ticket)).collect(),
            pending: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    fn admit(&mut self, user: UserId, now: DateTime<Utc>, admission: TimeDelta) -> Admission {
        if now < self.starts_at {
            return Admission::Refused(ClaimRefusal::NotStarted(self.starts_at));
        }
        if now >= self.ends_at {
            return Admission::Refused(ClaimRefusal::Ended(self.ends_at));
        }
        if let Some(&ticket) = self.holders.get(&user) {
            return match self.pending.contains_key(&user) {
                true => Admission::Admitted { ticket },
                false => Admission::Refused(ClaimRefusal::AlreadyClaimed { ticket }),
            };
        }
        let Some(ticket) = self.take_ticket() else {
            return match self.due.first() {
                Some((due, _)) if *due > now => Admission::Refused(ClaimRefusal::SoldOut),
                Some(_) | None => Admission::Exhausted,
            };
        };
        self.holders.insert(user, ticket);
        self.wait_for(user, now + admission);
        Admission::Admitted { ticket }
    }

    fn wait_for(&mut self, user: UserId, until: DateTime<Utc>) {
        self.wait_no_longer(user);
        self.pending.insert(user, until);
        self.due.insert((until, user));
    }

    fn wait_no_longer(&mut self, user: UserId) {
        if let Some(until) = self.pending.remove(&user) {
            self.due.remove(&(until, user));
        }
    }

    /// The smallest that came back, or else the next.
    fn take_ticket(&mut self) -> Option<i64> {
        if let Some(free) = self.free.pop_first() {
            return Some(free);
        }
        let next = self.next;
        self.tickets.contains(&next).then(|| {
            self.next += 1;
            next
        })
    }

    fn settle(&mut self, settlement: &Settlement) {
        let Settlement { user, ticket, .. } = *settlement;
        let waited_for = self.holders.get(&user) == Some(&ticket) && self.pending.contains_key(&user);
        if waited_for {
            self.wait_no_longer(user);
            self.holders.remove(&user);
        }
        // Who is waited for with another ticket is settled with that.
        if let Some(held) = settlement.held()
            && !self.pending.contains_key(&user)
        {
            self.holders.insert(user, held);
        }
        if settlement.is_returned() && waited_for && self.tickets.contains(&ticket) {
            self.free.insert(ticket);
        }
    }

    fn overdue(&mut self, now: DateTime<Utc>, admission: TimeDelta) -> BTreeMap<UserId, i64> {
        let users: Vec<UserId> =
            self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, user)| *user).take(MANY).collect();
        let mut overdue = BTreeMap::new();
        for user in users {
            self.wait_for(user, now + admission);
            overdue.extend(self.holders.get(&user).map(|&ticket| (user, ticket)));
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jangteo_application::contracts;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn it_keeps_the_contract() {
        contracts::coupon_gate(Arc::new(MemoryCouponGate::new(TimeDelta::seconds(5)))).await;
    }
}
