//! How far the benchmark is: a bar on a terminal, plain lines for a log.

use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use tokio::time::timeout;

use crate::measure::good_so_far;

/// From picture to picture.
const TICK: Duration = Duration::from_millis(200);
const TEMPLATE: &str = "{spinner} [{pos}/{len}] {bar:20} {msg} {prefix}{rate}({elapsed}{left})";
/// How often somebody is told that a measurement still goes on: on a terminal, and in a log.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(30);

/// Of a number of measurements.
pub(crate) struct Progress {
    measurements: usize,
    begun: usize,
    /// Nothing where nobody would see it move.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// None of so many was begun.
    pub(crate) fn over(measurements: usize) -> Self {
        Self::drawn(measurements, style().with_key("left", left))
    }

    /// None of so many was begun, and how long one takes says nothing about the next.
    pub(crate) fn over_unequal(measurements: usize) -> Self {
        Self::drawn(measurements, style().with_key("left", |_: &ProgressState, _: &mut dyn Write| ()))
    }

    fn drawn(measurements: usize, style: ProgressStyle) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(measurements as u64).with_style(style);
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { measurements, begun: 0, bar }
    }

    /// The next one begins.
    pub(crate) fn begin(&mut self, what: String) {
        self.begun += 1;
        match &self.bar {
            Some(bar) => {
                bar.set_prefix("");
                bar.set_message(what);
            }
            None => eprint!("[{}/{}] {what}: ", self.begun, self.measurements),
        }
    }

    /// Something is known of it before it has ended.
    pub(crate) fn note(&self, known: &str) {
        match &self.bar {
            Some(bar) => bar.set_prefix(format!("· {known} ")),
            None => eprint!("{known}, "),
        }
    }

    /// Says how long some work has taken so far, until it is done.
    pub(crate) async fn attend<T>(&self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let period = if self.bar.is_some() { SOON } else { LATER };
        let mut work = pin!(work);
        loop {
            match timeout(period, work.as_mut()).await {
                Ok(done) => return done,
                Err(_) => self.note(&format!("{} s", began.elapsed().as_secs())),
            }
        }
    }

    /// It has ended, and that is what came of it.
    pub(crate) fn end(&self, outcome: &str) {
        match &self.bar {
            Some(bar) => {
                bar.println(format!("[{}/{}] {}: {outcome}", self.begun, self.measurements, bar.message()));
                bar.inc(1);
            }
            None => eprintln!("{outcome}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    let speed = Arc::new(Mutex::new(Speed { at: Instant::now(), good: 0, rate: 0.0 }));
    let rate = move |_: &ProgressState, text: &mut dyn Write| {
        let rate = speed.lock().unwrap_or_else(PoisonError::into_inner).now(Instant::now(), good_so_far());
        // A bar that cannot be drawn is none.
        let _ = if rate >= 1.0 { write!(text, "{rate:.0}/s ") } else { Ok(()) };
    };
    let style = ProgressStyle::with_template(TEMPLATE).expect("the template is valid");
    style.with_key("rate", rate)
}

/// Nobody knows before the first measurement has ended.
fn left(state: &ProgressState, text: &mut dyn Write) {
    // A bar that cannot be drawn is none.
    let _ = if state.pos() > 0 { write!(text, ", {:#} left", HumanDuration(state.eta())) } else { Ok(()) };
}

/// How fast answers come at the moment.
struct Speed {
    at: Instant,
    good: u64,
    rate: f64,
}

impl Speed {
    /// Of the last second or so: a bar is drawn more often than a rate can be read.
    const SETTLES_IN: Duration = Duration::from_secs(1);

    fn now(&mut self, now: Instant, good: u64) -> f64 {
        let elapsed = now.saturating_duration_since(self.at);
        if elapsed >= Self::SETTLES_IN {
            let rate = (good - self.good) as f64 / elapsed.as_secs_f64();
            *self = Self { at: now, good, rate };
        }
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_second() {
        let at = Instant::now();
        let mut speed = Speed { at, good: 0, rate: 0.0 };
        assert_eq!(speed.now(at + Duration::from_millis(900), 500), 0.0);
        assert_eq!(speed.now(at + Duration::from_secs(2), 1000), 500.0);
        assert_eq!(speed.now(at + Duration::from_millis(2900), 9000), 500.0);
    }

    #[test]
    fn the_bar_can_be_drawn() {
        style();
    }
}
