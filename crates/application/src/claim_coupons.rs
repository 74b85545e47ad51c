//! Claiming coupons, first come, first served.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jangteo_domain::coupon::{ClaimRefusal, Coupon, Discount, UserCoupon, UserCouponState};
use jangteo_domain::{CouponCode, CouponId, RepositoryError, UserCouponId, UserId};
use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::batcher::Batcher;
use crate::coupon_gate::CouponGate;
use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Answer, Operation, Outcome, Reply, Submission, Work};
use crate::outbox::OutboxMessage;
use crate::snapshot::{Moment, MoneyText, from_json, to_json};

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

/// The way in for claims: a gate that turns away those whom the database is known to refuse, before the batcher.
pub struct CouponClaims {
    gate: Arc<dyn CouponGate>,
    batcher: Batcher<ClaimCoupons>,
}

impl CouponClaims {
    /// Claims through this gate.
    pub fn new(gate: Arc<dyn CouponGate>, batcher: Batcher<ClaimCoupons>) -> Self {
        Self { gate, batcher }
    }

    /// Claims a coupon. A claim with an idempotency key always reaches the database, which alone knows the key.
    ///
    /// # Errors
    /// As [`Batcher::submit`].
    pub async fn claim(&self, submission: Submission<Claim>) -> Reply<ClaimCoupons> {
        let Claim { user, code } = submission.command.clone();
        if submission.key.is_none()
            && let Some(refusal) = self.gate.refusal(&code, user).await
        {
            return Ok(Answer { outcome: Err(refusal), replayed: false });
        }
        let reply = self.batcher.submit(submission).await?;
        self.gate.learn(&code, user, reply.outcome.as_ref().err().copied()).await;
        Ok(reply)
    }

    /// As [`Batcher::drain`].
    pub async fn drain(&self) {
        self.batcher.drain().await;
    }
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
        let mut held: BTreeSet<(UserId, CouponId)> = match holders.is_empty() {
            true => BTreeSet::new(),
            false => work.uow.coupons().lock_held(&holders).await?.into_keys().collect(),
        };
        let outcomes: Vec<Outcome<Self>> = claims
            .iter()
            .map(|claim| {
                let coupon = coupons.get_mut(&claim.code).ok_or(ClaimRefusal::Unknown)?;
                issue(coupon, claim, &mut held, work)
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

fn issue(
    coupon: &mut Coupon,
    claim: &Claim,
    held: &mut BTreeSet<(UserId, CouponId)>,
    work: &mut Work<'_>,
) -> Outcome<ClaimCoupons> {
    coupon.check_window(work.now)?;
    if held.contains(&(claim.user, coupon.id)) {
        return Err(ClaimRefusal::AlreadyClaimed);
    }
    // A refused claim leaves its id to the next one.
    let id = *work.ids.as_slice().first().expect("an id for every claim");
    let user_coupon = coupon.issue(UserCouponId(id), claim.user, work.now)?;
    work.ids.next();
    held.insert((claim.user, coupon.id));
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
    AlreadyClaimed,
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
    discount: DiscountRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum DiscountRecord {
    Fixed(MoneyText),
    Percent(String),
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
                discount: match discount {
                    Discount::Fixed(amount) => DiscountRecord::Fixed(MoneyText(*amount)),
                    Discount::Percent(percent) => DiscountRecord::Percent(percent.to_string()),
                },
            }),
            Err(ClaimRefusal::Unknown) => Self::Unknown,
            Err(ClaimRefusal::NotStarted(at)) => Self::NotStarted(Moment(*at)),
            Err(ClaimRefusal::Ended(at)) => Self::Ended(Moment(*at)),
            Err(ClaimRefusal::AlreadyClaimed) => Self::AlreadyClaimed,
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
            Record::AlreadyClaimed => return Ok(Err(ClaimRefusal::AlreadyClaimed)),
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
            discount: match issued.discount {
                DiscountRecord::Fixed(amount) => Discount::Fixed(amount.0),
                DiscountRecord::Percent(percent) => {
                    Discount::Percent(Decimal::from_str_exact(&percent).map_err(serde_json::Error::custom)?)
                }
            },
        }))
    }
}
