//! Claiming coupons, first come, first served.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jangteo_domain::coupon::{ClaimRefusal, Coupon, Discount, UserCoupon, UserCouponState};
use jangteo_domain::{CouponCode, CouponId, RepositoryError, UserCouponId, UserId};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::outbox::OutboxMessage;
use crate::snapshot::{DiscountSnapshot, Moment, from_json, to_json};

/// Issues coupons to customers: never more than there are, one each.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClaimCoupons;

/// Claim one coupon.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who.
    pub user: UserId,
    /// Which.
    pub code: CouponCode,
    /// What the gate said.
    pub place: Place,
}

/// The place of a claim in the queue for its coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The gate let it in with this ticket.
    Ticket(i64),
    /// The gate turned it away, for this reason. It is decided all the same, because its key may be known.
    Refused(ClaimRefusal),
    /// No gate was asked: it gets the next ticket, if there is one.
    Ungated,
}

/// A coupon that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The customer's copy.
    pub user_coupon: UserCoupon,
    /// Its code.
    pub code: CouponCode,
    /// What it takes off.
    pub discount: Discount,
}

#[async_trait]
impl Operation for ClaimCoupons {
    const NAME: &'static str = "claim-coupon";
    const IDS: Option<Sequence> = Some(Sequence::UserCoupons);

    type Command = Claim;
    type Success = Issued;
    type Refusal = ClaimRefusal;

    fn customer(claim: &Claim) -> Option<UserId> {
        Some(claim.user)
    }

    fn fingerprint(claim: &Claim) -> Fingerprint {
        Fingerprint::of(&claim.code.as_str())
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        claims: &[&Claim],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let codes: BTreeSet<CouponCode> = claims.iter().map(|claim| claim.code.clone()).collect();
        let mut coupons = work.uow.coupons().lock_many(&codes).await?;
        let holders: BTreeSet<(UserId, CouponId)> =
            claims.iter().filter_map(|claim| Some((claim.user, coupons.get(&claim.code)?.id))).collect();
        let held = match holders.is_empty() {
            true => BTreeMap::new(),
            false => work.uow.coupons().lock_held(&holders).await?,
        };
        let mut places = Places {
            held: held.into_iter().map(|(holder, held)| (holder, held.ticket)).collect(),
            taken: taken_tickets(work, claims, &coupons).await?,
        };
        let outcomes: Vec<Outcome<Self>> = claims
            .iter()
            .map(|claim| {
                let coupon = coupons.get_mut(&claim.code).ok_or(ClaimRefusal::Unknown)?;
                issue(coupon, claim, &mut places, work)
            })
            .collect();
        let issued: Vec<UserCoupon> =
            outcomes.iter().flatten().map(|issued| issued.user_coupon.clone()).collect();
        if !issued.is_empty() {
            work.uow.coupons().issue(&issued).await?;
            let events: Vec<OutboxMessage> = outcomes
                .iter()
                .flatten()
                .map(|issued| OutboxMessage::coupon_issued(&issued.user_coupon, &issued.code))
                .collect();
            work.uow.outbox().append(&events).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        Some(to_json(&Record::from(outcome)))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        from_json::<Record>(record)?.try_into()
    }
}

/// Who holds what, and which tickets are gone, as the batch goes on.
struct Places {
    held: BTreeMap<(UserId, CouponId), i64>,
    taken: BTreeSet<(CouponId, i64)>,
}

/// Those of the claims' tickets that somebody else holds: a gate that lost its memory may hand one out again.
async fn taken_tickets(
    work: &mut Work<'_>,
    claims: &[&Claim],
    coupons: &BTreeMap<CouponCode, Coupon>,
) -> Result<BTreeSet<(CouponId, i64)>, RepositoryError> {
    let tickets: BTreeSet<(CouponId, i64)> = claims
        .iter()
        .filter_map(|claim| match claim.place {
            Place::Ticket(ticket) => Some((coupons.get(&claim.code)?.id, ticket)),
            Place::Refused(_) | Place::Ungated => None,
        })
        .collect();
    match tickets.is_empty() {
        true => Ok(tickets),
        false => work.uow.coupons().taken_tickets(&tickets).await,
    }
}

fn issue(
    coupon: &mut Coupon,
    claim: &Claim,
    places: &mut Places,
    work: &mut Work<'_>,
) -> Outcome<ClaimCoupons> {
    if let Place::Refused(refusal @ (ClaimRefusal::NotStarted(_) | ClaimRefusal::Ended(_))) = claim.place {
        return Err(refusal);
    }
    coupon.check_window(work.now)?;
    if let Some(&ticket) = places.held.get(&(claim.user, coupon.id)) {
        return Err(ClaimRefusal::AlreadyClaimed { ticket });
    }
    let ticket = match claim.place {
        Place::Ticket(ticket) => Some(ticket),
        Place::Refused(refusal) => return Err(refusal),
        Place::Ungated => None,
    };
    // One that was never handed out, or to somebody else, comes from a gate before another database than this.
    let ticket =
        ticket.filter(|ticket| *ticket < coupon.next_ticket && !places.taken.contains(&(coupon.id, *ticket)));
    // A refused claim leaves its id to the next one.
    let id = *work.ids.as_slice().first().expect("an id for every claim");
    let user_coupon = coupon.issue(UserCouponId(id), claim.user, ticket, work.now)?;
    work.ids.next();
    places.held.insert((claim.user, coupon.id), user_coupon.ticket);
    places.taken.insert((coupon.id, user_coupon.ticket));
    Ok(Issued { user_coupon, code: coupon.code.clone(), discount: coupon.discount })
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Issued(IssuedRecord),
    Unknown,
    NotStarted(Moment),
    Ended(Moment),
    AlreadyClaimed(i64),
    SoldOut,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IssuedRecord {
    id: i64,
    user: i64,
    coupon: i64,
    code: String,
    ticket: i64,
    claimed_at: Moment,
    expires_at: Option<Moment>,
    discount: DiscountSnapshot,
}

impl From<&Outcome<ClaimCoupons>> for Record {
    fn from(outcome: &Outcome<ClaimCoupons>) -> Self {
        match outcome {
            Ok(Issued { user_coupon, code, discount }) => Self::Issued(IssuedRecord {
                id: user_coupon.id.0,
                user: user_coupon.user.0,
                coupon: user_coupon.coupon.0,
                code: code.to_string(),
                ticket: user_coupon.ticket,
                claimed_at: Moment(user_coupon.claimed_at),
                expires_at: user_coupon.expires_at.map(Moment),
                discount: DiscountSnapshot::from(*discount),
            }),
            Err(ClaimRefusal::Unknown) => Self::Unknown,
            Err(ClaimRefusal::NotStarted(at)) => Self::NotStarted(Moment(*at)),
            Err(ClaimRefusal::Ended(at)) => Self::Ended(Moment(*at)),
            Err(ClaimRefusal::AlreadyClaimed { ticket }) => Self::AlreadyClaimed(*ticket),
            Err(ClaimRefusal::SoldOut) => Self::SoldOut,
        }
    }
}

impl TryFrom<Record> for Outcome<ClaimCoupons> {
    type Error = serde_json::Error;

    fn try_from(record: Record) -> Result<Self, serde_json::Error> {
        let issued = match record {
            Record::Issued(issued) => issued,
            Record::Unknown => return Ok(Err(ClaimRefusal::Unknown)),
            Record::NotStarted(at) => return Ok(Err(ClaimRefusal::NotStarted(at.0))),
            Record::Ended(at) => return Ok(Err(ClaimRefusal::Ended(at.0))),
            Record::AlreadyClaimed(ticket) => return Ok(Err(ClaimRefusal::AlreadyClaimed { ticket })),
            Record::SoldOut => return Ok(Err(ClaimRefusal::SoldOut)),
        };
        Ok(Ok(Issued {
            user_coupon: UserCoupon {
                id: UserCouponId(issued.id),
                user: UserId(issued.user),
                coupon: CouponId(issued.coupon),
                ticket: issued.ticket,
                claimed_at: issued.claimed_at.0,
                expires_at: issued.expires_at.map(|at| at.0),
                state: UserCouponState::Claimed,
            },
            code: issued.code.parse().map_err(serde_json::Error::custom)?,
            discount: issued.discount.try_into()?,
        }))
    }
}
