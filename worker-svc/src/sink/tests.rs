use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use runtime::secret::Secret;
use serde_json::json;

use super::*;
use crate::loopback::{Loopback, Step};

fn answer(status: u16, body: impl std::fmt::Display) -> Step {
    Step::Answer(
        status,
        "content-type: application/json\r\n",
        format!("{body}"),
    )
}

async fn bulk(sink: &Sink) -> Result<Reply, Failure> {
    sink.bulk("shop_users-g1", None, Bytes::from_static(b"{}\n"))
        .await
}

/// A port on which nobody listens any more.
async fn closed_port() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_bulk_body_goes_out_as_it_is_and_any_answer_is_a_reply() {
    let server = Loopback::start([answer(429, r#"{"error":"x"}"#)]).await;
    let sink = Sink::new(&Options::for_url(&server.url)).unwrap();

    let reply = sink
        .bulk("a b", Some("p/1"), Bytes::from_static(b"line\n"))
        .await
        .unwrap();

    assert_eq!(reply.status, 429);
    assert_eq!(&reply.body[..], br#"{"error":"x"}"#);
    let seen = &server.seen()[0];
    assert!(
        seen.line.starts_with("POST /a%20b/_bulk?filter_path="),
        "{}",
        seen.line
    );
    assert!(seen.line.contains("pipeline=p%2F1"), "{}", seen.line);
    assert!(
        seen.headers.contains("content-type: application/x-ndjson"),
        "{}",
        seen.headers
    );
    assert_eq!(seen.body, b"line\n");
}

#[tokio::test]
async fn retry_after_is_read() {
    let step = Step::Answer(503, "retry-after: 7\r\n", String::new());
    let server = Loopback::start([step]).await;
    let reply = bulk(&Sink::new(&Options::for_url(&server.url)).unwrap())
        .await
        .unwrap();
    assert_eq!(reply.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn w1_a_lost_reply_is_told_from_a_request_that_was_never_sent() {
    // GIVEN a server that reads a request and goes away without a word
    let server = Loopback::start([Step::Close]).await;
    let sink = Sink::new(&Options::for_url(&server.url)).unwrap();
    assert!(matches!(bulk(&sink).await, Err(Failure::Lost { .. })));
    assert_eq!(server.seen().len(), 1, "the request got there");

    // GIVEN an address where nobody listens
    let sink = Sink::new(&Options::for_url(closed_port().await)).unwrap();
    assert!(matches!(bulk(&sink).await, Err(Failure::NotSent { .. })));
}

#[tokio::test]
async fn w1_silence_until_the_time_out_is_a_lost_reply() {
    let server = Loopback::start([Step::Silence]).await;
    let mut options = Options::for_url(&server.url);
    options.timeout = Duration::from_millis(100);
    let failure = bulk(&Sink::new(&options).unwrap()).await.unwrap_err();
    assert!(matches!(failure, Failure::Lost { .. }), "{failure}");
}

#[tokio::test]
async fn several_addresses_are_taken_in_turn_and_a_dead_one_is_left_out() {
    // GIVEN two living addresses around a dead one
    let ok = || vec![answer(200, "{}"); 8];
    let (one, two) = (Loopback::start(ok()).await, Loopback::start(ok()).await);
    let mut options = Options::for_url(&one.url);
    options.urls.push(Secret::new(closed_port().await));
    options.urls.push(Secret::new(&two.url));
    let sink = Sink::new(&options).unwrap();

    // WHEN requests go out, THEN all are answered
    for _ in 0..4 {
        bulk(&sink).await.unwrap();
    }
    assert_eq!(one.seen().len() + two.seen().len(), 4);
}

#[tokio::test]
async fn the_second_address_takes_over_when_the_first_dies() {
    let (one, two) = (
        Loopback::start([Step::Close]).await,
        Loopback::start(vec![answer(200, "{}"); 4]).await,
    );
    let mut options = Options::for_url(&one.url);
    options.urls.push(Secret::new(&two.url));
    let sink = Sink::new(&options).unwrap();

    let first = bulk(&sink).await;
    assert!(matches!(first, Err(Failure::Lost { .. })), "{first:?}");
    bulk(&sink).await.unwrap();
    assert_eq!(two.seen().len(), 1);
}

#[tokio::test]
async fn requests_go_to_all_addresses_in_turn_but_not_to_a_dead_one() {
    // GIVEN two addresses that answer, and one where nobody listens.
    let (one, two) = (
        Loopback::start(vec![answer(200, "{}"); 4]).await,
        Loopback::start(vec![answer(200, "{}"); 4]).await,
    );
    let mut options = Options::for_url(&one.url);
    options.urls.push(Secret::new("http://127.0.0.1:1"));
    options.urls.push(Secret::new(&two.url));
    let sink = Sink::new(&options).unwrap();
    // WHEN
    for _ in 0..6 {
        bulk(&sink).await.unwrap();
    }
    // THEN
    assert_eq!((one.seen().len(), two.seen().len()), (2, 4));
}

#[tokio::test]
async fn each_way_to_log_in_sends_its_header() {
    let basic = Authorization::Basic {
        username: Secret::new("ann"),
        password: Secret::new("pä ss"),
    };
    for (authorization, header) in [
        (basic, "authorization: basic yw5uonddpcbzcw=="),
        (
            Authorization::ApiKey(Secret::new("a2V5")),
            "authorization: apikey a2v5",
        ),
        (
            Authorization::Bearer(Secret::new("tok")),
            "authorization: bearer tok",
        ),
    ] {
        let server = Loopback::start([answer(200, "{}")]).await;
        let mut options = Options::for_url(&server.url);
        options.authorization = authorization;
        options
            .headers
            .insert(String::from("x-tenant"), Secret::new("t1"));
        bulk(&Sink::new(&options).unwrap()).await.unwrap();
        let headers = &server.seen()[0].headers;
        assert!(headers.contains("x-tenant: t1"), "{headers}");
        assert!(headers.contains(header), "{headers}");
    }
}

#[tokio::test]
async fn credentials_of_an_address_are_used_and_never_shown() {
    let server = Loopback::start([Step::Close]).await;
    let url = server.url.replace("http://", "http://ann:hunter2@");
    let sink = Sink::new(&Options::for_url(url)).unwrap();
    let failure = bulk(&sink).await.unwrap_err();
    assert!(server.seen()[0].headers.contains("authorization: basic "));
    assert!(!format!("{failure} {failure:?} {sink:?}").contains("hunter2"));
}

#[tokio::test]
async fn gzip_packs_the_body() {
    let server = Loopback::start([answer(200, "{}")]).await;
    let mut options = Options::for_url(&server.url);
    options.gzip = true;
    let body = Bytes::from("{\"a\":1}\n".repeat(1000));
    Sink::new(&options)
        .unwrap()
        .bulk("i", None, body.clone())
        .await
        .unwrap();
    let seen = &server.seen()[0];
    assert!(seen.headers.contains("content-encoding: gzip"));
    assert!(seen.body.len() < 500);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&seen.body[..])
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, body);
}

#[tokio::test]
async fn an_answered_error_carries_status_type_and_reason() {
    let body =
        json!({"error": {"type": "security_exception", "reason": "no permissions"}, "status": 403});
    let server = Loopback::start([answer(403, body)]).await;
    let failure = Sink::new(&Options::for_url(&server.url))
        .unwrap()
        .refresh("i")
        .await
        .unwrap_err();
    assert_eq!(
        (failure.status(), failure.error_type()),
        (Some(403), Some("security_exception"))
    );
    assert!(
        failure
            .to_string()
            .ends_with("answered 403 security_exception: no permissions"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_web_page_is_not_taken_for_opensearch() {
    let server = Loopback::start([answer(200, "<html>")]).await;
    let failure = Sink::new(&Options::for_url(&server.url))
        .unwrap()
        .info()
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Strange { .. }), "{failure}");
}

#[tokio::test]
async fn the_loser_of_a_compare_and_set_is_told_so() {
    let server = Loopback::start([
        answer(201, json!({"_seq_no": 4, "_primary_term": 1})),
        answer(
            409,
            json!({"error": {"type": "version_conflict_engine_exception", "reason": "r"}}),
        ),
    ])
    .await;
    let sink = Sink::new(&Options::for_url(&server.url)).unwrap();
    let source = Bytes::from_static(b"{}");
    let revision = Revision {
        seq_no: 4,
        primary_term: 1,
    };
    let created = sink
        .create_document("m", "index/users", source.clone())
        .await
        .unwrap();
    assert_eq!(created, Written::Done(revision));
    assert_eq!(
        sink.replace_document("m", "index/users", revision, source)
            .await
            .unwrap(),
        Written::Lost
    );
    let lines: Vec<String> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        lines[0],
        "PUT /m/_doc/index%2Fusers?op_type=create&refresh=true"
    );
    assert_eq!(
        lines[1],
        "PUT /m/_doc/index%2Fusers?if_seq_no=4&if_primary_term=1&refresh=true"
    );
}

#[tokio::test]
async fn r1_aliases_move_in_one_request_that_fails_when_the_old_place_is_wrong() {
    let server = Loopback::start([answer(200, json!({"acknowledged": true}))]).await;
    let sink = Sink::new(&Options::for_url(&server.url)).unwrap();
    sink.change_aliases(&[
        AliasChange::Remove {
            index: "u-g1".into(),
            alias: "u".into(),
        },
        AliasChange::Add {
            index: "u-g2".into(),
            alias: "u".into(),
        },
    ])
    .await
    .unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    let body: serde_json::Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!(
        body,
        json!({"actions": [
            {"remove": {"index": "u-g1", "alias": "u", "must_exist": true}},
            {"add": {"index": "u-g2", "alias": "u"}},
        ]})
    );
}

#[test]
fn bad_addresses_and_headers_are_refused_at_start() {
    for url in ["localhost:9200", "ftp://x/", "http://"] {
        assert!(
            matches!(
                Sink::new(&Options::for_url(url)),
                Err(crate::Definite::Setup(_))
            ),
            "{url}"
        );
    }
    let mut options = Options::for_url("http://x");
    options
        .headers
        .insert(String::from("bad name"), Secret::new("v"));
    assert!(Sink::new(&options).is_err());
    options.headers.clear();
    options.urls.clear();
    assert!(Sink::new(&options).is_err());
}

#[tokio::test]
async fn each_address_is_asked_whether_it_can_analyze_by_icu() {
    // GIVEN two nodes, the second without the plugin.
    let with = Loopback::start([answer(200, r#"{"tokens":[]}"#)]).await;
    let reason = "failed to find global tokenizer under [icu_tokenizer]";
    let error =
        json!({"error": {"type": "illegal_argument_exception", "reason": reason}, "status": 400});
    let without = Loopback::start([answer(400, error)]).await;
    let mut options = Options::for_url(&with.url);
    options.urls.push(Secret::new(&*without.url));
    // WHEN
    let lacks = Sink::new(&options).unwrap().lacks_icu().await.unwrap();
    // THEN
    assert!(lacks.unwrap().contains(reason));
    let asked: serde_json::Value = serde_json::from_slice(&with.seen()[0].body).unwrap();
    assert_eq!(with.seen()[0].line, "POST /_analyze");
    assert_eq!(asked["tokenizer"], "icu_tokenizer");
    assert_eq!(asked["filter"], json!(["icu_normalizer", "icu_folding"]));
}
