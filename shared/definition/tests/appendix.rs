//! Section 10 of `docs/config-language.md`: every row of the table of errors, on files that make
//! the mistake, with the whole report as people see it.
//! Rows that need a server are proven where one is; the last test says where.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::format_collect,
    clippy::wildcard_enum_match_arm,
    reason = "a helper of a test may end the test"
)]

#[path = "support/files.rs"]
mod files;

use std::path::Path;

use definition::{Catalog, Diagnostics, compile};
use serde_json::{Value, json};

use files::{ONE_INDEX, SOURCE, findings, loaded, schema};

const PAGE: &str = include_str!("../../../docs/config-language.md");

/// Code, message and help of each row of the page.
fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let (_, table) = PAGE
        .split_once("| code | message | help |\n|---|---|---|\n")
        .unwrap();
    table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [code, message, help] = cells.as_slice() else {
                panic!("{line}")
            };
            (*code, *message, *help)
        })
        .collect()
}

/// Compares a report with the golden one, and the golden one with the page.
fn shows(report: &Diagnostics, golden: &str) {
    let text = report.render_human(false);
    assert_eq!(text.trim_end(), golden.trim(), "\n{text}");
    let code = &golden.trim_start()[..12];
    let code = code.split(['[', ']']).nth(1).unwrap();
    let (_, message, help) = rows().into_iter().find(|row| row.0 == code).unwrap();
    assert!(
        golden.contains(&format!("{code}]: {message}\n")),
        "the page says {message:?}"
    );
    // The page leaves a list of the file's own names out.
    for part in help.split('…') {
        assert!(golden.contains(part), "the page says {help:?}");
    }
}

fn config_shows(text: &str, golden: &str) {
    shows(findings(&loaded(&[("flusso.toml", text)])), golden);
}

fn schema_shows(text: &str, golden: &str) {
    shows(findings(&schema(text)), golden);
}

#[test]
fn e101_unknown_key_at_top_level() {
    config_shows(
        "[sink.search]\napi_key = \"hunter2\"\n[source]\ntype = \"postgres\"\n",
        "
error[E101]: unknown key `sink` at top level
 --> flusso.toml:1:2
  |
1 | [sink.search]
  |  ^^^^ did you mean `sinks`?
  = allowed here: broker, capture, index, on_error, prefix, server, sinks, source, telemetry, worker",
    );
}

#[test]
fn e102_is_the_report_of_the_page() {
    // Line 11 of the page's own example.
    let (_, example) = PAGE.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("\n```").unwrap();
    let old = "  - { timestamp: startsAt, column: starts_at, required: true }";
    assert!(example.contains(old));
    let text = example.replace(old, &old.replace("column", "colum"));
    let (_, golden) = PAGE.split_once("```text\nerror[E102]").unwrap();
    let (golden, _) = golden.split_once("\n```").unwrap();
    let report = findings(&schema(&text)).render_human(false);
    assert_eq!(report.trim_end(), format!("error[E102]{golden}"));
}

#[test]
fn e103_two_tags() {
    schema_shows(
        "version: 1\ntable: t\nfields:\n  - { text: a, keyword: b }\n",
        "
error[E103]: a field needs exactly one type tag, found `text` and `keyword`
 --> shows.schema.yml:4:16
  |
4 |   - { text: a, keyword: b }
  |                ^^^^^^^
  = help: make two fields, or remove one tag",
    );
}

#[test]
fn e105_a_file_that_is_not_there() {
    config_shows(
        ONE_INDEX,
        "
error[E105]: cannot read shows.schema.yml: no such file
 --> flusso.toml:5:10
  |
5 | schema = \"shows.schema.yml\"
  |          ^^^^^^^^^^^^^^^^^^
  = help: paths start at the directory of flusso.toml",
    );
}

#[test]
fn e106_no_size() {
    config_shows(
        &format!("{SOURCE}[capture]\nmax_retained_wal = \"10 gigs\"\n"),
        "
error[E106]: \"10 gigs\" is not a size
 --> flusso.toml:4:20
  |
4 | max_retained_wal = \"10 gigs\"
  |                    ^^^^^^^^^
  = help: an integer with B, KB, MB, GB, KiB, MiB or GiB: \"10GiB\"",
    );
}

#[test]
fn e108_tls_of_url_and_file_differ() {
    config_shows(
        "[source]\ntype = \"postgres\"\nsslmode = \"verify-full\"\nconnection_url = \"postgres://h/d?sslmode=disable\"\n",
        "
error[E108]: sslmode is \"disable\" in the connection URL, \"verify-full\" in [source]
 --> flusso.toml:4:18
  |
4 | connection_url = \"********://*/*?*******=*******\"
  |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: keep one of them",
    );
}

#[test]
fn e109_a_property_of_the_product() {
    config_shows(
        &format!("{SOURCE}[broker]\nkafka = {{ \"acks\" = \"1\" }}\n"),
        "
error[E109]: kafka: `acks` is set by the product
 --> flusso.toml:4:11
  |
4 | kafka = { \"acks\" = \"*\" }
  |           ^^^^^^
  = help: remove it",
    );
}

#[test]
fn e201_a_field_twice() {
    schema_shows(
        "version: 1\ntable: orders\nprimary_key: id\n\n# one\n# two\n# three\n# four\n# five\n# six\n# seven\n# eight\nfields:\n  - decimal: total\n  - { count: total, table: lines, foreign_key: order_id }\n",
        "
error[E201]: field `total` is defined twice, first at 14:5
  --> shows.schema.yml:15:14
   |
15 |   - { count: total, table: lines, foreign_key: order_id }
   |              ^^^^^
   = help: rename one",
    );
}

#[test]
fn e202_a_limit_of_nothing() {
    schema_shows(
        "version: 1\ntable: t\nfields:\n  - { has_many: x, table: c, foreign_key: k, limit: 0, fields: [ { long: id } ] }\n",
        "
error[E202]: limit must be at least 1
 --> shows.schema.yml:4:53
  |
4 |   - { has_many: x, table: c, foreign_key: k, limit: 0, fields: [ { long: id } ] }
  |                                                     ^
  = help: leave it out for no limit",
    );
}

#[test]
fn e203_an_empty_list() {
    schema_shows(
        "version: 1\ntable: t\nfilters: [ { column: a, op: in, value: [] } ]\nfields: []\n",
        "
error[E203]: `in` needs a list with at least one value
 --> shows.schema.yml:3:40
  |
3 | filters: [ { column: a, op: in, value: [] } ]
  |                                        ^^
  = help: add values, or remove the filter",
    );
}

#[test]
fn e204_a_list_for_one_value() {
    schema_shows(
        "version: 1\ntable: t\nfilters: [ { column: a, op: eq, value: [1, 2] } ]\nfields: []\n",
        "
error[E204]: `eq` takes one value, found a list
 --> shows.schema.yml:3:40
  |
3 | filters: [ { column: a, op: eq, value: [1, 2] } ]
  |                                        ^^^^^^
  = help: use `in`",
    );
}

#[test]
fn e205_no_such_marker() {
    schema_shows(
        "version: 1\ntable: t\nsoft_delete: { field: removedAt }\nfields:\n  - long: id\n  - { json: extra }\n",
        "
error[E205]: soft_delete.field: the root row has no scalar field `removedAt`
 --> shows.schema.yml:3:23
  |
3 | soft_delete: { field: removedAt }
  |                       ^^^^^^^^^
  = help: scalar fields: id, extra; or use `column`",
    );
}

#[test]
fn e206_sides_of_different_length() {
    schema_shows(
        "version: 1\ntable: shows\nfields:\n  - belongs_to: hall\n    column: venue_code\n    table: halls\n    primary_key: [venue_code, hall_no]\n    fields: [ { integer: seats } ]\n",
        "
error[E206]: `column` lists 1 column, but halls is referenced by 2: venue_code, hall_no
 --> shows.schema.yml:5:13
  |
5 |     column: venue_code
  |             ^^^^^^^^^^
  = help: list as many, in the same order",
    );
}

#[test]
fn e207_options_change_no_type() {
    schema_shows(
        "version: 1\ntable: t\nfields:\n  - { integer: x, options: { type: long } }\n",
        "
error[E207]: options.type cannot change an `integer`
 --> shows.schema.yml:4:30
  |
4 |   - { integer: x, options: { type: long } }
  |                              ^^^^
  = help: use `custom` with `opensearch: …`",
    );
}

#[test]
fn e208_the_key_of_another_verb() {
    schema_shows(
        "version: 1\ntable: t\nfields:\n  - { has_many: x, table: c, column: k, fields: [ { long: id } ] }\n",
        "
error[E208]: has_many takes `foreign_key`, found `column`
 --> shows.schema.yml:4:30
  |
4 |   - { has_many: x, table: c, column: k, fields: [ { long: id } ] }
  |                              ^^^^^^
  = help: `column` belongs to belongs_to",
    );
}

#[test]
fn e209_a_dot_in_a_name() {
    schema_shows(
        "version: 1\ntable: t\nfields:\n  - { count: x, table: crm.Reviews, foreign_key: k }\n",
        "
error[E209]: \"crm.Reviews\" is not a table name
 --> shows.schema.yml:4:24
  |
4 |   - { count: x, table: crm.Reviews, foreign_key: k }
  |                        ^^^^^^^^^^^
  = help: write schema: crm and table: '\"Reviews\"'",
    );
}

/// A column of a catalog made by hand.
fn column(name: &str, type_name: &str, base: &str, not_null: bool) -> Value {
    json!({
        "name": name, "attnum": 1, "xmin": "1", "not_null": not_null, "generated": false,
        "type_name": type_name, "cast": format!("pg_catalog.{base}"), "is_array": false,
        "base_schema": "pg_catalog", "base_name": base, "base_kind": "b", "labels": null,
    })
}

/// A table of a catalog made by hand; its primary key is `id`.
fn table(name: &str, kind: &str, columns: &[Value], unique: &[&str]) -> String {
    let mut indexes = vec![json!({"primary": true, "unique": true, "columns": ["id"]})];
    indexes.extend(
        unique
            .iter()
            .map(|column| json!({"primary": false, "unique": true, "columns": [column]})),
    );
    json!({
        "schema": "public", "name": name, "oid": 1, "kind": kind, "persistence": "p",
        "is_partition": false, "has_children": false, "row_security": false, "select": true,
        "columns": columns, "indexes": indexes, "foreign_keys": [],
    })
    .to_string()
}

/// What a database with these tables says of a schema file.
fn checked(text: &str, tables: &[String]) -> Diagnostics {
    let (deployment, _) = schema(text).unwrap();
    let index = &deployment.indexes[0];
    let catalog = Catalog::from_rows(tables.iter().map(String::as_str)).unwrap();
    let mut found = compile::check(&index.definition, &catalog).locate(&index.name, &index.spans);
    found.sort();
    found
}

fn id() -> Value {
    column("id", "bigint", "int8", true)
}

#[test]
fn e301_a_type_that_the_tag_does_not_accept() {
    let shows_table = table(
        "shows",
        "r",
        &[id(), column("price_from", "numeric", "numeric", false)],
        &[],
    );
    shows(
        &checked(
            "version: 1\ntable: shows\nfields:\n  - { long: priceFrom, column: price_from }\n",
            &[shows_table],
        ),
        "
error[E301]: public.shows.price_from is numeric, which `long` does not accept
 --> shows.schema.yml:4:32
  |
4 |   - { long: priceFrom, column: price_from }
  |                                ^^^^^^^^^^
  = help: use decimal, keyword or custom",
    );
}

#[test]
fn e302_a_column_that_is_not_there() {
    let shows_table = table(
        "shows",
        "r",
        &[id(), column("created_by", "text", "text", false)],
        &[],
    );
    shows(
        &checked(
            "version: 1\ntable: shows\nfields:\n  - text: createdBy\n",
            &[shows_table],
        ),
        "
error[E302]: public.shows has no column createdby
 --> shows.schema.yml:4:11
  |
4 |   - text: createdBy
  |           ^^^^^^^^^
  = help: did you mean created_by? Set `column`; an exact name is written '\"createdBy\"'",
    );
}

#[test]
fn e303_a_key_that_is_nullable() {
    let users = table(
        "users",
        "r",
        &[id(), column("email", "text", "text", false)],
        &["email"],
    );
    shows(
        &checked(
            "version: 1\ntable: users\nprimary_key: email\nfields:\n  - text: email\n",
            &[users],
        ),
        "
error[E303]: primary_key email of public.users is not a key: the column is nullable
 --> shows.schema.yml:3:14
  |
3 | primary_key: email
  |              ^^^^^
  = help: use id, or ALTER TABLE public.users ALTER email SET NOT NULL",
    );
}

#[test]
fn e304_a_table_without_changes() {
    let shows_table = table("shows", "r", &[id()], &[]);
    let stats = table(
        "show_stats",
        "m",
        &[id(), column("show_id", "bigint", "int8", false)],
        &[],
    );
    shows(
        &checked(
            "version: 1\ntable: shows\nfields:\n  - { count: sold, table: show_stats, foreign_key: show_id }\n",
            &[shows_table, stats],
        ),
        "
error[E304]: public.show_stats is a materialized view: its changes are not in the WAL
 --> shows.schema.yml:4:27
  |
4 |   - { count: sold, table: show_stats, foreign_key: show_id }
  |                           ^^^^^^^^^^
  = help: use the tables behind it",
    );
}

#[test]
fn w305_a_lookup_without_an_index() {
    let shows_table = table("shows", "r", &[id()], &[]);
    let mut orders: Value = serde_json::from_str(&table(
        "orders",
        "r",
        &[id(), column("show_id", "bigint", "int8", false)],
        &[],
    ))
    .unwrap();
    orders["foreign_keys"] =
        json!([{"columns": ["show_id"], "table_schema": "public", "table_name": "shows"}]);
    shows(
        &checked(
            "version: 1\ntable: shows\nfields:\n  - { count: sold, table: orders, foreign_key: show_id }\n",
            &[shows_table, orders.to_string()],
        ),
        "
warning[W305]: no index on public.orders (show_id): every change of shows reads the whole table
 --> shows.schema.yml:4:48
  |
4 |   - { count: sold, table: orders, foreign_key: show_id }
  |                                                ^^^^^^^
  = help: CREATE INDEX CONCURRENTLY ON public.orders (show_id);",
    );
}

/// Where the rows are proven that need the environment or a server: file and words of it.
/// E3xx are proven here too, on real databases in `advice.rs` and `keys.rs`.
const ELSEWHERE: [(&str, &str, &[&str]); 9] = [
    (
        "E104",
        "worker-svc/tests/errors.rs",
        &["error[E104]: source.connection_url: environment variable SHOP_DB is not set"],
    ),
    (
        "E107",
        "shared/definition/src/lock/tests.rs",
        &["flusso.lock was written by flusso 0.15"],
    ),
    (
        "E401",
        "capture-svc/tests/source/preflight.rs",
        &["public.orders has replica identity DEFAULT, but the old show_id is needed"],
    ),
    (
        "E402",
        "capture-svc/tests/source/preflight.rs",
        &["lacks public.orders, and role {role} may not change it"],
    ),
    (
        "E403",
        "capture-svc/src/preflight/tests.rs",
        &["slot flusso was invalidated (wal_removed)"],
    ),
    (
        "E501",
        "worker-svc/tests/errors.rs",
        &["error[E501]: topic {changes} is compacted: updates would be lost"],
    ),
    (
        "E501",
        "shared/runtime/src/configured/topics.rs",
        &["topic flusso.changes is compacted: updates would be lost"],
    ),
    (
        "E601",
        "worker-svc/tests/errors.rs",
        &["error[E601]: alias {index} cannot be made: an index has that name"],
    ),
    (
        "W305",
        "shared/definition/tests/advice.rs",
        &["no index on public"],
    ),
];

#[test]
fn every_row_of_the_page_has_a_test() {
    let own = include_str!("appendix.rs");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (code, message, _) in rows() {
        let here = own.contains(&format!("fn {}_", code.to_lowercase()));
        let elsewhere: Vec<_> = ELSEWHERE.iter().filter(|row| row.0 == code).collect();
        assert!(here || !elsewhere.is_empty(), "{code}: {message}");
        for (_, file, words) in elsewhere {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            for words in *words {
                assert!(text.contains(words), "{file} does not compare {words:?}");
            }
        }
    }
}

#[test]
fn a_finding_about_a_junction_points_to_the_key_that_names_its_column() {
    let shows_table = table("shows", "r", &[id()], &[]);
    let artists = table("artists", "r", &[id()], &[]);
    let junction = table(
        "links",
        "r",
        &[
            id(),
            column("show_id", "bigint", "int8", false),
            column("artist_id", "bigint", "int8", false),
        ],
        &[],
    );
    let text = "version: 1\ntable: shows\nfields:\n  - many_to_many: artists\n    table: artists\n    through:\n      table: links\n      left_key: show_id\n      right_key: artist_id\n    fields: [ { long: id } ]\n";
    let report = checked(text, &[shows_table, artists, junction]);
    let lines: Vec<(&str, usize)> = report
        .findings()
        .iter()
        .filter(|finding| finding.code == "W305")
        .map(|finding| {
            (
                finding.message.as_str(),
                finding.place.as_ref().unwrap().line,
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            (
                "no index on public.links (show_id): every change of shows reads the whole table",
                8
            ),
            (
                "no index on public.links (artist_id): every change of artists reads the whole table",
                9
            ),
        ]
    );
}
