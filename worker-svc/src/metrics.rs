//! Every metric name and label of this service.
//! In: what modules count. Out: a registry of the process's own, handed to `http`.
//! Must hold: no label carries a row value or a key; each label has a bounded number of
//! values. Must not: be global, so that a test can run two services in one process.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use model::{FeedId, Violation};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// A feed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FeedLabels {
    /// The sink.
    pub sink: String,
    /// The index.
    pub index: String,
    /// The generation.
    pub generation: u32,
}

impl From<&FeedId> for FeedLabels {
    fn from(feed: &FeedId) -> Self {
        FeedLabels {
            sink: feed.sink.clone(),
            index: feed.index.clone(),
            generation: feed.generation.get(),
        }
    }
}

/// A feed, and one word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WordLabels {
    /// The sink.
    pub sink: String,
    /// The index.
    pub index: String,
    /// The generation.
    pub generation: u32,
    /// A topic's short name, an outcome, a state or a reason: a fixed set each.
    pub kind: &'static str,
}

/// A guarantee.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GuaranteeLabels {
    /// Its id.
    pub id: &'static str,
}

/// A server that the process depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DependencyLabels {
    /// `postgres`, `kafka`, or the sink's name.
    pub dependency: String,
}

type Fractional = Gauge<f64, AtomicU64>;

/// All families of the service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    records: Family<WordLabels, Counter>,
    documents: Family<WordLabels, Counter>,
    nulled_values: Family<FeedLabels, Counter>,
    builds_dropped: Family<WordLabels, Counter>,
    bulk_requests: Family<WordLabels, Counter>,
    bulk_bytes: Family<FeedLabels, Counter>,
    bulk_seconds: Family<FeedLabels, Histogram, fn() -> Histogram>,
    bulk_allowed: Family<FeedLabels, Gauge>,
    batch_changes: Family<FeedLabels, Histogram, fn() -> Histogram>,
    resolve_seconds: Family<FeedLabels, Histogram, fn() -> Histogram>,
    build_seconds: Family<FeedLabels, Histogram, fn() -> Histogram>,
    uncommitted: Family<FeedLabels, Gauge>,
    lag_records: Family<FeedLabels, Gauge>,
    delay_seconds: Family<FeedLabels, Fractional>,
    watermark_lsn: Family<FeedLabels, Gauge<i64>>,
    seeded_percent: Family<FeedLabels, Fractional>,
    feed_state: Family<WordLabels, Gauge>,
    fanout_chunks: Family<FeedLabels, Counter>,
    dead_letters: Family<FeedLabels, Counter>,
    retries: Family<DependencyLabels, Counter>,
    violations: Family<GuaranteeLabels, Counter>,
    registry: Arc<Registry>,
}

/// From half a millisecond to half a minute, doubling.
fn seconds() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
        0.000_5, 2.0, 17,
    ))
}

/// From 1 to 65,536, times four.
fn counts() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
        1.0, 4.0, 9,
    ))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All families, empty, in a registry of their own.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a list with one entry per metric")]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("flusso");
        let records = registered(
            &mut registry,
            "records_consumed",
            "Records taken from a topic, by topic",
        );
        let documents = registered(
            &mut registry,
            "documents",
            "Documents, by how their write ended",
        );
        let nulled_values = registered(
            &mut registry,
            "values_nulled",
            "Values that JSON or the index cannot hold, written as null",
        );
        let builds_dropped = registered(
            &mut registry,
            "builds_dropped",
            "Built documents that were dropped and built again, by reason",
        );
        let bulk_requests = registered(
            &mut registry,
            "bulk_requests",
            "Bulk requests, by how they ended",
        );
        let bulk_bytes = registered(
            &mut registry,
            "bulk_bytes",
            "Bytes of bulk bodies before compression",
        );
        let bulk_seconds = timed(
            &mut registry,
            "bulk_duration",
            "From sending a bulk request to its reply",
        );
        let bulk_allowed = registered(
            &mut registry,
            "bulk_requests_allowed",
            "Bulk requests that may be under way at once",
        );
        let make: fn() -> Histogram = counts;
        let batch_changes = Family::new_with_constructor(make);
        registry.register(
            "batch_changes",
            "Records of one batch",
            batch_changes.clone(),
        );
        let resolve_seconds = timed(
            &mut registry,
            "resolve_duration",
            "Finding the documents of a batch",
        );
        let build_seconds = timed(
            &mut registry,
            "build_duration",
            "Building the documents of a batch",
        );
        let uncommitted = registered(
            &mut registry,
            "uncommitted_records",
            "Records taken and not yet committed",
        );
        let lag_records = registered(
            &mut registry,
            "lag_records",
            "Records of changes behind the end of the topic",
        );
        let delay_seconds = registered(
            &mut registry,
            "delay_seconds",
            "From commit in Postgres to durable in the index",
        );
        let watermark_lsn = registered(
            &mut registry,
            "watermark_lsn",
            "Everything below it is durable in the index",
        );
        let seeded_percent = registered(
            &mut registry,
            "seeded_percent",
            "How much of the chunk plan is done",
        );
        let feed_state = registered(&mut registry, "feed_state", "1 for the state a feed is in");
        let fanout_chunks = registered(
            &mut registry,
            "fanout_chunks",
            "Pages of documents handed to all workers",
        );
        let dead_letters = registered(
            &mut registry,
            "dead_letters",
            "Documents written to the dead-letter topic",
        );
        let retries = registered(&mut registry, "retries", "Failed tries, by dependency");
        let violations = registered(
            &mut registry,
            "invariant_violations",
            "Guarantees that would have been broken",
        );
        Metrics {
            records,
            documents,
            nulled_values,
            builds_dropped,
            bulk_requests,
            bulk_bytes,
            bulk_seconds,
            bulk_allowed,
            batch_changes,
            resolve_seconds,
            build_seconds,
            uncommitted,
            lag_records,
            delay_seconds,
            watermark_lsn,
            seeded_percent,
            feed_state,
            fanout_chunks,
            dead_letters,
            retries,
            violations,
            registry: Arc::new(registry),
        }
    }

    /// The registry, for `/metrics`.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// The metrics of one feed.
    #[must_use]
    pub fn feed(&self, feed: &FeedId) -> FeedMetrics {
        FeedMetrics {
            all: self.clone(),
            labels: FeedLabels::from(feed),
        }
    }

    /// A try against a dependency failed.
    pub fn retried(&self, dependency: &str) {
        let labels = DependencyLabels {
            dependency: dependency.to_owned(),
        };
        self.retries.get_or_create(&labels).inc();
    }

    /// A guarantee would have been broken.
    pub fn violated(&self, violation: &Violation) {
        let labels = GuaranteeLabels {
            id: violation.guarantee.id(),
        };
        self.violations.get_or_create(&labels).inc();
    }
}

fn registered<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: prometheus_client::registry::Metric + Default + Clone,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn timed(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> Family<FeedLabels, Histogram, fn() -> Histogram> {
    let make: fn() -> Histogram = seconds;
    let family = Family::new_with_constructor(make);
    registry.register_with_unit(name, help, Unit::Seconds, family.clone());
    family
}

/// The metrics of one feed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FeedMetrics {
    all: Metrics,
    labels: FeedLabels,
}

impl FeedMetrics {
    fn word(&self, kind: &'static str) -> WordLabels {
        let FeedLabels {
            sink,
            index,
            generation,
        } = self.labels.clone();
        WordLabels {
            sink,
            index,
            generation,
            kind,
        }
    }

    /// Records were taken from `changes`, `fanout` or `backfill`.
    pub fn consumed(&self, topic: &'static str, records: u64) {
        self.all
            .records
            .get_or_create(&self.word(topic))
            .inc_by(records);
    }

    /// Documents ended as `applied`, `stale`, `retry`, `refused` or `blocked`.
    pub fn documents(&self, outcome: &'static str, count: u64) {
        self.all
            .documents
            .get_or_create(&self.word(outcome))
            .inc_by(count);
    }

    /// Values had to become null.
    pub fn nulled(&self, values: u64) {
        self.all
            .nulled_values
            .get_or_create(&self.labels)
            .inc_by(values);
    }

    /// A build was dropped: `not_visible`, `run_changed`, `too_old`, `reply_lost`, ….
    pub fn dropped(&self, reason: &'static str) {
        self.all
            .builds_dropped
            .get_or_create(&self.word(reason))
            .inc();
    }

    /// A bulk request ended as `items`, `retry`, `halve`, `rebuild`, `blocked`,
    /// `malformed`, `lost` or `not_sent`.
    pub fn bulk(&self, outcome: &'static str, bytes: usize, took: std::time::Duration) {
        self.all
            .bulk_requests
            .get_or_create(&self.word(outcome))
            .inc();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.all
            .bulk_bytes
            .get_or_create(&self.labels)
            .inc_by(bytes);
        self.all
            .bulk_seconds
            .get_or_create(&self.labels)
            .observe(took.as_secs_f64());
    }

    /// So many bulk requests may be under way.
    pub fn bulk_allowed(&self, count: usize) {
        set(&self.all.bulk_allowed, &self.labels, count);
    }

    /// A batch of so many records was closed.
    pub fn batch(&self, records: u32) {
        self.all
            .batch_changes
            .get_or_create(&self.labels)
            .observe(f64::from(records));
    }

    /// Resolving a batch took so long.
    pub fn resolved(&self, took: std::time::Duration) {
        self.all
            .resolve_seconds
            .get_or_create(&self.labels)
            .observe(took.as_secs_f64());
    }

    /// Building a batch took so long.
    pub fn built(&self, took: std::time::Duration) {
        self.all
            .build_seconds
            .get_or_create(&self.labels)
            .observe(took.as_secs_f64());
    }

    /// So many records are taken and not committed.
    pub fn uncommitted(&self, records: usize) {
        set(&self.all.uncommitted, &self.labels, records);
    }

    /// So many records of `changes` are behind the topic's end.
    pub fn lag(&self, records: u64) {
        set(&self.all.lag_records, &self.labels, records);
    }

    /// The delay from commit to durable.
    pub fn delay(&self, delay: std::time::Duration) {
        self.all
            .delay_seconds
            .get_or_create(&self.labels)
            .set(delay.as_secs_f64());
    }

    /// Everything below this LSN is durable in the index.
    pub fn watermark(&self, lsn: model::Lsn) {
        set(&self.all.watermark_lsn, &self.labels, lsn.as_u64());
    }

    /// So much of the plan is done, 0 to 100.
    pub fn seeded(&self, percent: f64) {
        self.all
            .seeded_percent
            .get_or_create(&self.labels)
            .set(percent);
    }

    /// The feed is in this state and in no other of `states`.
    pub fn state(&self, state: &'static str, states: &[&'static str]) {
        for word in states {
            let on = i64::from(*word == state);
            self.all.feed_state.get_or_create(&self.word(word)).set(on);
        }
    }

    /// Pages were handed to `{p}.fanout`.
    pub fn fanned_out(&self, chunks: u64) {
        self.all
            .fanout_chunks
            .get_or_create(&self.labels)
            .inc_by(chunks);
    }

    /// A document went to the dead-letter topic.
    pub fn dead_letter(&self) {
        self.all.dead_letters.get_or_create(&self.labels).inc();
    }

    /// How many documents ended so: for the status and tests.
    #[must_use]
    pub fn documents_so_far(&self, outcome: &'static str) -> u64 {
        self.all.documents.get_or_create(&self.word(outcome)).get()
    }

    /// How many dead letters this process wrote.
    #[must_use]
    pub fn dead_letters_so_far(&self) -> u64 {
        self.all.dead_letters.get_or_create(&self.labels).get()
    }

    /// A guarantee would have been broken.
    pub fn violated(&self, violation: &Violation) {
        self.all.violated(violation);
    }

    /// A try against a dependency failed.
    pub fn retried(&self, dependency: &str) {
        self.all.retried(dependency);
    }
}

/// Numbers over 2^63 are shown as that: none of ours gets there.
fn set<N: TryInto<i64>>(family: &Family<FeedLabels, Gauge>, labels: &FeedLabels, number: N) {
    family
        .get_or_create(labels)
        .set(number.try_into().unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Generation;

    #[test]
    fn names_carry_the_prefix_and_counters_end_in_total() {
        let metrics = Metrics::new();
        let feed = metrics.feed(&FeedId::new("main", "users", Generation::FIRST));
        feed.consumed("changes", 3);
        feed.state("live", &["live", "stopped"]);
        feed.bulk("items", 10, std::time::Duration::from_millis(3));
        metrics.retried("postgres");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics.registry()).unwrap();
        for line in [
            r#"flusso_records_consumed_total{sink="main",index="users",generation="1",kind="changes"} 3"#,
            r#"flusso_feed_state{sink="main",index="users",generation="1",kind="live"} 1"#,
            r#"flusso_feed_state{sink="main",index="users",generation="1",kind="stopped"} 0"#,
            r#"flusso_bulk_duration_seconds_count{sink="main",index="users",generation="1"} 1"#,
            r#"flusso_retries_total{dependency="postgres"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\nnot in\n{text}");
        }
    }
}
