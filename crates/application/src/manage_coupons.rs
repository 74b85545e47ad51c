//! Creating, changing and retiring coupons.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::coupon::{ChangeRefusal, CouponDraft, CouponRetired, DiscountKind, SettledTerm};
use jangteo_domain::{Coupon, CouponCode, CouponId, Money, RepositoryError, UserId};
use serde::{Deserialize, Serialize};

use crate::coupon_record::CouponRecord;
use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::snapshot::{Moment, MoneyText, from_json, to_json};
use crate::trail::{Administrator, Subject, TrailEntry};
use crate::unit_of_work::UnitOfWork;
use crate::versions::{Expected, Stale};

/// Does what administrators do to coupons. Who has it done tells [`CouponClaims`](crate::CouponClaims) of the change, so that
/// claims go by it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ManageCoupons;

/// Do something to a coupon.
#[derive(Debug, Clone)]
pub struct ManageCoupon {
    /// Who asks for it.
    pub by: Administrator,
    /// What.
    pub action: CouponAction,
}

/// What can be done to a coupon.
#[derive(Debug, Clone)]
pub enum CouponAction {
    /// Put one on offer.
    Create(Box<CouponDraft>),
    /// Change its terms.
    Change {
        /// Which.
        id: CouponId,
        /// Which versions.
        expected: Expected,
        /// What changes.
        draft: Box<CouponDraft>,
    },
    /// Take it off: nobody can claim it any more.
    Retire {
        /// Which.
        id: CouponId,
        /// Which versions.
        expected: Expected,
    },
}

/// A coupon as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// The coupon.
    pub coupon: Coupon,
    /// When that was.
    pub at: DateTime<Utc>,
}

/// The action that creates a coupon.
pub const CREATE_COUPON: &str = "create-coupon";
const CHANGE_COUPON: &str = "change-coupon";
/// The action that retires a coupon.
pub const RETIRE_COUPON: &str = "retire-coupon";

impl CouponAction {
    /// Names it in idempotency keys and on the trail.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => CREATE_COUPON,
            Self::Change { .. } => CHANGE_COUPON,
            Self::Retire { .. } => RETIRE_COUPON,
        }
    }

    fn coupon(&self) -> Option<CouponId> {
        match self {
            Self::Create(_) => None,
            Self::Change { id, .. } | Self::Retire { id, .. } => Some(*id),
        }
    }

    fn new_code(&self) -> Option<&CouponCode> {
        match self {
            Self::Create(draft) | Self::Change { draft, .. } => draft.code.as_ref(),
            Self::Retire { .. } => None,
        }
    }
}

/// Why nothing was done to a coupon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CouponRefusal {
    /// There is no such coupon.
    #[error("there is no such coupon")]
    Unknown,
    /// Somebody else was faster.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// Another coupon has the code.
    #[error("the code is taken")]
    CodeTaken,
    /// The coupon cannot change so.
    #[error(transparent)]
    Change(#[from] ChangeRefusal),
    /// There must be more terms than were said.
    #[error("a coupon needs more terms")]
    Incomplete,
}

impl From<CouponRetired> for CouponRefusal {
    fn from(retired: CouponRetired) -> Self {
        Self::Change(retired.into())
    }
}

#[async_trait]
impl Operation for ManageCoupons {
    const NAME: &'static str = "manage-coupon";
    const KEY_SCOPES: &'static [&'static str] = &[CREATE_COUPON, CHANGE_COUPON, RETIRE_COUPON];
    const IDS: Option<Sequence> = Some(Sequence::Coupons);

    type Command = ManageCoupon;
    type Success = Managed;
    type Refusal = CouponRefusal;

    /// No money moves.
    fn customer(_: &ManageCoupon) -> Option<UserId> {
        None
    }

    fn key_scope(command: &ManageCoupon) -> (Option<UserId>, &'static str) {
        (Some(command.by.user), command.action.name())
    }

    fn fingerprint(command: &ManageCoupon) -> Fingerprint {
        match &command.action {
            CouponAction::Create(draft) => Fingerprint::of(&DraftRecord::from(draft.as_ref())),
            CouponAction::Change { id, expected, draft } => {
                Fingerprint::of(&(id.0, expected.versions(), DraftRecord::from(draft.as_ref())))
            }
            CouponAction::Retire { id, expected } => Fingerprint::of(&(id.0, expected.versions())),
        }
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&ManageCoupon],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let mut register = Register::load(work.uow, commands).await?;
        let mut outcomes = Vec::with_capacity(commands.len());
        let mut entries = Vec::new();
        for command in commands {
            let outcome = register.decide(&command.action, &mut work.ids, work.now);
            if let Ok(change) = &outcome
                && change.before.as_ref() != Some(&change.after)
            {
                // One by one, in this order: a code may go from one coupon to the next.
                match change.before {
                    None => work.uow.coupons().insert(&change.after, work.now).await?,
                    Some(_) => work.uow.coupons().update(&change.after, work.now).await?,
                }
                entries.push(change.entry(command, work.now));
            }
            outcomes.push(outcome.map(|change| Managed { coupon: change.after, at: work.now }));
        }
        if !entries.is_empty() {
            work.uow.trail().append(&entries).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        let record = match outcome {
            Ok(Managed { coupon, at }) => Record::Done(Box::new(CouponRecord::from(coupon)), Moment(*at)),
            Err(CouponRefusal::CodeTaken) => Record::CodeTaken,
            Err(CouponRefusal::Change(ChangeRefusal::Retired(_))) => Record::Retired,
            Err(CouponRefusal::Change(ChangeRefusal::Settled(settled))) => {
                Record::Settled(settled.iter().copied().map(SettledRecord::from).collect())
            }
            Err(
                CouponRefusal::Unknown
                | CouponRefusal::Stale(_)
                | CouponRefusal::Change(ChangeRefusal::Faults(_))
                | CouponRefusal::Incomplete,
            ) => return None,
        };
        Some(to_json(&record))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::Done(coupon, at) => Ok(Managed { coupon: (*coupon).try_into()?, at: at.0 }),
            Record::CodeTaken => Err(CouponRefusal::CodeTaken),
            Record::Retired => Err(CouponRetired.into()),
            Record::Settled(settled) => {
                let settled = settled.into_iter().map(SettledTerm::from).collect();
                Err(ChangeRefusal::Settled(settled).into())
            }
        })
    }
}

/// A coupon before and after what was done to it.
struct Change {
    before: Option<Coupon>,
    after: Coupon,
}

impl Change {
    fn entry(&self, command: &ManageCoupon, now: DateTime<Utc>) -> TrailEntry {
        let before = self.before.as_ref().map(CouponRecord::from);
        let after = CouponRecord::from(&self.after);
        let subject = (Subject::Coupon, self.after.id.0);
        TrailEntry::new(&command.by, command.action.name(), subject, (before.as_ref(), Some(&after)), now)
    }
}

/// What the commands touch, as the batch goes on.
struct Register {
    coupons: BTreeMap<CouponId, Coupon>,
    owners: BTreeMap<CouponCode, CouponId>,
}

impl Register {
    async fn load(uow: &mut dyn UnitOfWork, commands: &[&ManageCoupon]) -> Result<Self, RepositoryError> {
        let actions = || commands.iter().map(|command| &command.action);
        let coupons: BTreeSet<CouponId> = actions().filter_map(CouponAction::coupon).collect();
        let codes: BTreeSet<CouponCode> = actions().filter_map(CouponAction::new_code).cloned().collect();
        let coupons = match coupons.is_empty() {
            true => BTreeMap::new(),
            false => uow.coupons().lock_by_ids(&coupons).await?,
        };
        let owners = match codes.is_empty() {
            true => BTreeMap::new(),
            false => uow.coupons().find_many(&codes).await?,
        };
        Ok(Self { coupons, owners: owners.into_iter().map(|(code, coupon)| (code, coupon.id)).collect() })
    }

    fn decide(
        &mut self,
        action: &CouponAction,
        ids: &mut impl Iterator<Item = i64>,
        now: DateTime<Utc>,
    ) -> Result<Change, CouponRefusal> {
        let (before, after) = match action {
            CouponAction::Create(draft) => {
                self.check_free(draft.code.as_ref(), None)?;
                let id = CouponId(ids.next().expect("an id for every command"));
                (None, draft.as_ref().clone().into_coupon(id).ok_or(CouponRefusal::Incomplete)?)
            }
            CouponAction::Change { id, expected, draft } => {
                let before = self.there(*id, expected)?;
                let after = before.changed(draft.as_ref().clone())?;
                self.check_free(Some(&after.code), Some(*id))?;
                (Some(before), after)
            }
            CouponAction::Retire { id, expected } => {
                let before = self.there(*id, expected)?;
                let after = before.retired(now)?;
                (Some(before), after)
            }
        };
        self.note(before.as_ref(), &after);
        Ok(Change { before, after })
    }

    fn there(&self, id: CouponId, expected: &Expected) -> Result<Coupon, CouponRefusal> {
        let coupon = self.coupons.get(&id).ok_or(CouponRefusal::Unknown)?;
        expected.check(coupon.version)?;
        Ok(coupon.clone())
    }

    fn check_free(&self, code: Option<&CouponCode>, whose: Option<CouponId>) -> Result<(), CouponRefusal> {
        match code.and_then(|code| self.owners.get(code)) {
            Some(owner) if Some(*owner) != whose => Err(CouponRefusal::CodeTaken),
            Some(_) | None => Ok(()),
        }
    }

    fn note(&mut self, before: Option<&Coupon>, after: &Coupon) {
        if let Some(before) = before {
            self.owners.remove(&before.code);
        }
        self.owners.insert(after.code.clone(), after.id);
        self.coupons.insert(after.id, after.clone());
    }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Done(Box<CouponRecord>, Moment),
    CodeTaken,
    Retired,
    Settled(Vec<SettledRecord>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum SettledRecord {
    Code,
    Kind,
    Value,
    Quantity(i64),
}

impl From<SettledTerm> for SettledRecord {
    fn from(settled: SettledTerm) -> Self {
        match settled {
            SettledTerm::Code => Self::Code,
            SettledTerm::Kind => Self::Kind,
            SettledTerm::Value => Self::Value,
            SettledTerm::Quantity { issued } => Self::Quantity(issued),
        }
    }
}

impl From<SettledRecord> for SettledTerm {
    fn from(record: SettledRecord) -> Self {
        match record {
            SettledRecord::Code => Self::Code,
            SettledRecord::Kind => Self::Kind,
            SettledRecord::Value => Self::Value,
            SettledRecord::Quantity(issued) => Self::Quantity { issued },
        }
    }
}

/// What a draft says, for its fingerprint.
#[derive(Serialize)]
struct DraftRecord<'a> {
    code: Option<&'a str>,
    name: Option<&'a str>,
    kind: Option<&'static str>,
    value: Option<MoneyText>,
    min_order_amount: Option<MoneyText>,
    max_discount: Option<Option<MoneyText>>,
    claim_window: (Option<Moment>, Option<Moment>),
    valid_until: Option<Option<Moment>>,
    valid_days: Option<Option<i64>>,
    total_quantity: Option<i64>,
    /// Which of those that may be none are said to be: JSON has one null for both.
    none: [bool; 3],
}

impl<'a> From<&'a CouponDraft> for DraftRecord<'a> {
    fn from(draft: &'a CouponDraft) -> Self {
        let amount = |amount: Money| MoneyText(amount);
        Self {
            code: draft.code.as_ref().map(CouponCode::as_str),
            name: draft.name.as_ref().map(|name| name.as_str()),
            kind: draft.kind.map(|kind| match kind {
                DiscountKind::Fixed => "FIXED",
                DiscountKind::Percent => "PERCENT",
            }),
            value: draft.value.map(amount),
            min_order_amount: draft.min_order_amount.map(amount),
            max_discount: draft.max_discount.map(|most| most.map(amount)),
            claim_window: (draft.claim_starts_at.map(Moment), draft.claim_ends_at.map(Moment)),
            valid_until: draft.valid_until.map(|until| until.map(Moment)),
            valid_days: draft.valid_days,
            total_quantity: draft.total_quantity,
            none: [
                draft.max_discount == Some(None),
                draft.valid_until == Some(None),
                draft.valid_days == Some(None),
            ],
        }
    }
}
