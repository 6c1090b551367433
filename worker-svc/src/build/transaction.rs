//! One transaction: resolve and build in one snapshot.
//! In: a request, the gate, the registered run. Out: how the try ended.
//! Must hold: W2, W3, W4, as `build` says. Must not: keep the transaction open longer
//! than its statements take.

use std::collections::BTreeSet;
use std::time::Instant;

use futures_util::future::join_all;
use futures_util::{StreamExt, pin_mut};
use model::{Incarnation, ServerRun, Snapshot};
use tokio_postgres::types::ToSql;

use super::documents::Built;
use super::failed::{Failed, Tried, failed};
use super::gate::Gate;
use super::rows::{arrays, key_of, leaf_file_node, take_row};
use super::run::{Seen, read, run_sql};
use super::session::Session;
use super::statements::{LEAF_SQL, SNAPSHOT_SQL, at_most, begin};
use super::{Attempt, Blocks, Builder, Request, Source, version};
use crate::resolve::{DocumentKey, Hop, Resolution};
use crate::{Definite, Transient};

/// How a transaction ended.
pub(super) enum Ended {
    Attempt(Attempt),
    /// The run is not the one that was registered before: register it, build again.
    OtherRun(ServerRun),
}

/// Runs it.
pub(super) async fn run(
    builder: &Builder,
    request: &Request<'_>,
    gate: &Gate,
    source: Source,
    registered: Option<(ServerRun, Incarnation)>,
) -> Result<Result<Ended, Definite>, Transient> {
    let resolution = match request {
        Request::Changes(changes) => match builder.paths.resolve(changes.iter().copied()) {
            Ok(resolution) => resolution,
            Err(definite) => return Ok(Err(definite)),
        },
        Request::Keys(_) | Request::Blocks(_) | Request::KeysOf(_) => Resolution::default(),
    };
    let session = Session::open(&builder.pool).await?;
    let transaction = Transaction {
        builder,
        session: &session,
        gate,
        source,
        registered,
    };
    match transaction.run(request, resolution).await {
        Ok(ended) => {
            match ended {
                // Their transactions were committed.
                Ended::Attempt(Attempt::Built { .. }) => session.done(),
                Ended::Attempt(_) | Ended::OtherRun(_) => session.roll_back().await,
            }
            Ok(Ok(ended))
        }
        Err(failed) => {
            // Otherwise the connection is dropped: its prepared statements may be what
            // fails (a table that was altered).
            match failed {
                Failed::Attempt(attempt) => {
                    session.roll_back().await;
                    Ok(Ok(Ended::Attempt(*attempt)))
                }
                Failed::Definite(definite) => Ok(Err(definite)),
                Failed::Transient(transient) => Err(transient),
            }
        }
    }
}

pub(super) struct Transaction<'a> {
    pub(super) builder: &'a Builder,
    pub(super) session: &'a Session,
    pub(super) gate: &'a Gate,
    pub(super) source: Source,
    pub(super) registered: Option<(ServerRun, Incarnation)>,
}

/// What the first trip found.
pub(super) struct Opened {
    run: ServerRun,
    pub(super) incarnation: Incarnation,
    pub(super) snapshot: Snapshot,
    read_at: Instant,
}

impl Transaction<'_> {
    async fn run(&self, request: &Request<'_>, resolution: Resolution<'_>) -> Tried<Ended> {
        let (opened, found) = self.open(&resolution.hops).await?;
        let opened = match opened {
            Ok(opened) => opened,
            Err(other) => return Ok(Ended::OtherRun(other)),
        };
        if let Some(unseen) =
            self.gate
                .unseen(&opened.snapshot, self.source.epoch, opened.incarnation)
        {
            return Ok(Ended::Attempt(Attempt::Unseen(unseen)));
        }
        let version = version(opened.incarnation, &opened.snapshot)?;
        let mut built = Built::new(version, opened.read_at);
        let left = match request {
            Request::Changes(_) => {
                let mut keys = resolution.keys;
                for more in found {
                    keys.extend(more);
                }
                if keys.len() > self.builder.limits.fanout_threshold {
                    return Ok(Ended::Attempt(Attempt::TooMany));
                }
                let keys: Vec<_> = keys.into_iter().collect();
                self.build(&mut built, keys.clone())
                    .await
                    .map_err(|failed| failed.with(keys))?
            }
            Request::Keys(keys) => {
                let built = self.build(&mut built, keys.to_vec()).await;
                built.map_err(|failed| failed.with(keys.to_vec()))?
            }
            Request::KeysOf(blocks) => match self.keys_of(blocks).await? {
                Ok(keys) => keys,
                Err(attempt) => return Ok(Ended::Attempt(attempt)),
            },
            Request::Blocks(blocks) => {
                if let Some(attempt) = self.build_blocks(&mut built, blocks).await? {
                    return Ok(Ended::Attempt(attempt));
                }
                Vec::new()
            }
        };
        let after = self.close().await?;
        if after.run != opened.run {
            return Ok(Ended::OtherRun(after.run));
        }
        self.builder.learn(built.documents.len(), built.bytes());
        Ok(Ended::Attempt(Attempt::Built { built, left }))
    }

    /// The first trip: run · BEGIN · LOCK · snapshot · resolve.
    pub(super) async fn open(
        &self,
        hops: &[Hop<'_>],
    ) -> Tried<(Result<Opened, ServerRun>, Vec<BTreeSet<DocumentKey>>)> {
        let limits = self.builder.limits;
        let most = limits.fanout_threshold.saturating_add(1);
        let run_statement = self.prepare(&run_sql()).await?;
        let snapshot_statement = self.prepare(SNAPSHOT_SQL).await?;
        let mut statements = Vec::with_capacity(hops.len());
        for hop in hops {
            statements.push((self.prepare(&at_most(hop.sql, most)).await?, hop));
        }
        let begin = begin(
            &self.builder.statements.lock,
            limits.lock_timeout.as_millis(),
            limits.statement_timeout.as_millis(),
        );
        let client = self.session.client()?;
        let read_at = Instant::now();
        // Polled in this order, so sent in this order, without waiting in between.
        let (before, locked, snapshot, found) = futures_util::join!(
            client.query_one(&run_statement, &[]),
            client.batch_execute(&begin),
            client.query_one(&snapshot_statement, &[]),
            join_all(
                statements
                    .iter()
                    .map(|(statement, hop)| self.find(statement, hop))
            ),
        );
        let seen = read(&before.map_err(failed("reading the server's run"))?)?;
        locked.map_err(failed("locking the tables"))?;
        let snapshot = snapshot.map_err(failed("reading the snapshot"))?;
        let snapshot: &str = snapshot
            .try_get(0)
            .map_err(failed("reading the snapshot"))?;
        let snapshot: Snapshot = snapshot.parse().map_err(|error| Transient::Postgres {
            doing: "reading the snapshot",
            source: Box::new(error),
        })?;
        self.check_source(&seen)?;
        let found = found.into_iter().collect::<Tried<Vec<_>>>()?;
        let opened = match self.registered {
            Some((run, incarnation)) if run == seen.run => Ok(Opened {
                run,
                incarnation,
                snapshot,
                read_at,
            }),
            Some(_) | None => Err(seen.run),
        };
        Ok((opened, found))
    }

    /// Only the server that capture announced for the newest epoch may be built from.
    fn check_source(&self, seen: &Seen) -> Tried<()> {
        if seen.identity() != self.source.identity {
            let (was, is) = (self.source.identity, seen.identity());
            return Err(Definite::SourceChanged { was, is }.into());
        }
        match seen.run.timeline.cmp(&self.source.timeline) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(Transient::OldPrimary {
                run: seen.run,
                newest: self.source.timeline,
            }
            .into()),
            std::cmp::Ordering::Greater => {
                let what = format!("capture to announce timeline {}", seen.run.timeline);
                Err(Transient::Waiting(what).into())
            }
        }
    }

    /// Runs one hop. Cut off by the statement itself, so the set is bounded.
    async fn find(
        &self,
        statement: &tokio_postgres::Statement,
        hop: &Hop<'_>,
    ) -> Tried<BTreeSet<DocumentKey>> {
        let doing = "finding the documents of a batch";
        let parameters: Vec<&(dyn ToSql + Sync)> = hop
            .arrays
            .iter()
            .map(|array| -> &(dyn ToSql + Sync) { array })
            .collect();
        let rows = self
            .session
            .client()?
            .query_raw(statement, parameters)
            .await
            .map_err(failed(doing))?;
        pin_mut!(rows);
        let mut keys = BTreeSet::new();
        while let Some(row) = rows.next().await {
            let row = row.map_err(failed(doing))?;
            if let Some(key) = key_of(&row, 0).map_err(failed(doing))? {
                keys.insert(key);
            }
        }
        Ok(keys)
    }

    /// Builds keys, statement by statement, until the batch holds enough. Returns those
    /// that did not fit.
    async fn build(&self, built: &mut Built, keys: Vec<DocumentKey>) -> Tried<Vec<DocumentKey>> {
        let mut left = keys;
        // Rows whose keys are near each other often lie near each other: 7,000 orders took 200 ms
        // of the server's time in random order and 155 ms in this one.
        left.sort_unstable();
        while !left.is_empty() && built.bytes() < self.builder.limits.batch_bytes {
            let rest = left.split_off(left.len().min(self.builder.keys_per_statement()));
            let mut not_taken = self.build_some(built, left).await?;
            not_taken.extend(rest);
            left = not_taken;
        }
        Ok(left)
    }

    async fn build_some(
        &self,
        built: &mut Built,
        keys: Vec<DocumentKey>,
    ) -> Tried<Vec<DocumentKey>> {
        let doing = "building documents";
        let statement = self.prepare(&self.builder.statements.build).await?;
        let arrays = arrays(&keys, self.builder.statements.key.len())?;
        let parameters: Vec<&(dyn ToSql + Sync)> = arrays
            .iter()
            .map(|array| -> &(dyn ToSql + Sync) { array })
            .collect();
        let rows = self
            .session
            .client()?
            .query_raw(&statement, parameters)
            .await
            .map_err(failed(doing))?;
        pin_mut!(rows);
        let mut waiting: Vec<Option<DocumentKey>> = keys.into_iter().map(Some).collect();
        // One document may be larger than all that a batch holds; it goes alone.
        let limit = self.builder.limits.batch_bytes;
        let mut cut = false;
        while let Some(row) = rows.next().await {
            let row = row.map_err(failed(doing))?;
            if built.bytes() >= limit {
                cut = true;
                break;
            }
            take_row(built, &mut waiting, &row)?;
        }
        let left: Vec<DocumentKey> = waiting.into_iter().flatten().collect();
        if !cut && !left.is_empty() {
            let what = format!("the build statement left out {} keys", left.len());
            return Err(Definite::Definition(what).into());
        }
        Ok(left)
    }

    /// Builds a range of blocks. `Some`: why not.
    async fn build_blocks(&self, built: &mut Built, blocks: &Blocks<'_>) -> Tried<Option<Attempt>> {
        let doing = "building a chunk";
        let statements = &self.builder.statements;
        let leaf = self.prepare(LEAF_SQL).await?;
        let root = statements.root.sql();
        let client = self.session.client()?;
        let found = client
            .query_opt(&leaf, &[&blocks.oid, &root])
            .await
            .map_err(failed(doing))?;
        let file_node = leaf_file_node(found.as_ref()).map_err(failed(doing))?;
        if file_node != Some(blocks.file_node) {
            return Ok(Some(Attempt::Replan { found: file_node }));
        }
        let statement = self.prepare(&(statements.chunk)(blocks.table)).await?;
        let (from, to) = (i64::from(blocks.from), blocks.to.map(i64::from));
        let parameters: [&(dyn ToSql + Sync); 2] = [&from, &to];
        let rows = client
            .query_raw(&statement, parameters)
            .await
            .map_err(failed(doing))?;
        pin_mut!(rows);
        let is_divisible = blocks
            .to
            .is_none_or(|to| to.saturating_sub(blocks.from) > 1);
        while let Some(row) = rows.next().await {
            let row = row.map_err(failed(doing))?;
            if built.bytes() >= self.builder.limits.batch_bytes && is_divisible {
                return Ok(Some(Attempt::TooLarge));
            }
            let id: String = row.try_get(0).map_err(failed(doing))?;
            let document: Option<&str> = row.try_get(1).map_err(failed(doing))?;
            if document.is_some() || blocks.deletes {
                let key = key_of(&row, 2).map_err(failed(doing))?;
                let key = key.ok_or_else(|| {
                    Definite::Definition(String::from("a root row's key is NULL"))
                })?;
                built.push(id, key.0, document.map(str::as_bytes));
            }
        }
        Ok(None)
    }

    /// `Some` when the leaf is not the one that was planned.
    async fn check_leaf(&self, blocks: &Blocks<'_>) -> Tried<Option<Attempt>> {
        let doing = "looking at a chunk's table";
        let leaf = self.prepare(LEAF_SQL).await?;
        let root = self.builder.statements.root.sql();
        let client = self.session.client()?;
        let found = client
            .query_opt(&leaf, &[&blocks.oid, &root])
            .await
            .map_err(failed(doing))?;
        let found = leaf_file_node(found.as_ref()).map_err(failed(doing))?;
        Ok((found != Some(blocks.file_node)).then_some(Attempt::Replan { found }))
    }

    /// The keys of the rows in a range of blocks, few enough that they may all be held.
    async fn keys_of(&self, blocks: &Blocks<'_>) -> Tried<Result<Vec<DocumentKey>, Attempt>> {
        let doing = "reading a chunk's keys";
        if let Some(replan) = self.check_leaf(blocks).await? {
            return Ok(Err(replan));
        }
        let statement = self
            .prepare(&self.builder.statements.keys_of(blocks.table))
            .await?;
        let (from, to) = (i64::from(blocks.from), blocks.to.map(i64::from));
        let client = self.session.client()?;
        let rows = client
            .query(&statement, &[&from, &to])
            .await
            .map_err(failed(doing))?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            keys.extend(key_of(row, 0).map_err(failed(doing))?);
        }
        Ok(Ok(keys))
    }

    /// The end of the second trip: run · COMMIT.
    pub(super) async fn close(&self) -> Tried<Seen> {
        let run_statement = self.prepare(&run_sql()).await?;
        let client = self.session.client()?;
        let (after, committed) = futures_util::join!(
            client.query_one(&run_statement, &[]),
            client.batch_execute("COMMIT"),
        );
        committed.map_err(failed("ending the transaction"))?;
        Ok(read(&after.map_err(failed("reading the server's run"))?)?)
    }

    pub(super) async fn prepare(&self, sql: &str) -> Tried<tokio_postgres::Statement> {
        self.session
            .client()?
            .prepare_cached(sql)
            .await
            .map_err(failed("preparing a statement"))
    }
}
