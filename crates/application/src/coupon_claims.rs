//! The way in for coupon claims: through the gate, then to the database, and back to the gate with what it said.
//!
//! A claim that the gate lets in has a ticket. The batcher has the database issue the coupon on it, or not, and the gate
//! learns what became of the place: whatever is not settled in time, because a process died or a message was lost, is
//! overdue, and the next claim that finds no place asks the database about it. So no place is lost, and nobody is told yes
//! before the database has committed it. Where the gate is away, the database alone decides.

use std::sync::Arc;

use jangteo_domain::coupon::ClaimRefusal;
use jangteo_domain::{Coupon, CouponCode, UserId};
use metrics::counter;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::batcher::Batcher;
use crate::claim_coupons::{Claim, ClaimCoupons, Place};
use crate::clock::Clock;
use crate::coupon_gate::{CouponGate, CouponPlaces, Settled, Settlement};
use crate::idempotency::IdempotencyKey;
use crate::operation::{Answer, Reply, Submission, WriteError};

mod door;
mod knowledge;
mod settler;

use door::{Door, Entrance, PATIENCE};
use settler::{News, Settler};

/// Claims coupons for customers.
pub struct CouponClaims {
    door: Arc<Door>,
    batcher: Batcher<ClaimCoupons>,
    settler: Settler,
    home: Handle,
}

impl CouponClaims {
    /// Claims through this gate. What outlives a claim runs on the current Tokio runtime.
    #[must_use]
    pub fn start(
        gate: Arc<dyn CouponGate>,
        places: Arc<dyn CouponPlaces>,
        batcher: Batcher<ClaimCoupons>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let door = Arc::new(Door::new(gate, places, clock));
        Self { settler: Settler::start(Arc::clone(&door)), door, batcher, home: Handle::current() }
    }

    /// Claims a coupon. A claim with an idempotency key always reaches the database, which alone knows the key.
    ///
    /// # Errors
    /// As [`Batcher::submit`].
    pub async fn claim(
        &self,
        user: UserId,
        code: CouponCode,
        key: Option<IdempotencyKey>,
    ) -> Reply<ClaimCoupons> {
        let place = match self.enter(&code, user).await {
            Entrance::Refused(refusal) if key.is_none() => {
                counter!("jangteo_coupon_gate_total", "verdict" => verdict(refusal)).increment(1);
                return Ok(Answer { outcome: Err(refusal), replayed: false });
            }
            // Of holders and of coupons that there are, the database knows better.
            Entrance::Refused(ClaimRefusal::AlreadyClaimed { .. } | ClaimRefusal::Unknown)
            | Entrance::Ungated => Place::Ungated,
            Entrance::Refused(refusal) => Place::Refused(refusal),
            Entrance::Admitted { ticket } => Place::Ticket(ticket),
        };
        counter!("jangteo_coupon_gate_total", "verdict" => place_name(place)).increment(1);
        let command = Claim { user, code: code.clone(), place };
        let reply = self.batcher.submit(Submission { command, key }).await;
        self.report(&code, user, place, &reply);
        reply
    }

    /// Has claims go by a coupon's new terms from now on: those of this instance, and of all that share its gate. Others, and
    /// all of them when the gate is away, notice within a second.
    pub async fn changed(&self, coupon: &Coupon) {
        let (door, coupon) = (Arc::clone(&self.door), coupon.clone());
        let closing = self.home.spawn(async move { door.changed(&coupon).await });
        // A panic was logged where it happened.
        drop(closing.await);
    }

    /// Finishes the claims that were begun, as [`Batcher::drain`], and tells the gate of them.
    pub async fn drain(&self) {
        self.batcher.drain().await;
        self.settler.drain().await;
    }

    /// What takes longer than a question to the gate is finished even if the client goes away.
    async fn enter(&self, code: &CouponCode, user: UserId) -> Entrance {
        if let Some(entrance) = self.door.try_enter(code, user).await.entrance() {
            return entrance;
        }
        let (door, code) = (Arc::clone(&self.door), code.clone());
        let entering = self.home.spawn(async move { door.see_to_it_and_enter(&code, user).await });
        // Whoever waits too long goes without. A place that is got afterwards will be overdue.
        timeout(PATIENCE, entering)
            .await
            .map_or(Entrance::Ungated, |entered| entered.unwrap_or(Entrance::Ungated))
    }

    fn report(&self, code: &CouponCode, user: UserId, place: Place, reply: &Reply<ClaimCoupons>) {
        if let Ok(Answer { outcome: Err(ClaimRefusal::SoldOut), .. }) = reply
            && !matches!(place, Place::Refused(_))
        {
            self.settler.tell(News::SoldOut(code.clone()));
        }
        if let Place::Ticket(ticket) = place
            && let Some(outcome) = settled(reply)
        {
            self.settler.tell(News::Settled(code.clone(), Settlement { user, ticket, outcome }));
        }
    }
}

/// What became of a place; nothing when it is not known, and will be found out when the place is overdue.
fn settled(reply: &Reply<ClaimCoupons>) -> Option<Settled> {
    Some(match reply {
        Ok(Answer { outcome: Ok(issued), replayed: false }) => Settled::Issued(issued.user_coupon.ticket),
        Ok(Answer { outcome: Ok(issued), replayed: true }) => Settled::Held(issued.user_coupon.ticket),
        Ok(Answer { outcome: Err(ClaimRefusal::AlreadyClaimed { ticket }), .. }) => Settled::Held(*ticket),
        Ok(Answer { outcome: Err(_), .. })
        | Err(
            WriteError::UnknownUser(_)
            | WriteError::KeyReused
            | WriteError::Overloaded
            | WriteError::DeadlinePassed
            | WriteError::ShuttingDown
            | WriteError::Failed(_),
        ) => Settled::Returned,
        Err(WriteError::Unknown(_) | WriteError::Unreadable(_)) => return None,
    })
}

fn verdict(refusal: ClaimRefusal) -> &'static str {
    match refusal {
        ClaimRefusal::Unknown => "unknown",
        ClaimRefusal::NotStarted(_) => "not-started",
        ClaimRefusal::Ended(_) => "ended",
        ClaimRefusal::AlreadyClaimed { .. } => "already-claimed",
        ClaimRefusal::SoldOut => "sold-out",
    }
}

fn place_name(place: Place) -> &'static str {
    match place {
        Place::Ticket(_) => "admitted",
        Place::Refused(refusal) => verdict(refusal),
        Place::Ungated => "ungated",
    }
}

#[cfg(test)]
mod tests;
