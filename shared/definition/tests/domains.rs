//! Domains over enums, ranges and arrays: Postgres writes the operators of these once for all such
//! types, and does not find them for a domain.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "helpers fail the test that calls them"
)]

#[path = "support/database.rs"]
mod database;

use database::{Database, Schema};
use serde_json::{Value, json};

const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('low', 'fine', 'high');
    CREATE DOMAIN a_mood AS mood; CREATE DOMAIN years AS int4range; CREATE DOMAIN words AS text[];
    CREATE TABLE moods (of a_mood PRIMARY KEY, name text);
    CREATE TABLE t (id int PRIMARY KEY, mood a_mood, years years, words words);
    CREATE INDEX ON t (mood);
    INSERT INTO moods VALUES ('low', 'sad'), ('high', 'glad');
    INSERT INTO t VALUES (1, 'low', '[1,3)', '{a,b}'), (2, 'high', '[5,9)', '{c}'), (3, NULL, NULL, NULL)";

#[tokio::test]
async fn filters_compare_domains_over_enums_ranges_and_arrays() {
    let database = Database::create("domainfilters").await;
    database.run(TABLES).await;
    for (filter, passes) in [
        ("{ column: mood, op: gt, value: low }", ["2"].as_slice()),
        ("{ column: mood, op: eq, value: low }", &["1"]),
        ("{ column: mood, op: neq, value: low }", &["2"]),
        ("{ column: mood, op: in, value: [low, high] }", &["1", "2"]),
        ("{ column: mood, op: between, value: [low, fine] }", &["1"]),
        ("{ column: mood, op: is_null }", &["3"]),
        ("{ column: years, op: eq, value: '[1,3)' }", &["1"]),
        ("{ column: words, op: not_in, value: ['{a,b}'] }", &["2"]),
    ] {
        // GIVEN a filter on a domain.
        let schema = Schema::new(&format!(
            "version: 1\ntable: t\nfilters: [{filter}]\nfields: [ {{ integer: id }} ]\n"
        ));
        // WHEN documents are built.
        let compiled = database.compile(&schema).await;
        // THEN the rows that meet it have one.
        for id in ["1", "2", "3"] {
            let document = database.document(&compiled, &[id]).await;
            assert_eq!(document.is_some(), passes.contains(&id), "{filter} of {id}");
        }
    }
    database.remove().await;
}

#[tokio::test]
async fn domains_join_and_are_put_in_order() {
    let database = Database::create("domainjoins").await;
    database.run(TABLES).await;
    let schema = Schema::new(
        "version: 1\ntable: moods\nfields:\n  - { keyword: of }\n  - { keyword: name }\n  \
         - { has_many: rows, table: t, foreign_key: mood, order_by: [ { column: years } ], fields: [ { integer: id } ] }\n  \
         - { max: most, table: t, column: mood, value_type: keyword, foreign_key: mood }\n  \
         - { min: first, table: t, column: years, value_type: keyword, foreign_key: mood }\n",
    );
    let compiled = database.compile(&schema).await;
    let document = database.document(&compiled, &["high"]).await;
    let document: Value = serde_json::from_str(&document.expect("a document")).expect("JSON");
    assert_eq!(
        document,
        json!({"of": "high", "name": "glad", "rows": [{"id": 2}], "most": "high", "first": "[5,9)"})
    );
    database.remove().await;
}
