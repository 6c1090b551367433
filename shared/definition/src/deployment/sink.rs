//! `[sinks.<name>]`: where documents go, and with which index settings.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{ByteSize, ClientCertificate, IndexOverrides, Secret};

/// One sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: SinkKind,
}

impl Sink {
    /// The index options in force for an index with these overrides. A stdout
    /// sink has the defaults: nothing of them reaches its output.
    #[must_use]
    pub fn index_options(&self, overrides: &IndexOverrides) -> IndexOptions {
        let mut options = match &self.kind {
            SinkKind::OpenSearch(sink) => sink.index.clone(),
            SinkKind::Stdout { .. } => return IndexOptions::default(),
        };
        if let Some(shards) = overrides.number_of_shards {
            options.number_of_shards = shards;
        }
        if let Some(replicas) = overrides.number_of_replicas {
            options.number_of_replicas = replicas;
        }
        if let Some(interval) = overrides.refresh_interval {
            options.refresh_interval = interval;
        }
        if let Some(pipeline) = &overrides.pipeline {
            options.pipeline = Some(pipeline.clone());
        }
        for (name, value) in &overrides.index_settings {
            options.index_settings.insert(name.clone(), value.clone());
        }
        options
    }
}

/// What a sink is.
#[derive(Debug, Clone, PartialEq)]
pub enum SinkKind {
    /// An OpenSearch cluster.
    OpenSearch(Box<OpenSearch>),
    /// One JSON object per operation on standard output.
    Stdout {
        /// Over several lines.
        pretty: bool,
    },
}

/// `type = "opensearch"`.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenSearch {
    /// `http(s)://` each, used in turn; at least one.
    pub urls: Vec<Secret>,
    /// How requests are authorised.
    pub authorization: Authorization,
    /// More request headers.
    pub headers: Vec<(String, Secret)>,
    /// `false` accepts any certificate.
    pub tls_verify: bool,
    /// PEM file added to the system's certificates.
    pub ca_file: Option<PathBuf>,
    /// Client certificate.
    pub client_certificate: Option<ClientCertificate>,
    /// Compress request bodies.
    pub gzip: bool,
    /// Most actions per bulk request.
    pub batch_size: u64,
    /// Most bytes per bulk request, before gzip.
    pub max_bytes: ByteSize,
    /// Bulk requests at a time per feed and process, 1 to 64.
    pub max_concurrent_requests: u64,
    /// Limit of a whole request.
    pub timeout: Duration,
    /// Failed tries before a feed counts as retrying.
    pub max_retries: u64,
    /// A feed that has caught up refreshes its index.
    pub refresh_when_idle: bool,
    /// Settings of its indexes, before an index's own.
    pub index: IndexOptions,
}

/// How requests are authorised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// Not at all.
    None,
    /// Name and password; `None`: empty password.
    Basic {
        /// The name.
        username: Secret,
        /// The password.
        password: Option<Secret>,
    },
    /// `Authorization: ApiKey …`.
    ApiKey(Secret),
    /// `Authorization: Bearer …`.
    Bearer(Secret),
}

/// Settings of an index in a sink, with the index's own laid over the sink's.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexOptions {
    /// Primary shards, at least 1.
    pub number_of_shards: u32,
    /// Replicas once seeded.
    pub number_of_replicas: u32,
    /// Refresh interval once seeded.
    pub refresh_interval: RefreshInterval,
    /// How long versions of deletes are remembered, at least 2 minutes.
    pub gc_deletes: Duration,
    /// Ingest pipeline.
    pub pipeline: Option<String>,
    /// Which analysis.
    pub text_analysis: TextAnalysis,
    /// Text and keyword properties get subfields.
    pub auto_subfields: bool,
    /// More index settings.
    pub index_settings: Map<String, Value>,
}

impl Default for IndexOptions {
    fn default() -> Self {
        IndexOptions {
            number_of_shards: 1,
            number_of_replicas: 1,
            refresh_interval: RefreshInterval::Every(Duration::from_secs(10)),
            gc_deletes: Duration::from_mins(10),
            pipeline: None,
            text_analysis: TextAnalysis::Builtin,
            auto_subfields: true,
            index_settings: Map::new(),
        }
    }
}

/// How often an index is refreshed once seeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshInterval {
    /// Never by itself: `-1`.
    Off,
    /// At this interval.
    Every(Duration),
}

impl fmt::Display for RefreshInterval {
    /// OpenSearch's spelling: `-1`, `10s`, `1500ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefreshInterval::Off => f.write_str("-1"),
            RefreshInterval::Every(every) if every.subsec_nanos() == 0 => {
                write!(f, "{}s", every.as_secs())
            }
            RefreshInterval::Every(every) => write!(f, "{}ms", every.as_millis()),
        }
    }
}

/// Which analysis text gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextAnalysis {
    /// With what every node has.
    Builtin,
    /// With the ICU plugin, on every node.
    Icu,
}

impl TextAnalysis {
    /// The word of the language.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            TextAnalysis::Builtin => "builtin",
            TextAnalysis::Icu => "icu",
        }
    }
}

/// Index settings that OpenSearch fixes when an index is made; the others can
/// be changed in place. `name` is without `index.`.
#[must_use]
pub fn is_static_setting(name: &str) -> bool {
    const EXACT: [&str; 14] = [
        "codec",
        "codec.compression_level",
        "format",
        "knn",
        "load_fixed_bitset_filters_eagerly",
        "mapping.coerce",
        "mapping.ignore_malformed",
        "number_of_routing_shards",
        "queries.cache.enabled",
        "replication.type",
        "routing_partition_size",
        "shard.check_on_startup",
        "soft_deletes.enabled",
        "append_only.enabled",
    ];
    const FAMILIES: [&str; 4] = ["sort.", "similarity.", "store.", "knn.derived_source."];
    EXACT.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}
