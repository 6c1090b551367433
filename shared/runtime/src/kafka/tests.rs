use super::*;
use crate::secret::Secret;
use crate::task;
use model::{Offset, Partition};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::mpsc;

const LONG: Duration = Duration::from_secs(30);
const TOPIC: &str = "t.changes";

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(partitions: i32) -> (Cluster, Kafka) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, partitions, 1).unwrap();
    let kafka = kafka(&cluster.bootstrap_servers(), &[]);
    (cluster, kafka)
}

fn kafka(bootstrap: &str, properties: &[(&str, &str)]) -> Kafka {
    let mut settings = Settings::new(bootstrap, "test");
    settings.properties.extend(
        properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::new(*value))),
    );
    Kafka::new(settings).unwrap()
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, Partition::new(partition))
}

type Report = (Token, Result<Delivered, Error>);

struct Reports(mpsc::Sender<Report>);

impl Deliveries for Reports {
    fn delivered(&self, token: Token, outcome: Result<Delivered, Error>) {
        // Tests keep the queue wide enough; a lost report would time them out.
        self.0.try_send((token, outcome)).unwrap();
    }
    fn broken(&self, _: Error) {}
}

fn producer(kafka: &Kafka) -> (Producer<Reports>, mpsc::Receiver<Report>) {
    let (sender, receiver) = mpsc::channel(1000);
    (kafka.producer(Reports(sender)).unwrap(), receiver)
}

async fn fill(kafka: &Kafka, records: &[(i32, &str)]) {
    let (producer, mut reports) = producer(kafka);
    for (token, (partition, payload)) in records.iter().enumerate() {
        let payload = Some(payload.as_bytes());
        producer
            .send(
                TOPIC,
                Partition::new(*partition),
                Some(b"k"),
                payload,
                None,
                token,
            )
            .unwrap();
    }
    producer.flush(LONG).await.unwrap();
    for _ in records {
        next(&mut reports).await.1.unwrap();
    }
    producer.close().await;
}

async fn next<T>(receiver: &mut mpsc::Receiver<T>) -> T {
    tokio::time::timeout(LONG, receiver.recv())
        .await
        .expect("in time")
        .expect("open")
}

#[test]
fn properties_that_carry_a_guarantee_are_refused_by_name() {
    for name in definition::deployment::SET_BY_THE_PRODUCT {
        let error = settings::verify_property(name, "1").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("kafka: `{name}` is set by the product")
        );
        assert_eq!((error.code(), error.help()), ("E109", "remove it"));
    }
}

#[test]
fn librdkafka_is_asked_about_names_and_values_and_no_value_is_shown() {
    use settings::verify_property as verify;
    assert_eq!(verify("security.protocol", "ssl"), Ok(()));
    assert_eq!(verify("group.protocol", "consumer"), Ok(()));
    let unknown = verify("securty.protocol", "hunter2").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "kafka: librdkafka knows no property `securty.protocol`"
    );
    let value = verify("security.protocol", "hunter2").unwrap_err();
    assert!(!value.to_string().contains("hunter2"), "{value}");

    let mut settings = Settings::new("127.0.0.1:9", "test");
    settings.properties.insert("acks".into(), Secret::new("0"));
    let error = Kafka::new(settings).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert_eq!(error.help(), Some("remove it"));
}

#[test]
fn a_password_shows_in_no_debug_output() {
    let kafka = kafka("127.0.0.1:9", &[("sasl.password", "hunter2")]);
    assert!(!format!("{kafka:?}").contains("hunter2"));
}

#[tokio::test]
async fn every_record_comes_back_with_its_token_its_partition_and_a_rising_offset() {
    let (_cluster, kafka) = cluster(2);
    let (producer, mut reports) = producer(&kafka);
    for token in 0..100 {
        let partition = Partition::new(i32::try_from(token % 2).unwrap());
        producer
            .send(TOPIC, partition, None, Some(b"x"), None, token)
            .unwrap();
    }
    let mut expected: BTreeMap<i32, i64> = BTreeMap::new();
    for token in 0..100 {
        let (reported, outcome) = next(&mut reports).await;
        let delivered = outcome.unwrap();
        assert_eq!(
            delivered.partition.get(),
            i32::try_from(reported % 2).unwrap(),
            "{token}"
        );
        let offset = expected.entry(delivered.partition.get()).or_insert(0);
        assert_eq!(delivered.offset.get(), *offset);
        *offset += 1;
    }
    assert_eq!(producer.in_flight(), 0);
}

#[tokio::test]
async fn c4_a_broker_error_that_passes_leaves_neither_hole_nor_disorder() {
    // GIVEN a broker that refuses the first requests
    let (cluster, kafka) = cluster(1);
    let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 3];
    cluster.request_errors(RDKafkaApiKey::Produce, &errors);
    // WHEN records are written THEN all arrive, once, in order
    fill(&kafka, &[(0, "a"), (0, "b"), (0, "c")]).await;
    let reader = kafka
        .reader(TOPIC, &[(Partition::new(0), Start::Earliest)])
        .unwrap();
    let records = reader
        .read_to_end(&[Partition::new(0)], LONG)
        .await
        .unwrap();
    let payloads: Vec<&[u8]> = records
        .iter()
        .map(|r| r.payload.as_deref().unwrap())
        .collect();
    assert_eq!(payloads, [b"a", b"b", b"c"]);
}

#[tokio::test]
async fn c4_after_a_record_that_cannot_be_written_none_behind_it_is_delivered() {
    // GIVEN a broker that refuses one request for good
    let (cluster, kafka) = cluster(1);
    let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD];
    cluster.request_errors(RDKafkaApiKey::Produce, &errors);
    // WHEN a record is written
    let (producer, mut reports) = producer(&kafka);
    producer
        .send(TOPIC, Partition::new(0), None, Some(b"lost"), None, 1)
        .unwrap();
    // THEN it is reported as failed
    let (token, outcome) = next(&mut reports).await;
    assert_eq!((token, outcome.is_err()), (1, true));
    // AND a later one is not delivered over the hole
    let later = producer.send(TOPIC, Partition::new(0), None, Some(b"later"), None, 2);
    let delivered = match later {
        Err(_) => false,
        Ok(()) => next(&mut reports).await.1.is_ok(),
    };
    assert!(!delivered, "a hole below a delivered record");
}

#[tokio::test]
async fn a_purge_ends_what_the_broker_does_not_take() {
    let (cluster, kafka) = cluster(1);
    cluster.broker_down(1).unwrap();
    let (producer, mut reports) = producer(&kafka);
    producer
        .send(TOPIC, Partition::new(0), None, Some(b"x"), None, 7)
        .unwrap();
    let error = producer.flush(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    producer.purge();
    let (token, outcome) = next(&mut reports).await;
    assert_eq!((token, outcome.unwrap_err().kind()), (7, ErrorKind::Purged));
    producer.close().await;
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_before_it_is_queued() {
    let (cluster, _) = cluster(1);
    let kafka = kafka(
        &cluster.bootstrap_servers(),
        &[("message.max.bytes", "2000")],
    );
    let (producer, _reports) = producer(&kafka);
    let large = vec![0; 4000];
    let refused = producer
        .send(TOPIC, Partition::new(0), None, Some(&large), None, 1)
        .unwrap_err();
    let SendError::Refused(error) = refused else {
        panic!("{refused}")
    };
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_full_queue_says_so_and_takes_nothing() {
    let (cluster, _) = cluster(1);
    let kafka = kafka(
        &cluster.bootstrap_servers(),
        &[("queue.buffering.max.messages", "2")],
    );
    cluster.broker_down(1).unwrap();
    let (producer, _reports) = producer(&kafka);
    let send = |token| producer.send(TOPIC, Partition::new(0), None, Some(b"x"), None, token);
    assert!(send(1).is_ok() && send(2).is_ok());
    assert!(matches!(send(3), Err(SendError::Full)));
    producer.close().await;
}

#[tokio::test]
async fn the_last_record_of_each_partition_is_found_and_empty_ones_have_none() {
    let (_cluster, kafka) = cluster(3);
    fill(&kafka, &[(0, "a"), (0, "b"), (2, "c")]).await;
    let topics = kafka.topics().unwrap();
    let all: Vec<Partition> = (0..3).map(Partition::new).collect();
    let marks = topics.watermarks(TOPIC, &all).await.unwrap();
    let highs: Vec<i64> = marks.iter().map(|marks| marks.high.get()).collect();
    assert_eq!(highs, [2, 0, 1]);
    let last = topics.last_records(TOPIC, &all, LONG).await.unwrap();
    let payloads: Vec<Option<&[u8]>> = last
        .iter()
        .map(|record| record.as_ref().and_then(|r| r.payload.as_deref()))
        .collect();
    assert_eq!(payloads, [Some(&b"b"[..]), None, Some(&b"c"[..])]);
    assert_eq!(topics.partitions(TOPIC).await.unwrap(), Some(3));
    assert_eq!(topics.partitions("t.nothing").await.unwrap(), None);
    assert_eq!(topics.brokers().await.unwrap(), 1);
}

#[tokio::test]
async fn a_reader_starts_where_it_is_told_and_names_the_end() {
    let (_cluster, kafka) = cluster(1);
    fill(&kafka, &[(0, "a"), (0, "b")]).await;
    let partition = Partition::new(0);
    let reader = kafka
        .reader(TOPIC, &[(partition, Start::At(Offset::new(1)))])
        .unwrap();
    let mut read = Vec::new();
    for _ in 0..2 {
        read.push(
            tokio::time::timeout(LONG, reader.next())
                .await
                .unwrap()
                .unwrap(),
        );
    }
    assert!(matches!(&read[0], Read::Record(record) if record.offset == Offset::new(1)));
    assert_eq!(read[1], Read::CaughtUp(partition));
    // Goes on behind the end.
    fill(&kafka, &[(0, "c")]).await;
    let more = tokio::time::timeout(LONG, reader.next())
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(more, Read::Record(record) if record.offset == Offset::new(2)));
}

#[tokio::test]
async fn positions_put_into_an_empty_group_are_seen_with_their_metadata() {
    let (_cluster, kafka) = cluster(2);
    let offsets = kafka.group_offsets("feed").unwrap();
    let before = offsets.committed(&[at(0), at(1)]).await.unwrap();
    assert!(before.iter().all(|position| position.offset.is_none()));
    let position = StoredPosition {
        at: at(1),
        offset: Offset::new(42),
        metadata: "epoch=3 lsn=0/16B3748".into(),
    };
    offsets.commit(&[position]).await.unwrap();
    let after = offsets.committed(&[at(0), at(1)]).await.unwrap();
    assert_eq!(after[0].offset, None);
    assert_eq!(after[1].offset, Some(Offset::new(42)));
    assert_eq!(after[1].metadata, "epoch=3 lsn=0/16B3748");
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_says_where() {
    let mut settings = Settings::new("127.0.0.1:9", "test");
    settings.request_timeout = Duration::from_secs(1);
    let topics = Kafka::new(settings).unwrap().topics().unwrap();
    let error = topics.brokers().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("127.0.0.1:9") && text.to_lowercase().contains("refused"),
        "{text}"
    );
    assert!(error.help().unwrap().contains("bootstrap_servers"));
}

#[derive(Default)]
struct Seen {
    assigned: Mutex<Vec<TopicPartition>>,
    revoked: Mutex<Vec<TopicPartition>>,
}

impl GroupEvents for Arc<Seen> {
    fn assigned(&self, partitions: &[TopicPartition]) {
        self.assigned.lock().unwrap().extend_from_slice(partitions);
    }
    fn revoked(&self, partitions: &[TopicPartition], _: bool) {
        self.revoked.lock().unwrap().extend_from_slice(partitions);
    }
}

/// What one member did, told by its thread.
struct Ended {
    read: usize,
    committed: bool,
    fence: ErrorKind,
    out_of_range: bool,
}

/// Joins, reads until `wanted` records or an error came, stores and commits.
fn member(kafka: &Kafka, seen: &Arc<Seen>, wanted: usize) -> Ended {
    let consumer = kafka.group_consumer("feed", Arc::clone(seen)).unwrap();
    consumer.subscribe(&[TOPIC]).unwrap();
    let deadline = std::time::Instant::now() + LONG;
    let (mut read, mut last, mut out_of_range) = (0, None, false);
    while read < wanted && !out_of_range && std::time::Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => {
                read += 1;
                last = Some(message.offset());
            }
            Some(Err(error)) => out_of_range |= error.kind() == ErrorKind::OffsetOutOfRange,
        }
    }
    let mut committed = false;
    if let Some(last) = last {
        let next = StoredPosition {
            at: at(0),
            offset: last.next().unwrap(),
            metadata: "epoch=1 lsn=0/1".into(),
        };
        consumer.store(&[next]).unwrap();
        committed = consumer.commit().unwrap();
        assert!(!consumer.commit().unwrap(), "nothing new is stored");
    }
    let foreign = StoredPosition {
        at: at(7),
        offset: Offset::new(1),
        metadata: String::new(),
    };
    let fence = consumer.store(&[foreign]).unwrap_err().kind();
    Ended {
        read,
        committed,
        fence,
        out_of_range,
    }
}

#[tokio::test]
async fn w1_a_member_commits_what_it_stored_and_cannot_store_for_a_partition_it_has_not() {
    // GIVEN a group with a position
    let (_cluster, kafka) = cluster(1);
    fill(&kafka, &[(0, "a"), (0, "b"), (0, "c")]).await;
    let offsets = kafka.group_offsets("feed").unwrap();
    let start = StoredPosition {
        at: at(0),
        offset: Offset::new(1),
        metadata: String::new(),
    };
    offsets.commit(&[start]).await.unwrap();
    // WHEN a member reads from there, stores and commits
    let seen = Arc::new(Seen::default());
    let (member_kafka, member_seen) = (kafka.clone(), Arc::clone(&seen));
    let mut thread =
        task::thread("member", move || member(&member_kafka, &member_seen, 2)).unwrap();
    let ended = tokio::time::timeout(LONG * 2, thread.join())
        .await
        .unwrap()
        .unwrap();
    // THEN it read two of three, and its commit carries the metadata
    assert_eq!((ended.read, ended.committed), (2, true));
    assert_eq!(ended.fence, ErrorKind::NotOwned);
    let after = offsets.committed(&[at(0)]).await.unwrap();
    assert_eq!(after[0].offset, Some(Offset::new(3)));
    assert_eq!(after[0].metadata, "epoch=1 lsn=0/1");
    // AND its drop gave the partition back
    assert_eq!(*seen.assigned.lock().unwrap(), [at(0)]);
    assert_eq!(*seen.revoked.lock().unwrap(), [at(0)]);
}

#[tokio::test]
async fn r2_a_group_without_a_position_gets_an_error_instead_of_a_jump() {
    let (_cluster, kafka) = cluster(1);
    fill(&kafka, &[(0, "a")]).await;
    let seen = Arc::new(Seen::default());
    let mut thread = task::thread("member", move || member(&kafka, &seen, 1)).unwrap();
    let ended = tokio::time::timeout(LONG * 2, thread.join())
        .await
        .unwrap()
        .unwrap();
    assert!(ended.out_of_range);
    assert_eq!(ended.read, 0);
}
