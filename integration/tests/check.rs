//! Every row of the table of section 7 of the language reference, on real servers: `check` finds
//! it, under its code, at the line that asks for the thing.
//!
//! Elsewhere: files (A) in `definition`; what takes a server of its own (`wal_level`, free slots and
//! senders) and the states of slot and publication in `capture-svc`; missing servers and rights in
//! `faults/setup.rs`.

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _};
use integration::sandbox::{IndexFile, Sandbox};
use integration::service::{Kind, Outcome, command};
use integration::stack::{Stack, connect};
use runtime::kafka::NewTopic;
use serde_json::Value;
use tokio_postgres::NoTls;

const TABLES: &str = "
CREATE TYPE state AS ENUM ('draft', 'done');
CREATE TYPE pair AS (a int, b int);
CREATE TABLE halls (id bigint PRIMARY KEY, name text, code text);
CREATE TABLE shows (
  id bigint PRIMARY KEY, title text, hall_id bigint, hall_small int, code text, at time, status state,
  price numeric(6,2), gone timestamptz NOT NULL DEFAULT now(), extra jsonb, email text UNIQUE,
  lat float8, lon float8, spot pair);
CREATE TABLE orders (id bigint PRIMARY KEY, show_id bigint, state text, amount bigint, made bigint GENERATED ALWAYS AS (show_id) STORED);
CREATE TABLE links (id bigint PRIMARY KEY, show_id bigint, hall_id bigint);
CREATE VIEW seen AS SELECT * FROM shows;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM shows;
CREATE UNLOGGED TABLE fast (id bigint PRIMARY KEY);
CREATE FOREIGN DATA WRAPPER nobody;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nobody;
CREATE FOREIGN TABLE far (id bigint) SERVER elsewhere;
CREATE TABLE parts (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts DEFAULT;
CREATE TABLE ancestor (id bigint PRIMARY KEY);
CREATE TABLE heir () INHERITS (ancestor);
";

/// Most of their time they wait for servers.
const AT_A_TIME: usize = 6;

const HALL: &str = "fields: [{ text: name }]";

/// A finding: code, the file's line that it points to, its statement.
#[derive(Debug)]
struct Told {
    code: String,
    line: String,
    sql: Option<String>,
}

/// Runs `check` of a service over `config` with further text of a schema file.
async fn check(
    sandbox: &Sandbox,
    kind: Kind,
    config: &str,
    schema: &str,
) -> Result<(Option<i32>, Vec<Told>)> {
    // A folder of its own: several may run at a time.
    let folder = tempfile::TempDir::new_in(sandbox.folder())?;
    let schema = format!("version: 1\n{schema}\n");
    std::fs::write(folder.path().join("shows.schema.yml"), &schema)?;
    let path = folder.path().join("flusso.toml");
    std::fs::write(&path, config)?;
    let Outcome { code, out, err } =
        command(kind, &["check", "--format", "json"], &path, &[]).await?;
    let report: Value = serde_json::from_str(&out).with_context(|| format!("{out}{err}"))?;
    let line = |finding: &Value| {
        let number = usize::try_from(finding["line"].as_u64()?)
            .ok()?
            .checked_sub(1)?;
        let file = std::path::Path::new(finding["file"].as_str()?);
        let is_schema = file.extension().is_some_and(|kind| kind == "yml");
        let text = if is_schema { schema.as_str() } else { config };
        text.lines().nth(number).map(str::to_owned)
    };
    let told = |finding: &Value| Told {
        code: finding["code"].as_str().unwrap_or_default().to_owned(),
        line: line(finding).unwrap_or_default(),
        sql: finding["sql"].as_str().map(str::to_owned),
    };
    let findings = report.get("findings").and_then(Value::as_array);
    let findings = findings.context("no findings")?;
    Ok((code, findings.iter().map(told).collect()))
}

fn config(sandbox: &Sandbox) -> Result<String> {
    Ok(std::fs::read_to_string(
        sandbox.folder().join("flusso.toml"),
    )?)
}

async fn sandbox(test: &str) -> Result<Sandbox> {
    let indexes = vec![IndexFile::new(
        "shows",
        "version: 1\ntable: shows\nfields: []\n",
    )];
    Sandbox::new(&Stack::from_env()?, test, TABLES, indexes, "").await
}

/// Group B. What stands in the schema file, the code, and a word of the line that it is about.
#[expect(clippy::too_many_lines, reason = "a table")]
fn definitions() -> Vec<(String, &'static str, &'static str)> {
    let root = |text: &str| format!("table: shows\n{text}");
    let fields = |text: &str| root(&format!("fields:\n  - {{ {text} }}"));
    let hall = |text: &str| fields(&format!("belongs_to: hall, table: halls, {text}, {HALL}"));
    let orders = |text: &str| {
        fields(&format!(
            "has_many: orders, table: orders, {text}, fields: [{{ long: id }}]"
        ))
    };
    let links = |text: &str| {
        fields(&format!(
            "many_to_many: halls, table: halls, through: {{ {text} }}, {HALL}"
        ))
    };
    let table = |name: &str| format!("table: {name}\nfields: []");
    let column = "E302";
    vec![
        (table("nothing"), column, "nothing"),
        (table("seen"), "E304", "seen"),
        (table("kept"), "E304", "kept"),
        (table("fast"), "E304", "fast"),
        (table("far"), "E304", "far"),
        (table("part"), "E304", "part"),
        (table("ancestor"), "E304", "ancestor"),
        (
            "schema: pg_catalog\ntable: pg_class\nfields: []".to_owned(),
            "E304",
            "pg_c",
        ),
        // A column that is not there, wherever one can be named.
        (fields("text: nope"), column, "nope"),
        (fields("text: t, column: nope"), column, "nope"),
        (fields("geo: g, lat: nope, lon: lon"), column, "nope"),
        (fields("geo: g, column: nope"), column, "nope"),
        (fields("map: m, values: text, column: nope"), column, "nope"),
        (
            fields("object: o, fields: [{ text: nope }]"),
            column,
            "nope",
        ),
        (root("primary_key: nope\nfields: []"), column, "nope"),
        (
            root("filters: [{ column: nope, op: is_null }]\nfields: []"),
            column,
            "nope",
        ),
        (
            root("soft_delete: { column: nope }\nfields: []"),
            column,
            "nope",
        ),
        (
            root(
                "soft_delete: { column: email, when: [{ column: nope, op: is_null }] }\nfields: []",
            ),
            column,
            "nope",
        ),
        (hall("column: nope"), column, "nope"),
        (hall("column: hall_id, references: nope"), column, "nope"),
        (hall("column: hall_id, primary_key: nope"), column, "nope"),
        (
            hall("column: hall_id, filters: [{ column: nope, op: is_null }]"),
            column,
            "nope",
        ),
        (
            fields("belongs_to: hall, table: halls, column: hall_id, fields: [{ text: nope }]"),
            column,
            "nope",
        ),
        (orders("foreign_key: nope"), column, "nope"),
        (
            orders("foreign_key: show_id, references: nope"),
            column,
            "nope",
        ),
        (
            orders("foreign_key: show_id, order_by: [{ column: nope }]"),
            column,
            "nope",
        ),
        (
            links("table: nothing, left_key: show_id, right_key: hall_id"),
            column,
            "nothing",
        ),
        (
            links("table: links, left_key: nope, right_key: hall_id"),
            column,
            "nope",
        ),
        (
            links("table: links, left_key: show_id, right_key: nope"),
            column,
            "nope",
        ),
        (
            links("table: links, left_key: show_id, right_key: hall_id, left_references: nope"),
            column,
            "nope",
        ),
        (
            links("table: links, left_key: show_id, right_key: hall_id, right_references: nope"),
            column,
            "nope",
        ),
        (
            fields("count: n, table: orders, foreign_key: nope"),
            column,
            "nope",
        ),
        (
            fields("sum: n, table: orders, column: nope, value_type: long, foreign_key: show_id"),
            column,
            "nope",
        ),
        (
            fields(
                "count: n, table: orders, foreign_key: show_id, filters: [{ column: nope, op: is_null }]",
            ),
            column,
            "nope",
        ),
        (
            fields(
                "ids: n, table: orders, primary_key: nope, element_type: long, foreign_key: show_id",
            ),
            column,
            "nope",
        ),
        // Types, keys, sides.
        (fields("long: price"), "E301", "price"),
        (fields("keyword: spot"), "E301", "spot"),
        (
            fields("max: n, table: orders, column: state, value_type: long, foreign_key: show_id"),
            "E301",
            "max",
        ),
        (root("primary_key: email\nfields: []"), "E303", "email"),
        (root("primary_key: code\nfields: []"), "E303", "code"),
        (hall("column: code, references: code"), "E303", "references"),
        (hall("column: title"), "E322", "hall"),
        (hall("column: hall_small"), "W336", "hall"),
        (orders("foreign_key: made"), "E321", "made"),
        (
            root("soft_delete: { column: gone }\nfields: []"),
            "E323",
            "gone",
        ),
        (fields("text: title, required: true"), "W333", "title"),
        (fields("timestamp: at"), "W334", "at"),
        (
            fields("enum: status, variants: [draft, gone]"),
            "W335",
            "variants",
        ),
        (
            fields(
                "sum: n, table: orders, column: amount, value_type: integer, foreign_key: show_id",
            ),
            "W332",
            "sum",
        ),
        (
            fields("has_one: order, table: orders, foreign_key: show_id, fields: [{ long: id }]"),
            "W338",
            "foreign_key",
        ),
        (
            root("filters: [{ raw: at < now()::time }]\nfields: []"),
            "W337",
            "raw",
        ),
        // Values and conditions that only the server can judge.
        (
            root("filters: [{ column: id, op: eq, value: seven }]\nfields: []"),
            "E324",
            "seven",
        ),
        (
            root("filters: [{ column: status, op: in, value: [draft, lost] }]\nfields: []"),
            "E324",
            "lost",
        ),
        (fields("decimal: price, default: cheap"), "E324", "cheap"),
        (
            root("filters: [{ raw: nope > 1 }]\nfields: []"),
            "E325",
            "nope",
        ),
        // Joins without a key or an index behind them.
        (hall("column: hall_id"), "W331", "hall"),
        (hall("column: hall_id"), "W305", "hall_id"),
        (orders("foreign_key: show_id"), "W305", "show_id"),
        (
            orders("foreign_key: show_id, references: hall_id"),
            "W305",
            "hall_id",
        ),
        (
            links("table: links, left_key: show_id, right_key: hall_id"),
            "W305",
            "show_id",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_against_the_database_is_found_at_its_line_by_both_services() -> Result<()> {
    let sandbox = sandbox("check").await?;
    let text = config(&sandbox)?;
    let cases = definitions();
    let judged = cases
        .iter()
        .enumerate()
        .map(async |(number, (schema, code, word))| {
            // Both run the same judgement: capture is asked about every fourth.
            let kind = if number % 4 == 0 {
                Kind::Capture
            } else {
                Kind::Worker
            };
            let (exit, told) = check(&sandbox, kind, &text, schema).await?;
            let hit = told
                .iter()
                .any(|told| told.code == *code && told.line.contains(word));
            let ends = if code.starts_with('E') { 3 } else { 0 };
            let is_right = hit && exit == Some(ends);
            anyhow::Ok(
                (!is_right)
                    .then(|| format!("{kind:?} {code} {word} in {schema}: {exit:?} {told:?}")),
            )
        });
    let wrong: Vec<Option<String>> = futures_util::stream::iter(judged)
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let (_, told) = check(
        &sandbox,
        Kind::Worker,
        &text,
        &cases.last().context("none")?.0,
    )
    .await?;
    let statements: Vec<&str> = told.iter().filter_map(|told| told.sql.as_deref()).collect();
    ensure!(
        statements.contains(&"CREATE INDEX CONCURRENTLY ON public.links (show_id);")
            && statements.contains(&"CREATE INDEX CONCURRENTLY ON public.links (hall_id);"),
        "{statements:?}"
    );
    sandbox.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_may_not_see_and_a_text_without_encoding_are_found() -> Result<()> {
    let sandbox = sandbox("check_rights").await?;
    let role = format!("{}_role", sandbox.name);
    sandbox
        .sql(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'right'; GRANT SELECT ON shows TO {role}; ALTER TABLE shows ENABLE ROW LEVEL SECURITY"
        ))
        .await?;
    let text =
        config(&sandbox)?.replace("postgres://postgres@", &format!("postgres://{role}:right@"));
    let schema = format!(
        "table: shows\nfields:\n  - {{ belongs_to: hall, table: halls, column: hall_id, {HALL} }}"
    );
    let (exit, told) = check(&sandbox, Kind::Worker, &text, &schema).await?;
    for (code, sql) in [
        ("E308", format!("GRANT SELECT ON public.halls TO {role};")),
        ("E309", format!("ALTER ROLE {role} BYPASSRLS;")),
    ] {
        let hit = |told: &Told| told.code == code && told.sql.as_deref() == Some(&sql);
        ensure!(told.iter().any(hit), "{code}: {told:?}");
    }
    ensure!(exit == Some(3));

    // A database whose text has no known meaning.
    let admin = connect(&sandbox.stack.postgres, NoTls).await?;
    let raw = format!("{}_raw", sandbox.name);
    admin
        .batch_execute(&format!(
            "CREATE DATABASE {raw} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
        ))
        .await?;
    let text = config(&sandbox)?.replace(&format!("/{}\"", sandbox.name), &format!("/{raw}\""));
    for kind in [Kind::Worker, Kind::Capture] {
        let (_, told) = check(&sandbox, kind, &text, "table: shows\nfields: []").await?;
        ensure!(
            told.iter().any(|told| told.code == "E312"),
            "{kind:?}: {told:?}"
        );
    }
    admin.batch_execute(&format!("DROP DATABASE {raw}")).await?;
    sandbox.remove().await?;
    admin.batch_execute(&format!("DROP ROLE {role}")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_indexes_and_pipelines_that_are_not_as_needed_are_found() -> Result<()> {
    let sandbox = sandbox("check_servers").await?;
    let text = config(&sandbox)?.replace("[[index]]", "pipeline = \"stamp\"\n[[index]]");
    // GIVEN topics that somebody made by hand,
    let path = sandbox.folder().join("flusso.toml");
    let none = std::collections::BTreeMap::new();
    let (deployment, _) = definition::load(
        &path,
        &runtime::cli::Disk,
        &none,
        &definition::Overrides::default(),
    )
    .map_err(|findings| anyhow::anyhow!("{findings}"))?;
    let kafka = runtime::configured::kafka(&deployment.broker, "test", &none)?;
    let topic = |name: &str, partitions: u16, settings: &[(&str, &str)]| NewTopic {
        name: format!("{}.{name}", sandbox.name),
        partitions,
        replication: None,
        settings: settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let topics = [
        topic("changes", 4, &[("cleanup.policy", "compact")]),
        topic("backfill", 3, &[("retention.ms", "-1")]),
        topic("dlq", 1, &[("retention.ms", "60000")]),
        topic("control", 2, &[("cleanup.policy", "delete")]),
    ];
    for made in kafka.topics()?.create(&topics).await? {
        made?;
    }
    // and an index where the alias should be.
    let answer = sandbox
        .documents
        .indices()
        .create(opensearch::indices::IndicesCreateParts::Index(
            &sandbox.alias("shows"),
        ))
        .send()
        .await?;
    ensure!(answer.status_code().is_success());
    // WHEN
    let (exit, told) = check(&sandbox, Kind::Worker, &text, "table: shows\nfields: []").await?;
    // THEN
    for (code, word) in [
        ("E501", "topic_prefix"),
        ("W502", "topic_prefix"),
        ("E503", "topic_prefix"),
        ("W504", ""),
        ("W505", ""),
        ("E508", "topic_prefix"),
        ("E601", "name"),
        ("E605", ""),
    ] {
        let hit = |told: &Told| told.code == code && told.line.contains(word);
        ensure!(told.iter().any(hit), "{code}: {told:?}");
    }
    ensure!(exit == Some(3), "{exit:?}");
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    kafka.topics()?.delete(&names).await?;
    sandbox.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_counts_warnings_and_people_see_the_counts_last() -> Result<()> {
    let sandbox = sandbox("check_strict").await?;
    let path = sandbox.folder().join("flusso.toml");
    // GIVEN files with warnings only (the topics are missing)
    for kind in [Kind::Worker, Kind::Capture] {
        for (arguments, expected) in [(&["check"][..], 0), (&["check", "--strict"], 3)] {
            let Outcome { code, out, err } = command(kind, arguments, &path, &[]).await?;
            ensure!(
                code == Some(expected),
                "{kind:?} {arguments:?}: {code:?}\n{out}{err}"
            );
            let last = out.lines().last().unwrap_or_default();
            ensure!(
                last.starts_with("0 errors, ") && last.contains("warning"),
                "{out}"
            );
            ensure!(out.contains("needs of"), "{out}");
        }
    }
    sandbox.remove().await
}
