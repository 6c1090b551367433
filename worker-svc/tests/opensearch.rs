//! What OpenSearch really answers, and what this service makes of it.
//! Needs `STACK_OPENSEARCH_URL` (`deploy/up`). Every test has an index prefix of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "a helper of a test may end the test"
)]

use std::time::Duration;

use model::{DocumentVersion, Generation, Incarnation, Ordinal, ServerRun};
use serde_json::json;
use worker_svc::bulk::{Action, Bounds, bodies};
use worker_svc::outcome::{self, Answer, Applied, Outcome, StaleVerdict, Verdict};
use worker_svc::registry::{Changed, Incarnations, IndexRecord, Registry};
use worker_svc::sink::{AliasChange, Made, Options, Sink, Written};

const DEADLINE: Duration = Duration::from_mins(1);

/// A client, and a prefix nobody else has.
fn sink() -> (Sink, String) {
    #[expect(clippy::disallowed_methods, reason = "a test finds its servers here")]
    let url = std::env::var("STACK_OPENSEARCH_URL")
        .expect("STACK_OPENSEARCH_URL is not set: run deploy/up and source .stack/env");
    let prefix = format!("t{:08x}_", rand::random::<u32>());
    (Sink::new(&Options::for_url(url)).unwrap(), prefix)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("no end within a minute")
}

fn version(incarnation: u16, ordinal: u64) -> DocumentVersion {
    DocumentVersion::new(Incarnation::new(incarnation), Ordinal::new(ordinal)).unwrap()
}

fn upsert<'a>(id: &'a str, version: DocumentVersion, document: &'a str) -> Action<'a> {
    Action {
        id,
        version,
        document: Some(document.as_bytes()),
    }
}

fn delete(id: &str, version: DocumentVersion) -> Action<'_> {
    Action {
        id,
        version,
        document: None,
    }
}

async fn send(sink: &Sink, index: &str, actions: &[Action<'_>]) -> Verdict {
    let bounds = Bounds {
        actions: 1000,
        bytes: 1 << 20,
    };
    let body = bodies(actions.iter().copied(), bounds)
        .next()
        .unwrap()
        .unwrap();
    let reply = sink.bulk(index, None, body.bytes).await.unwrap();
    let answer = Answer {
        status: reply.status,
        retry_after: reply.retry_after,
        body: &reply.body,
    };
    outcome::of_request(&answer, body.items)
}

async fn items(sink: &Sink, index: &str, actions: &[Action<'_>]) -> Vec<Outcome> {
    match send(sink, index, actions).await {
        Verdict::Items(items) => items,
        other => panic!("{other:?}"),
    }
}

async fn make(sink: &Sink, index: &str) {
    let body = json!({
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
        "mappings": {"dynamic": "strict", "properties": {"n": {"type": "long"}}},
    });
    assert_eq!(sink.create_index(index, &body).await.unwrap(), Made::New);
    assert_eq!(
        sink.create_index(index, &body).await.unwrap(),
        Made::Existed
    );
}

#[tokio::test]
async fn w2_an_older_version_never_replaces_a_newer_one() {
    within(async {
        let (sink, prefix) = sink();
        let index = format!("{prefix}users-g1");
        make(&sink, &index).await;
        let new = version(2, 100);
        let written = items(
            &sink,
            &index,
            &[upsert("1", new, r#"{"n":1}"#), delete("gone", new)],
        )
        .await;
        assert_eq!(
            written,
            [
                Outcome::Applied(Applied::Created),
                Outcome::Applied(Applied::NothingThere)
            ]
        );

        let old = version(2, 99);
        let refused = items(
            &sink,
            &index,
            &[
                upsert("1", old, r#"{"n":0}"#),
                delete("1", old),
                upsert("gone", old, "{}"),
            ],
        )
        .await;
        assert_eq!(refused, vec![Outcome::Stale { current: Some(new) }; 3]);

        // The same version again is stale as well: that is how a repeated write is harmless.
        assert_eq!(
            items(&sink, &index, &[upsert("1", new, r#"{"n":1}"#)]).await,
            [Outcome::Stale { current: Some(new) }]
        );
        // A later run starts with lower ordinals and still wins; the other way round it is told.
        let next_run = version(3, 5);
        assert_eq!(
            items(&sink, &index, &[upsert("1", next_run, r#"{"n":2}"#)]).await,
            [Outcome::Applied(Applied::Updated)]
        );
        let again = items(&sink, &index, &[upsert("1", version(2, 5000), "{}")]).await;
        assert_eq!(
            again,
            [Outcome::Stale {
                current: Some(next_run)
            }]
        );
        assert_eq!(
            outcome::stale_verdict(version(2, 5000), Some(next_run)),
            StaleVerdict::Higher(Incarnation::new(3))
        );
        assert_eq!(
            items(&sink, &index, &[delete("1", version(3, 6))]).await,
            [Outcome::Applied(Applied::Deleted)]
        );
        sink.delete_index(&index).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn only_the_bad_document_of_a_request_is_refused() {
    within(async {
        let (sink, prefix) = sink();
        let index = format!("{prefix}users-g1");
        make(&sink, &index).await;
        let at = version(1, 1);
        let ended = items(
            &sink,
            &index,
            &[
                upsert("1", at, r#"{"n":1}"#),
                upsert("2", at, r#"{"n":"secret"}"#),
                upsert("3", at, r#"{"unknown":1}"#),
                upsert("4", at, "{\n\"n\":\n4}"),
                upsert("5", at, r#"{"n":1,"n":2}"#),
            ],
        )
        .await;
        assert_eq!(ended[0], Outcome::Applied(Applied::Created));
        assert_eq!(ended[3], Outcome::Applied(Applied::Created));
        for n in [1, 2, 4] {
            let Outcome::Refused(refusal) = &ended[n] else {
                panic!("{n}: {:?}", ended[n])
            };
            assert!(
                !refusal.without_values().contains("secret"),
                "{}",
                refusal.without_values()
            );
        }
        sink.delete_index(&index).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn it_is_known_whether_a_write_makes_a_missing_index() {
    within(async {
        // GIVEN a cluster of either kind
        let (sink, prefix) = sink();
        let index = format!("{prefix}missing");
        let said = sink.creates_by_writing().await.unwrap();
        // WHEN
        let write = [upsert("1", version(1, 1), r#"{"n":1}"#)];
        let verdict = send(&sink, &index, &write).await;
        // THEN
        let is_there = sink.index(&index).await.unwrap().is_some();
        assert_eq!(said, is_there, "{verdict:?}");
        if is_there {
            sink.delete_index(&index).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_blocked_index_blocks_the_feed() {
    within(async {
        let (sink, prefix) = sink();
        let index = format!("{prefix}users-g1");
        make(&sink, &index).await;
        let write = [upsert("1", version(1, 1), r#"{"n":1}"#)];
        let is_blocked = |verdict: &Verdict| match verdict {
            Verdict::Blocked { .. } => true,
            Verdict::Items(items) => items
                .iter()
                .all(|item| matches!(item, Outcome::Blocked { .. })),
            _ => false,
        };

        for block in ["index.blocks.write", "index.blocks.read_only_allow_delete"] {
            sink.put_settings(&index, &json!({block: true}))
                .await
                .unwrap();
            let verdict = send(&sink, &index, &write).await;
            assert!(is_blocked(&verdict), "{block}: {verdict:?}");
            sink.put_settings(&index, &json!({block: null}))
                .await
                .unwrap();
        }
        sink.delete_index(&index).await.unwrap();
        assert_eq!(sink.index(&index).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn r1_an_alias_moves_at_once_or_not_at_all() {
    within(async {
        let (sink, prefix) = sink();
        let (one, two, alias) = (
            format!("{prefix}u-g1"),
            format!("{prefix}u-g2"),
            format!("{prefix}u"),
        );
        make(&sink, &one).await;
        make(&sink, &two).await;
        sink.change_aliases(&[AliasChange::Add {
            index: one.clone(),
            alias: alias.clone(),
        }])
        .await
        .unwrap();
        assert_eq!(sink.alias(&alias).await.unwrap(), [one.as_str()]);

        let wrong = [
            AliasChange::Remove {
                index: two.clone(),
                alias: alias.clone(),
            },
            AliasChange::Add {
                index: two.clone(),
                alias: alias.clone(),
            },
        ];
        let failure = sink.change_aliases(&wrong).await.unwrap_err();
        assert_eq!(failure.status(), Some(404), "{failure}");
        assert_eq!(sink.alias(&alias).await.unwrap(), [one.as_str()]);

        let right = [
            AliasChange::Remove {
                index: one.clone(),
                alias: alias.clone(),
            },
            AliasChange::Add {
                index: two.clone(),
                alias: alias.clone(),
            },
        ];
        sink.change_aliases(&right).await.unwrap();
        assert_eq!(sink.alias(&alias).await.unwrap(), [two.as_str()]);
        // An alias is not an index of that name.
        assert_eq!(sink.index(&alias).await.unwrap(), None);
        sink.delete_index(&one).await.unwrap();
        sink.delete_index(&two).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_registry_makes_itself_and_keeps_records_through_races() {
    within(async {
        let (sink, prefix) = sink();
        let registry = Registry::new(sink.clone(), "main", prefix);
        registry.open().await.unwrap();
        registry.open().await.unwrap();
        let settings = sink
            .index(registry.index())
            .await
            .unwrap()
            .unwrap()
            .settings;
        assert_eq!(settings.get("index.hidden"), Some(&json!("true")));

        let record = IndexRecord::new("users", "main", Generation::FIRST);
        assert!(registry.create(record.clone()).await.unwrap().is_some());
        assert!(registry.create(record).await.unwrap().is_none());

        // GIVEN many who all add one
        let mut tasks = runtime::task::Tasks::new();
        for n in 0..4 {
            let registry = registry.clone();
            tasks.spawn(format!("adder {n}"), async move {
                for _ in 0..5 {
                    let changed = registry
                        .update("index/users", |record: &mut IndexRecord| {
                            record.next = record.next.next().unwrap();
                            Ok(true)
                        })
                        .await
                        .unwrap()
                        .unwrap();
                    assert!(matches!(changed, Changed::Yes(_)));
                }
            });
        }
        assert!(tasks.join_all(DEADLINE).await.is_empty());

        // THEN none of them is lost
        let entries = registry.list::<IndexRecord>().await.unwrap().unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].record.next, Generation::new(21));
        sink.delete_index(registry.index()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn w2_two_workers_get_one_number_for_one_run_and_a_higher_one_for_the_next() {
    within(async {
        let (sink, prefix) = sink();
        let registry = Registry::new(sink.clone(), "main", prefix);
        registry.open().await.unwrap();
        let run = ServerRun {
            system_identifier: 7_350_000_000_000_000_001,
            timeline: 1,
            started_at_us: 1,
            stats_reset_us: 2,
        };
        let (one, two) = (
            Incarnations::new(registry.clone()),
            Incarnations::new(registry.clone()),
        );
        let (a, b) = tokio::join!(one.number_of(run, 0), two.number_of(run, 0));
        assert_eq!(a.unwrap().unwrap().number, Incarnation::FIRST);
        assert_eq!(b.unwrap().unwrap().number, Incarnation::FIRST);

        let crashed = ServerRun {
            stats_reset_us: 3,
            ..run
        };
        assert_eq!(
            one.number_of(crashed, 0).await.unwrap().unwrap().number,
            Incarnation::new(2)
        );
        // A conflict showed a version of incarnation 5: this worker goes above it.
        two.register_above(Incarnation::new(5)).await.unwrap();
        assert!(two.number_of(crashed, 0).await.unwrap().unwrap().number > Incarnation::new(5));
        // A timeline below a registered one is refused.
        let promoted = ServerRun { timeline: 2, ..run };
        let number = two.number_of(promoted, 0).await.unwrap().unwrap().number;
        assert!(number > Incarnation::new(6));
        assert!(two.number_of(crashed, 0).await.is_err());
        sink.delete_index(registry.index()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_lost_document_write_is_seen_as_lost_by_its_repeat() {
    within(async {
        let (sink, prefix) = sink();
        let index = format!("{prefix}meta");
        make(&sink, &index).await;
        let body = bytes::Bytes::from_static(b"{\"n\":1}");
        let Written::Done(first) = sink
            .create_document(&index, "x", body.clone())
            .await
            .unwrap()
        else {
            panic!()
        };
        assert_eq!(
            sink.create_document(&index, "x", body.clone())
                .await
                .unwrap(),
            Written::Lost
        );
        let Written::Done(second) = sink
            .replace_document(&index, "x", first, body.clone())
            .await
            .unwrap()
        else {
            panic!()
        };
        assert_ne!(first, second);
        assert_eq!(
            sink.replace_document(&index, "x", first, body)
                .await
                .unwrap(),
            Written::Lost
        );
        assert_eq!(
            sink.document(&index, "x").await.unwrap().unwrap().revision,
            second
        );
        assert!(sink.document(&index, "y").await.unwrap().is_none());
        let info = sink.info().await.unwrap();
        assert_eq!(info.distribution, "opensearch");
        sink.delete_index(&index).await.unwrap();
    })
    .await;
}
