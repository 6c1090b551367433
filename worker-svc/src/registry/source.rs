//! The record of the accepted source: which cluster and database the indexes show.

use model::Epoch;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Changed, Entry, Record, Registry};
use crate::error::{Definite, SourceIdentity, Transient};

/// Which source every generation of this registry is filled from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// The deployment's topic prefix.
    pub topic_prefix: String,
    /// Sources in the order they were accepted; the last one counts.
    pub accepted: Vec<AcceptedSource>,
    /// Members that a newer version wrote.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// One accepted source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedSource {
    /// `system_identifier` of the cluster.
    pub system_identifier: u64,
    /// The database's oid.
    pub database_oid: u32,
    /// The epoch in which it was accepted; `None` when capture had announced none.
    pub epoch: Option<Epoch>,
    /// Who accepted it: "first", or as far as known.
    pub by: String,
    /// When, microseconds since 1970.
    pub at_us: i64,
}

impl SourceRecord {
    /// Its id.
    pub const ID: &'static str = "source";
}

impl Record for SourceRecord {
    const KIND: &'static str = "source";

    fn id(&self) -> String {
        Self::ID.to_owned()
    }

    fn labels(&self) -> Map<String, Value> {
        Map::new()
    }
}

impl Registry {
    /// Checks that the source which answers is the accepted one; the first one that is
    /// ever seen is accepted.
    ///
    /// # Errors
    /// No answer; inside: another source (R2), or a registry of another deployment.
    pub async fn check_source(
        &self,
        topic_prefix: &str,
        is: SourceIdentity,
        at_us: i64,
    ) -> Result<Result<(), Definite>, Transient> {
        let first = SourceRecord {
            topic_prefix: topic_prefix.to_owned(),
            accepted: vec![accepted(is, None, "first", at_us)],
            more: Map::new(),
        };
        let mut entry = match self.get::<SourceRecord>(SourceRecord::ID).await? {
            Ok(entry) => entry,
            Err(definite) => return Ok(Err(definite)),
        };
        if entry.is_none() {
            if self.create(first).await?.is_some() {
                return Ok(Ok(()));
            }
            entry = match self.get(SourceRecord::ID).await? {
                Ok(entry) => entry,
                Err(definite) => return Ok(Err(definite)),
            };
        }
        Ok(entry.map_or(Ok(()), |entry: Entry<SourceRecord>| {
            same_source(&entry.record, topic_prefix, is)
        }))
    }

    /// Accepts a source: every generation has to be filled anew from it.
    ///
    /// # Errors
    /// No answer; inside: a record that this version cannot read.
    pub async fn accept_source(
        &self,
        is: SourceIdentity,
        epoch: Option<Epoch>,
        by: &str,
        at_us: i64,
    ) -> Result<Result<Changed<SourceRecord>, Definite>, Transient> {
        self.update(SourceRecord::ID, |record: &mut SourceRecord| {
            if record.accepted.last().map(identity) == Some(is) {
                return Ok(false);
            }
            record.accepted.push(accepted(is, epoch, by, at_us));
            Ok(true)
        })
        .await
    }
}

fn accepted(is: SourceIdentity, epoch: Option<Epoch>, by: &str, at_us: i64) -> AcceptedSource {
    AcceptedSource {
        system_identifier: is.system_identifier,
        database_oid: is.database_oid,
        epoch,
        by: by.to_owned(),
        at_us,
    }
}

fn identity(accepted: &AcceptedSource) -> SourceIdentity {
    SourceIdentity {
        system_identifier: accepted.system_identifier,
        database_oid: accepted.database_oid,
    }
}

fn same_source(
    record: &SourceRecord,
    topic_prefix: &str,
    is: SourceIdentity,
) -> Result<(), Definite> {
    if record.topic_prefix != topic_prefix {
        return Err(Definite::Registry {
            id: SourceRecord::ID.to_owned(),
            reason: format!(
                "it belongs to the deployment with topic prefix {:?}, not {topic_prefix:?}: change prefix",
                record.topic_prefix
            ),
        });
    }
    match record.accepted.last().map(identity) {
        Some(was) if was != is => Err(Definite::SourceChanged { was, is }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SourceIdentity = SourceIdentity {
        system_identifier: 1,
        database_oid: 5,
    };
    const B: SourceIdentity = SourceIdentity {
        system_identifier: 2,
        database_oid: 5,
    };

    #[test]
    fn r2_another_cluster_or_database_is_never_taken_for_the_source() {
        let mut record = SourceRecord {
            topic_prefix: "p".into(),
            accepted: vec![accepted(A, None, "first", 0)],
            more: Map::new(),
        };
        assert_eq!(same_source(&record, "p", A), Ok(()));
        assert_eq!(
            same_source(&record, "p", B),
            Err(Definite::SourceChanged { was: A, is: B })
        );
        let other = SourceIdentity {
            database_oid: 6,
            ..A
        };
        assert!(same_source(&record, "p", other).is_err());

        record.accepted.push(accepted(B, None, "ann", 1));
        assert_eq!(same_source(&record, "p", B), Ok(()));
        assert!(same_source(&record, "p", A).is_err());
    }

    #[test]
    fn a_registry_of_another_deployment_is_left_alone() {
        let record = SourceRecord {
            topic_prefix: "p".into(),
            accepted: vec![accepted(A, None, "first", 0)],
            more: Map::new(),
        };
        assert!(matches!(
            same_source(&record, "q", A),
            Err(Definite::Registry { .. })
        ));
    }
}
