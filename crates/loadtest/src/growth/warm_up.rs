//! Orders before those that count: a database that has just taken in millions of rows has other pages in memory than those that
//! orders need, and how fast it reads these is not how fast the shop is.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::load::Load;
use crate::measure::{Lengths, Tally};
use crate::progress::Progress;

/// How long the rate is counted before it is compared.
pub(super) const WINDOW: Duration = Duration::from_secs(5);
/// That many windows at least, and that many at most.
const AT_LEAST: usize = 2;
const AT_MOST: usize = 12;
/// By how much of it a rate has to be above the one before to be rising.
const RISES: f64 = 0.05;

/// How it went.
pub(crate) struct WarmUp {
    /// How long it took.
    pub(crate) took: Duration,
    /// How long a window is.
    pub(crate) window: Duration,
    /// Orders a second in each window.
    pub(crate) rates: Vec<f64>,
}

/// Puts the load on until its rate no longer rises. Every answer is in the tallies, one of each window.
pub(super) async fn run(load: Load, progress: &Progress) -> Result<(WarmUp, Vec<Tally>)> {
    let lengths = Lengths { warm_up: Duration::ZERO, measured: WINDOW };
    let (started, mut rates, mut tallies) = (Instant::now(), Vec::new(), Vec::new());
    while !is_enough(&rates) {
        let tally = Load { lengths, ..load }.run().await?;
        let rate = tally.figures().rate;
        progress.note(&format!("{rate:.0}/s"));
        rates.push(rate);
        tallies.push(tally);
    }
    Ok((WarmUp { took: started.elapsed(), window: WINDOW, rates }, tallies))
}

fn is_enough(rates: &[f64]) -> bool {
    let rises = || matches!(rates, [.., before, last] if *last >= before * (1.0 + RISES));
    rates.len() >= AT_MOST || (rates.len() >= AT_LEAST && !rises())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_when_the_rate_no_longer_rises() {
        assert!(!is_enough(&[]) && !is_enough(&[1000.0]));
        assert!(!is_enough(&[1000.0, 1050.0]) && is_enough(&[1000.0, 1049.0]));
        assert!(!is_enough(&[1000.0, 900.0, 1000.0]) && is_enough(&[1000.0, 2000.0, 1900.0]));
    }

    #[test]
    fn it_does_not_go_on_forever() {
        let rates: Vec<f64> = (0..12).map(|number| 2_f64.powi(number)).collect();
        assert!(!is_enough(&rates[..11]) && is_enough(&rates));
    }
}
