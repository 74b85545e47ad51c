//! Axes: from values to places, with lines at round numbers.

/// Lines on an axis, at most.
const LINES: f64 = 5.0;

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    logarithmic: bool,
    /// Where lines are.
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// From nothing to a round number.
    pub(super) fn up_to(most: f64) -> Self {
        Self::between(0.0, most)
    }

    /// From one round number to another, equal steps for equal differences.
    pub(super) fn between(least: f64, most: f64) -> Self {
        let step = step(if most > least { most - least } else { 1.0 });
        let (first, last) = ((least / step).floor(), (most / step).ceil().max((least / step).floor() + 1.0));
        let ticks = (0..=(last - first) as u32).map(|number| (first + f64::from(number)) * step);
        Self { from: first * step, to: last * step, logarithmic: false, ticks: ticks.collect() }
    }

    /// From nothing to exactly there: for time, which ends when it ends.
    pub(super) fn of_seconds(seconds: f64) -> Self {
        let mut scale = Self::up_to(seconds);
        scale.ticks.retain(|tick| *tick <= seconds);
        Self { to: seconds, ..scale }
    }

    /// From one round number to another, equal steps for equal ratios.
    pub(super) fn of_ratios(least: f64, most: f64) -> Self {
        let numbers = (-3..=7).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
        let from = numbers.clone().rfind(|number| *number <= least).unwrap_or(1e-3);
        let to = numbers.clone().find(|number| *number >= most && *number > from).unwrap_or(1e8);
        let within = numbers.filter(|number| (from..=to).contains(number));
        let mut ticks: Vec<f64> = within.collect();
        if ticks.len() as f64 > LINES + 2.0 {
            ticks.retain(|tick| tick.log10().fract().abs() < 1e-9);
        }
        Self { from, to, logarithmic: true, ticks }
    }

    /// Where a value is: 0 at the beginning, 1 at the end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let Self { from, to, .. } = *self;
        let place = match self.logarithmic {
            true => (value.max(from) / from).ln() / (to / from).ln(),
            false => (value - from) / (to - from),
        };
        place.clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 times a power of ten.
fn step(range: f64) -> f64 {
    let magnitude = 10_f64.powf((range / LINES).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * magnitude);
    steps.into_iter().find(|step| range / step <= LINES).unwrap_or(range)
}

/// A number for people: three digits that count, and commas.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 || value == value.trunc() => 0,
        value if value >= 10.0 => 1,
        value if value >= 0.1 => 2,
        _ => 3,
    };
    grouped(&format!("{value:.digits$}"))
}

/// A label of an axis: no more digits than it takes.
pub(super) fn label(value: f64) -> String {
    // The eighth digit of a sum of steps is noise.
    grouped(&((value * 1e6).round() / 1e6).to_string())
}

fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut text = sign.to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.extend([".", fraction]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        let ends = |most| {
            let Scale { from, to, ticks, .. } = Scale::up_to(most);
            (from, to, ticks.len())
        };
        assert_eq!(ends(25_112.0), (0.0, 30_000.0, 4));
        assert_eq!(ends(9_000.0), (0.0, 10_000.0, 6));
    }

    #[test]
    fn stock_is_shown_where_it_moves() {
        let scale = Scale::between(999_961_000.0, 1_000_000_000.0);
        assert_eq!((scale.ticks[0], *scale.ticks.last().unwrap()), (999_960_000.0, 1_000_000_000.0));
        assert_eq!(scale.place(1_000_000_000.0), 1.0);
        assert_eq!(scale.place(0.0), 0.0);
    }

    #[test]
    fn equal_ratios_are_equally_far_apart() {
        let scale = Scale::of_ratios(1.3, 80.0);
        assert_eq!(scale.ticks, [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert!((scale.place(10.0) - 0.5).abs() < 1e-9);
        assert_eq!(scale.place(0.0), 0.0);
        assert_eq!(Scale::of_ratios(0.7, 9_000.0).ticks, [1.0, 10.0, 100.0, 1_000.0, 10_000.0]);
        let one = Scale::of_ratios(5.0, 5.0);
        assert!(one.place(5.0).is_finite());
    }

    #[test]
    fn time_ends_when_it_ends() {
        let scale = Scale::of_seconds(13.0);
        assert_eq!((scale.place(13.0), scale.ticks), (1.0, vec![0.0, 5.0, 10.0]));
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        assert_eq!(
            [1234.56, 99.94, 9.994, 0.0567, 1e6].map(number),
            ["1,235", "99.9", "9.99", "0.057", "1,000,000"]
        );
        assert_eq!([0.2 + 0.1, 2500.0, -1500.0].map(label), ["0.3", "2,500", "-1,500"]);
    }
}
