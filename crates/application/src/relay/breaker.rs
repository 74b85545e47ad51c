//! Keeps a platform that is down from being hammered, and events from being blamed for it.

use std::time::Duration;

use tokio::time::Instant;

use crate::event_sink::PublishError;

/// So many failures without a sign of life between them, and the platform counts as down.
const FAILURES: u32 = 5;
/// How long it is left alone at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is believed of the platform.
#[derive(Debug)]
pub(super) enum Breaker {
    /// It is there.
    Closed {
        /// Failures since it was last heard of.
        failures: u32,
    },
    /// It is not: nothing is sent until a moment, and then one event to find out.
    Open { until: Instant, pause: Duration },
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Until when nothing may be sent.
    pub(super) fn closed_again(&self) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { until, .. } => Some(*until),
        }
    }

    /// Learns from what became of events. A refusal is an answer, and so a sign of life.
    pub(super) fn learn(&mut self, outcomes: &[Result<(), PublishError>]) {
        let failed = |outcome: &&Result<(), PublishError>| matches!(outcome, Err(PublishError::Failed(_)));
        let alive = outcomes.iter().any(|outcome| matches!(outcome, Ok(()) | Err(PublishError::Refused(_))));
        let failed = u32::try_from(outcomes.iter().filter(failed).count()).unwrap_or(u32::MAX);
        *self = match *self {
            _ if alive => Self::new(),
            Self::Closed { failures } if failures.saturating_add(failed) < FAILURES => {
                Self::Closed { failures: failures + failed }
            }
            Self::Closed { .. } => Self::open(FIRST_PAUSE),
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
        let mut breaker = Breaker::new();
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
    fn refusals_never_open_it() {
        let mut breaker = Breaker::new();
        breaker.learn(&[refused(), refused(), refused(), refused(), refused(), refused()]);
        assert!(!breaker.is_open());
    }

    #[test]
    fn it_waits_longer_each_time_but_never_much_longer_than_a_few_seconds() {
        let mut breaker = Breaker::new();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            breaker.learn(&vec![failed(); 5]);
            match breaker {
                Breaker::Open { until, pause } => {
                    assert!(until > Instant::now() && until <= Instant::now() + pause);
                    pauses.push(pause.as_millis());
                }
                Breaker::Closed { .. } => panic!("it is down"),
            }
        }
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
    }
}
