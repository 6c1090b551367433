//! What is known of every generation, kept in the sink: `{prefix}flusso_meta`.
//! In: records, changed by compare-and-set. Out: records as they are now.
//! Must hold: R1, R2 rest on these records, so a change that was made on an old state
//! is never written. Must not: decide anything; that is `generation` and `coordinate`.
//! Why in the sink: whether an index is seeded is the destination's knowledge; a
//! restored or emptied cluster brings its own truth with it.
//! Why each document keeps its record under one unparsed member: the index's limits on
//! fields and names then do not apply to what a definition happens to contain.

mod generations;
mod halt;
mod incarnations;
mod indexes;
mod source;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Definite, Transient};
use crate::sink::{Failure, Found, Revision, Sink, Written};

pub use generations::{
    Birth, Blocks, Cause, FeedControl, GenerationRecord, PartitionPosition, PlanRecord,
    RepairRequest, Replan, Replay, ServedRecord, State, Stop, TopicPositions, VisibleFrom,
};
pub use incarnations::{Incarnations, Numbered, RegisteredRun, RunsRecord};
pub use indexes::IndexRecord;
pub use source::{AcceptedSource, SourceRecord};

/// The version of the records' form. A record of a higher one is left alone.
pub const FORMAT: u32 = 1;

/// How often a change is tried on a newer state before it counts as failed. Losing that
/// often means that somebody writes all the time, which nobody should.
const MOST_TRIES: usize = 20;

/// A record of the registry.
pub trait Record: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// The kind, the same for all of this type.
    const KIND: &'static str;
    /// The document id: starts with the kind.
    fn id(&self) -> String;
    /// What people search by: `index`, `state`, `number`.
    fn labels(&self) -> Map<String, Value>;
}

/// A record as it was read.
#[derive(Debug, Clone)]
pub struct Entry<R> {
    /// The record.
    pub record: R,
    /// The state that a change must still find.
    pub revision: Revision,
}

/// How a change ended.
#[derive(Debug, Clone)]
#[must_use]
pub enum Changed<R> {
    /// Written.
    Yes(Entry<R>),
    /// The change had nothing to do on the state that is there.
    Unneeded(Entry<R>),
    /// There is no such record.
    Missing,
}

/// The registry of one sink and index prefix. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    sink: Sink,
    name: String,
    index_prefix: String,
    index: String,
}

#[derive(Serialize)]
struct Stored<'a, R> {
    kind: &'static str,
    format: u32,
    #[serde(flatten)]
    labels: Map<String, Value>,
    record: &'a R,
}

#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    format: u32,
    #[serde(default)]
    record: Value,
}

impl Registry {
    /// The registry of the sink called `name`, for indexes with `index_prefix`. Nothing
    /// is asked yet.
    #[must_use]
    pub fn new(sink: Sink, name: impl Into<String>, index_prefix: impl Into<String>) -> Self {
        let index_prefix = index_prefix.into();
        let index = format!("{index_prefix}flusso_meta");
        Registry {
            sink,
            name: name.into(),
            index_prefix,
            index,
        }
    }

    /// The client it uses.
    #[must_use]
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// The sink's name in the configuration.
    #[must_use]
    pub fn sink_name(&self) -> &str {
        &self.name
    }

    /// What stands before every index and alias.
    #[must_use]
    pub fn index_prefix(&self) -> &str {
        &self.index_prefix
    }

    /// The index that holds the records.
    #[must_use]
    pub fn index(&self) -> &str {
        &self.index
    }

    /// Makes the index unless it is there, and sees to it that records are stored
    /// unparsed. Idempotent; entries of other products in it are left alone.
    ///
    /// # Errors
    /// No answer, or no right to do it.
    pub async fn open(&self) -> Result<(), Transient> {
        let mappings = json!({
            "dynamic": false,
            "properties": {
                "kind": {"type": "keyword"},
                "index": {"type": "keyword"},
                "state": {"type": "keyword"},
                "record": {"type": "object", "enabled": false},
            },
        });
        let body = json!({
            "settings": {"index": {"hidden": true, "number_of_shards": 1, "auto_expand_replicas": "0-1"}},
            "mappings": mappings,
        });
        let made = self
            .sink
            .create_index(&self.index, &body)
            .await
            .map_err(sink("making the registry"))?;
        if made == crate::sink::Made::Existed {
            self.sink
                .put_mapping(&self.index, &mappings)
                .await
                .map_err(sink("preparing the registry"))?;
        }
        Ok(())
    }

    /// The record with this id as it is now.
    ///
    /// # Errors
    /// No answer; inside: a record that this version cannot read.
    pub async fn get<R: Record>(
        &self,
        id: &str,
    ) -> Result<Result<Option<Entry<R>>, Definite>, Transient> {
        let found = self
            .sink
            .document(&self.index, id)
            .await
            .map_err(sink("reading the registry"))?;
        Ok(found.map(|found| read(&found)).transpose())
    }

    /// All records of a kind.
    ///
    /// # Errors
    /// No answer; inside: a record that this version cannot read.
    pub async fn list<R: Record>(&self) -> Result<Result<Vec<Entry<R>>, Definite>, Transient> {
        let found = self
            .sink
            .documents(&self.index, "kind", R::KIND)
            .await
            .map_err(sink("listing the registry"))?;
        Ok(found.iter().map(read).collect())
    }

    /// Writes a record that is not there yet. `None`: somebody else was first, or an
    /// earlier try whose reply was lost.
    ///
    /// # Errors
    /// No answer.
    pub async fn create<R: Record>(&self, record: R) -> Result<Option<Entry<R>>, Transient> {
        let source = store(&record)?;
        let written = self
            .sink
            .create_document(&self.index, &record.id(), source)
            .await
            .map_err(sink("writing the registry"))?;
        Ok(match written {
            Written::Done(revision) => Some(Entry { record, revision }),
            Written::Lost => None,
        })
    }

    /// Replaces a record that must still be as it was read. `None`: it is not.
    ///
    /// # Errors
    /// No answer.
    pub async fn replace<R: Record>(
        &self,
        at: Revision,
        record: R,
    ) -> Result<Option<Entry<R>>, Transient> {
        let source = store(&record)?;
        let written = self
            .sink
            .replace_document(&self.index, &record.id(), at, source)
            .await
            .map_err(sink("writing the registry"))?;
        Ok(match written {
            Written::Done(revision) => Some(Entry { record, revision }),
            Written::Lost => None,
        })
    }

    /// Changes a record: reads it, lets `change` work on it, writes it if `change` says
    /// so, and starts again when somebody else was faster. `change` may run several
    /// times, and must find nothing to do on a state it has already made: a reply may be
    /// lost after the write.
    ///
    /// # Errors
    /// No answer, or too many lost races; inside: a record that this version cannot
    /// read, or what `change` objects to.
    pub async fn update<R, F>(
        &self,
        id: &str,
        mut change: F,
    ) -> Result<Result<Changed<R>, Definite>, Transient>
    where
        R: Record,
        F: FnMut(&mut R) -> Result<bool, Definite> + Send,
    {
        for _ in 0..MOST_TRIES {
            let entry = match self.get::<R>(id).await? {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(Ok(Changed::Missing)),
                Err(definite) => return Ok(Err(definite)),
            };
            let mut record = entry.record.clone();
            match change(&mut record) {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(Changed::Unneeded(entry))),
                Err(definite) => return Ok(Err(definite)),
            }
            if let Some(written) = self.replace(entry.revision, record).await? {
                return Ok(Ok(Changed::Yes(written)));
            }
        }
        Err(Transient::Waiting(format!(
            "registry entry {id} to be left alone by others"
        )))
    }
}

fn sink(doing: &'static str) -> impl FnOnce(Failure) -> Transient {
    move |source| Transient::Sink { doing, source }
}

fn store<R: Record>(record: &R) -> Result<bytes::Bytes, Transient> {
    let stored = Stored {
        kind: R::KIND,
        format: FORMAT,
        labels: record.labels(),
        record,
    };
    // A record is made of maps with text keys, so this does not fail.
    serde_json::to_vec(&stored)
        .map(bytes::Bytes::from)
        .map_err(|error| {
            Transient::Waiting(format!("a registry entry that can be written: {error}"))
        })
}

fn read<R: Record>(found: &Found) -> Result<Entry<R>, Definite> {
    let wrong = |reason: String| Definite::Registry {
        id: found.id.clone(),
        reason,
    };
    let read: Read =
        serde_json::from_str(found.source.get()).map_err(|error| wrong(error.to_string()))?;
    if read.format > FORMAT {
        return Err(wrong(format!(
            "written in format {}; this version knows {FORMAT}: upgrade it",
            read.format
        )));
    }
    let record = serde_json::from_value(read.record).map_err(|error| wrong(error.to_string()))?;
    Ok(Entry {
        record,
        revision: found.revision,
    })
}

#[cfg(test)]
pub(crate) mod tests;
