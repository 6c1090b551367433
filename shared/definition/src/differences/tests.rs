use std::io;

use super::*;
use crate::load::{Overrides, load};

const CONFIG: &str = r#"
[source]
type = "postgres"
connection_url = { env = "DB" }
[server]
admin_password = { env = "ADMIN" }
[sinks.out]
type = "stdout"
[[index]]
name = "shows"
schema = "shows.schema.yml"
enabled = true
on_error = "dead_letter"
"#;

const SCHEMA: &str = "
version: 1
table: shows
fields:
  - { uuid: id, required: true }
";

/// `fields` for a table that hangs on `shows`.
const ORDERS: &str = "table: orders, primary_key: id, foreign_key: show_id, order_by: [{ column: id }], fields: [{ long: id, required: true }]";

struct Memory(Vec<(&'static str, Vec<u8>)>);

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
        let (_, bytes) = found.ok_or(io::ErrorKind::NotFound)?;
        String::from_utf8(bytes.clone()).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

/// What a case changes in the quiet files.
enum Change {
    /// Text of `flusso.toml`.
    Config(&'static str, &'static str),
    /// More lines at its end, of the index or of new tables.
    More(&'static str),
    /// Lines before its first table.
    Top(&'static str),
    /// A field besides the uuid, in flow style; `$ORDERS` stands for a to-many join's members.
    Field(&'static str),
    /// A line at the top of the schema file.
    Schema(&'static str),
    /// A variable.
    Variable(&'static str, &'static str),
    /// A file beside `flusso.toml`.
    Beside(&'static str, &'static [u8]),
    /// Columns of `shows` beside its key `id uuid`: name, type, name in `pg_type`, kind.
    Live(&'static [(&'static str, &'static str, &'static str, &'static str)]),
    /// The primary key of `shows` in the catalog.
    Key(&'static [&'static str]),
    /// The primary key of `links` in the catalog.
    Junction(&'static [&'static str]),
}
use Change::{Beside, Config, Field, Junction, Key, Live, More, Schema, Top, Variable};

fn catalog_of(table: &str, columns: &[(&str, &str, &str, &str)], key: &[&str]) -> String {
    let column = |(name, type_name, base, kind): &(&str, &str, &str, &str)| {
        serde_json::json!({
            "name": name, "attnum": 1, "xmin": "7", "not_null": key.contains(name), "generated": false,
            "type_name": type_name, "cast": base, "is_array": false, "base_schema": "pg_catalog",
            "base_name": base, "base_kind": kind, "labels": null,
        })
    };
    let columns: Vec<_> = columns.iter().map(column).collect();
    serde_json::json!({
        "schema": "public", "name": table, "oid": 1, "kind": "r", "persistence": "p", "is_partition": false,
        "row_security": false, "select": true, "has_children": false, "columns": columns,
        "indexes": [{"primary": true, "unique": true, "columns": key}], "foreign_keys": [],
        "owned": true, "identity": "d", "leaves": [],
    })
    .to_string()
}

fn differences(changes: &[Change]) -> Vec<Difference> {
    let (mut config, mut schema) = (CONFIG.to_owned(), SCHEMA.to_owned());
    let mut environment = BTreeMap::new();
    let mut files = Vec::new();
    let mut columns = vec![("id", "uuid", "uuid", "b")];
    let (mut key, mut junction): (&[&str], &[&str]) = (&["id"], &["id"]);
    let mut is_live = false;
    for change in changes {
        match change {
            Config(from, to) => {
                assert!(config.contains(from), "{from}");
                config = config.replace(from, to);
            }
            More(text) => config.push_str(text),
            Top(text) => config = format!("{text}\n{config}"),
            Field(text) => {
                let text = text.replace("$ORDERS", ORDERS);
                schema.extend(["  - { ", text.as_str(), " }\n"]);
            }
            Schema(text) => schema = schema.replacen("fields:", &format!("{text}\nfields:"), 1),
            Variable(name, value) => {
                environment.insert((*name).to_owned(), (*value).to_owned());
            }
            Beside(name, bytes) => files.push((*name, bytes.to_vec())),
            Live(more) => {
                is_live = true;
                columns.extend_from_slice(more);
            }
            Key(columns) => key = columns,
            Junction(columns) => {
                is_live = true;
                junction = columns;
            }
        }
    }
    files.push(("flusso.toml", config.into_bytes()));
    files.push(("shows.schema.yml", schema.into_bytes()));
    let files = Memory(files);
    let path = Path::new("flusso.toml");
    let loaded = load(path, &files, &environment, &Overrides::default());
    let findings = match loaded {
        Ok((_, warnings)) => warnings,
        Err(findings) => findings,
    };
    let rows = [
        catalog_of("shows", &columns, key),
        catalog_of("orders", &[("id", "bigint", "int8", "b")], &["id"]),
        catalog_of(
            "links",
            &[
                ("id", "bigint", "int8", "b"),
                ("l", "uuid", "uuid", "b"),
                ("r", "bigint", "int8", "b"),
            ],
            junction,
        ),
    ];
    let catalog = Catalog::from_rows(rows.iter().map(String::as_str)).unwrap();
    explain(&Input {
        config: path,
        files: &files,
        environment: &environment,
        findings: &findings,
        catalog: is_live.then_some(&catalog),
    })
}

fn ids(changes: &[Change]) -> Vec<&'static str> {
    differences(changes)
        .iter()
        .map(|found| found.row.id)
        .collect()
}

const SEARCH: Change =
    More("[sinks.search]\ntype = \"opensearch\"\nurl = \"http://x\"\nmax_retries = 3\n");
/// An index of its own for the search sink alone, so that the first one stays as it is.
const TO_STDOUT: Change = Config(
    "on_error = \"dead_letter\"",
    "on_error = \"dead_letter\"\nsinks = [\"out\"]",
);

#[test]
fn files_that_mean_the_same_are_told_nothing() {
    assert_eq!(ids(&[]), [""; 0]);
    assert_eq!(ids(&[Live(&[])]), [""; 0]);
}

/// For each row what makes it matter, and what comes near and does not.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of 39 rows")]
fn each_row_is_told_when_something_makes_it_matter_and_only_then() {
    let cases: Vec<(&str, Vec<Change>, Vec<Change>)> = vec![
        ("D1", vec![Config("enabled = true\n", "")], vec![]),
        (
            "D1",
            vec![Field("long: a")],
            vec![Field("long: a, required: false")],
        ),
        (
            "D1",
            vec![Field(
                "belongs_to: a, table: orders, fields: [{ long: id, required: true }]",
            )],
            vec![Field("has_many: a, $ORDERS")],
        ),
        (
            "D2",
            vec![Config("on_error = \"dead_letter\"\n", "")],
            vec![Top("on_error = \"stop\"")],
        ),
        (
            "D2",
            vec![
                Config("on_error = \"dead_letter\"\n", ""),
                Top("on_error = \"stop\""),
            ],
            vec![
                Config("on_error = \"dead_letter\"\n", ""),
                Top("on_error = \"skip\""),
            ],
        ),
        ("D3", vec![Config("\"dead_letter\"", "\"skip\"")], vec![]),
        ("D4", vec![TO_STDOUT, SEARCH], vec![TO_STDOUT]),
        ("D5", vec![TO_STDOUT, SEARCH], vec![TO_STDOUT]),
        (
            "D6",
            vec![TO_STDOUT, SEARCH, More("refresh_interval = \"1s\"\n")],
            vec![TO_STDOUT, SEARCH],
        ),
        (
            "D6",
            vec![TO_STDOUT, SEARCH, More("number_of_replicas = 0\n")],
            vec![TO_STDOUT, SEARCH, More("number_of_shards = 2\n")],
        ),
        (
            "D7",
            vec![TO_STDOUT, SEARCH, More("number_of_shards = 2\n")],
            vec![TO_STDOUT, SEARCH, More("number_of_replicas = 0\n")],
        ),
        (
            "D7",
            vec![TO_STDOUT, SEARCH, More("text_analysis = \"icu\"\n")],
            vec![TO_STDOUT, SEARCH],
        ),
        (
            "D7",
            vec![TO_STDOUT, SEARCH, More("auto_subfields = false\n")],
            vec![TO_STDOUT, SEARCH],
        ),
        ("D8", vec![SEARCH], vec![TO_STDOUT, SEARCH]),
        ("D9", vec![SEARCH], vec![TO_STDOUT, SEARCH]),
        (
            "D10",
            vec![Config("[server]", "[server]\nprivate_address = \":9465\"")],
            vec![],
        ),
        (
            "D10",
            vec![Config("admin_password = { env = \"ADMIN\" }", "")],
            vec![Config("admin_password", "admin_token")],
        ),
        (
            "D11",
            vec![Variable("DB", "postgres://u:p%40ss@h/d")],
            vec![Variable(
                "DB",
                "postgres://u:pass@h/d%20d?application_name=x",
            )],
        ),
        (
            "D11",
            vec![Variable("DB", "postgres://u@h/d?sslmode=require")],
            vec![],
        ),
        (
            "D12",
            vec![Top("prefix = \"dev_\"")],
            vec![Top("prefix = \"\"")],
        ),
        (
            "D12",
            vec![Variable("FLUSSO_INDEX_PREFIX", "dev_")],
            vec![Variable("FLUSSO_INDEX_PREFIX", "")],
        ),
        (
            "D13",
            vec![Beside("flusso.lock", &[0x82, 0xA7, 0xFF])],
            vec![Beside("flusso.lock", b"{\"format\": 2}")],
        ),
        (
            "D14",
            vec![Variable("FLUSSO_SKIP_BACKFILL", "1")],
            vec![Variable("FLUSSO_SLOT", "flusso")],
        ),
        (
            "D14",
            vec![Variable("FLUSSO_DESIGN_ADDRESS", ":7700")],
            vec![],
        ),
        (
            "D15",
            vec![
                Schema("primary_key: code"),
                Live(&[("code", "text", "text", "b")]),
            ],
            vec![Schema("primary_key: id"), Live(&[])],
        ),
        (
            "D15",
            vec![
                Field(
                    "has_many: lines, table: orders, primary_key: nr, foreign_key: show_id, order_by: [{ column: id }], fields: [{ long: id, required: true }]",
                ),
                Live(&[]),
            ],
            vec![Field("has_many: lines, $ORDERS"), Live(&[])],
        ),
        (
            "D16",
            vec![Schema("primary_key: [id, nr]")],
            vec![Schema("primary_key: id")],
        ),
        (
            "D16",
            vec![Key(&["id", "nr"]), Live(&[("nr", "integer", "int4", "b")])],
            vec![Live(&[("nr", "integer", "int4", "b")])],
        ),
        (
            "D17",
            vec![Field("uuid: id, required: true")],
            vec![Field("uuid: other, required: true")],
        ),
        (
            "D17",
            vec![Field("has_many: lines, limit: 0, $ORDERS")],
            vec![Field("has_many: lines, limit: 1, $ORDERS")],
        ),
        (
            "D17",
            vec![Schema("filters: [{ column: a, op: in, value: [] }]")],
            vec![Schema("filters: [{ column: a, op: in, value: [1] }]")],
        ),
        (
            "D17",
            vec![Schema("filters: [{ column: a, op: eq, value: [1] }]")],
            vec![Schema("filters: [{ column: a, op: eq, value: 1 }]")],
        ),
        (
            "D17",
            vec![Schema("soft_delete: { field: gone }")],
            vec![Schema("soft_delete: { field: id }")],
        ),
        (
            "D17",
            vec![Field("long: n, required: true, options: { type: text }")],
            vec![Field("long: n, required: true, options: { store: true }")],
        ),
        (
            "D17",
            vec![Field("long: n, required: true, transforms: [trim]")],
            vec![Field("text: n, required: true, transforms: [trim]")],
        ),
        (
            "D18",
            vec![Schema(
                "soft_delete: { column: gone, when: [{ column: a, op: eq, value: 1 }] }",
            )],
            vec![Schema(
                "soft_delete: { column: gone, when: [{ column: a, op: is_null }] }",
            )],
        ),
        (
            "D18",
            vec![
                Schema("soft_delete: { column: gone, when: [{ raw: a > 1 }] }"),
                Live(&[]),
            ],
            vec![
                Schema("soft_delete: { column: gone, when: [{ column: id, op: gt, value: 1 }] }"),
                Live(&[]),
            ],
        ),
        (
            "D19",
            vec![Schema("filters: [{ column: a, op: eq, value: abcdef }]")],
            vec![Schema("filters: [{ column: a, op: eq, value: 7 }]")],
        ),
        (
            "D19",
            vec![
                Schema("filters: [{ column: a, op: in, value: [1.25] }]"),
                Live(&[("a", "numeric", "numeric", "b")]),
            ],
            vec![
                Schema("filters: [{ column: a, op: in, value: [1.25] }]"),
                Live(&[("a", "real", "float4", "b")]),
            ],
        ),
        (
            "D20",
            vec![Field(
                "ids: a, table: orders, element_type: long, through: { table: links, left_key: l, right_key: r }, filters: [{ column: id, op: gt, value: 1 }]",
            )],
            vec![Field(
                "ids: a, table: orders, element_type: long, foreign_key: show_id, filters: [{ column: id, op: gt, value: 1 }]",
            )],
        ),
        (
            "D21",
            vec![
                Field(
                    "count: a, table: orders, through: { table: links, left_key: l, right_key: r }",
                ),
                Junction(&["id"]),
            ],
            vec![
                Field(
                    "count: a, table: orders, through: { table: links, left_key: l, right_key: r }",
                ),
                Junction(&["l", "r"]),
            ],
        ),
        (
            "D22",
            vec![Field(
                "has_many: a, table: orders, primary_key: id, foreign_key: show_id, fields: [{ long: id, required: true }]",
            )],
            vec![Field("has_many: a, $ORDERS")],
        ),
        (
            "D22",
            vec![Field(
                "has_one: a, table: orders, primary_key: id, foreign_key: show_id, fields: [{ long: id, required: true }]",
            )],
            vec![
                Field(
                    "has_one: a, table: orders, primary_key: id, foreign_key: id, fields: [{ long: id, required: true }]",
                ),
                Live(&[]),
            ],
        ),
        (
            "D23",
            vec![Field("text: a, required: true, transforms: [trim]")],
            vec![Field("text: a, required: true, transforms: [lowercase]")],
        ),
        (
            "D24",
            vec![Field(
                "enum: a, required: true, variants: [x, y], options: { fields: { raw: { type: text } } }",
            )],
            vec![Field(
                "enum: a, required: true, variants: [x, y], options: { fields: { sort: { type: keyword } } }",
            )],
        ),
        (
            "D25",
            vec![Field("enum: a, required: true, variants: [x, y]")],
            vec![Field("enum: a, required: true")],
        ),
        (
            "D26",
            vec![Field("map: a, values: text, required: true")],
            vec![Field("text: a, required: true")],
        ),
        (
            "D27",
            vec![Field("json: a, required: true")],
            vec![Field(
                "json: a, required: true, options: { type: flat_object }",
            )],
        ),
        (
            "D28",
            vec![Field("constant: a, value: 7")],
            vec![Field("constant: a, value: '7'")],
        ),
        (
            "D29",
            vec![Field("timestamp: a, required: true")],
            vec![Field("date: a, required: true")],
        ),
        (
            "D29",
            vec![Field(
                "max: a, table: orders, column: at, value_type: timestamp, foreign_key: show_id",
            )],
            vec![
                Field("timestamp: a, required: true"),
                Live(&[("a", "time without time zone", "time", "b")]),
            ],
        ),
        (
            "D30",
            vec![Field("time: a, required: true")],
            vec![Field("timestamp: a, required: true")],
        ),
        (
            "D30",
            vec![
                Field("timestamp: a, required: true"),
                Live(&[("a", "time without time zone", "time", "b")]),
            ],
            vec![
                Field("timestamp: a, required: true"),
                Live(&[("a", "timestamp with time zone", "timestamptz", "b")]),
            ],
        ),
        (
            "D31",
            vec![Field("float: a, required: true")],
            vec![Field("long: a, required: true")],
        ),
        (
            "D31",
            vec![
                Field("double: a, required: true"),
                Live(&[("a", "double precision", "float8", "b")]),
            ],
            vec![
                Field("double: a, required: true"),
                Live(&[("a", "integer", "int4", "b")]),
            ],
        ),
        (
            "D31",
            vec![Field(
                "avg: a, table: orders, column: n, foreign_key: show_id",
            )],
            vec![Field("count: a, table: orders, foreign_key: show_id")],
        ),
        (
            "D32",
            vec![Field("decimal: a, required: true")],
            vec![Field("double: a, required: true")],
        ),
        (
            "D32",
            vec![
                Field("decimal: a, required: true"),
                Live(&[("a", "money", "money", "b")]),
            ],
            vec![
                Field("decimal: a, required: true"),
                Live(&[("a", "bigint", "int8", "b")]),
            ],
        ),
        (
            "D33",
            vec![Field("double: a, required: true")],
            vec![Field("long: a, required: true")],
        ),
        (
            "D33",
            vec![
                Field("decimal: a, required: true"),
                Live(&[("a", "numeric", "numeric", "b")]),
            ],
            vec![
                Field("decimal: a, required: true"),
                Live(&[("a", "money", "money", "b")]),
            ],
        ),
        (
            "D34",
            vec![Field("binary: a, required: true")],
            vec![Field("keyword: a, required: true")],
        ),
        (
            "D35",
            vec![
                Field("keyword: a, required: true"),
                Live(&[("a", "interval", "interval", "b")]),
            ],
            vec![
                Field("keyword: a, required: true"),
                Live(&[("a", "text", "text", "b")]),
            ],
        ),
        (
            "D36",
            vec![
                Field("enum: a, required: true"),
                Live(&[("a", "show_status", "show_status", "e")]),
            ],
            vec![
                Field("enum: a, required: true"),
                Live(&[("a", "text", "text", "b")]),
            ],
        ),
        (
            "D37",
            vec![SEARCH, Field("keyword: a, required: true")],
            vec![
                SEARCH,
                Field("keyword: a, required: true, options: { ignore_above: 100 }"),
            ],
        ),
        (
            "D37",
            vec![
                SEARCH,
                Field("keyword: a, required: true"),
                Live(&[("a", "text", "text", "b")]),
            ],
            vec![
                SEARCH,
                Field("keyword: a, required: true"),
                Live(&[("a", "uuid", "uuid", "b")]),
            ],
        ),
        (
            "D38",
            vec![
                Field("long: a, required: true"),
                Live(&[("a", "integer", "int4", "b")]),
            ],
            vec![
                Field("long: a, required: true"),
                Live(&[("a", "bigint", "int8", "b")]),
            ],
        ),
        (
            "D38",
            vec![
                Field("keyword: a, required: true"),
                Live(&[("a", "date", "date", "b")]),
            ],
            vec![
                Field("custom: a, postgres: [date], opensearch: date, required: true"),
                Live(&[("a", "date", "date", "b")]),
            ],
        ),
        (
            "D39",
            vec![Field("uuid: a, required: true")],
            vec![Field("uuid: z, required: true")],
        ),
    ];
    for row in &ROWS {
        assert!(
            cases.iter().any(|(id, ..)| *id == row.id),
            "{} has no case",
            row.id
        );
    }
    for (number, (id, triggers, near)) in cases.iter().enumerate() {
        let told = ids(triggers);
        assert!(
            told.contains(id),
            "case {number}: {id} is not among {told:?}"
        );
        let told = ids(near);
        assert!(
            !told.contains(id),
            "case {number}: {id} is told without reason, with {told:?}"
        );
    }
}

#[test]
fn the_rows_are_those_of_the_reference() {
    let reference = include_str!("../../../../docs/config-language.md");
    let written: Vec<String> = reference
        .lines()
        .filter(|line| {
            line.starts_with("| D") && line.as_bytes().get(3).is_some_and(u8::is_ascii_digit)
        })
        .map(str::to_owned)
        .collect();
    let rows: Vec<String> = ROWS
        .iter()
        .map(
            |Row {
                 id,
                 what,
                 there,
                 here,
             }| format!("| {id} | {what} | {there} | {here} |"),
        )
        .collect();
    assert_eq!(rows, written);
}

#[test]
fn a_row_names_every_place_and_both_meanings() {
    let found = differences(&[Config("\"dead_letter\"", "\"skip\"")]);
    assert_eq!(
        render_human(&found, true),
        "These mean something else than in flusso 0.15:

D3   `on_error: skip`
     there  logged and lost
     here   dead letter
       --> flusso.toml:13:1
"
    );
    assert_eq!(
        to_json(&found),
        json!([{"id": "D3", "what": "`on_error: skip`", "there": "logged and lost", "here": "dead letter",
            "places": [{"file": "flusso.toml", "line": 13, "column": 1, "index": "shows", "path": null, "found": ""}]}])
    );
}

#[test]
fn without_the_database_it_is_said_what_was_not_looked_at() {
    let text = render_human(&[], false);
    assert!(
        text.contains("not looked at: D15, D35, D36, D38."),
        "{text}"
    );
    assert!(!render_human(&[], true).contains("D15"));
}

#[test]
fn a_variable_shows_its_name_and_never_its_value() {
    let found = differences(&[Variable("DB", "postgres://u:hunter%402@h/d")]);
    let text = format!("{}{}{found:?}", render_human(&found, true), to_json(&found));
    assert!(!text.contains("hunter"), "{text}");
    let found = differences(&[Variable("FLUSSO_SKIP_BACKFILL", "true")]);
    assert!(render_human(&found, true).contains("--> environment  (FLUSSO_SKIP_BACKFILL)"));
}

#[test]
fn files_that_do_not_load_are_explained_as_far_as_they_can_be_read() {
    let told = ids(&[
        Field("map: a, values: text, required: true, nonsense: 1"),
        More("colour = 1\n"),
    ]);
    assert!(told.contains(&"D26"), "{told:?}");
    // Text that is neither TOML nor YAML is nothing to explain.
    assert_eq!(ids(&[Top("= [")]), [""; 0]);
}
