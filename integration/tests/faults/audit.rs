//! C3 and C4 under kills of everything: the topic against a log that triggers keep in the database.
//!
//! Each row change writes a line of the log in its own transaction, under the row's lock. So the
//! lines of one key stand in commit order, rolled back changes leave none, and the log says, without
//! a word of the product, what the topic must hold for each key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use capture_svc::control::Control;
use integration::sandbox::{IndexFile, Sandbox};
use integration::service::Service;
use integration::stack::{OwnServer, Stack, connect};
use model::{
    Change, ColumnName, ColumnValue, Epoch, Lsn, Needs, Operation, Partition, Position, Schemas,
    Topics, partition_of,
};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use runtime::kafka::{Kafka, Settings, Start};
use serde_json::Value;
use testkit::{Seed, eventually};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

/// Connections that change rows all the time.
const WRITERS: u64 = 4;
/// Between two transactions of one: the kills are to meet a living stream, not a late one.
const PAUSE: Duration = Duration::from_millis(3);
/// Keys of each table: so few that transactions meet.
const KEYS: i32 = 60;
/// Of `{p}.changes`: what a sandbox configures.
const PARTITIONS: u32 = 4;

/// A plain table, one that needs its former parents, and a partitioned one with a composite key.
const TABLES: &str = "
CREATE TABLE log (seq bigserial PRIMARY KEY, tbl text NOT NULL, xid text NOT NULL, op text NOT NULL, before jsonb, after jsonb);
CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO log (tbl, xid, op, before, after) VALUES (TG_ARGV[0], pg_current_xact_id()::text, TG_OP, to_jsonb(OLD), to_jsonb(NEW));
  RETURN NULL;
END $$;
CREATE TABLE parents (id int PRIMARY KEY, note text);
CREATE TABLE children (id int PRIMARY KEY, parent_id int, note text, unused int);
CREATE INDEX ON children (parent_id);
CREATE TABLE events (id int, day date, v int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-01-15');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-01-15') TO ('2026-02-01');
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON parents FOR EACH ROW EXECUTE FUNCTION log_change('parents');
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON children FOR EACH ROW EXECUTE FUNCTION log_change('children');
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION log_change('events');
";

const PARENTS: &str = "
version: 1
table: parents
fields:
  - integer: id
  - text: note
  - { has_many: children, table: children, foreign_key: parent_id, fields: [ { integer: id }, { text: note } ] }
";

const EVENTS: &str = "
version: 1
table: events
fields: [ { integer: id }, { date: day }, { integer: v } ]
";

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Capture,
    Postgres,
    Kafka,
}

/// The kills of one run, each of them at least twice.
const KILLS: [Victim; 8] = [
    Victim::Capture,
    Victim::Capture,
    Victim::Capture,
    Victim::Capture,
    Victim::Postgres,
    Victim::Postgres,
    Victim::Kafka,
    Victim::Kafka,
];

#[tokio::test(flavor = "multi_thread")]
async fn c3_c4_the_topic_equals_the_log_of_the_triggers_after_eight_kills() -> Result<()> {
    let first = Seed::asked_for().unwrap_or(Seed::new(1)).get();
    for seed in first..first + runs()? {
        run(seed)
            .await
            .with_context(|| format!("replay: FLUSSO_SEED={seed}"))?;
    }
    Ok(())
}

/// How many seeds: one, unless the soak asks for more.
fn runs() -> Result<u64> {
    #[expect(clippy::disallowed_methods, reason = "how the soak asks for more")]
    match std::env::var("CAPTURE_SEEDS") {
        Ok(count) => count.parse().context("CAPTURE_SEEDS is no number"),
        Err(_) => Ok(1),
    }
}

async fn run(seed: u64) -> Result<()> {
    // GIVEN a capture, writers whose transactions meet, and servers that may be killed.
    let name = format!("audit-{seed}");
    let postgres = OwnServer::start("postgres", &format!("{name}-pg"), &[]).await?;
    let kafka = OwnServer::start("kafka", &format!("{name}-kafka"), &[]).await?;
    let mut stack = Stack::from_env()?;
    postgres
        .fact("POSTGRES_URL")?
        .clone_into(&mut stack.postgres);
    kafka.fact("KAFKA_BOOTSTRAP")?.clone_into(&mut stack.kafka);
    let indexes = vec![
        IndexFile::new("parents", PARENTS),
        IndexFile::new("events", EVENTS),
    ];
    let sandbox = Sandbox::new(&stack, "audit", TABLES, indexes, "").await?;
    let mut capture = sandbox.capture().await?;
    is_served(&sandbox).await?;
    let load = Load::start(&sandbox.database_url, seed);
    // WHEN all of them are killed while rows change.
    let mut rng = StdRng::seed_from_u64(seed);
    let mut kills = KILLS;
    kills.shuffle(&mut rng);
    for victim in kills {
        let changes = f64::from(rng.random_range(200..1500));
        let gone = Duration::from_millis(rng.random_range(0..1500));
        publishes(&capture, changes).await?;
        match victim {
            Victim::Capture => {
                capture.kill().await?;
                tokio::time::sleep(gone).await;
                capture = sandbox.capture().await?;
            }
            Victim::Postgres => outage(&postgres, gone).await?,
            Victim::Kafka => outage(&kafka, gone).await?,
        }
        ensure!(
            capture.is_running()?,
            "capture ended:\n{}",
            capture.log_end()
        );
    }
    publishes(&capture, 200.0).await?;
    let written = load.stop().await?;
    ensure!(
        written.interrupted > 0,
        "no writer noticed that Postgres was killed"
    );
    // THEN the topic holds, for each key, exactly what the log says.
    let rows = connect(&sandbox.database_url, NoTls).await?;
    let end: String = rows
        .query_one("SELECT pg_current_wal_insert_lsn()::text", &[])
        .await?
        .get(0);
    let end: Lsn = end.parse()?;
    // No feed was ever announced, so what Kafka has is enough: the slot keeps no WAL for nobody.
    confirmed(&sandbox.name, &rows, end).await;
    let expected = log(&rows).await?;
    let topic = Topic::read(&sandbox).await?;
    let changes: usize = expected.values().map(Vec::len).sum();
    eprintln!(
        "seed {seed}: {} transactions, {changes} changes of {} keys, {} duplicates, kills {kills:?}",
        written.committed,
        expected.len(),
        topic.duplicates,
    );
    ensure!(
        written.committed > 1000,
        "only {} transactions",
        written.committed
    );
    compare(&expected, &topic.changes)?;
    assert!(capture.stop().await?.success());
    Ok(())
}

/// Waits for the word that the file's tables are published: what changes earlier may be missing.
async fn is_served(sandbox: &Sandbox) -> Result<()> {
    let kafka = Kafka::new(Settings::new(&sandbox.stack.kafka, "test"))?;
    let topics = Topics::new(sandbox.name.as_str());
    let mut control = Control::open(&kafka, &topics).await?;
    let served = async {
        while control.state().served_needs(Epoch::FIRST).0 == Needs::new() {
            control.changed().await?;
        }
        Ok::<_, capture_svc::error::Failure>(())
    };
    tokio::time::timeout(Duration::from_mins(1), served)
        .await
        .context("nothing is served")??;
    Ok(())
}

async fn outage(server: &OwnServer, gone: Duration) -> Result<()> {
    server.kill().await?;
    tokio::time::sleep(gone).await;
    server.start_again().await
}

/// Waits until so many changes more are out: the kill meets a living stream.
async fn publishes(capture: &Service, changes: f64) -> Result<()> {
    let metric = "flusso_changes_published_total";
    let target = capture.metric(metric).await? + changes;
    eventually(Duration::from_mins(2), "changes are published", || async {
        match capture.metric(metric).await {
            Ok(now) if now >= target => Ok(()),
            Ok(now) => Err(format!("{now} of {target}: {}", capture.log_end())),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await;
    Ok(())
}

/// Waits until the slot is confirmed: everything before is in the topic.
async fn confirmed(slot: &str, rows: &Client, end: Lsn) {
    let sql = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1";
    eventually(
        Duration::from_mins(2),
        "all is published and confirmed",
        || async {
            let row = rows
                .query_one(sql, &[&slot])
                .await
                .map_err(|error| error.to_string())?;
            let lsn: String = row.get(0);
            match lsn.parse::<Lsn>() {
                Ok(lsn) if lsn >= end => Ok(()),
                _ => Err(format!("confirmed {lsn}, not {end}")),
            }
        },
    )
    .await;
}

// --- writers ---

/// Connections that change rows until they are told to stop.
struct Load {
    stopping: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
    interrupted: Arc<AtomicU64>,
    writers: JoinSet<()>,
}

/// What they did.
struct Written {
    committed: u64,
    /// Connections that broke.
    interrupted: u64,
}

impl Load {
    fn start(url: &str, seed: u64) -> Self {
        let mut load = Self {
            stopping: Arc::default(),
            committed: Arc::default(),
            interrupted: Arc::default(),
            writers: JoinSet::new(),
        };
        for writer in 0..WRITERS {
            let url = url.to_owned();
            let (stopping, committed, interrupted) = (
                Arc::clone(&load.stopping),
                Arc::clone(&load.committed),
                Arc::clone(&load.interrupted),
            );
            let mut rng = StdRng::seed_from_u64(seed * 100 + writer);
            load.writers.spawn(async move {
                while !stopping.load(Ordering::Relaxed) {
                    if let Ok(client) = connect(&url, NoTls).await {
                        while !stopping.load(Ordering::Relaxed) && !client.is_closed() {
                            // Keys collide and transactions meet in deadlocks: they roll back.
                            if transaction(&client, &mut rng).await {
                                committed.fetch_add(1, Ordering::Relaxed);
                            } else {
                                let _aborted = client.batch_execute("ROLLBACK").await;
                            }
                            tokio::time::sleep(PAUSE).await;
                        }
                        if client.is_closed() {
                            interrupted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
        load
    }

    async fn stop(mut self) -> Result<Written> {
        self.stopping.store(true, Ordering::Relaxed);
        while let Some(ended) = self.writers.join_next().await {
            ended?;
        }
        Ok(Written {
            committed: self.committed.load(Ordering::Relaxed),
            interrupted: self.interrupted.load(Ordering::Relaxed),
        })
    }
}

/// One random transaction; whether it committed.
async fn transaction(client: &Client, rng: &mut StdRng) -> bool {
    let mut sql = String::from("BEGIN;");
    for _ in 0..rng.random_range(1..6) {
        if rng.random_bool(0.1) {
            sql.push_str("SAVEPOINT s;");
            sql.push_str(&statement(rng));
            sql.push_str("; ROLLBACK TO SAVEPOINT s;");
        }
        sql.push_str(&statement(rng));
        sql.push(';');
    }
    let rolled_back = rng.random_bool(0.1);
    sql.push_str(if rolled_back { "ROLLBACK" } else { "COMMIT" });
    client.batch_execute(&sql).await.is_ok() && !rolled_back
}

fn statement(rng: &mut StdRng) -> String {
    let mut key = || rng.random_range(1..=KEYS);
    let (a, b, parent) = (key(), key(), key());
    let day = rng.random_range(1..=31);
    let n: u32 = rng.random();
    match rng.random_range(0..14) {
        0 => format!(
            "INSERT INTO parents VALUES ({a}, 'n{n}') ON CONFLICT (id) DO UPDATE SET note = excluded.note"
        ),
        1 => format!("UPDATE parents SET note = 'n{n}' WHERE id BETWEEN {a} AND {a} + 3"),
        2 => format!(
            "UPDATE parents SET id = {b} WHERE id = {a} AND NOT EXISTS (SELECT FROM parents WHERE id = {b})"
        ),
        3 => format!("DELETE FROM parents WHERE id = {a}"),
        4 | 5 => format!(
            "INSERT INTO children VALUES ({a}, {parent}, 'n{n}', 0) ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id"
        ),
        6 => format!("UPDATE children SET parent_id = {parent} WHERE id BETWEEN {a} AND {a} + 3"),
        7 => format!("UPDATE children SET unused = unused + 1 WHERE id BETWEEN {a} AND {a} + 3"),
        8 => format!(
            "UPDATE children SET id = {b}, note = 'moved' WHERE id = {a} AND NOT EXISTS (SELECT FROM children WHERE id = {b})"
        ),
        9 => format!("DELETE FROM children WHERE id = {a}"),
        10 => format!(
            "INSERT INTO events VALUES ({a}, '2026-01-{day}', {b}) ON CONFLICT (id, day) DO UPDATE SET v = excluded.v"
        ),
        11 => format!("UPDATE events SET v = {b} WHERE id = {a}"),
        // To the other leaf, or a change of the key within one.
        12 => format!(
            "UPDATE events SET day = '2026-01-{day}' WHERE ctid IN (SELECT ctid FROM events WHERE id = {a} LIMIT 1) AND id = {a} AND NOT EXISTS (SELECT FROM events WHERE id = {a} AND day = '2026-01-{day}')"
        ),
        _ => format!("DELETE FROM events WHERE id = {a} AND day < '2026-01-{day}'"),
    }
}

// --- the two sides ---

/// One change as both sides tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    op: Operation,
    xid: u64,
    /// The routing column of `children`, before and after.
    parent: (Option<String>, Option<String>),
}

/// Table and key.
type RowKey = (String, Vec<String>);

/// What happened to each key, in commit order.
type History = BTreeMap<RowKey, Vec<Event>>;

fn key_columns(table: &str) -> &'static [&'static str] {
    if table == "events" {
        &["id", "day"]
    } else {
        &["id"]
    }
}

/// The log of the triggers.
async fn log(rows: &Client) -> Result<History> {
    let sql = "SELECT tbl, xid, op, before, after FROM log ORDER BY seq";
    let mut history = History::new();
    for row in rows.query(sql, &[]).await? {
        let table: String = row.get(0);
        let (before, after): (Option<Value>, Option<Value>) = (row.get(3), row.get(4));
        let op = match row.get(2) {
            "INSERT" => Operation::Insert,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            other => bail!("the trigger logged {other}"),
        };
        let column = |row: &Option<Value>, name: &str| {
            let value = row.as_ref()?.get(name)?;
            match value.as_str() {
                Some(text) => Some(text.to_owned()),
                None => (!value.is_null()).then(|| value.to_string()),
            }
        };
        // The old values of `children` are known, and no index reads `unused`.
        let same = |name: &&str| column(&before, name) == column(&after, name);
        if table == "children"
            && op == Operation::Update
            && ["id", "parent_id", "note"].iter().all(same)
        {
            continue;
        }
        let event = Event {
            op,
            xid: row.get::<_, String>(1).parse()?,
            parent: (column(&before, "parent_id"), column(&after, "parent_id")),
        };
        let mut keys = BTreeSet::new();
        for side in [&before, &after] {
            let key: Option<Vec<String>> = key_columns(&table)
                .iter()
                .map(|name| column(side, name))
                .collect();
            keys.extend(key);
        }
        for key in keys {
            history
                .entry((table.clone(), key))
                .or_default()
                .push(event.clone());
        }
    }
    Ok(history)
}

/// What `{p}.changes` holds.
struct Topic {
    changes: History,
    /// Records that were there already: a capture that was killed and its successor overlapped.
    duplicates: u64,
}

impl Topic {
    async fn read(sandbox: &Sandbox) -> Result<Self> {
        let kafka = Kafka::new(Settings::new(&sandbox.stack.kafka, "test"))?;
        let partitions: Vec<Partition> = (0..4).map(Partition::new).collect();
        let from: Vec<_> = partitions
            .iter()
            .map(|partition| (*partition, Start::Earliest))
            .collect();
        let records = kafka
            .reader(&Topics::new(sandbox.name.as_str()).changes(), &from)?
            .read_to_end(&partitions, Duration::from_mins(1))
            .await?;
        let schemas = Schemas::new()?;
        let mut topic = Self {
            changes: History::new(),
            duplicates: 0,
        };
        let mut seen: BTreeMap<Partition, BTreeMap<Position, Change>> = BTreeMap::new();
        for record in records {
            let payload = record.payload.context("a record without a value")?;
            let change: Change = schemas.decode(&payload)?;
            if change.op == Operation::Heartbeat {
                continue;
            }
            let seen = seen.entry(record.partition).or_default();
            let last = seen.last_key_value().map(|(position, _)| *position);
            if last.is_some_and(|last| change.position() <= last) {
                ensure!(
                    seen.get(&change.position()) == Some(&change),
                    "C3: {change:?} stands behind {last:?} in partition {} and was not there before",
                    record.partition
                );
                topic.duplicates += 1;
                continue;
            }
            topic.take(&change, record.partition)?;
            seen.insert(change.position(), change);
        }
        Ok(topic)
    }

    /// A change belongs to the history of each of its keys that lies in this partition.
    fn take(&mut self, change: &Change, partition: Partition) -> Result<()> {
        let mut placed = false;
        for key in [Some(&change.key), change.old_key.as_ref()]
            .into_iter()
            .flatten()
        {
            let bytes = model::key::row_key(&change.table, key);
            if partition_of(&bytes, PARTITIONS) != partition {
                continue;
            }
            placed = true;
            let table = change.table.name.clone();
            let values = key
                .iter()
                .map(|column| column.value.clone().context("a key with NULL"))
                .collect::<Result<Vec<_>>>()?;
            self.changes
                .entry((table, values))
                .or_default()
                .push(Event {
                    op: change.op,
                    xid: change.xid.as_u64(),
                    parent: (
                        parent(change.before.as_ref()),
                        parent(change.after.as_ref()),
                    ),
                });
        }
        ensure!(placed, "C3: {change:?} stands in partition {partition}");
        Ok(())
    }
}

fn parent(columns: Option<&Vec<ColumnValue>>) -> Option<String> {
    let name = ColumnName::new("parent_id");
    columns?
        .iter()
        .find(|column| column.name == name)?
        .value
        .clone()
}

fn compare(expected: &History, found: &History) -> Result<()> {
    let nothing = Vec::new();
    let keys: BTreeSet<&RowKey> = expected.keys().chain(found.keys()).collect();
    for key in keys {
        let expected = expected.get(key).unwrap_or(&nothing);
        let found = found.get(key).unwrap_or(&nothing);
        let differs = (0..expected.len().max(found.len()))
            .find(|number| expected.get(*number) != found.get(*number))
            .unwrap_or_default();
        ensure!(
            expected == found,
            "C4: the history of {key:?} differs from its change {differs} on: {:?} of {} in the log, {:?} of {} in the topic",
            expected.get(differs),
            expected.len(),
            found.get(differs),
            found.len(),
        );
    }
    Ok(())
}
