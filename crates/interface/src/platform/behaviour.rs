//! How the platform behaves towards those who deliver over HTTP: well, unless it is told otherwise.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};

/// What it does with deliveries. `every` third one, say, or each of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum Behaviour {
    /// Keeps the events and says so.
    Ok {},
    /// Answers with a status, and keeps nothing.
    Fail {
        #[serde(default)]
        status: Failure,
        #[serde(default = "each")]
        every: NonZeroU64,
    },
    /// Takes the request, and neither keeps anything nor answers.
    Stall {
        #[serde(default = "each")]
        every: NonZeroU64,
    },
    /// Keeps the events, and answers late: who does not wait so long delivers them again.
    Slow {
        delay_ms: u64,
        #[serde(default = "each")]
        every: NonZeroU64,
    },
    /// Answers 400 to whatever has one of these events in it, by their ids, and keeps nothing of that.
    Refuse { events: BTreeSet<String> },
}

fn each() -> NonZeroU64 {
    NonZeroU64::MIN
}

impl Behaviour {
    fn every(&self) -> NonZeroU64 {
        match self {
            Self::Fail { every, .. } | Self::Stall { every } | Self::Slow { every, .. } => *every,
            Self::Ok {} | Self::Refuse { .. } => each(),
        }
    }
}

/// A status that says that the events were not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub(super) struct Failure(pub(super) StatusCode);

impl Default for Failure {
    fn default() -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl TryFrom<u16> for Failure {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        let known = StatusCode::from_u16(status).ok().filter(|_| (300..600).contains(&status));
        known.map(Self).ok_or_else(|| format!("`status` must be from 300 to 599, and is {status}"))
    }
}

impl From<Failure> for u16 {
    fn from(failure: Failure) -> Self {
        failure.0.as_u16()
    }
}

/// The behaviour, which may change at any time.
pub(super) struct Conduct(Mutex<State>);

struct State {
    behaviour: Behaviour,
    /// Deliveries since it changed.
    deliveries: u64,
}

impl Conduct {
    pub(super) fn good() -> Self {
        Self(Mutex::new(State { behaviour: Behaviour::Ok {}, deliveries: 0 }))
    }

    pub(super) fn change(&self, behaviour: Behaviour) {
        *self.state() = State { behaviour, deliveries: 0 };
    }

    pub(super) fn now(&self) -> Behaviour {
        self.state().behaviour.clone()
    }

    /// How to behave towards the next delivery.
    pub(super) fn next(&self) -> Behaviour {
        let mut state = self.state();
        state.deliveries += 1;
        let turn = state.deliveries.is_multiple_of(state.behaviour.every().get());
        if turn { state.behaviour.clone() } else { Behaviour::Ok {} }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(json: Value) -> Result<Behaviour, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        for (said, meant) in [
            (json!({"mode": "ok"}), json!({"mode": "ok"})),
            (json!({"mode": "fail"}), json!({"mode": "fail", "status": 500, "every": 1})),
            (
                json!({"mode": "fail", "status": 429, "every": 3}),
                json!({"mode": "fail", "status": 429, "every": 3}),
            ),
            (json!({"mode": "stall"}), json!({"mode": "stall", "every": 1})),
            (json!({"mode": "slow", "delayMs": 9}), json!({"mode": "slow", "delayMs": 9, "every": 1})),
            (
                json!({"mode": "refuse", "events": ["order-5-1"]}),
                json!({"mode": "refuse", "events": ["order-5-1"]}),
            ),
        ] {
            assert_eq!(json!(told(said).unwrap()), meant);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (said, reason) in [
            (json!({"mode": "sulk"}), "unknown variant `sulk`"),
            (json!({"mode": "ok", "status": 500}), "unknown field `status`"),
            (json!({"mode": "fail", "status": 200}), "`status` must be from 300 to 599"),
            (json!({"mode": "fail", "every": 0}), "nonzero"),
            (json!({"mode": "slow"}), "missing field `delayMs`"),
            (json!({"mode": "refuse"}), "missing field `events`"),
        ] {
            let refused = told(said.clone()).expect_err(reason);
            assert!(refused.contains(reason), "{said}: {refused}");
        }
    }

    #[test]
    fn every_third_delivery_counts_from_the_change() {
        let conduct = Conduct::good();
        assert_eq!(conduct.next(), Behaviour::Ok {});
        let failing = told(json!({"mode": "fail", "every": 3})).unwrap();
        conduct.change(failing.clone());
        let turns: Vec<bool> = (0..7).map(|_| conduct.next() == failing).collect();
        assert_eq!(turns, [false, false, true, false, false, true, false]);
        assert_eq!(conduct.now(), failing);
    }
}
