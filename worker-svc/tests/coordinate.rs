//! A generation driven from *planned* to *active* on real servers, with capture and the
//! workers played by the test. Needs the stack of `deploy/up`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "a helper of a test may end the test"
)]

#[path = "support/postgres.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use model::{
    Announcement, Change, Chunk, ColumnName, Epoch, FeedState, Framing, Generation, Heartbeat, Lsn,
    Needs, Offset, OffsetMetadata, Partition, Position, Schemas, SourceCause, TableName,
    TableNeeds, Topics, Work,
};
use runtime::kafka::{
    Kafka, NewTopic, Settings, Start, StoredPosition, TopicPartition, only_partition,
};
use runtime::postgres::Identity;
use runtime::shutdown::Shutdown;
use serde_json::json;
use testkit::server;
use worker_svc::coordinate::create::{Begun, Blueprint, begin};
use worker_svc::coordinate::{Context, Control, Coordinator, announce_enabled};
use worker_svc::generation::Step;
use worker_svc::registry::{Cause, GenerationRecord, Incarnations, IndexRecord, Registry, State};
use worker_svc::service::adjust;
use worker_svc::sink::{Options, Sink};

const DEADLINE: Duration = Duration::from_secs(90);
const PARTITIONS: u16 = 2;

/// Everything of one test, under names of its own.
struct Stage {
    context: Context,
    schemas: Arc<Schemas>,
    table: TableName,
    shutdown: Shutdown,
    _reader: runtime::task::Task<Result<(), worker_svc::Definite>>,
}

impl Stage {
    async fn new() -> Self {
        let name = format!("t{:08x}", rand::random::<u32>());
        let kafka = Kafka::new(Settings::new(
            server("STACK_KAFKA_BOOTSTRAP"),
            "worker-svc-test",
        ))
        .unwrap();
        let topics = Topics::new(name.clone());
        let new = |name: String, partitions| NewTopic {
            name,
            partitions,
            replication: None,
            settings: std::collections::BTreeMap::default(),
        };
        let created = kafka
            .topics()
            .unwrap()
            .create(&[
                new(topics.changes(), PARTITIONS),
                new(topics.fanout(), PARTITIONS),
                new(topics.backfill(), PARTITIONS),
                new(topics.control(), 1),
            ])
            .await
            .unwrap();
        assert!(created.iter().all(Result::is_ok), "{created:?}");

        let postgres = support::postgres();
        let session = postgres.connect("worker-svc-test").await.unwrap();
        let table = TableName::new("public", format!("{name}_users"));
        session
            .batch_execute(&format!(
                "CREATE TABLE {name}_users (id int PRIMARY KEY, pad text);
                 INSERT INTO {name}_users SELECT n, repeat('x', 500) FROM generate_series(1, 400) n;
                 ANALYZE {name}_users"
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
        let registry = Registry::new(sink, "main", format!("{name}_"));
        registry.open().await.unwrap();
        let context = Context {
            incarnations: Arc::new(Incarnations::new(registry.clone())),
            registry,
            control,
            kafka,
            topics,
            postgres,
            seed_chunk_rows: 100,
            freshness: Duration::from_secs(10),
        };
        Stage {
            context,
            schemas,
            table,
            shutdown,
            _reader: reader,
        }
    }

    fn blueprint(&self) -> Blueprint {
        let needs: Needs = [(self.table.clone(), TableNeeds::default())]
            .into_iter()
            .collect();
        Blueprint {
            index: "users".into(),
            topic_prefix: self.context.topics.prefix().into(),
            system_identifier: 7,
            definition: "{}".into(),
            definition_hash: "sha256:test".into(),
            index_body: json!({
                "settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
                "mappings": {"dynamic": "strict"},
            }),
            settings_when_seeded: json!({"index": {"refresh_interval": "7s"}}),
            pipeline: None,
            source_fingerprint: "f".into(),
            tables: vec![self.table.clone()],
            root: self.table.clone(),
            key: vec![ColumnName::new("id")],
            needs,
        }
    }

    fn alias(&self) -> String {
        format!("{}users", self.context.registry.index_prefix())
    }

    fn coordinator(&self, number: Generation) -> Coordinator {
        Coordinator::new(self.context.clone(), "users", number, vec![self.alias()])
    }

    async fn record(&self, number: Generation) -> GenerationRecord {
        let id = GenerationRecord::id_of("users", number);
        self.context
            .registry
            .get(&id)
            .await
            .unwrap()
            .unwrap()
            .expect("a record")
            .record
    }

    /// Capture announces the epoch of the real source.
    async fn announce_source(&self, epoch: u32, cause: SourceCause) {
        let session = self
            .context
            .postgres
            .connect("worker-svc-test")
            .await
            .unwrap();
        let identity = Identity::read(&*session).await.unwrap();
        let announcement = Announcement::Source {
            epoch: Epoch::new(epoch),
            system_identifier: identity.system_identifier,
            database_oid: identity.database_oid,
            database: identity.database,
            timeline: identity.timeline.unwrap(),
            slot: "s".into(),
            start_lsn: Lsn::new(50),
            cause,
            reason: "test".into(),
            at_us: 0,
        };
        self.context.control.announce(&announcement).await.unwrap();
    }

    /// Capture answers the feed.
    async fn answer(&self, record: &GenerationRecord) {
        let announcement = Announcement::Served {
            group: record.group.clone(),
            revision: record.revision,
            needs_hash: record.needs.hash(),
            tables: vec![],
            scanning: record.scanning.clone(),
            epoch: Epoch::FIRST,
            since_lsn: Some(Lsn::new(100)),
            waiting_for: vec![],
            at_us: 0,
        };
        self.context.control.announce(&announcement).await.unwrap();
    }

    /// Capture's heartbeat in one partition.
    async fn heartbeat(&self, partition: i32, lsn: u64) {
        let change = Change::heartbeat(
            Position::before(Epoch::FIRST, Lsn::new(lsn)),
            Heartbeat {
                clock_us: 0,
                last: None,
            },
        );
        let bytes = self.schemas.encode(&change, Framing::SingleObject).unwrap();
        let at = TopicPartition::new(self.context.topics.changes(), Partition::new(partition));
        self.context
            .kafka
            .acknowledged()
            .unwrap()
            .send(&at, &change.record_key(), Some(&bytes))
            .await
            .unwrap();
    }

    /// The workers are through with everything in `topics`, as far as it goes now.
    async fn commit_all(&self, record: &GenerationRecord, topics: &[String]) {
        let client = self.context.kafka.topics().unwrap();
        let partitions: Vec<Partition> = (0..i32::from(PARTITIONS)).map(Partition::new).collect();
        let mut stored = vec![];
        for topic in topics {
            for mark in client.watermarks(topic, &partitions).await.unwrap() {
                stored.push(StoredPosition {
                    at: TopicPartition::new(topic.clone(), mark.partition),
                    offset: mark.high,
                    metadata: OffsetMetadata::new(Epoch::FIRST, Lsn::new(900)).to_string(),
                });
            }
        }
        self.context
            .kafka
            .group_offsets(&record.group)
            .unwrap()
            .commit(&stored)
            .await
            .unwrap();
    }

    async fn chunks(&self) -> Vec<Chunk> {
        let partitions: Vec<Partition> = (0..i32::from(PARTITIONS)).map(Partition::new).collect();
        let from: Vec<_> = partitions
            .iter()
            .map(|partition| (*partition, Start::Earliest))
            .collect();
        let reader = self
            .context
            .kafka
            .reader(&self.context.topics.backfill(), &from)
            .unwrap();
        let records = reader.read_to_end(&partitions, DEADLINE).await.unwrap();
        records
            .iter()
            .map(|record| {
                self.schemas
                    .decode(record.payload.as_ref().unwrap())
                    .unwrap()
            })
            .collect()
    }

    async fn end(self) {
        self.shutdown.trigger();
        let topics = &self.context.topics;
        let names = [
            topics.changes(),
            topics.fanout(),
            topics.backfill(),
            topics.control(),
        ];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.context
            .kafka
            .topics()
            .unwrap()
            .delete(&names)
            .await
            .unwrap();
        let session = self
            .context
            .postgres
            .connect("worker-svc-test")
            .await
            .unwrap();
        session
            .batch_execute(&format!("DROP TABLE {}", self.table.sql()))
            .await
            .unwrap();
        let sink = self.context.registry.sink();
        for index in sink
            .index_names(&format!("{}*", self.context.registry.index_prefix()))
            .await
            .unwrap()
        {
            sink.delete_index(&index).await.unwrap();
        }
    }
}

/// Steps until `done` likes one, with the time to do something in between.
async fn drive(coordinator: &mut Coordinator, done: impl Fn(&Step) -> bool) -> Vec<Step> {
    let mut seen: Vec<Step> = vec![];
    let stepping = async {
        loop {
            let step = coordinator.step().await.unwrap().unwrap();
            let is_done = done(&step);
            if seen.last() != Some(&step) {
                seen.push(step);
            }
            if is_done {
                return;
            }
            // What was announced comes back through Kafka.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(DEADLINE, stepping).await;
    assert!(ended.is_ok(), "no end; steps so far: {seen:?}");
    seen
}

#[tokio::test]
async fn r1_a_generation_goes_from_planned_to_active_step_by_step() {
    let stage = Stage::new().await;
    let first = Generation::FIRST;
    stage.announce_source(1, SourceCause::First).await;
    stage.heartbeat(0, 300).await;

    // GIVEN a claimed generation; a second claim finds it
    let begun = begin(&stage.context.registry, &stage.blueprint(), Cause::First)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(begun, Begun::New(first));
    let again = begin(&stage.context.registry, &stage.blueprint(), Cause::First)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again, Begun::Underway(first));
    let mut coordinator = stage.coordinator(first);

    // WHEN capture has not answered, THEN it waits for it
    let steps = drive(&mut coordinator, |step| {
        matches!(step, Step::AwaitCapture(_))
    })
    .await;
    assert_eq!(steps[..2], [Step::MakeIndex, Step::Announce]);
    let record = stage.record(first).await;
    stage.answer(&record).await;

    // WHEN it has, THEN positions, X0 and plan follow in this order
    let steps = drive(&mut coordinator, |step| matches!(step, Step::Watch { .. })).await;
    let names: Vec<&str> = steps
        .iter()
        .map(|step| match step {
            Step::AwaitCapture(_) => "await",
            Step::TakePositions(_) => "positions",
            Step::CommitPositions => "commit",
            Step::BeginBuilding => "building",
            Step::TakeVisibleFrom => "x0",
            Step::MakePlan => "plan",
            Step::WritePlan => "write",
            Step::Watch { .. } => "watch",
            other => panic!("{other:?}"),
        })
        .filter(|name| *name != "await")
        .collect();
    assert_eq!(
        names,
        [
            "positions",
            "commit",
            "building",
            "x0",
            "plan",
            "write",
            "watch"
        ]
    );

    let record = stage.record(first).await;
    assert_eq!(record.state, State::Building);
    let birth = record.birth.as_ref().unwrap();
    // C1: the partition with a heartbeat claims its LSN, the empty one only what is served.
    let claims: Vec<&str> = birth.topics[0]
        .partitions
        .iter()
        .map(|p| p.metadata.as_str())
        .collect();
    assert_eq!(claims, ["epoch=1 lsn=0/12C", "epoch=1 lsn=0/64"]);
    let chunks = stage.chunks().await;
    let plan = record.plan.as_ref().unwrap();
    assert!(plan.chunks >= 3, "{plan:?}");
    assert_eq!(chunks.len(), usize::try_from(plan.chunks).unwrap());
    for chunk in &chunks {
        assert_eq!(chunk.visible_from, Some(record.visible_from.unwrap().xid));
        assert!(matches!(&chunk.work, Work::Blocks { table, .. } if *table == stage.table));
    }

    // WHEN only the changes are consumed, THEN the alias does not move
    let topics = &stage.context.topics;
    stage.commit_all(&record, &[topics.changes()]).await;
    let step = coordinator.step().await.unwrap().unwrap();
    assert!(
        matches!(step, Step::Watch { seeded: false, .. }),
        "{step:?}"
    );
    assert!(
        stage
            .context
            .registry
            .sink()
            .alias(&stage.alias())
            .await
            .unwrap()
            .is_empty()
    );

    // WHEN the plan is through as well, THEN it moves and the record says active
    stage
        .commit_all(&record, &[topics.changes(), topics.backfill()])
        .await;
    drive(&mut coordinator, |step| *step == Step::Finish).await;
    let record = stage.record(first).await;
    assert_eq!(record.state, State::Active);
    assert!(record.scanning.is_empty());
    let holders = stage
        .context
        .registry
        .sink()
        .alias(&stage.alias())
        .await
        .unwrap();
    assert_eq!(holders, [record.index_name.as_str()]);
    let info = stage
        .context
        .registry
        .sink()
        .index(&record.index_name)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        info.settings.get("index.refresh_interval"),
        Some(&json!("7s"))
    );
    let index: IndexRecord = stage
        .context
        .registry
        .get("index/users")
        .await
        .unwrap()
        .unwrap()
        .unwrap()
        .record;
    assert_eq!((index.active, index.building), (Some(first), None));

    // THEN capture is told that the scan is over, and nothing is left to do
    let steps = drive(&mut coordinator, |step| *step == Step::Rest).await;
    assert_eq!(steps, [Step::Announce, Step::Rest]);
    stage.end().await;
}

#[tokio::test]
async fn a_step_that_was_cut_off_is_resumed_by_the_next_owner() {
    let stage = Stage::new().await;
    let first = Generation::FIRST;
    stage.announce_source(1, SourceCause::First).await;
    begin(&stage.context.registry, &stage.blueprint(), Cause::First)
        .await
        .unwrap()
        .unwrap();

    // GIVEN an owner that is replaced after every single step
    let stepping = async {
        loop {
            let step = stage.coordinator(first).step().await.unwrap().unwrap();
            match step {
                Step::AwaitCapture(_) => stage.answer(&stage.record(first).await).await,
                Step::Watch { .. } => return,
                _ => {}
            }
            // And a plan that was written without being noted is written again.
            if step == Step::MakePlan {
                let mut torn = stage.coordinator(first);
                let _cut_off = tokio::time::timeout(Duration::from_millis(30), torn.step()).await;
            }
        }
    };
    tokio::time::timeout(DEADLINE, stepping)
        .await
        .expect("no end");

    // THEN every chunk of the plan is there at least once, before the noted ends
    let record = stage.record(first).await;
    let plan = record.plan.unwrap();
    let mut numbers: Vec<u32> = stage
        .chunks()
        .await
        .iter()
        .map(|chunk| chunk.number)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (0..plan.chunks).collect::<Vec<_>>());
    let ends = plan.ends.unwrap();
    assert!(ends.iter().all(|(_, end)| *end > Offset::default()));
    stage.end().await;
}

#[tokio::test]
async fn c1_a_disabled_index_is_let_go_and_gates_again_when_enabled() {
    let stage = Stage::new().await;
    let first = Generation::FIRST;
    stage.announce_source(1, SourceCause::First).await;
    begin(&stage.context.registry, &stage.blueprint(), Cause::First)
        .await
        .unwrap()
        .unwrap();
    let record = stage.record(first).await;
    let context = &stage.context;
    let said = || {
        let view = context.control.view();
        view.feed(&record.group).map(|word| word.state)
    };
    let becomes = |state| async move {
        testkit::eventually(DEADLINE, "the announcement", || async {
            let now = said();
            if now == Some(state) { Ok(()) } else { Err(now) }
        })
        .await;
    };
    // GIVEN a feed that was not announced yet: nothing is to be let go
    assert!(!announce_enabled(context, &record, false).await.unwrap());
    drive(&mut stage.coordinator(first), |step| {
        matches!(step, Step::AwaitCapture(_))
    })
    .await;
    becomes(FeedState::Gating).await;
    // WHEN it is disabled, THEN that is said once
    assert!(announce_enabled(context, &record, false).await.unwrap());
    becomes(FeedState::Disabled).await;
    assert!(!announce_enabled(context, &record, false).await.unwrap());
    // WHEN it is enabled, THEN it gates again
    assert!(announce_enabled(context, &record, true).await.unwrap());
    becomes(FeedState::Gating).await;
    assert!(!announce_enabled(context, &record, true).await.unwrap());
    stage.end().await;
}

/// Two files, by their kind.
struct Written;

impl definition::Files for Written {
    fn read(&self, path: &std::path::Path) -> std::io::Result<String> {
        let is_configuration = path.extension().is_some_and(|kind| kind == "toml");
        Ok(String::from(if is_configuration {
            "[source]\ntype = \"postgres\"\nconnection_url = \"postgres://h/x\"\n\
             [broker]\nbootstrap_servers = \"h:9092\"\n\
             [sinks.main]\ntype = \"opensearch\"\nurl = \"http://h\"\n\
             number_of_replicas = 2\nrefresh_interval = \"3s\"\n\
             index_settings = { max_result_window = 20000, codec = \"best_compression\" }\n\
             [[index]]\nname = \"users\"\nschema = \"users.schema.yml\"\n"
        } else {
            "version: 1\ntable: users\nfields:\n  - integer: id\n"
        }))
    }
}

#[tokio::test]
async fn settings_that_the_files_changed_are_changed_in_place_once_it_is_seeded() {
    // GIVEN an index as it is made for seeding
    let stage = Stage::new().await;
    let first = Generation::FIRST;
    stage.announce_source(1, SourceCause::First).await;
    begin(&stage.context.registry, &stage.blueprint(), Cause::First)
        .await
        .unwrap()
        .unwrap();
    drive(&mut stage.coordinator(first), |step| {
        matches!(step, Step::AwaitCapture(_))
    })
    .await;
    let (deployment, _warnings) = definition::load(
        std::path::Path::new("flusso.toml"),
        &Written,
        &std::collections::BTreeMap::new(),
        &definition::Overrides::default(),
    )
    .unwrap();
    let client = stage.context.registry.sink();
    let (sink, index) = (
        deployment.sink("main").unwrap(),
        deployment.index("users").unwrap(),
    );
    let mut record = stage.record(first).await;
    // WHEN it is being seeded, THEN nothing is touched
    for state in [State::Planned, State::Building] {
        record.state = state;
        let changed = adjust(client, sink, index, &record).await.unwrap();
        assert_eq!(changed, [""; 0]);
    }
    // WHEN it serves, THEN all but the static codec is as the files say, and stays so
    record.state = State::Active;
    let changed = adjust(client, sink, index, &record).await.unwrap();
    assert_eq!(
        changed,
        [
            "index.refresh_interval",
            "index.number_of_replicas",
            "index.gc_deletes",
            "index.max_result_window"
        ]
    );
    let found = client.index(&record.index_name).await.unwrap().unwrap();
    assert_eq!(found.settings["index.number_of_replicas"], json!("2"));
    assert_eq!(found.settings["index.max_result_window"], json!("20000"));
    let again = adjust(client, sink, index, &record).await.unwrap();
    assert_eq!(again, [""; 0]);
    stage.end().await;
}

#[tokio::test]
async fn r2_a_new_epoch_and_a_repair_stop_the_generation_with_their_reason() {
    let stage = Stage::new().await;
    let first = Generation::FIRST;
    stage.announce_source(1, SourceCause::First).await;
    begin(&stage.context.registry, &stage.blueprint(), Cause::First)
        .await
        .unwrap()
        .unwrap();
    let mut coordinator = stage.coordinator(first);
    drive(&mut coordinator, |step| {
        matches!(step, Step::AwaitCapture(_))
    })
    .await;
    stage.answer(&stage.record(first).await).await;
    drive(&mut coordinator, |step| *step == Step::TakeVisibleFrom).await;

    // A repair of another table does not concern it; one of its own does.
    let repair = |table: TableName| Announcement::Repair {
        table: Some(table),
        cause: model::RepairCause::LeafTruncated,
        detail: "a leaf was truncated".into(),
        epoch: Epoch::FIRST,
        lsn: Lsn::new(400),
        at_us: 0,
    };
    stage
        .context
        .control
        .announce(&repair(TableName::new("public", "other")))
        .await
        .unwrap();
    drive(&mut coordinator, |step| matches!(step, Step::Watch { .. })).await;
    stage
        .context
        .control
        .announce(&repair(stage.table.clone()))
        .await
        .unwrap();
    let stopped = stop_reason(&mut coordinator).await;
    assert_eq!(stopped, "repair_needed");

    // A new epoch is noticed first.
    stage.announce_source(2, SourceCause::Gap).await;
    let watching = async { while stop_reason(&mut coordinator).await != "new_epoch" {} };
    tokio::time::timeout(DEADLINE, watching)
        .await
        .expect("the epoch was not noticed");
    stage.end().await;
}

async fn stop_reason(coordinator: &mut Coordinator) -> &'static str {
    let stepping = async {
        loop {
            if let Err(definite) = coordinator.step().await.unwrap() {
                return definite.rule().code;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, stepping)
        .await
        .expect("it was not stopped")
}

#[tokio::test]
async fn numbers_are_not_reused_when_the_registry_was_lost() {
    let stage = Stage::new().await;
    let registry = &stage.context.registry;
    let body = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 0}});
    let _made = registry
        .sink()
        .create_index(&format!("{}users-g7", registry.index_prefix()), &body)
        .await
        .unwrap();
    let begun = begin(registry, &stage.blueprint(), Cause::First)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(begun, Begun::New(Generation::new(8)));
    // The control topic is there and can be read on.
    assert_eq!(
        only_partition(&stage.context.topics.control()).partition,
        Partition::new(0)
    );
    stage.end().await;
}
