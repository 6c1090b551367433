//! One index, fed by the product's own code: what a feed does between Kafka and OpenSearch.
//! In: records. Out: documents in memory, as an index would hold them.
//! Must hold: nothing is decided here that the product decides: which records count (`Scope`),
//! what they lead to (`Paths`), what is written (`Builder`), which write wins (the version).
//! Must not: read rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definition::{Index, IndexDefinition};
use model::{Change, Epoch};
use runtime::postgres::Pool;
use worker_svc::batch::{Judged, Scope};
use worker_svc::build::{Attempt, Blocks, Builder, Built, Gate, Limits, Parts, Request};
use worker_svc::compiled::Compiled;
use worker_svc::coordinate::source;
use worker_svc::resolve::DocumentKey;

use super::stage::{PATIENCE, Silent, Stage};
use crate::oracle::{Documents, Json};

/// Bytes of a batch, by turns: one that holds everything, and one that needs several statements.
const BATCH_BYTES: [usize; 2] = [4 << 20, 2 << 10];
/// Between two looks whether a commit is visible.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// An index that is fed.
pub(super) struct Feed {
    /// Its name in the case.
    pub(super) name: String,
    /// The text of its file, for the oracle.
    pub(super) yaml: String,
    /// What it was compiled to.
    pub(super) compiled: Compiled,
    scope: Scope,
    builder: Builder,
    /// Its documents now.
    pub(super) documents: Documents,
    /// How many documents were built for changes.
    pub(super) built: u64,
}

/// The product would stop this feed, or it says something that cannot be.
pub(super) type Refusal = String;

impl Feed {
    /// Compiled for the database of `stage`; nothing is seeded yet.
    pub(super) fn new(
        stage: &Stage,
        pool: &Pool,
        index: &Index,
        yaml: &str,
        compiled: Compiled,
        seed: u64,
    ) -> Self {
        let [large, small] = BATCH_BYTES;
        let builder = Builder::new(Parts {
            pool: pool.clone(),
            paths: compiled.paths(),
            statements: compiled.statements(),
            limits: Limits {
                batch_bytes: if seed.is_multiple_of(2) { large } else { small },
                fanout_threshold: 10_000,
                statement_timeout: Duration::ZERO,
                lock_timeout: Duration::from_secs(5),
            },
            incarnations: Arc::clone(&stage.incarnations),
            announce: Arc::new(Silent),
            control: stage.view.clone(),
        });
        Self {
            name: index.name.clone(),
            yaml: yaml.to_owned(),
            scope: Scope {
                tables: compiled.index.tables.clone(),
                epoch: Epoch::FIRST,
                allow_stale_parents: false,
            },
            compiled,
            builder,
            documents: Documents::new(),
            built: 0,
        }
    }

    /// Every document, built by block ranges as a new generation is seeded.
    ///
    /// # Errors
    /// The servers fail; inside: the product refuses.
    pub(super) async fn seed(&self, stage: &Stage) -> Result<Result<Documents, Refusal>> {
        let root = &self.compiled.index.root;
        let leaves = match source::leaves(&stage.session, root).await? {
            Ok(leaves) => leaves,
            Err(definite) => return Ok(Err(definite.to_string())),
        };
        let mut documents = Documents::new();
        for leaf in leaves {
            let blocks = Blocks {
                table: &leaf.table,
                oid: leaf.oid,
                file_node: leaf.file_node,
                from: 0,
                to: None,
                deletes: false,
            };
            let (mut all, gate) = (Vec::new(), Gate::default());
            let built = self.build(Request::Blocks(blocks), &gate, &mut all);
            if let Err(refusal) = built.await? {
                return Ok(Err(refusal));
            }
            for (id, document) in all {
                // Built row by row, a filtered one is deleted: from an index that has none yet.
                let Some(document) = document else {
                    continue;
                };
                if documents.insert(id.clone(), document).is_some() {
                    return Ok(Err(format!("seeding built {id} twice")));
                }
            }
        }
        Ok(Ok(documents))
    }

    /// Builds what these records affect, and keeps it.
    ///
    /// # Errors
    /// The servers fail; inside: the product refuses.
    pub(super) async fn take(&mut self, records: &[Change]) -> Result<Result<(), Refusal>> {
        let mut documents = std::mem::take(&mut self.documents);
        let taken = self.take_into(records, &mut documents).await;
        self.documents = documents;
        match taken? {
            Ok(built) => {
                self.built += built;
                Ok(Ok(()))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// The same into other documents than its own.
    pub(super) async fn take_into(
        &self,
        records: &[Change],
        documents: &mut Documents,
    ) -> Result<Result<u64, Refusal>> {
        let mut changes = Vec::new();
        for change in records {
            match self.scope.judge(change) {
                Ok(Judged::Build) => changes.push(change),
                Ok(Judged::Position) => {}
                Err(definite) => return Ok(Err(definite.to_string())),
            }
        }
        if changes.is_empty() {
            return Ok(Ok(0));
        }
        let transactions: BTreeSet<_> = changes
            .iter()
            .map(|change| (change.epoch, change.xid))
            .collect();
        let gate = Gate {
            transactions: transactions.into_iter().collect(),
            ..Gate::default()
        };
        let mut all = Vec::new();
        let built = self.build(Request::Changes(&changes), &gate, &mut all);
        if let Err(refusal) = built.await? {
            return Ok(Err(refusal));
        }
        let count = u64::try_from(all.len())?;
        for (id, document) in all {
            match document {
                Some(document) => documents.insert(id, document),
                None => documents.remove(&id),
            };
        }
        Ok(Ok(count))
    }

    /// Builds to the end, what did not fit into one batch too.
    async fn build(
        &self,
        request: Request<'_>,
        gate: &Gate,
        all: &mut Vec<(String, Option<Json>)>,
    ) -> Result<Result<(), Refusal>> {
        let deadline = Instant::now() + PATIENCE;
        let mut keys: Vec<DocumentKey>;
        let mut request = request;
        loop {
            let attempt = match self.builder.attempt(&request, gate).await? {
                Ok(attempt) => attempt,
                Err(definite) => return Ok(Err(definite.to_string())),
            };
            match attempt {
                Attempt::Built { built, left } => {
                    if let Err(refusal) = documents_of(&built, all) {
                        return Ok(Err(refusal));
                    }
                    if left.is_empty() {
                        return Ok(Ok(()));
                    }
                    keys = left;
                    request = Request::Keys(&keys);
                }
                Attempt::RunChanged => {}
                Attempt::Unseen(unseen) => {
                    if Instant::now() > deadline {
                        bail!("still not visible after {PATIENCE:?}: {unseen}");
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Attempt::TooLarge => {
                    let Request::Blocks(blocks) = request else {
                        return Ok(Err("only chunks can be too large".to_owned()));
                    };
                    // A feed halves them; one by one does as well.
                    request = Request::KeysOf(blocks);
                }
                refused @ (Attempt::TooMany
                | Attempt::RowFault { .. }
                | Attempt::TooSlow { .. }
                | Attempt::Replan { .. }) => {
                    return Ok(Err(format!("cannot build: {refused:?}")));
                }
            }
        }
    }
}

/// The documents of one build. Both would have one version, so the second write of an id in it
/// would lose against the first.
fn documents_of(built: &Built, all: &mut Vec<(String, Option<Json>)>) -> Result<(), Refusal> {
    let mut seen = BTreeMap::new();
    for document in &built.documents {
        let body = built.body(document);
        if let Some(other) = seen.insert(&document.id, body)
            && other != body
        {
            return Err(format!(
                "one build writes {} twice, differently",
                document.id
            ));
        }
        let parse = |bytes| -> Result<Json> {
            let text = std::str::from_utf8(bytes)?;
            Json::parse(text).with_context(|| format!("document {}: {text}", document.id))
        };
        let json = body.map(parse).transpose();
        match json {
            Ok(json) => all.push((document.id.clone(), json)),
            Err(error) => return Err(format!("{error:#}")),
        }
    }
    Ok(())
}

/// Compiles a definition as a worker does.
pub(super) async fn compile(
    stage: &Stage,
    definition: &IndexDefinition,
) -> Result<Result<Compiled, Refusal>> {
    Ok(worker_svc::compiled::read(&stage.session, definition)
        .await?
        .map_err(|definite| definite.to_string()))
}
