//! Every metric name and label of this service.
//! In: what modules count. Out: a registry of the process's own, handed to the HTTP surface.
//! Must hold: no label carries a row value or a key. Must not: be global.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use model::{Lsn, Violation};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use crate::publish::InFlight;

/// A guarantee.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GuaranteeLabels {
    id: &'static str,
}

/// What a row became.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RowLabels {
    result: &'static str,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GroupLabels {
    group: String,
}

/// All metrics of the service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Row messages of the stream, by what became of them.
    rows: Family<RowLabels, Counter>,
    /// Records acknowledged by Kafka, heartbeats not counted.
    pub published: Counter,
    /// Heartbeats sent, over all partitions.
    pub heartbeats: Counter,
    /// Records that a partition held already after a restart.
    pub skipped: Counter,
    /// Connections to the slot.
    pub connections: Counter,
    /// Records between stream and acknowledgement.
    pub in_flight_records: Gauge,
    /// Their bytes.
    pub in_flight_bytes: Gauge,
    confirmed_lsn: Gauge<i64>,
    received_lsn: Gauge<i64>,
    /// WAL that the slot makes the server keep.
    pub retained_bytes: Gauge,
    /// 1 while `max_retained_wal` makes the broker's position count.
    pub relieved: Gauge,
    /// Seconds from commit to publishing, of the last transaction.
    pub delay_seconds: Gauge<f64, AtomicU64>,
    held_back_bytes: Family<GroupLabels, Gauge>,
    violations: Family<GuaranteeLabels, Counter>,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero, in a registry of their own.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("flusso");
        let r = &mut registry;
        let rows = registered(
            r,
            "rows",
            "Row messages of the stream, by what became of them",
        );
        let published = registered(
            r,
            "changes_published",
            "Change records acknowledged by Kafka",
        );
        let heartbeats = registered(r, "heartbeats", "Heartbeats sent, over all partitions");
        let skipped = registered(
            r,
            "changes_skipped",
            "Records that a partition held already",
        );
        let connections = registered(r, "slot_connections", "Connections to the slot");
        let in_flight_records = registered(
            r,
            "in_flight_records",
            "Records between stream and acknowledgement",
        );
        let in_flight_bytes = registered(
            r,
            "in_flight_bytes",
            "Bytes between stream and acknowledgement",
        );
        let confirmed_lsn = registered(r, "confirmed_lsn", "The LSN told to the slot");
        let received_lsn = registered(r, "received_lsn", "The end of what was received");
        let retained_bytes = registered(
            r,
            "slot_retained_bytes",
            "WAL that the slot makes the server keep",
        );
        let relieved = registered(
            r,
            "slot_relieved",
            "1 while max_retained_wal makes the broker's position count",
        );
        let delay_seconds = registered(
            r,
            "capture_delay_seconds",
            "From commit to publishing, of the last transaction",
        );
        let held_back_bytes = registered(
            r,
            "slot_held_back_bytes",
            "How far a feed's group is behind what was received",
        );
        let violations = registered(
            r,
            "invariant_violations",
            "Guarantees that would have been broken",
        );
        Self {
            rows,
            published,
            heartbeats,
            skipped,
            connections,
            in_flight_records,
            in_flight_bytes,
            confirmed_lsn,
            received_lsn,
            retained_bytes,
            relieved,
            delay_seconds,
            held_back_bytes,
            violations,
            registry: Arc::new(registry),
        }
    }

    /// The registry, for `/metrics`.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// A row message was published, suppressed or no index's concern.
    pub fn row(&self, result: &'static str) {
        self.rows.get_or_create(&RowLabels { result }).inc();
    }

    /// Where the slot and the stream stand.
    pub fn positions(&self, confirmed: Lsn, received: Lsn) {
        self.confirmed_lsn.set(gauge(confirmed.as_u64()));
        self.received_lsn.set(gauge(received.as_u64()));
    }

    /// A transaction that committed at `commit_ts_us` (microseconds since 1970) was handed on.
    pub fn delay(&self, commit_ts_us: i64) {
        let delay = jiff::Timestamp::now()
            .as_microsecond()
            .saturating_sub(commit_ts_us);
        let delay = std::time::Duration::from_micros(u64::try_from(delay).unwrap_or(0));
        self.delay_seconds.set(delay.as_secs_f64());
    }

    /// What is between stream and acknowledgement, and what was acknowledged since the last call.
    pub fn in_flight(&self, in_flight: InFlight) {
        self.in_flight_records
            .set(gauge(u64::try_from(in_flight.records).unwrap_or(u64::MAX)));
        self.in_flight_bytes
            .set(gauge(u64::try_from(in_flight.bytes).unwrap_or(u64::MAX)));
    }

    /// How far a group is behind.
    pub fn held_back(&self, group: &str, bytes: u64) {
        self.held_back_bytes
            .get_or_create(&GroupLabels {
                group: group.to_owned(),
            })
            .set(gauge(bytes));
    }

    /// A guarantee would have been broken.
    pub fn violated(&self, violation: &Violation) {
        self.violations
            .get_or_create(&GuaranteeLabels {
                id: violation.guarantee.id(),
            })
            .inc();
    }
}

/// A gauge holds 63 bits; an LSN above that does not occur.
#[must_use]
pub fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn registered<M: Metric + Default + Clone>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}
