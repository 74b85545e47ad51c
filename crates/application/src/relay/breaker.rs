//! Keeps a platform that is down from being hammered, and events from being blamed for it.

use std::time::Duration;

use tokio::time::Instant;

use crate::event_sink::PublishError;

/// So many failures without a sign of life between them, and the platform counts as down. One will do for a sink that
/// gave up.
const FAILURES: u32 = 5;
/// How long it is left alone at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is believed of the platform.
#[derive(Debug)]
pub(super) enum Breaker {
    /// Nothing yet: one event has to find out. So a relay that is started again and again while the platform is down
    /// blames no more events for it.
    Unknown,
    /// It is there.
    Closed {
        /// Failures since it was last heard of.
        failures: u32,
    },
    /// It is not: nothing is sent until a moment, and then one event to find out.
    Open { until: Instant, pause: Duration },
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Whether one event is to find out if the platform is there.
    pub(super) fn wants_a_trial(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    /// Whether the platform was heard of last: what fails nevertheless has itself to blame.
    pub(super) fn is_sure(&self) -> bool {
        matches!(self, Self::Closed { failures: 0 })
    }

    /// Until when nothing may be sent.
    pub(super) fn closed_again(&self) -> Option<Instant> {
        match self {
            Self::Unknown | Self::Closed { .. } => None,
            Self::Open { until, .. } => Some(*until),
        }
    }

    /// Learns from what became of events. A refusal is an answer, and so a sign of life.
    pub(super) fn learn(&mut self, outcomes: &[Result<(), PublishError>]) {
        let failed = |outcome: &&Result<(), PublishError>| matches!(outcome, Err(PublishError::Failed(_)));
        let alive = outcomes.iter().any(|outcome| matches!(outcome, Ok(()) | Err(PublishError::Refused(_))));
        let failed = u32::try_from(outcomes.iter().filter(failed).count()).unwrap_or(u32::MAX);
        let gave_up = outcomes.iter().any(|outcome| matches!(outcome, Err(PublishError::NotTried)));
        *self = match *self {
            _ if alive => Self::Closed { failures: 0 },
            Self::Closed { failures } if failures.saturating_add(failed) < FAILURES && !gave_up => {
                Self::Closed { failures: failures + failed }
            }
            Self::Closed { .. } => Self::open(FIRST_PAUSE),
            Self::Unknown if failed > 0 => Self::open(FIRST_PAUSE),
            Self::Unknown => Self::Unknown,
            Self::Open { pause, .. } if failed > 0 => Self::open((pause * 2).min(LONGEST_PAUSE)),
            // Nothing was sent.
            Self::Open { until, pause } => Self::Open { until, pause },
        }
    }

    /// Half of the pause is left to chance, so that many relays do not come back at once.
    fn open(pause: Duration) -> Self {
        let until = Instant::now() + pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        Self::Open { until, pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Result<(), PublishError> {
        Err(PublishError::Failed("no answer".into()))
    }

    fn refused() -> Result<(), PublishError> {
        Err(PublishError::Refused("not this one".into()))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_at_a_sign_of_life() {
        let mut breaker = Breaker::Closed { failures: 0 };
        breaker.learn(&[failed(), failed(), failed(), failed()]);
        assert!(!breaker.is_open());
        breaker.learn(&[Ok(()), failed()]);
        breaker.learn(&[failed(), failed(), failed(), failed()]);
        assert!(!breaker.is_open());
        breaker.learn(&[failed()]);
        assert!(breaker.is_open());
        breaker.learn(&[refused()]);
        assert!(!breaker.is_open());
    }

    #[test]
    fn it_begins_by_finding_out() {
        for (outcome, opens) in [(Ok(()), false), (refused(), false), (failed(), true)] {
            let mut breaker = Breaker::Unknown;
            assert!(breaker.wants_a_trial() && !breaker.is_open());
            breaker.learn(&[outcome]);
            assert_eq!((breaker.wants_a_trial(), breaker.is_open()), (opens, opens));
        }
    }

    #[test]
    fn it_opens_at_once_when_the_sink_gave_up() {
        let mut breaker = Breaker::Closed { failures: 0 };
        breaker.learn(&[failed(), Err(PublishError::NotTried)]);
        assert!(breaker.is_open());
        let mut breaker = Breaker::Closed { failures: 0 };
        breaker.learn(&[failed(), Ok(()), Err(PublishError::NotTried)]);
        assert!(!breaker.is_open());
    }

    #[test]
    fn refusals_never_open_it() {
        let mut breaker = Breaker::Closed { failures: 0 };
        breaker.learn(&[refused(), refused(), refused(), refused(), refused(), refused()]);
        assert!(!breaker.is_open());
    }

    #[test]
    fn it_waits_longer_each_time_but_never_much_longer_than_a_few_seconds() {
        let mut breaker = Breaker::Closed { failures: 0 };
        let mut pauses = Vec::new();
        for _ in 0..8 {
            breaker.learn(&vec![failed(); 5]);
            match breaker {
                Breaker::Open { until, pause } => {
                    assert!(until > Instant::now() && until <= Instant::now() + pause);
                    pauses.push(pause.as_millis());
                }
                Breaker::Unknown | Breaker::Closed { .. } => panic!("it is down"),
            }
        }
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
    }
}
