use std::collections::BTreeMap;

use super::{BatchSizes, Batches, Size};

/// What a server says of itself in Prometheus's text format, as far as it is of interest. All but the queue is counted
/// from its start.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Metrics {
    operations: BTreeMap<String, Operation>,
    /// Events that were delivered.
    pub(super) events_sent: Option<u64>,
}

#[derive(Debug, Default, PartialEq)]
struct Operation {
    batches: u64,
    commands: u64,
    queued: u64,
    /// Batches of at most so many commands; the one without a bound is `batches`.
    up_to: BTreeMap<u64, u64>,
}

impl Metrics {
    pub(super) fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines().filter(|line| line.starts_with("jangteo_")) {
            metrics.read(line);
        }
        metrics
    }

    /// A line that is not as expected says nothing.
    fn read(&mut self, line: &str) -> Option<()> {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.rsplit_once("} ")?;
        let value = value.parse::<f64>().ok()? as u64;
        match name {
            "jangteo_batch_size_count" => self.operation(labels)?.batches = value,
            "jangteo_batch_size_sum" => self.operation(labels)?.commands = value,
            "jangteo_batch_queue_length" => self.operation(labels)?.queued = value,
            "jangteo_batch_size_bucket" => {
                let bound = label(labels, "le")?.parse().ok()?;
                self.operation(labels)?.up_to.insert(bound, value);
            }
            "jangteo_relay_events_total" if label(labels, "result") == Some("sent") => {
                self.events_sent = Some(value);
            }
            _ => {}
        }
        Some(())
    }

    fn operation(&mut self, labels: &str) -> Option<&mut Operation> {
        Some(self.operations.entry(label(labels, "operation")?.to_owned()).or_default())
    }

    /// What was decided since.
    pub(super) fn since(&self, before: &Self) -> Vec<Batches> {
        let none = Operation::default();
        let operations = self.operations.iter().map(|(name, now)| {
            let before = before.operations.get(name).unwrap_or(&none);
            Batches {
                operation: name.clone(),
                batches: now.batches.saturating_sub(before.batches),
                commands: now.commands.saturating_sub(before.commands),
                queued: now.queued,
            }
        });
        operations.filter(|operation| operation.batches > 0).collect()
    }

    /// How large the batches were since.
    pub(super) fn sizes_since(&self, before: &Self) -> Vec<BatchSizes> {
        let none = Operation::default();
        let operations = self.operations.iter().map(|(name, now)| {
            let before = before.operations.get(name).unwrap_or(&none);
            BatchSizes { operation: name.clone(), sizes: now.sizes_since(before) }
        });
        operations.filter(|operation| operation.sizes.iter().any(|size| size.batches > 0)).collect()
    }
}

impl Operation {
    fn sizes_since(&self, before: &Self) -> Vec<Size> {
        let bounds = self.up_to.iter().map(|(bound, count)| {
            (Some(*bound), count.saturating_sub(before.up_to.get(bound).copied().unwrap_or_default()))
        });
        let all = (None, self.batches.saturating_sub(before.batches));
        let mut smaller = 0;
        let sizes = bounds.chain([all]).map(|(at_most, up_to)| {
            let batches = up_to.saturating_sub(smaller);
            smaller = up_to;
            Size { at_most, batches }
        });
        sizes.collect()
    }
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let labels = labels.split(',').filter_map(|label| label.split_once('='));
    let mut values = labels.filter(|(label, _)| *label == name).map(|(_, value)| value.trim_matches('"'));
    values.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"# TYPE jangteo_batch_size histogram
jangteo_batch_size_bucket{operation="place-order",le="1"} 2
jangteo_batch_size_bucket{operation="place-order",le="2"} 2
jangteo_batch_size_bucket{operation="place-order",le="+Inf"} 2
jangteo_batch_size_sum{operation="place-order"} 2
jangteo_batch_size_count{operation="place-order"} 2
"#;
    const AFTER: &str = r#"jangteo_batch_size_bucket{operation="place-order",le="1"} 3
jangteo_batch_size_bucket{operation="place-order",le="2"} 7
jangteo_batch_size_bucket{operation="place-order",le="+Inf"} 8
jangteo_batch_size_sum{operation="place-order"} 41
jangteo_batch_size_count{operation="place-order"} 8
jangteo_batch_queue_length{operation="place-order"} 5
jangteo_relay_events_total{result="sent"} 12
jangteo_relay_events_total{result="failed"} 99
jangteo_redis_up 1
"#;

    #[test]
    fn what_was_decided_is_what_the_counters_gained() {
        let (before, after) = (Metrics::parse(BEFORE), Metrics::parse(AFTER));
        let batches = Batches { operation: "place-order".to_owned(), batches: 6, commands: 39, queued: 5 };
        assert_eq!(after.since(&before), [batches]);
        assert_eq!(after.since(&after), []);
        assert_eq!((before.events_sent, after.events_sent), (None, Some(12)));
    }

    #[test]
    fn sizes_are_counted_apart_that_prometheus_adds_up() {
        let sizes = Metrics::parse(AFTER).sizes_since(&Metrics::parse(BEFORE));
        let expected = [(Some(1), 1), (Some(2), 4), (None, 1)];
        let expected = expected.map(|(at_most, batches)| Size { at_most, batches });
        assert_eq!(sizes[0].sizes, expected);
    }
}
