//! `worker-svc check` on real servers (`deploy/up`), as a person or a script calls it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test finds its servers in the environment, and a helper of it may end it"
)]

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::server;
use tokio_postgres::{Client, NoTls};

const DEADLINE: Duration = Duration::from_mins(1);

/// A client, and the task that lives as long as it is held.
async fn connect() -> (Client, runtime::task::Task<()>) {
    let (client, connection) = tokio_postgres::connect(&server("STACK_POSTGRES_URL"), NoTls)
        .await
        .unwrap();
    let connection = runtime::task::spawn("postgres", async move {
        drop(connection.await);
    });
    (client, connection)
}

/// The exit code and the report for one schema file over the tables of `schema`.
fn check(schema: &str, fields: &str) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let configuration = format!(
        "prefix = \"{schema}_\"\n\
         [source]\ntype = \"postgres\"\nconnection_url = \"{}\"\n\
         [broker]\nbootstrap_servers = \"{}\"\ntopic_prefix = \"{schema}\"\n\
         [sinks.main]\ntype = \"opensearch\"\nurl = \"{}\"\n\
         [[index]]\nname = \"shows\"\nschema = \"shows.schema.yml\"\n",
        server("STACK_POSTGRES_URL"),
        server("STACK_KAFKA_BOOTSTRAP"),
        server("STACK_OPENSEARCH_URL"),
    );
    std::fs::write(folder.path().join("flusso.toml"), configuration).unwrap();
    let text = format!("version: 1\nschema: {schema}\ntable: shows\nfields:\n{fields}");
    std::fs::write(folder.path().join("shows.schema.yml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_worker-svc"))
        .args(["check", "--format", "json", "--config"])
        .arg(folder.path().join("flusso.toml"))
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "no report ({error}): {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (output.status.code(), report)
}

/// Code, line and statement of the findings about the schema file.
fn about_the_file(report: &Value) -> Vec<Value> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["index"] == json!("shows"))
        .map(|finding| json!([finding["code"], finding["line"], finding["sql"]]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_s_warnings_are_shown_in_the_file_and_are_no_failure() {
    tokio::time::timeout(DEADLINE, async {
        // GIVEN a required column that may be NULL, and a lookup without an index
        let schema = testkit::unique("check");
        let (client, _connection) = connect().await;
        client
            .batch_execute(&format!(
                "CREATE SCHEMA {schema}; \
                 CREATE TABLE {schema}.halls (id int PRIMARY KEY); \
                 CREATE TABLE {schema}.shows (id int PRIMARY KEY, title text, hall_id int REFERENCES {schema}.halls)"
            ))
            .await
            .unwrap();
        let hall = format!(
            "  - belongs_to: hall\n    schema: {schema}\n    table: halls\n    column: hall_id\n    fields:\n      - integer: id\n"
        );
        // WHEN
        let warned = check(&schema, &format!("  - {{ text: title, required: true }}\n{hall}"));
        let wrong = check(&schema, &format!("  - {{ text: titel, required: true }}\n{hall}"));
        client
            .batch_execute(&format!("DROP SCHEMA {schema} CASCADE"))
            .await
            .unwrap();
        // THEN
        let (code, report) = warned;
        let index = format!("CREATE INDEX CONCURRENTLY ON {schema}.shows (hall_id);");
        assert_eq!(
            about_the_file(&report),
            [json!(["W333", 5, null]), json!(["W305", 9, index])],
            "{report:#}"
        );
        assert_eq!((code, &report["ok"]), (Some(0), &json!(true)), "{report:#}");
        // A definition that does not compile is told of once.
        let (code, report) = wrong;
        assert_eq!(about_the_file(&report), [json!(["E302", 5, null])], "{report:#}");
        assert_eq!(code, Some(3));
    })
    .await
    .expect("no end within a minute");
}
