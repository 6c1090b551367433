//! What `flusso.toml` says, checked, with every default filled in.
//! In: built by `check`. Out: each service takes its part.
//! Must hold: nothing here needs a look at the file again; relative paths are
//! already resolved. Must not: hold a secret that was not written literally.

mod broker;
mod connection;
mod index;
mod secret;
mod server;
mod sink;
mod source;

pub use broker::{Broker, Compression, Framing, KafkaProperty, SET_BY_THE_PRODUCT, SchemaRegistry};
pub use connection::{
    ClientCertificate, ConnectionParameters, Host, RootCertificate, SslMode, Tls, TlsSettings,
    UrlProblem,
};
pub use index::{Index, IndexOverrides, OnError};
pub use secret::Secret;
pub use server::{Address, OtlpProtocol, Server, Surface, Telemetry};
pub use sink::{
    Authorization, IndexOptions, OpenSearch, RefreshInterval, Sink, SinkKind, TextAnalysis,
    is_static_setting,
};
pub use source::{AsynchronousCommit, Connection, OnSlotLoss, Source};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::Spans;

/// A deployment: one source, one set of topics, its sinks and indexes.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Stands before every index, alias and registry name; may be empty.
    pub prefix: String,
    /// The database.
    pub source: Source,
    /// The topics.
    pub broker: Broker,
    /// Settings of capture-svc.
    pub capture: Capture,
    /// Settings of worker-svc.
    pub worker: Worker,
    /// Where documents go; at least one.
    pub sinks: Vec<Sink>,
    /// The indexes, disabled ones included, in the order of the file.
    pub indexes: Vec<Index>,
    /// HTTP surfaces.
    pub server: Server,
    /// Export of metrics and traces.
    pub telemetry: Telemetry,
    /// Where the keys of the file stand, for findings of the services
    /// ([`crate::Diagnostics::locate_in_config`]). The text in it shows no secret.
    pub places: Arc<Spans>,
}

impl Deployment {
    /// The sink called `name`.
    #[must_use]
    pub fn sink(&self, name: &str) -> Option<&Sink> {
        self.sinks.iter().find(|sink| sink.name == name)
    }

    /// The index called `name`.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// Every (index, sink) that is fed: the enabled indexes with each of their sinks.
    pub fn feeds(&self) -> impl Iterator<Item = (&Index, &Sink)> {
        self.indexes
            .iter()
            .filter(|index| index.enabled)
            .flat_map(|index| {
                index
                    .sinks
                    .iter()
                    .filter_map(|name| self.sink(name))
                    .map(move |sink| (index, sink))
            })
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        ByteSize(bytes)
    }

    /// So many MiB.
    #[must_use]
    pub const fn mebibytes(count: u64) -> Self {
        ByteSize(count.saturating_mul(1024 * 1024))
    }

    /// The bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B", self.0)
    }
}

/// What the slot waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotAck {
    /// What all gating feeds made durable.
    Sink,
    /// What Kafka acknowledged.
    Broker,
}

/// `[capture]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// What the slot waits for.
    pub slot_ack: SlotAck,
    /// When the slot holds more, `sink` acts as `broker`; `None`: no limit.
    pub max_retained_wal: Option<ByteSize>,
    /// Time between heartbeats of a partition, 100 ms to 60 s.
    pub heartbeat_interval: Duration,
    /// Most records between stream and Kafka's acknowledgement.
    pub buffer_records: u64,
    /// Most bytes between stream and Kafka's acknowledgement.
    pub buffer_bytes: ByteSize,
}

impl Default for Capture {
    fn default() -> Self {
        Capture {
            slot_ack: SlotAck::Sink,
            max_retained_wal: Some(ByteSize::mebibytes(10 * 1024)),
            heartbeat_interval: Duration::from_secs(1),
            buffer_records: 100_000,
            buffer_bytes: ByteSize::mebibytes(24),
        }
    }
}

/// `[worker]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Most records in one batch of one feed.
    pub batch_max_changes: u64,
    /// Most bytes of built documents held by one batch.
    pub batch_max_bytes: ByteSize,
    /// Batches of a feed under way at a time, 1 to 64.
    pub in_flight: u64,
    /// Records of a partition that may be under way behind one that is not finished.
    pub max_uncommitted: u64,
    /// Postgres connections per process, at least 2.
    pub pool_size: u64,
    /// Limit of resolve and build statements; zero: none.
    pub statement_timeout: Duration,
    /// Documents of one batch; above, the rest goes through `{p}.fanout`.
    pub fanout_threshold: u64,
    /// Root rows per chunk, about.
    pub seed_chunk_rows: u64,
    /// Chunks at a time per process.
    pub seed_concurrency: u64,
    /// Most rows per second per process; `None`: no limit.
    pub seed_rate: Option<u64>,
    /// A feed whose delay is at most this has caught up.
    pub freshness: Duration,
}

impl Default for Worker {
    fn default() -> Self {
        Worker {
            batch_max_changes: 2000,
            batch_max_bytes: ByteSize::mebibytes(4),
            in_flight: 4,
            max_uncommitted: 200_000,
            pool_size: 8,
            statement_timeout: Duration::from_mins(5),
            fanout_threshold: 10_000,
            seed_chunk_rows: 10_000,
            seed_concurrency: 2,
            seed_rate: None,
            freshness: Duration::from_secs(10),
        }
    }
}
