//! The coupon gate that instances share.
//!
//! The keys of a coupon are in one hash slot: `gate` (which terms, window, the tickets to hand out, the next of them), `holders` (user ->
//! ticket, those who were let in included), `pending` (those who were let in and not settled yet, by when they are overdue),
//! `free` (tickets that came back). Each step is one script, so that nobody sees half of it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use deadpool_redis::redis::{self, Script, ScriptInvocation};
use jangteo_application::CouponGate;
use jangteo_application::coupon_gate::{Admission, Edition, GateAway, Lead, Opening, Settlement};
use jangteo_domain::coupon::ClaimRefusal;
use jangteo_domain::{CouponCode, UserId};

use crate::client::{Away, Redis};

static ADMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("coupon_gate/admit.lua")));
static OPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("coupon_gate/open.lua")));
static CLOSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("coupon_gate/close.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("coupon_gate/settle.lua")));
static OVERDUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("coupon_gate/overdue.lua")));
static DONE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("coupon_gate/done.lua")));

/// How long somebody may lead before another may.
const LEAD_MS: u64 = 2_000;
/// How long a gate is kept after its coupon's window has closed, and what is left of one that was closed: no opening is on
/// its way for so long.
const KEPT: TimeDelta = TimeDelta::hours(1);
/// Holders in one command, settlements and overdue places in one script.
const MANY: usize = 1_000;

/// Keeps the places of each coupon in Redis.
pub struct RedisCouponGate {
    redis: Redis,
    admission: TimeDelta,
}

impl From<Away> for GateAway {
    fn from(_: Away) -> Self {
        Self
    }
}

impl RedisCouponGate {
    /// A gate that waits so long to hear of a claim that it let in.
    #[must_use]
    pub fn new(redis: Redis, admission: TimeDelta) -> Self {
        Self { redis, admission }
    }

    fn key(&self, code: &CouponCode, part: &str) -> String {
        self.redis.key(&format!("coupon:{{{code}}}:{part}"))
    }

    /// Gate, holders, pending, free: as most scripts want them.
    fn invoke<'a>(&self, script: &'a Script, code: &CouponCode) -> ScriptInvocation<'a> {
        let mut invocation = script.prepare_invoke();
        for part in ["gate", "holders", "pending", "free"] {
            invocation.key(self.key(code, part));
        }
        invocation
    }

    /// Brings holders near, under a name of the opening's own: there may be more than one script should take.
    async fn bring(&self, key: &str, holders: &BTreeMap<UserId, i64>) -> Result<(), Away> {
        let holders: Vec<(i64, i64)> = holders.iter().map(|(user, ticket)| (user.0, *ticket)).collect();
        for some in holders.chunks(MANY) {
            let mut pipeline = redis::pipe();
            pipeline.hset_multiple(key, some).ignore().pexpire(key, 60_000).ignore();
            self.redis.pipeline::<()>(&pipeline).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl CouponGate for RedisCouponGate {
    async fn admit(
        &self,
        code: &CouponCode,
        known: Option<Edition>,
        user: UserId,
        now: DateTime<Utc>,
    ) -> Result<Admission, GateAway> {
        let mut script = self.invoke(&ADMIT, code);
        script.arg(user.0).arg(now.timestamp_micros()).arg((now + self.admission).timestamp_micros());
        match known {
            Some(Edition { coupon, version }) => script.arg(coupon.0).arg(version),
            None => script.arg("").arg(""),
        };
        let (word, number): (String, Option<i64>) = self.redis.script(&script).await?;
        admission(&word, number).ok_or(GateAway)
    }

    async fn open(&self, code: &CouponCode, opening: &Opening) -> Result<(), GateAway> {
        let first = opening.tickets.start;
        let brought = self.key(code, &format!("holders:{first}"));
        self.bring(&brought, &opening.holders).await?;
        let mut script = self.invoke(&OPEN, code);
        script.key(brought).arg(first).arg(opening.tickets.end);
        script.arg(opening.starts_at.timestamp_micros()).arg(opening.ends_at.timestamp_micros());
        script.arg((opening.ends_at + KEPT).timestamp_millis());
        script.arg(opening.edition.coupon.0).arg(opening.edition.version);
        Ok(self.redis.script::<()>(&script).await?)
    }

    async fn close(&self, code: &CouponCode, edition: Edition) -> Result<(), GateAway> {
        let mut script = self.invoke(&CLOSE, code);
        script.arg(edition.coupon.0).arg(edition.version).arg(KEPT.num_milliseconds());
        Ok(self.redis.script::<()>(&script).await?)
    }

    async fn settle(&self, code: &CouponCode, settlements: &[Settlement]) -> Result<(), GateAway> {
        for some in settlements.chunks(MANY) {
            let mut script = self.invoke(&SETTLE, code);
            for settlement in some {
                let held = settlement.held().map(|held| held.to_string()).unwrap_or_default();
                script.arg(settlement.user.0).arg(settlement.ticket).arg(held);
                script.arg(u8::from(settlement.is_returned()));
            }
            self.redis.script::<()>(&script).await?;
        }
        Ok(())
    }

    async fn overdue(
        &self,
        code: &CouponCode,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<UserId, i64>, GateAway> {
        let mut script = OVERDUE.prepare_invoke();
        script.key(self.key(code, "holders")).key(self.key(code, "pending"));
        script.arg(now.timestamp_micros()).arg((now + self.admission).timestamp_micros()).arg(MANY);
        let overdue: Vec<(i64, i64)> = self.redis.script(&script).await?;
        Ok(overdue.into_iter().map(|(user, ticket)| (UserId(user), ticket)).collect())
    }

    async fn lead(&self, code: &CouponCode) -> Result<Option<Lead>, GateAway> {
        let mark: u64 = rand::random();
        let mut set = redis::cmd("SET");
        set.arg(self.key(code, "lead")).arg(mark).arg("NX").arg("PX").arg(LEAD_MS);
        let set: Option<String> = self.redis.command(&set).await?;
        Ok(set.map(|_| Lead(mark)))
    }

    async fn done(&self, code: &CouponCode, lead: Lead) -> Result<(), GateAway> {
        let mut script = DONE.prepare_invoke();
        script.key(self.key(code, "lead")).arg(lead.0);
        Ok(self.redis.script::<()>(&script).await?)
    }
}

/// What the script says; `None` for anything it does not say.
fn admission(word: &str, number: Option<i64>) -> Option<Admission> {
    Some(match word {
        "admitted" => Admission::Admitted { ticket: number? },
        "held" => Admission::Refused(ClaimRefusal::AlreadyClaimed { ticket: number? }),
        "not-started" => {
            Admission::Refused(ClaimRefusal::NotStarted(DateTime::from_timestamp_micros(number?)?))
        }
        "ended" => Admission::Refused(ClaimRefusal::Ended(DateTime::from_timestamp_micros(number?)?)),
        "sold-out" => Admission::Refused(ClaimRefusal::SoldOut),
        "exhausted" => Admission::Exhausted,
        "closed" => Admission::Closed,
        _ => return None,
    })
}
