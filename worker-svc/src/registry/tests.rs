use model::{ColumnName, Generation, Needs, TableName};

use super::*;
use crate::loopback::{Loopback, Step};
use crate::sink::Options;

pub(crate) fn generation() -> GenerationRecord {
    GenerationRecord {
        index: "users".into(),
        number: Generation::new(3),
        sink: "main".into(),
        topic_prefix: "p".into(),
        group: "p.main.users.g3".into(),
        index_name: "users-g3".into(),
        state: State::Planned,
        cause: Cause::First,
        made_by: "a1".into(),
        definition: "{\"a\":1}".into(),
        definition_hash: "sha256:00".into(),
        index_body: json!({"settings": {}}),
        settings_when_seeded: json!({"index.refresh_interval": "10s"}),
        pipeline: None,
        source_fingerprint: "f".into(),
        tables: vec![TableName::new("public", "users")],
        root: TableName::new("public", "users"),
        key: vec![ColumnName::new("id")],
        needs: Needs::new(),
        scanning: vec![],
        revision: 1,
        created_at_us: 5,
        product_version: "0.1.0".into(),
        served: None,
        birth: None,
        visible_from: None,
        plan: None,
        seeded_percent: 0.0,
        seeded_at_us: None,
        activated_at_us: None,
        retired_at_us: None,
        control: FeedControl::default(),
        repaired_through: None,
        repairs: vec![],
        replay: None,
        more: Map::new(),
    }
}

fn found(source: &str) -> Found {
    Found {
        id: "x".into(),
        revision: Revision {
            seq_no: 1,
            primary_term: 1,
        },
        source: serde_json::value::RawValue::from_string(source.to_owned()).unwrap(),
    }
}

#[test]
fn a_record_comes_back_as_it_was_with_what_a_newer_version_added() {
    let mut record = generation();
    record
        .more
        .insert("of_the_future".into(), json!([1, {"a": null}]));
    let stored = String::from_utf8(store(&record).unwrap().to_vec()).unwrap();
    let entry: Entry<GenerationRecord> = read(&found(&stored)).unwrap();
    assert_eq!(entry.record, record);
}

#[test]
fn runs_come_back_as_they_were() {
    let run = model::ServerRun {
        system_identifier: u64::MAX,
        timeline: 3,
        started_at_us: -1,
        stats_reset_us: 9,
    };
    let record = RunsRecord {
        runs: vec![RegisteredRun {
            run,
            number: model::Incarnation::FIRST,
            at_us: 1,
        }],
        timelines: [(u64::MAX.to_string(), 3)].into(),
        more: Map::new(),
    };
    let stored = String::from_utf8(store(&record).unwrap().to_vec()).unwrap();
    let entry: Entry<RunsRecord> = read(&found(&stored)).unwrap();
    assert_eq!(entry.record, record);
}

#[test]
fn r2_a_record_of_a_newer_format_is_left_alone() {
    let stored = String::from_utf8(store(&generation()).unwrap().to_vec()).unwrap();
    let newer = stored.replace("\"format\":1", "\"format\":2");
    assert_ne!(stored, newer);
    let error = read::<GenerationRecord>(&found(&newer)).unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
}

#[test]
fn other_products_entries_are_errors_not_panics() {
    for source in ["{}", "[]", "1", r#"{"record": {"index": 1}}"#] {
        assert!(
            read::<GenerationRecord>(&found(source)).is_err(),
            "{source}"
        );
    }
}

fn answer(status: u16, body: &Value) -> Step {
    Step::Answer(
        status,
        "content-type: application/json\r\n",
        body.to_string(),
    )
}

fn document(record: &IndexRecord, seq_no: i64) -> Step {
    let source: Value = serde_json::from_slice(&store(record).unwrap()).unwrap();
    answer(
        200,
        &json!({"_id": record.id(), "_seq_no": seq_no, "_primary_term": 1, "found": true, "_source": source}),
    )
}

#[tokio::test]
async fn a_lost_race_is_run_again_on_the_newer_state() {
    // GIVEN a record that somebody else changes between our read and our write
    let mut record = IndexRecord::new("users", "main", Generation::new(1));
    let before = document(&record, 1);
    record.next = Generation::new(2);
    let conflict = json!({"error": {"type": "version_conflict_engine_exception", "reason": "r"}});
    let script = [
        before,
        answer(409, &conflict),
        document(&record, 2),
        answer(200, &json!({"_seq_no": 3, "_primary_term": 1})),
    ];
    let server = Loopback::start(script).await;
    let registry = Registry::new(
        Sink::new(&Options::for_url(&server.url)).unwrap(),
        "main",
        "shop_",
    );

    // WHEN we add to it
    let changed = registry
        .update("index/users", |record: &mut IndexRecord| {
            record.next = record.next.next().unwrap();
            Ok(true)
        })
        .await
        .unwrap()
        .unwrap();

    // THEN our change stands on theirs
    let Changed::Yes(entry) = changed else {
        panic!("{changed:?}")
    };
    assert_eq!(entry.record.next, Generation::new(3));
    assert_eq!(entry.revision.seq_no, 3);
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    assert!(
        seen[3]
            .line
            .contains("/shop_flusso_meta/_doc/index%2Fusers?if_seq_no=2&"),
        "{}",
        seen[3].line
    );
}

#[tokio::test]
async fn a_change_with_nothing_to_do_writes_nothing() {
    let record = IndexRecord::new("users", "main", Generation::new(1));
    let server = Loopback::start([document(&record, 1)]).await;
    let registry = Registry::new(
        Sink::new(&Options::for_url(&server.url)).unwrap(),
        "main",
        "",
    );
    let changed = registry
        .update("index/users", |_: &mut IndexRecord| Ok(false))
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(changed, Changed::Unneeded(_)));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_missing_record_is_said_to_be_missing() {
    let server = Loopback::start([answer(404, &json!({"found": false}))]).await;
    let registry = Registry::new(
        Sink::new(&Options::for_url(&server.url)).unwrap(),
        "main",
        "",
    );
    let changed = registry
        .update("index/users", |_: &mut IndexRecord| Ok(true))
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(changed, Changed::Missing));
}
