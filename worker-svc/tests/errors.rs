//! Rows of the table of errors (`docs/config-language.md`, 10) that need a broker, a sink or the
//! environment: what `worker-svc check` says of them on real servers (`deploy/up`), whole.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test finds its servers in the environment, and a helper of it may end it"
)]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use runtime::kafka::topics::NewTopic;
use runtime::kafka::{Kafka, settings::Settings};
use serde_json::json;
use testkit::server;
use worker_svc::sink::{Options, Sink};

const DEADLINE: Duration = Duration::from_mins(1);

/// The exit code and the report of `check` for an index `shows` of an empty list of fields.
/// `prefix` stands before indexes and topics; `database` is the value of the connection.
fn check(prefix: &str, database: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let configuration = format!(
        "prefix = \"{prefix}_\"\n\
         [source]\n\
         type = \"postgres\"\n\
         connection_url = {database}\n\
         [broker]\n\
         bootstrap_servers = \"{}\"\n\
         topic_prefix = \"{prefix}\"\n\
         [sinks.main]\n\
         type = \"opensearch\"\n\
         url = \"{}\"\n\
         [[index]]\n\
         name = \"shows\"\n\
         schema = \"shows.schema.yml\"\n",
        server("STACK_KAFKA_BOOTSTRAP"),
        server("STACK_OPENSEARCH_URL"),
    );
    std::fs::write(folder.path().join("flusso.toml"), configuration).unwrap();
    let schema = "version: 1\nschema: pg_catalog\ntable: pg_class\nfields: []\n";
    std::fs::write(folder.path().join("shows.schema.yml"), schema).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_worker-svc"))
        .arg("check")
        .current_dir(folder.path())
        .env_remove("SHOP_DB")
        .output()
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!log.contains("panicked"), "{log}");
    (output.status.code(), report)
}

#[test]
fn e104_a_secret_that_is_not_to_be_had() {
    let (code, report) = check("none", "{ env = \"SHOP_DB\" }");
    let golden = "\
error[E104]: source.connection_url: environment variable SHOP_DB is not set
 --> flusso.toml:4:18
  |
4 | connection_url = { env = \"SHOP_DB\" }
  |                  ^^^^^^^^^^^^^^^^^^^
  = help: set it, or give { file = … } or a literal
";
    assert!(report.contains(golden), "{report}");
    assert_eq!(code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn e501_a_compacted_topic_and_e601_an_alias_that_is_an_index() {
    let made = async {
        // GIVEN a compacted topic of changes, and an index where an alias must be
        let prefix = testkit::unique("errors");
        let kafka = Kafka::new(Settings::new(server("STACK_KAFKA_BOOTSTRAP"), "test")).unwrap();
        let topics = kafka.topics().unwrap();
        let changes = format!("{prefix}.changes");
        let compacted = NewTopic {
            name: changes.clone(),
            partitions: 1,
            replication: None,
            settings: BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]),
        };
        for answer in topics.create(&[compacted]).await.unwrap() {
            answer.unwrap();
        }
        let sink = Sink::new(&Options::for_url(server("STACK_OPENSEARCH_URL"))).unwrap();
        let index = format!("{prefix}_shows");
        let _made = sink.create_index(&index, &json!({})).await.unwrap();
        // WHEN
        let database = format!("\"{}\"", server("STACK_POSTGRES_URL"));
        let (code, report) = check(&prefix, &database);
        topics.delete(&[&changes]).await.unwrap();
        sink.delete_index(&index).await.unwrap();
        // THEN
        let mark = "^".repeat(prefix.len() + 2);
        let topic = format!(
            "error[E501]: topic {changes} is compacted: updates would be lost
 --> flusso.toml:7:16
  |
7 | topic_prefix = \"{prefix}\"
  |                {mark}
  = help: set cleanup.policy=delete
"
        );
        let alias = format!(
            "error[E601]: alias {index} cannot be made: an index has that name
  --> flusso.toml:12:8
   |
12 | name = \"shows\"
   |        ^^^^^^^
   = help: rename or remove it, or change prefix
"
        );
        assert!(report.contains(&topic), "{report}");
        assert!(report.contains(&alias), "{report}");
        assert_eq!(code, Some(3), "{report}");
    };
    tokio::time::timeout(DEADLINE, made)
        .await
        .expect("no end within a minute");
}
