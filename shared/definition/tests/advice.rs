//! What a definition may not ask of a database, and what it had better not, on a real Postgres.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "helpers fail the test that calls them"
)]

#[path = "support/database.rs"]
mod database;

use database::{Database, Schema};

fn schema(fields: &[&str]) -> Schema {
    let lines: Vec<String> = fields
        .iter()
        .map(|field| format!("  - {field}\n"))
        .collect();
    Schema::new(&format!(
        "version: 1\ntable: p\nfields:\n{}",
        lines.concat()
    ))
}

async fn database(test: &str) -> Database {
    let database = Database::create(test).await;
    database
        .run(
            "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TYPE pair AS (x int, y int); \
             CREATE TABLE p (id int PRIMARY KEY, name text, mood mood NOT NULL, at time, pair pair, spot point, many int[], twice int GENERATED ALWAYS AS (id * 2) STORED); \
             CREATE TABLE c (id uuid PRIMARY KEY, p int, q text, r int8 REFERENCES p (id), n int8, j json, UNIQUE (r)); \
             CREATE VIEW v AS SELECT * FROM p; CREATE MATERIALIZED VIEW m AS SELECT * FROM p; CREATE UNLOGGED TABLE u (id int PRIMARY KEY); \
             CREATE TABLE nokey (p int REFERENCES p, c uuid); \
             CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE leaf PARTITION OF parted DEFAULT",
        )
        .await;
    database
}

#[tokio::test]
async fn what_does_not_fit_the_database_is_refused_in_one_sentence() {
    let database = database("refusals").await;
    let cases = [
        ("{ text: nam }", "E302", "public.p has no column nam"),
        (
            "{ keyword: pair }",
            "E301",
            "public.p.pair is pair, which `keyword` does not accept",
        ),
        (
            "{ geo: a, lat: name, lon: id }",
            "E301",
            "public.p.name is text, which `geo` does not accept",
        ),
        (
            "{ count: a, table: gone, foreign_key: p }",
            "E302",
            "there is no table public.gone",
        ),
        (
            "{ count: a, table: v, foreign_key: id }",
            "E304",
            "public.v is a view: its changes are not in the WAL",
        ),
        (
            "{ count: a, table: m, foreign_key: id }",
            "E304",
            "public.m is a materialized view: its changes are not in the WAL",
        ),
        (
            "{ count: a, table: u, foreign_key: id }",
            "E304",
            "public.u is unlogged or temporary: its changes are not in the WAL",
        ),
        (
            "{ count: a, table: leaf, foreign_key: id }",
            "E304",
            "public.leaf is a partition",
        ),
        (
            "{ count: a, table: c, foreign_key: q }",
            "E322",
            "public.p.id (integer) and public.c.q (text) cannot be compared",
        ),
        (
            "{ sum: a, table: c, column: q, value_type: long, foreign_key: p }",
            "E301",
            "public.c.q is text, which `sum` does not accept",
        ),
        (
            "{ sum: a, table: c, column: n, value_type: date, foreign_key: p }",
            "E301",
            "sum of public.c.n is numeric, which `date` does not accept",
        ),
        (
            "{ max: a, table: c, column: j, value_type: keyword, foreign_key: p }",
            "E301",
            "public.c.j is json, which `max` does not accept",
        ),
        (
            "{ ids: a, table: c, element_type: long, foreign_key: p }",
            "E301",
            "public.c.id is uuid, which `long` does not accept",
        ),
        (
            "{ has_many: a, table: nokey, foreign_key: p, fields: [ { uuid: c } ] }",
            "E303",
            "public.nokey has no primary key",
        ),
        (
            "{ belongs_to: a, column: id, table: c, references: p, fields: [ { uuid: id } ] }",
            "E303",
            "references p of public.c is not a key: no unique index covers exactly these columns",
        ),
        (
            "{ has_many: a, table: c, foreign_key: p, primary_key: [q], fields: [ { uuid: id } ] }",
            "E303",
            "primary_key q of public.c is not a key: the column is nullable",
        ),
        (
            "{ has_many: a, table: p, foreign_key: twice, fields: [ { integer: id } ] }",
            "E321",
            "public.p.twice is generated, so its old values are not in the WAL",
        ),
    ];
    let mut wrong = Vec::new();
    for (field, code, message) in cases {
        let found = database.refusal(&schema(&[field])).await;
        if !found.contains(&(code.to_owned(), message.to_owned())) {
            wrong.push(format!("{field}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    database.remove().await;
}

#[tokio::test]
async fn what_probably_is_not_meant_is_said() {
    let database = database("warnings").await;
    let cases = [
        (
            "{ text: name, required: true }",
            "W333",
            "public.p.name may be NULL, but the field is required",
        ),
        (
            "{ timestamp: at }",
            "W334",
            "public.p.at is a time of day: it is written as a moment of 1970-01-01",
        ),
        (
            "{ enum: mood, variants: [a, c] }",
            "W335",
            "variants and the labels of public.p.mood differ in b, c",
        ),
        (
            "{ sum: a, table: c, column: n, value_type: long, foreign_key: p }",
            "W332",
            "sum of public.c.n is numeric, which `long` may not hold",
        ),
        (
            "{ count: a, table: c, foreign_key: p }",
            "W305",
            "no index on public.c (p): every change of p reads the whole table",
        ),
        (
            "{ count: a, table: c, foreign_key: p }",
            "W331",
            "no foreign key stands behind the join of public.p and public.c",
        ),
        (
            "{ count: a, table: c, foreign_key: r }",
            "W336",
            "public.p.id (integer) and public.c.r (bigint) have different types",
        ),
        (
            "{ has_one: a, table: c, foreign_key: p, fields: [ { uuid: id } ] }",
            "W338",
            "several rows of public.c may meet: the first by its key is taken",
        ),
        (
            "{ count: a, table: c, foreign_key: r, filters: [ { raw: \"n < extract(year FROM now())\" } ] }",
            "W337",
            "a raw filter reads other tables or the clock, whose changes rebuild nothing",
        ),
    ];
    let mut wrong = Vec::new();
    for (field, code, message) in cases {
        let found = database.findings(&schema(&[field])).await;
        if !found.contains(&(code.to_owned(), message.to_owned())) {
            wrong.push(format!("{field}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is in order gives no finding.
    let quiet = schema(&[
        "{ text: name }",
        "{ enum: mood, variants: [b, a] }",
        "{ time: at }",
        "{ has_one: a, table: c, foreign_key: r, primary_key: id, fields: [ { uuid: id } ] }",
    ]);
    let found = database.findings(&quiet).await;
    let codes: Vec<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["W336"], "{found:?}");
    database.remove().await;
}

#[tokio::test]
async fn a_marker_that_is_always_set_is_refused() {
    let database = database("marker").await;
    let with = |soft_delete: &str| {
        Schema::new(&format!(
            "version: 1\ntable: p\nsoft_delete: {soft_delete}\nfields:\n  - {{ text: name }}\n"
        ))
    };
    let message = "public.p.mood is never NULL: every row would count as deleted".to_owned();
    assert_eq!(
        database.refusal(&with("{ column: mood }")).await,
        [("E323".to_owned(), message)]
    );
    let with_when = with("{ column: mood, when: [ { column: name, op: is_null } ] }");
    assert_eq!(database.findings(&with_when).await, []);
    database.remove().await;
}
