use model::{DocumentVersion, FeedId, Generation, Ordinal};
use serde_json::{Value, json};

use super::super::status::Status;
use super::*;
use crate::loopback::{Loopback, Step};
use crate::metrics::Metrics;
use crate::sink::Options;

fn version() -> DocumentVersion {
    DocumentVersion::new(Incarnation::new(2), Ordinal::new(7)).unwrap()
}

/// Documents with these ids; the key is the id.
fn built(ids: &[&str]) -> Built {
    let mut built = Built::new(version(), Instant::now());
    for id in ids {
        built.push((*id).to_owned(), vec![(*id).to_owned()], Some(b"{}"));
    }
    built
}

fn answer(status: u16, body: &Value) -> Step {
    Step::Answer(
        status,
        "content-type: application/json\r\n",
        body.to_string(),
    )
}

fn items(items: &[Value]) -> Step {
    let items: Vec<Value> = items.iter().map(|item| json!({ "index": item })).collect();
    answer(200, &json!({ "errors": true, "items": items }))
}

fn done() -> Value {
    json!({ "status": 200, "result": "updated" })
}

fn failed(status: u16, error_type: &str, reason: &str) -> Value {
    json!({ "status": status, "error": { "type": error_type, "reason": reason } })
}

fn writer(url: &str) -> Writer {
    let sink = Sink::new(&Options::for_url(url)).unwrap();
    let metrics = Metrics::new().feed(&FeedId::new("search", "users", Generation::FIRST));
    let bounds = Bounds {
        actions: 1000,
        bytes: 1 << 20,
    };
    Writer::new(sink, String::from("users-g1"), None, bounds, 2, metrics)
}

/// Writes them against a server that answers by the script.
async fn write(built: &Built, script: Vec<Step>) -> (Result<Written, Halt>, Vec<String>) {
    let server = Loopback::start(script).await;
    let line = Status::new().line();
    let writer = writer(&server.url);
    let shutdown = Shutdown::new();
    let write = writer.write(built, &line, &shutdown);
    let written = tokio::time::timeout(Duration::from_secs(20), write)
        .await
        .expect("it ends");
    let bodies = server
        .seen()
        .into_iter()
        .map(|seen| String::from_utf8(seen.body).unwrap())
        .collect();
    (written, bodies)
}

fn ids(keys: &[DocumentKey]) -> Vec<&str> {
    keys.iter().map(|key| key.0[0].as_str()).collect()
}

#[tokio::test]
async fn w1_only_the_items_that_have_to_be_are_sent_again() {
    // GIVEN one item of each kind that is not done at once
    let script = vec![
        items(&[
            done(),
            failed(429, "es_rejected_execution_exception", "busy"),
            failed(400, "mapper_parsing_exception", "failed to parse"),
            failed(
                409,
                "version_conflict_engine_exception",
                &format!(
                    "[d]: version conflict, current version [{}] is higher or equal to the one provided",
                    version().get()
                ),
            ),
            failed(403, "cluster_block_exception", "index [x] blocked"),
            json!({ "status": 404, "result": "not_found" }),
        ]),
        items(&[done(), done()]),
    ];

    // WHEN they are written
    let (written, bodies) = write(&built(&["a", "b", "c", "d", "e", "f"]), script).await;

    // THEN the overloaded and the blocked one were sent again, the bad one is refused
    let written = written.unwrap();
    let refused: Vec<_> = written
        .refused
        .iter()
        .map(|(place, refusal)| (*place, refusal.status))
        .collect();
    assert_eq!(refused, [(2, Some(400))]);
    assert!(written.again.is_empty());
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[1].matches("\"_id\"").count(), 2);
    assert!(
        bodies[1].contains("\"b\"") && bodies[1].contains("\"e\""),
        "{}",
        bodies[1]
    );
}

#[tokio::test]
async fn w2_a_lost_reply_makes_the_documents_be_built_again() {
    let (written, bodies) = write(&built(&["a", "b"]), vec![Step::Close]).await;
    assert_eq!(ids(&written.unwrap().again), ["a", "b"]);
    assert_eq!(bodies.len(), 1, "the same body must not be sent again");
}

#[tokio::test]
async fn w1_a_reply_with_too_few_items_is_paired_with_nothing() {
    let (written, _) = write(&built(&["a", "b"]), vec![items(&[done()])]).await;
    assert_eq!(ids(&written.unwrap().again), ["a", "b"]);
}

#[tokio::test]
async fn a_whole_request_refused_for_overload_is_sent_again() {
    let busy = json!({ "error": { "type": "rejected_execution_exception", "reason": "x" }, "status": 429 });
    let (written, bodies) = write(&built(&["a"]), vec![answer(429, &busy), items(&[done()])]).await;
    let written = written.unwrap();
    assert!(written.refused.is_empty() && written.again.is_empty());
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn a_request_that_is_too_large_goes_in_halves_and_a_single_document_is_refused() {
    let too_large = || Step::Answer(413, "", String::new());
    let script = vec![too_large(), items(&[done()]), too_large()];
    let (written, bodies) = write(&built(&["a", "b"]), script).await;
    let refused = written.unwrap().refused;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].1.error_type, "request_too_large");
    assert_eq!(bodies.len(), 3);
}

#[tokio::test]
async fn r3_a_conflict_with_a_higher_incarnation_is_not_done() {
    let higher = DocumentVersion::new(Incarnation::new(3), Ordinal::new(1)).unwrap();
    let reason = format!(
        "[a]: version conflict, current version [{}] is higher or equal to the one provided",
        higher.get()
    );
    let script = vec![items(&[failed(
        409,
        "version_conflict_engine_exception",
        &reason,
    )])];
    let (written, _) = write(&built(&["a"]), script).await;
    let written = written.unwrap();
    assert_eq!(written.higher, Some(Incarnation::new(3)));
    assert_eq!(ids(&written.again), ["a"]);
}

#[tokio::test]
async fn w2_what_is_older_than_a_minute_is_built_again_and_not_sent() {
    // GIVEN documents read a minute ago
    let mut built = built(&["a"]);
    built.read_at = Instant::now()
        .checked_sub(crate::build::OLDEST_WRITE)
        .expect("the machine is up longer");
    let (written, bodies) = write(&built, vec![items(&[done()])]).await;
    assert_eq!(ids(&written.unwrap().again), ["a"]);
    assert!(bodies.is_empty());
}

#[tokio::test]
async fn an_id_that_no_request_can_carry_is_refused_without_spoiling_the_others() {
    let long = "x".repeat(bulk::MAX_ID_BYTES + 1);
    let (written, bodies) = write(&built(&["a", &long]), vec![items(&[done()])]).await;
    let written = written.unwrap();
    assert_eq!(written.refused.first().map(|(place, _)| *place), Some(1));
    assert_eq!(bodies.len(), 1);
    assert!(!bodies[0].contains(&long));
}

#[tokio::test]
async fn a_request_refused_as_a_whole_for_one_reason_says_so() {
    let ids: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let bad = || failed(400, "mapper_parsing_exception", "failed to parse");
    let script = vec![items(
        &std::iter::repeat_with(bad).take(12).collect::<Vec<_>>(),
    )];
    let (written, _) = write(&built(&ids), script).await;
    assert!(written.unwrap().whole_request_refused.is_some());
}

#[tokio::test]
async fn a_malformed_request_stops_the_feed() {
    let malformed = json!({ "error": { "type": "action_request_validation_exception", "reason": "x" }, "status": 400 });
    let (written, _) = write(&built(&["a"]), vec![answer(400, &malformed)]).await;
    assert!(matches!(
        written,
        Err(Halt::Definite(Definite::Malformed(_)))
    ));
}

#[tokio::test]
async fn waiting_for_an_index_ends_at_once_when_the_feed_is_asked_to_stop() {
    // GIVEN an index that stays blocked
    let gone = || items(&[failed(404, "index_not_found_exception", "no such index")]);
    let server = Loopback::start(std::iter::repeat_with(gone).take(100)).await;
    let (writer, status, shutdown) = (writer(&server.url), Status::new(), Shutdown::new());
    let line = status.line();
    let built = built(&["a"]);
    let write = writer.write(&built, &line, &shutdown);

    // WHEN stop is asked for once it waits
    let stop = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        let far = Instant::now() + Duration::from_mins(1);
        while !matches!(status.hindrance(far), Some(Hindrance::Waiting(_))) {
            assert!(Instant::now() < deadline, "it does not say that it waits");
            tokio::task::yield_now().await;
        }
        shutdown.trigger();
    };
    let (written, ()) = tokio::join!(write, stop);

    // THEN nothing counts as done
    assert!(matches!(written, Err(Halt::Stopping)));
}
