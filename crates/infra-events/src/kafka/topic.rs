//! The topic, which need not exist yet.

use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::client::Clients;
use super::failure::cause_within;
use super::troubles::Listener;

/// As many as the brokers have set as their default.
const BY_DEFAULT: i32 = -1;
/// Between questions whether a topic that was created is there.
const PAUSE: Duration = Duration::from_millis(50);

/// Sees to it that there is a topic, and that brokers answer at all. Many create what they are asked for; the others are
/// told to. The error is the reason, for people.
pub(super) async fn ensure(
    topic: &str,
    producer: &FutureProducer<Listener>,
    clients: &Clients,
    within: Duration,
) -> Result<(), String> {
    if exists(topic, producer, within).await? {
        return Ok(());
    }
    let created = create(topic, clients, within).await;
    created.map_err(|error| {
        format!("the topic does not exist, and was not created: {}", cause_within(within, &error))
    })?;
    tracing::info!(
        topic,
        "the topic did not exist: it was created, with what the brokers have as their defaults"
    );
    while !exists(topic, producer, within).await? {
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Whatever else is wrong with it, messages will find out.
async fn exists(topic: &str, producer: &FutureProducer<Listener>, within: Duration) -> Result<bool, String> {
    let (name, producer) = (topic.to_owned(), producer.clone());
    let asking = move || producer.client().fetch_metadata(Some(&name), within);
    let asked = spawn_blocking(asking).await.map_err(|error| error.to_string())?;
    let metadata = asked.map_err(|error| cause_within(within, &error))?;
    let error = metadata.topics().iter().find(|known| known.name() == topic).and_then(|known| known.error());
    Ok(error.map(RDKafkaErrorCode::from) != Some(RDKafkaErrorCode::UnknownTopicOrPartition))
}

async fn create(topic: &str, clients: &Clients, within: Duration) -> KafkaResult<()> {
    let admin = clients.administrator()?;
    let topic = NewTopic::new(topic, BY_DEFAULT, TopicReplication::Fixed(BY_DEFAULT));
    let options = AdminOptions::new().request_timeout(Some(within)).operation_timeout(Some(within));
    let created = admin.create_topics([&topic], &options).await;
    // It waits for its threads.
    drop(spawn_blocking(move || drop(admin)));
    match created?.into_iter().next() {
        None | Some(Ok(_)) | Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
    }
}
