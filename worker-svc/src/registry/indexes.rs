//! The record of one index: which of its generations does what.

use model::Generation;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Record;

/// One index of the configuration, or one that has left it and is still fed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexRecord {
    /// The logical name.
    pub index: String,
    /// The sink's name. Two sinks of one cluster and prefix must not share an index.
    pub sink: String,
    /// The number the next generation gets. Never goes down.
    pub next: Generation,
    /// The generation that the alias points to; `None` before the first swap.
    #[serde(default)]
    pub active: Option<Generation>,
    /// The one before it, still fed, for a roll back.
    #[serde(default)]
    pub standby: Option<Generation>,
    /// The one that is planned or being built.
    #[serde(default)]
    pub building: Option<Generation>,
    /// Further aliases that were moved with the main one, so that one which left the
    /// configuration can be taken away.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The definition that a roll back chose: no other one is built by itself until the
    /// configuration names yet another.
    #[serde(default)]
    pub pinned: Option<String>,
    /// Switched off in the configuration: not fed, not gating.
    #[serde(default)]
    pub disabled: bool,
    /// Members that a newer version wrote.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl IndexRecord {
    /// An index without generations whose first one gets the number `next`.
    #[must_use]
    pub fn new(index: impl Into<String>, sink: impl Into<String>, next: Generation) -> Self {
        IndexRecord {
            index: index.into(),
            sink: sink.into(),
            next,
            active: None,
            standby: None,
            building: None,
            aliases: Vec::new(),
            pinned: None,
            disabled: false,
            more: Map::new(),
        }
    }

    /// The id of the record of `index`.
    #[must_use]
    pub fn id_of(index: &str) -> String {
        format!("index/{index}")
    }
}

impl Record for IndexRecord {
    const KIND: &'static str = "index";

    fn id(&self) -> String {
        Self::id_of(&self.index)
    }

    fn labels(&self) -> Map<String, Value> {
        Map::from_iter([(String::from("index"), json!(self.index))])
    }
}
