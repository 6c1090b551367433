//! `[[index]]`: a search document under a name.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::RefreshInterval;
use crate::diagnostic::Spans;
use crate::index::IndexDefinition;

/// One `[[index]]`.
#[derive(Debug, Clone)]
pub struct Index {
    /// Its name, without prefix.
    pub name: String,
    /// Its schema file, resolved.
    pub schema: PathBuf,
    /// Whether it is fed; a disabled one is still listed.
    pub enabled: bool,
    /// What to do with a document that cannot be built or is refused.
    pub on_error: OnError,
    /// Names of its sinks; at least one.
    pub sinks: Vec<String>,
    /// Further aliases, without prefix added.
    pub aliases: Vec<String>,
    /// Settings laid over the sink's.
    pub overrides: IndexOverrides,
    /// The checked schema file.
    pub definition: Arc<IndexDefinition>,
    /// Where its elements stand in the schema file.
    pub spans: Arc<Spans>,
}

/// What to do with a document that cannot be built or is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The feed halts with a reason until `resume`.
    Stop,
    /// The document goes to `{p}.dlq`; the feed goes on.
    DeadLetter,
}

/// Settings of one index laid over the sink's. `None`: the sink's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexOverrides {
    /// Primary shards.
    pub number_of_shards: Option<u32>,
    /// Replicas once seeded.
    pub number_of_replicas: Option<u32>,
    /// Refresh interval once seeded.
    pub refresh_interval: Option<RefreshInterval>,
    /// Ingest pipeline.
    pub pipeline: Option<String>,
    /// More index settings, merged over the sink's.
    pub index_settings: Map<String, Value>,
}
