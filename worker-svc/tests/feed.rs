//! A feed on real servers, with capture and the coordinator played by the test. Needs the
//! stack of `deploy/up`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "helpers of tests"
)]

use std::collections::{BTreeMap, BTreeSet};
#[path = "support/postgres.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use definition::deployment::OnError;
use model::{
    Announcement, Change, Chunk, ChunkCause, ColumnName, ColumnValue, DeadLetter, Epoch, FeedId,
    Framing, Generation, Heartbeat, Incarnation, Lsn, Offset, OffsetMetadata, OldValues, Operation,
    Partition, Position, Schemas, Seq, SourceCause, TableName, Topics, Work, Xid, partition_of,
};
use runtime::kafka::{
    Acknowledged, Kafka, NewTopic, Settings, Start, StoredPosition, TopicPartition,
};
use runtime::postgres::{Identity, Session};
use runtime::shutdown::Shutdown;
use runtime::task::Task;
use serde_json::{Value, json};
use testkit::server;
use tokio::sync::watch;
use worker_svc::batch::Scope;
use worker_svc::build::{self, Announcer, Builder, Statements};
use worker_svc::bulk::Bounds;
use worker_svc::consume::{Consuming, Interest};
use worker_svc::coordinate::Control;
use worker_svc::dead_letter::DeadLetters;
use worker_svc::fanout::Fanout;
use worker_svc::feed::{
    Broker, ChunkSlots, Feed, FeedEnd, FeedState, KafkaBroker, Limits, Nulled, Parts, Refusals,
    Report, Worker, Writer,
};
use worker_svc::metrics::{FeedMetrics, Metrics};
use worker_svc::registry::{GenerationRecord, Incarnations, Registry};
use worker_svc::resolve::{How, Path, Paths};
use worker_svc::sink::{Made, Options, Sink};

const DEADLINE: Duration = Duration::from_mins(1);
const PARTITIONS: u16 = 3;
const EPOCH: Epoch = Epoch::FIRST;

fn partitions() -> Vec<Partition> {
    (0..i32::from(PARTITIONS)).map(Partition::new).collect()
}

/// How a test's feed differs from others.
#[derive(Clone, Copy)]
struct Setting {
    on_error: OnError,
    fanout_threshold: usize,
    batch_bytes: usize,
}

impl Default for Setting {
    fn default() -> Self {
        Setting {
            on_error: OnError::Stop,
            fanout_threshold: 10_000,
            batch_bytes: 4 << 20,
        }
    }
}

/// Everything of one test, under names of its own: users with orders, in cities.
struct Stage {
    name: String,
    kafka: Kafka,
    topics: Topics,
    schemas: Arc<Schemas>,
    session: Session,
    control: Control,
    sink: Sink,
    feed: FeedId,
    group: String,
    incarnations: Arc<Incarnations>,
    registry: Registry,
    metrics: FeedMetrics,
    producer: Acknowledged,
    shutdown: Shutdown,
    setting: Setting,
    _reader: Task<Result<(), worker_svc::Definite>>,
}

struct Running {
    shutdown: Shutdown,
    report: watch::Receiver<Report>,
    task: Task<FeedEnd>,
}

impl Running {
    async fn stop(mut self) -> FeedEnd {
        self.shutdown.trigger();
        self.end().await
    }

    async fn end(&mut self) -> FeedEnd {
        tokio::time::timeout(DEADLINE, self.task.join())
            .await
            .expect("the feed ends")
            .expect("the feed does not panic")
    }

    async fn state(&mut self, wanted: FeedState) -> Report {
        let found = self.report.wait_for(|report| report.state == Some(wanted));
        let found = tokio::time::timeout(DEADLINE, found).await;
        let found = found.map(|found| found.unwrap().clone());
        found.unwrap_or_else(|_| panic!("not {wanted:?}: {:?}", self.report.borrow()))
    }
}

impl Stage {
    async fn new(setting: Setting) -> Self {
        let name = format!("f{:08x}", rand::random::<u32>());
        let mut settings = Settings::new(server("STACK_KAFKA_BOOTSTRAP"), "worker-svc-test");
        settings.properties.insert(
            "heartbeat.interval.ms".into(),
            runtime::secret::Secret::new("300"),
        );
        let kafka = Kafka::new(settings).unwrap();
        let topics = Topics::new(name.clone());
        let new = |name: String, partitions| NewTopic {
            name,
            partitions,
            replication: None,
            settings: BTreeMap::new(),
        };
        let created = kafka
            .topics()
            .unwrap()
            .create(&[
                new(topics.changes(), PARTITIONS),
                new(topics.fanout(), PARTITIONS),
                new(topics.backfill(), PARTITIONS),
                new(topics.dlq(), 1),
                new(topics.control(), 1),
            ])
            .await
            .unwrap();
        assert!(created.iter().all(Result::is_ok), "{created:?}");
        let session = support::postgres()
            .connect("worker-svc-test")
            .await
            .unwrap();
        session
            .batch_execute(&format!(
                "CREATE TABLE {name}_cities (id int PRIMARY KEY, name text);
                 CREATE TABLE {name}_users (id int PRIMARY KEY, name text, city int, share int NOT NULL DEFAULT 1);
                 CREATE TABLE {name}_orders (id int PRIMARY KEY, user_id int, total numeric)"
            ))
            .await
            .unwrap();
        let schemas = Arc::new(Schemas::new().unwrap());
        let shutdown = Shutdown::new();
        let (control, reader) = Control::open(&kafka, &topics, Arc::clone(&schemas))
            .await
            .unwrap()
            .unwrap();
        let reader = runtime::task::spawn("control", reader.run(shutdown.clone()));
        let sink = Sink::new(&Options::for_url(server("STACK_OPENSEARCH_URL"))).unwrap();
        let registry = Registry::new(sink.clone(), "main", format!("{name}_"));
        registry.open().await.unwrap();
        let feed = FeedId::new("main", "users", Generation::FIRST);
        let stage = Stage {
            group: feed.group(&name, &format!("{name}_")),
            metrics: Metrics::new().feed(&feed),
            incarnations: Arc::new(Incarnations::new(registry.clone())),
            registry,
            name,
            producer: kafka.acknowledged().unwrap(),
            kafka,
            topics,
            schemas,
            session,
            control,
            sink,
            feed,
            shutdown,
            setting,
            _reader: reader,
        };
        stage.announce_source().await;
        stage.make_index().await;
        stage.commit_positions().await;
        stage
    }

    fn index(&self) -> String {
        format!("{}_users-g1", self.name)
    }

    async fn make_index(&self) {
        let body = json!({
            "settings": {"number_of_replicas": 0},
            "mappings": {"dynamic": "strict", "properties": {
                "name": {"type": "keyword"}, "city": {"type": "keyword"}, "half": {"type": "integer"},
                "orders": {"properties": {"id": {"type": "integer"}, "total": {"type": "double"}}},
            }},
        });
        let made = self.sink.create_index(&self.index(), &body).await.unwrap();
        assert_eq!(made, Made::New);
    }

    async fn announce_source(&self) {
        let identity = Identity::read(&*self.session).await.unwrap();
        let announcement = Announcement::Source {
            epoch: EPOCH,
            system_identifier: identity.system_identifier,
            database_oid: identity.database_oid,
            database: identity.database,
            timeline: identity.timeline.unwrap(),
            slot: "s".into(),
            start_lsn: Lsn::new(1),
            cause: SourceCause::First,
            reason: "test".into(),
            at_us: 0,
        };
        self.control.announce(&announcement).await.unwrap();
    }

    async fn commit_positions(&self) {
        let mut positions = Vec::new();
        for topic in [
            self.topics.changes(),
            self.topics.fanout(),
            self.topics.backfill(),
        ] {
            for partition in partitions() {
                positions.push(StoredPosition {
                    at: TopicPartition::new(topic.clone(), partition),
                    offset: Offset::new(0),
                    metadata: OffsetMetadata::new(EPOCH, Lsn::new(1)).to_string(),
                });
            }
        }
        self.kafka
            .group_offsets(&self.group)
            .unwrap()
            .commit(&positions)
            .await
            .unwrap();
    }

    fn table(&self, name: &str) -> TableName {
        TableName::new("public", format!("{}_{name}", self.name))
    }

    fn statements(&self) -> Statements {
        let name = &self.name;
        let document = format!(
            "json_build_object('name', u.name, 'city', c.name, 'half', 2 / u.share, 'orders', \
             (SELECT coalesce(json_agg(json_build_object('id', o.id, 'total', o.total) ORDER BY o.id), '[]') \
              FROM {name}_orders o WHERE o.user_id = u.id))::text"
        );
        let chunk_document = document.clone();
        let cities = format!("LEFT JOIN {name}_cities c ON c.id = u.city");
        let chunk_cities = cities.clone();
        Statements {
            root: self.table("users"),
            lock: format!(
                "LOCK TABLE {name}_users, {name}_orders, {name}_cities IN ACCESS SHARE MODE"
            ),
            build: format!(
                "SELECT q.n, q.k, u.id::text, CASE WHEN u.id IS NOT NULL THEN {document} END \
                 FROM unnest($1::text[]) WITH ORDINALITY AS q(k, n) \
                 LEFT JOIN {name}_users u ON u.id = q.k::int {cities}"
            ),
            key: vec![ColumnName::new("id")],
            chunk: Arc::new(move |leaf| {
                format!(
                    "SELECT u.id::text, {chunk_document}, u.id::text FROM {} u {chunk_cities} \
                     WHERE u.ctid >= format('(%s,0)', $1::int8)::tid \
                     AND u.ctid < format('(%s,0)', coalesce($2::int8, 4294967294))::tid",
                    leaf.sql()
                )
            }),
        }
    }

    fn paths(&self) -> Paths {
        let path = |columns: &[&str], how| Path {
            columns: columns.iter().map(|name| ColumnName::new(*name)).collect(),
            how,
        };
        let by_city = format!(
            "SELECT u.id::text FROM unnest($1::text[]) AS v(c) JOIN {}_users u ON u.city = v.c::int GROUP BY 1",
            self.name
        );
        Paths::new(BTreeMap::from([
            (self.table("users"), vec![path(&["id"], How::Direct)]),
            (self.table("orders"), vec![path(&["user_id"], How::Direct)]),
            (
                self.table("cities"),
                vec![path(&["id"], How::Query(by_city))],
            ),
        ]))
    }

    fn start(&self) -> Running {
        let shutdown = self.shutdown.child();
        let broker: Arc<dyn Broker> = Arc::new(KafkaBroker::new(&self.kafka, &self.group).unwrap());
        let tables: BTreeSet<TableName> = ["users", "orders", "cities"]
            .map(|name| self.table(name))
            .into();
        let scope = Scope {
            tables,
            epoch: EPOCH,
            allow_stale_parents: false,
        };
        let interest = Interest {
            group: self.group.clone(),
            tables: scope.key_texts(),
        };
        let consuming = Consuming::start(&self.kafka, &self.topics, interest).unwrap();
        let limits = build::Limits {
            batch_bytes: self.setting.batch_bytes,
            fanout_threshold: self.setting.fanout_threshold,
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(2),
        };
        let builder = Builder::new(build::Parts {
            pool: support::postgres().pool("worker-svc-test", 4),
            paths: self.paths(),
            statements: self.statements(),
            limits,
            incarnations: Arc::clone(&self.incarnations),
            announce: Arc::new(Announcer {
                control: self.control.clone(),
                sink: "main".into(),
                index_prefix: format!("{}_", self.name),
            }),
            control: self.control.watch(),
        });
        let bounds = Bounds {
            actions: 1000,
            bytes: 10 << 20,
        };
        let writer = Writer::new(
            self.sink.clone(),
            self.index(),
            None,
            bounds,
            4,
            self.metrics.clone(),
        );
        let worker = Arc::new(Worker {
            builder,
            writer,
            fanout: Fanout {
                broker: Arc::clone(&broker),
                topics: self.topics.clone(),
                schemas: Arc::clone(&self.schemas),
                framing: Framing::SingleObject,
                feed: self.feed.clone(),
                group: self.group.clone(),
            },
            letters: DeadLetters {
                broker: Arc::clone(&broker),
                topics: self.topics.clone(),
                schemas: Arc::clone(&self.schemas),
                framing: Framing::SingleObject,
                feed: self.feed.clone(),
                group: self.group.clone(),
            },
            on_error: self.setting.on_error,
            refusals: Refusals::new(),
            fence: consuming.fence().clone(),
            registry: self.registry.clone(),
            metrics: self.metrics.clone(),
            shutdown: shutdown.clone(),
            nulled: Nulled::new(),
            block_bytes: 0.into(),
        });
        let (report_to, report) = watch::channel(Report::default());
        let (seeding_to, seeding) = watch::channel(false);
        let parts = Parts {
            id: self.feed.clone(),
            topics: self.topics.clone(),
            scope,
            worker,
            broker,
            schemas: Arc::clone(&self.schemas),
            limits: Limits {
                batch_max_changes: 2000,
                in_flight: 4,
                max_uncommitted: 200_000,
                freshness: Duration::from_secs(10),
            },
            chunks: ChunkSlots::new(2, None),
            seeding,
            report: report_to,
            metrics: self.metrics.clone(),
            shutdown: shutdown.clone(),
        };
        let feed = Feed::new(parts, consuming);
        let task = runtime::task::spawn("feed", async move {
            let _held = seeding_to;
            feed.run().await
        });
        Running {
            shutdown,
            report,
            task,
        }
    }

    /// Runs SQL in one transaction; returns its id.
    async fn sql(&self, sql: &str) -> Xid {
        let sql = sql.replace("{p}", &self.name);
        let batch = format!("BEGIN; {sql}; SELECT pg_current_xact_id()::text; COMMIT");
        let answer = self.session.simple_query(&batch).await.unwrap();
        let xid = answer.iter().rev().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Xid::new(xid.unwrap().parse().unwrap())
    }

    fn change(&self, table: &str, op: Operation, id: i32, xid: Xid) -> Change {
        Change {
            table: self.table(table),
            op,
            key: vec![ColumnValue::new("id", Some(id.to_string()))],
            old_key: None,
            old_values: match op {
                Operation::Update => OldValues::Unchanged,
                Operation::Delete => OldValues::Sent,
                _ => OldValues::Absent,
            },
            before: (op == Operation::Delete).then(Vec::new),
            after: (op != Operation::Delete).then(Vec::new),
            epoch: EPOCH,
            commit_lsn: Lsn::new(xid.as_u64() * 100),
            seq: Seq::new(0),
            xid,
            commit_ts_us: 1,
            heartbeat: None,
        }
    }

    async fn publish(&self, change: &Change) -> TopicPartition {
        let key = change.record_key();
        let partition = partition_of(&key, PARTITIONS.into());
        let at = TopicPartition::new(self.topics.changes(), partition);
        let bytes = self.schemas.encode(change, Framing::SingleObject).unwrap();
        self.producer.send(&at, &key, Some(&bytes)).await.unwrap();
        at
    }

    async fn publish_chunk(&self, chunk: &Chunk) {
        let at = TopicPartition::new(self.topics.backfill(), Partition::new(0));
        let bytes = self.schemas.encode(chunk, Framing::SingleObject).unwrap();
        let key = chunk.record_key();
        self.producer
            .send(&at, key.as_bytes(), Some(&bytes))
            .await
            .unwrap();
    }

    /// A heartbeat in every partition, above everything so far.
    async fn heartbeats(&self, lsn: u64) {
        let position = Position::before(EPOCH, Lsn::new(lsn));
        let change = Change::heartbeat(
            position,
            Heartbeat {
                clock_us: 1,
                last: None,
            },
        );
        let bytes = self.schemas.encode(&change, Framing::SingleObject).unwrap();
        for partition in partitions() {
            let at = TopicPartition::new(self.topics.changes(), partition);
            self.producer
                .send(&at, &change.record_key(), Some(&bytes))
                .await
                .unwrap();
        }
    }

    async fn document(&self, id: i32) -> Option<Value> {
        let found = self
            .sink
            .document(&self.index(), &id.to_string())
            .await
            .unwrap();
        found.map(|found| serde_json::from_str(found.source.get()).unwrap())
    }

    /// Waits until the document is as wanted.
    async fn becomes(&self, id: i32, wanted: Option<Value>) {
        testkit::eventually(DEADLINE, "the document becomes what was wanted", || async {
            let found = self.document(id).await;
            if found == wanted { Ok(()) } else { Err(found) }
        })
        .await;
    }

    /// Waits until everything in a topic is committed; returns the metadata.
    async fn committed(&self, topic: &str) -> Vec<String> {
        let marks = self
            .kafka
            .topics()
            .unwrap()
            .watermarks(topic, &partitions())
            .await
            .unwrap();
        let offsets = self.kafka.group_offsets(&self.group).unwrap();
        let at: Vec<_> = partitions()
            .into_iter()
            .map(|partition| TopicPartition::new(topic, partition))
            .collect();
        testkit::eventually(DEADLINE, "all offsets are committed", || async {
            let committed = offsets.committed(&at).await.unwrap();
            let is_done = committed
                .iter()
                .enumerate()
                .all(|(n, committed)| committed.offset == marks.get(n).map(|mark| mark.high));
            if is_done {
                Ok(committed
                    .into_iter()
                    .map(|committed| committed.metadata)
                    .collect())
            } else {
                Err((committed, marks.clone()))
            }
        })
        .await
    }

    async fn count(&self) -> u64 {
        self.sink.refresh(&self.index()).await.unwrap();
        self.sink.count(&self.index()).await.unwrap()
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        let partition = Partition::new(0);
        let reader = self
            .kafka
            .reader(&self.topics.dlq(), &[(partition, Start::Earliest)])
            .unwrap();
        let records = reader.read_to_end(&[partition], DEADLINE).await.unwrap();
        records
            .iter()
            .map(|record| {
                self.schemas
                    .decode(record.payload.as_ref().unwrap())
                    .unwrap()
            })
            .collect()
    }

    async fn seed_chunk(&self, from: u32, to: Option<u32>, visible_from: Xid) -> Chunk {
        let table = self.table("users");
        let row = self
            .session
            .query_one(
                "SELECT oid, pg_relation_filenode(oid)::int8 FROM pg_class WHERE relname = $1",
                &[&table.name],
            )
            .await
            .unwrap();
        Chunk {
            feed: self.feed.clone(),
            group: self.group.clone(),
            plan: "seed".into(),
            number: 0,
            epoch: EPOCH,
            incarnation: Incarnation::FIRST,
            visible_from: Some(visible_from),
            xid: None,
            cause: ChunkCause::Seed,
            work: Work::Blocks {
                table,
                oid: row.get(0),
                file_node: u32::try_from(row.get::<_, i64>(1)).unwrap(),
                from,
                to,
            },
            source: None,
            settles: Vec::new(),
        }
    }

    async fn end(self) {
        self.shutdown.trigger();
        let names = [
            self.topics.changes(),
            self.topics.fanout(),
            self.topics.backfill(),
            self.topics.dlq(),
            self.topics.control(),
        ];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.kafka.topics().unwrap().delete(&names).await.unwrap();
        self.session
            .batch_execute(
                &"DROP TABLE {p}_users, {p}_orders, {p}_cities".replace("{p}", &self.name),
            )
            .await
            .unwrap();
        for index in self
            .sink
            .index_names(&format!("{}_*", self.name))
            .await
            .unwrap()
        {
            self.sink.delete_index(&index).await.unwrap();
        }
    }
}

fn user(name: &str, city: Option<&str>, orders: &[(i32, f64)]) -> Value {
    let orders: Vec<Value> = orders
        .iter()
        .map(|(id, total)| json!({"id": id, "total": total}))
        .collect();
    json!({"name": name, "city": city, "half": 2, "orders": orders})
}

#[tokio::test]
async fn w4_changes_of_every_table_reach_their_documents_and_the_offsets_follow() {
    let stage = Stage::new(Setting::default()).await;
    let running = stage.start();

    // A root row with a child and a parent.
    let xid = stage
        .sql(
            "INSERT INTO {p}_cities VALUES (1, 'Oslo'); INSERT INTO {p}_users VALUES (1, 'Ann', 1), (2, 'Bo', NULL);
             INSERT INTO {p}_orders VALUES (10, 1, 5.5)",
        )
        .await;
    stage
        .publish(&stage.change("users", Operation::Insert, 1, xid))
        .await;
    stage
        .publish(&stage.change("users", Operation::Insert, 2, xid))
        .await;
    stage
        .becomes(1, Some(user("Ann", Some("Oslo"), &[(10, 5.5)])))
        .await;
    stage.becomes(2, Some(user("Bo", None, &[]))).await;

    // A child that moves to another parent.
    let xid = stage
        .sql("UPDATE {p}_orders SET user_id = 2 WHERE id = 10")
        .await;
    let mut moved = stage.change("orders", Operation::Update, 10, xid);
    moved.old_values = OldValues::Sent;
    moved.before = Some(vec![ColumnValue::new("user_id", Some("1".into()))]);
    moved.after = Some(vec![ColumnValue::new("user_id", Some("2".into()))]);
    stage.publish(&moved).await;
    stage.becomes(1, Some(user("Ann", Some("Oslo"), &[]))).await;
    stage.becomes(2, Some(user("Bo", None, &[(10, 5.5)]))).await;

    // A row two hops away.
    let xid = stage.sql("UPDATE {p}_cities SET name = 'Bergen'").await;
    stage
        .publish(&stage.change("cities", Operation::Update, 1, xid))
        .await;
    stage
        .becomes(1, Some(user("Ann", Some("Bergen"), &[])))
        .await;

    // A deleted root row.
    let xid = stage.sql("DELETE FROM {p}_users WHERE id = 1").await;
    stage
        .publish(&stage.change("users", Operation::Delete, 1, xid))
        .await;
    stage.becomes(1, None).await;

    // THEN the offsets and their metadata follow, also where only heartbeats came
    stage.heartbeats(xid.as_u64() * 100 + 50).await;
    let lsn = Lsn::new(xid.as_u64() * 100 + 50);
    for metadata in stage.committed(&stage.topics.changes()).await {
        assert_eq!(metadata.parse(), Ok(OffsetMetadata::new(EPOCH, lsn)));
    }
    assert!(matches!(running.stop().await, FeedEnd::Drained));
    stage.end().await;
}

#[tokio::test]
async fn w3_a_change_waits_until_its_transaction_is_visible() {
    let stage = Stage::new(Setting::default()).await;
    let mut running = stage.start();

    // GIVEN a transaction that is streamed before it has ended for others
    let other = support::postgres()
        .connect("worker-svc-test")
        .await
        .unwrap();
    other
        .batch_execute(
            &"BEGIN; INSERT INTO {p}_users VALUES (1, 'Ann', NULL)".replace("{p}", &stage.name),
        )
        .await
        .unwrap();
    let row = other
        .query_one("SELECT pg_current_xact_id()::text", &[])
        .await
        .unwrap();
    let xid = Xid::new(row.get::<_, String>(0).parse().unwrap());
    stage
        .publish(&stage.change("users", Operation::Insert, 1, xid))
        .await;

    // THEN the feed waits and says for what
    let report = running.state(FeedState::Waiting).await;
    let reason = report.reason.unwrap();
    assert!(reason.contains(&format!("transaction {xid}")), "{reason}");
    assert_eq!(stage.document(1).await, None);

    // WHEN it commits THEN the document comes
    other.batch_execute("COMMIT").await.unwrap();
    stage.becomes(1, Some(user("Ann", None, &[]))).await;
    running.stop().await;
    stage.end().await;
}

#[tokio::test]
async fn chunks_seed_the_index_in_batches_and_wait_for_visible_from() {
    // GIVEN more rows than one batch holds, and an older transaction that still runs
    let setting = Setting {
        batch_bytes: 20_000,
        ..Setting::default()
    };
    let stage = Stage::new(setting).await;
    stage
        .sql("INSERT INTO {p}_users SELECT n, 'user ' || n, NULL FROM generate_series(1, 2000) n")
        .await;
    let other = support::postgres()
        .connect("worker-svc-test")
        .await
        .unwrap();
    other
        .batch_execute("BEGIN; SELECT pg_current_xact_id()")
        .await
        .unwrap();
    let x0 = stage.sql("SELECT 1").await;
    stage
        .publish_chunk(&stage.seed_chunk(0, Some(5), x0).await)
        .await;
    stage
        .publish_chunk(&stage.seed_chunk(5, None, x0).await)
        .await;

    // WHEN the feed runs THEN nothing is built before that transaction has ended
    let mut running = stage.start();
    let report = running.state(FeedState::Waiting).await;
    assert!(
        report
            .reason
            .unwrap()
            .contains("to end (seeding needs all up to")
    );
    assert_eq!(stage.count().await, 0);
    other.batch_execute("COMMIT").await.unwrap();

    // THEN all rows come
    stage.committed(&stage.topics.backfill()).await;
    assert_eq!(stage.count().await, 2000);
    assert_eq!(
        stage.document(1999).await,
        Some(user("user 1999", None, &[]))
    );
    running.stop().await;
    stage.end().await;
}

#[tokio::test]
async fn r2_a_chunk_of_a_rewritten_table_asks_for_a_new_plan_before_its_offset_moves() {
    // GIVEN a generation whose plan names a file node, and a rewrite after it
    let stage = Stage::new(Setting::default()).await;
    stage
        .sql("INSERT INTO {p}_users VALUES (1, 'Ann', NULL)")
        .await;
    let x0 = stage.sql("SELECT 1").await;
    let chunk = stage.seed_chunk(0, None, x0).await;
    let record: GenerationRecord = serde_json::from_value(json!({
        "index": "users", "number": 1, "sink": "main", "topic_prefix": stage.name, "group": stage.group,
        "index_name": stage.index(), "state": "building", "cause": "first", "made_by": "test",
        "definition": "{}", "definition_hash": "", "index_body": {}, "source_fingerprint": "", "tables": [],
        "root": "public.users", "key": [], "needs": {}, "created_at_us": 0,
        "product_version": "", "plan": {"id": "seed", "attempt": 0, "chunk_rows": 1, "leaves": [],
            "chunks": 1, "partitions": 1, "starts": [], "at_us": 0},
    }))
    .unwrap();
    stage
        .registry
        .create(record)
        .await
        .unwrap()
        .expect("it is new");
    stage
        .sql("ALTER TABLE {p}_users ALTER COLUMN share TYPE int8")
        .await;
    stage.publish_chunk(&chunk).await;

    // WHEN a feed meets the chunk
    let running = stage.start();
    stage.committed(&stage.topics.backfill()).await;

    // THEN a new plan is asked for, and nothing was built from it
    let id = GenerationRecord::id_of("users", Generation::FIRST);
    let record: GenerationRecord = stage
        .registry
        .get(&id)
        .await
        .unwrap()
        .unwrap()
        .unwrap()
        .record;
    assert_eq!(record.plan.unwrap().replan.len(), 1);
    assert_eq!(stage.count().await, 0);
    running.stop().await;
    stage.end().await;
}

#[tokio::test]
async fn w1_a_large_fan_out_is_shared_and_its_offset_waits_for_the_chunks() {
    // GIVEN 2,500 documents that hang on one city
    let setting = Setting {
        fanout_threshold: 100,
        ..Setting::default()
    };
    let stage = Stage::new(setting).await;
    let xid = stage
        .sql(
            "INSERT INTO {p}_cities VALUES (1, 'Oslo');
             INSERT INTO {p}_users SELECT n, 'user ' || n, 1 FROM generate_series(1, 2500) n",
        )
        .await;
    let running = stage.start();

    // WHEN it changes
    stage
        .publish(&stage.change("cities", Operation::Insert, 1, xid))
        .await;

    // THEN chunks carry the documents, and the change's offset moves after theirs
    stage.committed(&stage.topics.changes()).await;
    let marks = stage
        .kafka
        .topics()
        .unwrap()
        .watermarks(&stage.topics.fanout(), &partitions())
        .await
        .unwrap();
    assert_eq!(marks.iter().map(|mark| mark.high.get()).sum::<i64>(), 3);
    stage.committed(&stage.topics.fanout()).await;
    assert_eq!(stage.count().await, 2500);
    assert_eq!(
        stage.document(2500).await,
        Some(user("user 2500", Some("Oslo"), &[]))
    );
    running.stop().await;
    stage.end().await;
}

#[tokio::test]
async fn w1_a_refused_document_stops_the_feed_and_its_offset_stays() {
    // GIVEN a document that OpenSearch refuses: a keyword of more than 32,766 bytes
    let stage = Stage::new(Setting::default()).await;
    let xid = stage
        .sql("INSERT INTO {p}_users VALUES (1, repeat('x', 40000), NULL)")
        .await;
    let at = stage
        .publish(&stage.change("users", Operation::Insert, 1, xid))
        .await;

    let mut running = stage.start();
    let FeedEnd::Stopped(reason) = running.end().await else {
        panic!("it did not stop")
    };
    assert_eq!(reason.rule().code, "refused");
    let offsets = stage.kafka.group_offsets(&stage.group).unwrap();
    let committed = offsets.committed(&[at]).await.unwrap();
    assert_eq!(committed[0].offset, Some(Offset::new(0)));
    stage.end().await;
}

#[tokio::test]
async fn w1_what_cannot_be_written_or_built_goes_to_the_dead_letters_and_the_rest_goes_on() {
    // GIVEN among good rows one that OpenSearch refuses and one that Postgres cannot build
    let setting = Setting {
        on_error: OnError::DeadLetter,
        ..Setting::default()
    };
    let stage = Stage::new(setting).await;
    let xid = stage
        .sql(
            "INSERT INTO {p}_users SELECT n, 'user ' || n, NULL FROM generate_series(1, 9) n;
             UPDATE {p}_users SET name = repeat('x', 40000) WHERE id = 3;
             UPDATE {p}_users SET share = 0 WHERE id = 7",
        )
        .await;
    for id in 1..=9 {
        stage
            .publish(&stage.change("users", Operation::Insert, id, xid))
            .await;
    }

    let running = stage.start();
    stage.committed(&stage.topics.changes()).await;

    // THEN all others are written, and both are recorded
    assert_eq!(stage.count().await, 7);
    let mut letters = stage.dead_letters().await;
    letters.sort_by(|one, other| one.id.cmp(&other.id));
    letters.dedup_by(|one, other| one.id == other.id);
    let found: Vec<_> = letters
        .iter()
        .map(|letter| {
            (
                letter.id.as_str(),
                letter.status,
                letter.error_type.as_str(),
                letter.document.is_some(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("3", Some(400), "illegal_argument_exception", true),
            ("7", None, "22012", false)
        ]
    );
    running.stop().await;
    stage.end().await;
}

#[tokio::test]
async fn a_second_worker_shares_the_load_and_nothing_is_missing() {
    let stage = Stage::new(Setting::default()).await;
    let first = stage.start();
    let xid = stage
        .sql("INSERT INTO {p}_users SELECT n, 'user ' || n, NULL FROM generate_series(1, 600) n")
        .await;
    for id in 1..=300 {
        stage
            .publish(&stage.change("users", Operation::Insert, id, xid))
            .await;
    }
    let mut second = stage.start();
    // GIVEN that the second one holds some of the partitions
    let took = second.report.wait_for(|report| !report.held.is_empty());
    tokio::time::timeout(DEADLINE, took)
        .await
        .expect("it gets partitions")
        .unwrap();
    for id in 301..=600 {
        stage
            .publish(&stage.change("users", Operation::Insert, id, xid))
            .await;
    }
    stage.committed(&stage.topics.changes()).await;
    assert_eq!(stage.count().await, 600);

    // WHEN the first one leaves THEN the second one holds all
    first.stop().await;
    let all = usize::from(PARTITIONS) * 3;
    let took = second.report.wait_for(|report| report.held.len() == all);
    tokio::time::timeout(DEADLINE, took)
        .await
        .expect("it gets all partitions")
        .unwrap();
    second.stop().await;
    stage.end().await;
}
