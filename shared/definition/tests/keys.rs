//! Keys, ways and joins on a real Postgres: ids of every shape, every key option, several ways to
//! one table; a changed row leads to exactly the documents it is in (W4).

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "helpers fail the test that calls them"
)]

#[path = "support/database.rs"]
mod database;

use std::collections::BTreeSet;

use database::{Database, Schema};
use definition::CompiledIndex;
use definition::compile::How;
use serde_json::{Value, json};

/// The document keys to which one value tuple of a changed row leads, over all routes of a table
/// that take columns of these names; each found key is put through the build, as a worker does.
async fn ids(
    database: &Database,
    compiled: &CompiledIndex,
    table: &str,
    row: &[(&str, &str)],
) -> BTreeSet<String> {
    let name = table.parse().expect("a table name");
    let routes = compiled
        .routes
        .get(&name)
        .unwrap_or_else(|| panic!("no route from {table}"));
    let mut ids = BTreeSet::new();
    for route in routes {
        let values: Vec<&str> = route
            .columns
            .iter()
            .map(|column| {
                let found = row.iter().find(|(name, _)| *name == column.as_str());
                found
                    .unwrap_or_else(|| panic!("{table} carries no {column}"))
                    .1
            })
            .collect();
        let keys: Vec<Vec<String>> = match &route.how {
            How::Direct => vec![values.iter().map(|value| (*value).to_owned()).collect()],
            How::Query(sql) => {
                let rows = database.rows(sql, &values).await;
                let width = compiled.key.len();
                rows.iter()
                    .map(|row| (0..width).map(|at| row.get(at)).collect())
                    .collect()
            }
        };
        for key in keys {
            let key: Vec<&str> = key.iter().map(String::as_str).collect();
            let (requested, row, _) = database.build(compiled, &key).await;
            ids.insert(requested);
            ids.extend(row);
        }
    }
    ids
}

async fn value(database: &Database, compiled: &CompiledIndex, key: &[&str]) -> Value {
    let document = database.document(compiled, key).await;
    serde_json::from_str(&document.expect("a document")).expect("JSON")
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test]
async fn the_id_is_the_text_of_the_key_whatever_its_type() {
    let database = Database::create("ids").await;
    database
        .run("CREATE EXTENSION citext; CREATE DOMAIN code AS varchar(4)")
        .await;
    // (type, value as SQL, the text a change carries, the id)
    let cases = [
        ("int8", "42", "42", "42"),
        ("numeric(8,2)", "7", "7", "7.00"),
        (
            "uuid",
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        ("boolean", "true", "t", "true"),
        ("char(4)", "'ab'", "ab  ", "ab  "),
        ("code", "'ab'", "ab", "ab"),
        ("citext", "'Ab'", "aB", "Ab"),
        ("bytea", "'\\x0102'", "\\x0102", "\\x0102"),
        ("inet", "'10.0.0.1'", "10.0.0.1", "10.0.0.1"),
        ("date", "'2024-02-29'", "2024-02-29", "2024-02-29"),
        (
            "timestamptz",
            "'2024-02-29 12:00+02'",
            "2024-02-29 10:00:00+00",
            "2024-02-29 10:00:00+00",
        ),
        (
            "text",
            "''",
            "",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        ("text", "E'a\\\\b:c''d'", "a\\b:c'd", "a\\b:c'd"),
    ];
    for (n, (kind, sql, text, id)) in cases.iter().enumerate() {
        database
            .run(&format!(
                "CREATE TABLE t{n} (id {kind} PRIMARY KEY); INSERT INTO t{n} VALUES ({sql})"
            ))
            .await;
        let schema = Schema::new(&format!(
            "version: 1\ntable: t{n}\nfields:\n  - {{ constant: a, value: 1 }}\n"
        ));
        let compiled = database.compile(&schema).await;
        let (requested, row, document) = database.build(&compiled, &[text]).await;
        assert_eq!(row.as_deref(), Some(*id), "{kind}: the row's own id");
        assert_eq!(document.as_deref(), Some(r#"{"a":1}"#), "{kind}");
        // Another text of an equal key is another id, which is to be deleted.
        let same = !matches!(*kind, "numeric(8,2)" | "citext");
        assert_eq!(requested == *id, same, "{kind}: requested {requested}");
        // The blocks give the same id and the text of the key.
        let chunk = database
            .client
            .query(&compiled.chunk_sql(&compiled.root), &[&0_i64, &None::<i64>])
            .await
            .expect("a chunk");
        let of_row = chunk.first().expect("the row");
        assert_eq!(of_row.get::<_, String>(0), *id, "{kind}");
        let key: String = of_row.get(2);
        assert_eq!(
            database.build(&compiled, &[&key]).await.0,
            *id,
            "{kind}: {key}"
        );
    }
    database.remove().await;
}

#[tokio::test]
async fn ids_that_opensearch_or_a_reader_would_mistake_become_digests() {
    let database = Database::create("digests").await;
    database
        .run("CREATE TABLE t (a text, b int, PRIMARY KEY (a, b))")
        .await;
    let schema = Schema::new("version: 1\ntable: t\nfields:\n  - { integer: b }\n");
    let compiled = database.compile(&schema).await;
    let id = async |a: &str, b: &str| database.build(&compiled, &[a, b]).await.0;
    assert_eq!(id("a:b", "7").await, "a\\:b:7");
    assert_eq!(id("a\\", "7").await, "a\\\\:7");
    assert_eq!(id("", "7").await, ":7");
    // 510 bytes and `:7` are 512, one more is too many.
    assert_eq!(id(&"é".repeat(255), "7").await.len(), 512);
    let long = id(&format!("{}x", "é".repeat(255)), "7").await;
    assert!(long.starts_with("sha256:") && long.len() == 71, "{long}");
    // One column: what looks like a digest becomes one.
    database.run("CREATE TABLE s (id text PRIMARY KEY)").await;
    let schema = Schema::new("version: 1\ntable: s\nfields:\n  - { text: id }\n");
    let compiled = database.compile(&schema).await;
    let (again, _, _) = database.build(&compiled, &[&long]).await;
    assert!(again.starts_with("sha256:") && again != long, "{again}");
    database.remove().await;
}

#[tokio::test]
async fn w4_a_foreign_key_of_another_type_leads_to_the_document() {
    let database = Database::create("mixed").await;
    database
        .run(
            "CREATE TABLE p (id int8 PRIMARY KEY, code char(4) UNIQUE); \
             CREATE TABLE a (id int PRIMARY KEY, p int4); CREATE TABLE b (id int PRIMARY KEY, p numeric(8,2)); \
             CREATE TABLE c (id int PRIMARY KEY, p text); \
             INSERT INTO p VALUES (7, 'x'), (8, 'y'); INSERT INTO a VALUES (1, 7); INSERT INTO b VALUES (1, 7); INSERT INTO c VALUES (1, 'x')",
        )
        .await;
    let schema = Schema::new(
        "version: 1\ntable: p\nfields:\n\
         \x20 - { count: a, table: a, foreign_key: p }\n\
         \x20 - { count: b, table: b, foreign_key: p }\n\
         \x20 - { count: c, table: c, foreign_key: p, references: code }\n",
    );
    let compiled = database.compile(&schema).await;
    assert_eq!(
        value(&database, &compiled, &["7"]).await,
        json!({"a": 1, "b": 1, "c": 1})
    );
    assert_eq!(
        ids(&database, &compiled, "public.a", &[("p", "7")]).await,
        set(&["7"])
    );
    assert_eq!(
        ids(&database, &compiled, "public.b", &[("p", "7.00")]).await,
        set(&["7"])
    );
    assert_eq!(
        ids(&database, &compiled, "public.b", &[("p", "7.25")]).await,
        set(&[])
    );
    assert_eq!(
        ids(&database, &compiled, "public.c", &[("p", "x")]).await,
        set(&["7"])
    );
    database.remove().await;
}

#[tokio::test]
async fn w4_every_place_of_a_table_leads_to_its_documents() {
    let database = Database::create("places").await;
    // GIVEN people who are authors, reviewers and friends of people; a junction that names both
    // sides by unique columns other than the keys.
    database
        .run(
            "CREATE TABLE people (id int PRIMARY KEY, nick text UNIQUE, boss int REFERENCES people); \
             CREATE TABLE books (isbn text, edition int, author int, reviewer text, slug text UNIQUE, PRIMARY KEY (isbn, edition)); \
             CREATE TABLE friends (id serial PRIMARY KEY, a text, b text); \
             INSERT INTO people VALUES (1, 'one', NULL), (2, 'two', 1), (3, 'three', 2); \
             INSERT INTO books VALUES ('i', 1, 3, 'two', 's'), ('j', 1, 1, NULL, 't'); \
             INSERT INTO friends (a, b) VALUES ('three', 'one'), ('three', 'one'), ('one', 'two')",
        )
        .await;
    let person = "table: people, fields: [ { text: nick } ]";
    let schema = Schema::new(&format!(
        "version: 1\ntable: books\nprimary_key: [edition, isbn]\nfields:\n\
         \x20 - belongs_to: author\n    column: author\n    table: people\n    fields:\n\
         \x20     - {{ text: nick }}\n\
         \x20     - {{ belongs_to: boss, column: boss, {person} }}\n\
         \x20     - {{ has_many: team, foreign_key: boss, order_by: [ {{ column: nick, direction: desc }} ], {person} }}\n\
         \x20     - {{ many_to_many: friends, through: {{ table: friends, left_key: a, right_key: b, left_references: nick, right_references: nick }}, {person} }}\n\
         \x20 - {{ belongs_to: reviewer, column: reviewer, references: nick, {person} }}\n"
    ));
    let compiled = database.compile(&schema).await;
    // THEN the id follows the order of primary_key, and a friend stands there once.
    assert_eq!(database.build(&compiled, &["1", "i"]).await.0, "1:i");
    assert_eq!(
        value(&database, &compiled, &["1", "i"]).await,
        json!({"author": {"nick": "three", "boss": {"nick": "two"}, "team": [], "friends": [{"nick": "one"}]},
               "reviewer": {"nick": "two"}})
    );
    let leads = async |id: &str, nick: &str, boss: &str| {
        ids(
            &database,
            &compiled,
            "public.people",
            &[("id", id), ("nick", nick), ("boss", boss)],
        )
        .await
    };
    // 1: author of j, friend of 3 who wrote i. 2: boss of 3, reviewer of i; in the team of 1.
    assert_eq!(leads("1", "one", "0").await, set(&["1:i", "1:j"]));
    assert_eq!(leads("2", "two", "1").await, set(&["1:i", "1:j"]));
    assert_eq!(leads("3", "three", "2").await, set(&["1:i"]));
    assert_eq!(
        ids(&database, &compiled, "public.friends", &[("a", "three")]).await,
        set(&["1:i"])
    );
    let needs = compiled
        .needs
        .table(&"public.people".parse().expect("a name"))
        .expect("needs");
    let routing: Vec<&str> = needs
        .routing
        .iter()
        .map(model::ColumnName::as_str)
        .collect();
    assert_eq!(routing, ["boss", "nick"]);
    database.remove().await;
}

#[tokio::test]
async fn orders_limits_and_filters_choose_the_rows() {
    let database = Database::create("choose").await;
    database
        .run(
            "CREATE DOMAIN short AS varchar(3); \
             CREATE TABLE p (id int PRIMARY KEY, gone boolean, kind short, why text); \
             CREATE TABLE c (a int, b int, p int, rank int, state varchar(4), note text, PRIMARY KEY (a, b)); \
             INSERT INTO p VALUES (1, false, 'bcd', NULL), (2, true, 'a', 'x'), (3, true, 'a', NULL), (4, NULL, 'b', 'x'); \
             INSERT INTO c VALUES (2, 1, 1, 5, 'on', 'x'), (1, 2, 1, 5, 'on', 'y'), (1, 1, 1, NULL, 'on', 'z'), (3, 1, 1, 9, 'off', NULL), (4, 1, 1, 1, 'on', 'it''s')",
        )
        .await;
    let schema = Schema::new(
        "version: 1\ntable: p\nsoft_delete: { column: gone, when: [ { column: why, op: eq, value: x } ] }\n\
         filters: [ { column: kind, op: neq, value: bcdef } ]\nfields:\n\
         \x20 - { has_many: all, table: c, foreign_key: p, limit: 3, order_by: [ { column: rank, direction: desc } ], fields: [ { integer: a }, { integer: b } ] }\n\
         \x20 - { has_one: first, table: c, foreign_key: p, fields: [ { integer: a }, { integer: b } ] }\n\
         \x20 - { has_one: none, table: c, foreign_key: p, filters: [ { column: state, op: eq, value: 'offline' } ], fields: [ { integer: a } ] }\n\
         \x20 - { count: listed, table: c, foreign_key: p, filters: [ { column: state, op: in, value: [on, x] }, { column: note, op: like, value: \"%'%\" } ] }\n\
         \x20 - { count: raw, table: c, foreign_key: p, filters: [ { raw: \"rank > 4 or c.note = 'z'\" }, { raw: \"state = 'on'\" } ] }\n\
         \x20 - { sum: total, table: c, column: rank, value_type: long, foreign_key: p, filters: [ { column: rank, op: between, value: [2, 8] } ] }\n",
    );
    let compiled = database.compile(&schema).await;
    assert_eq!(
        value(&database, &compiled, &["1"]).await,
        json!({"all": [{"a": 1, "b": 1}, {"a": 3, "b": 1}, {"a": 1, "b": 2}], "first": {"a": 1, "b": 1}, "none": null,
               "listed": 1, "raw": 3, "total": 10})
    );
    // Deleted with the marker and every `when`; a NULL among them keeps the row.
    assert_eq!(database.document(&compiled, &["2"]).await, None);
    assert!(database.document(&compiled, &["3"]).await.is_some());
    assert!(database.document(&compiled, &["4"]).await.is_some());
    database.remove().await;
}

#[tokio::test]
async fn leaves_of_a_partitioned_root_are_read_one_by_one() {
    let database = Database::create("leaves").await;
    database
        .run(
            "CREATE TABLE t (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
             CREATE TABLE \"T low\" PARTITION OF t FOR VALUES FROM (0) TO (10); \
             CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20); \
             INSERT INTO t SELECT n, n % 20 FROM generate_series(1, 2000) n",
        )
        .await;
    let schema = Schema::new("version: 1\ntable: t\nfields:\n  - { integer: id }\n");
    let compiled = database.compile(&schema).await;
    assert_eq!(
        database.document(&compiled, &["15", "15"]).await.as_deref(),
        Some(r#"{"id":15}"#)
    );
    let leaf = "public.\"T low\"".parse().expect("a name");
    let sql = compiled.chunk_sql(&leaf);
    let read = async |from: i64, to: Option<i64>| {
        let rows = database
            .client
            .query(&sql, &[&from, &to])
            .await
            .expect("a chunk");
        rows.iter()
            .map(|row| row.get::<_, String>("row_id"))
            .collect::<BTreeSet<_>>()
    };
    let (first, rest) = (read(0, Some(2)).await, read(2, None).await);
    assert!(!first.is_empty() && !rest.is_empty() && first.is_disjoint(&rest));
    assert_eq!(first.len() + rest.len(), 1000);
    // The range is read as a range.
    let plan = database
        .client
        .query(
            &format!(
                "EXPLAIN {}",
                sql.replace("$1::int8", "0::int8")
                    .replace("$2::int8", "2::int8")
            ),
            &[],
        )
        .await
        .expect("a plan");
    let plan: String = plan.iter().map(|row| row.get::<_, String>(0)).collect();
    assert!(plan.contains("Tid Range Scan"), "{plan}");
    // All tables are locked, the leaves through the root.
    database.run(&format!("BEGIN; {}", compiled.lock_sql)).await;
    let locks = database
        .client
        .query_one("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessShareLock' AND relation = '\"T low\"'::regclass", &[])
        .await
        .expect("locks");
    assert_eq!(locks.get::<_, i64>(0), 1);
    database.remove().await;
}

#[tokio::test]
async fn the_source_fingerprint_changes_with_what_sends_no_row_changes() {
    let database = Database::create("fingerprint").await;
    database
        .run("CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t (id int PRIMARY KEY, m mood, n int, unused int)")
        .await;
    let schema = Schema::new("version: 1\ntable: t\nfields:\n  - { enum: m }\n  - { long: n }\n");
    let mut last = database.compile(&schema).await.source_fingerprint;
    assert_eq!(database.compile(&schema).await.source_fingerprint, last);
    database.run("ALTER TABLE t ADD more int, ALTER unused TYPE int8; CREATE INDEX ON t (n); INSERT INTO t VALUES (1); ANALYZE t").await;
    assert_eq!(database.compile(&schema).await.source_fingerprint, last);
    for change in [
        "ALTER TYPE mood RENAME VALUE 'a' TO 'c'",
        "ALTER TABLE t ALTER n TYPE int8",
        "ALTER TABLE t RENAME n TO o; ALTER TABLE t RENAME unused TO n",
        "ALTER TABLE t RENAME TO u; CREATE TABLE t (LIKE u INCLUDING ALL)",
    ] {
        database.run(change).await;
        let now = database.compile(&schema).await.source_fingerprint;
        assert_ne!(now, last, "{change}");
        last = now;
    }
    database.remove().await;
}
