//! `[broker]`: Kafka and its topics.

use std::time::Duration;

use super::{ByteSize, Secret};

/// librdkafka properties on which the guarantees stand: the product sets them, and a user's are
/// refused. Under every name that librdkafka takes.
pub const SET_BY_THE_PRODUCT: [&str; 21] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "isolation.level",
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "transactional.id",
    "partitioner",
    "compression.type",
    "compression.codec",
    "enable.partition.eof",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "retries",
    "message.send.max.retries",
    "enable.gapless.guarantee",
    "partition.assignment.strategy",
];

/// `[broker]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// `host:port` each; at least one.
    pub bootstrap_servers: Vec<String>,
    /// `{p}`: stands before every topic and group.
    pub topic_prefix: String,
    /// Partitions of changes, backfill and fanout when created, 1 to 1000.
    pub partitions: u32,
    /// Replicas of a topic when created; `None`: the broker's default.
    pub replication_factor: Option<u32>,
    /// How long changes and fanout are kept.
    pub retention: Duration,
    /// Most bytes kept per partition; `None`: no limit.
    pub retention_bytes: Option<ByteSize>,
    /// How long dead letters are kept.
    pub dlq_retention: Duration,
    /// Compression of the producer.
    pub compression: Compression,
    /// Where Avro schemas are registered.
    pub schema_registry: Option<SchemaRegistry>,
    /// How records are framed.
    pub framing: Framing,
    /// Further librdkafka properties of all clients, in the order of the file.
    pub kafka: Vec<KafkaProperty>,
}

impl Default for Broker {
    fn default() -> Self {
        Broker {
            bootstrap_servers: vec!["127.0.0.1:9092".to_owned()],
            topic_prefix: "flusso".to_owned(),
            partitions: 24,
            replication_factor: None,
            retention: Duration::from_hours(7 * 24),
            retention_bytes: None,
            dlq_retention: Duration::from_hours(30 * 24),
            compression: Compression::Zstd,
            schema_registry: None,
            framing: Framing::SingleObject,
            kafka: Vec::new(),
        }
    }
}

/// Compression of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the words of the language")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    /// librdkafka's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

/// How records are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Avro single-object encoding.
    SingleObject,
    /// Confluent's: a schema registry's id before the record.
    Confluent,
}

/// A Confluent schema registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRegistry {
    /// Its address.
    pub url: Secret,
    /// Name for Basic authentication.
    pub username: Option<Secret>,
    /// Password for Basic authentication.
    pub password: Option<Secret>,
}

/// One librdkafka property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaProperty {
    /// Its name: `sasl.mechanism`.
    pub name: String,
    /// Its value; numbers and booleans as librdkafka writes them.
    pub value: Secret,
}
