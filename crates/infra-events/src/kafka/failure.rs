//! What an error of Kafka says about an event.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Whether the brokers will never take it. What they say of the way, of themselves or of the producer may be otherwise
/// next time.
pub(super) fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        InvalidMessageSize, InvalidTimestamp, PolicyViolation, UnsupportedForMessageFormat,
    };
    let never = [InvalidMessageSize, InvalidTimestamp, PolicyViolation, UnsupportedForMessageFormat];
    may_be_a_neighbours(error) || error.rdkafka_error_code().is_some_and(|code| never.contains(&code))
}

/// Brokers take or refuse a whole batch of messages, whichever of them is to blame.
pub(super) fn may_be_a_neighbours(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        InvalidDifferentRecord, InvalidRecord, MessageBatchTooLarge, MessageSizeTooLarge,
    };
    let of_a_batch = [InvalidDifferentRecord, InvalidRecord, MessageBatchTooLarge, MessageSizeTooLarge];
    error.rdkafka_error_code().is_some_and(|code| of_a_batch.contains(&code))
}

/// For people: what happened, without what was being done.
pub(super) fn cause(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(code) => code.to_string(),
        None => error.to_string(),
    }
}

/// The same of something that might have taken so long.
pub(super) fn cause_within(time: Duration, error: &KafkaError) -> String {
    use RDKafkaErrorCode::{MessageTimedOut, OperationTimedOut, PurgeInflight, PurgeQueue};
    let silence = [MessageTimedOut, OperationTimedOut, PurgeInflight, PurgeQueue];
    match error.rdkafka_error_code() {
        Some(code) if silence.contains(&code) => silence_of(time),
        _ => cause(error),
    }
}

pub(super) fn silence_of(time: Duration) -> String {
    format!("no answer within {} ms", time.as_millis())
}
