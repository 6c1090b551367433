use std::path::Path;

use super::*;
use crate::diagnostic::Diagnostic;
use crate::load::{Files, Overrides, load};

const CONFIG: &str = r#"prefix = "dev_"
on_error = "skip"
[source]
type = "postgres"
connection_url = { env = "SHOP_DB" }
[server]
admin_password = { env = "ADMIN" }
[sinks.search]
type = "opensearch"
url = "https://search:9200"
[[index]]
name = "shows"
schema = "shows.schema.yml"
enabled = true
"#;

const SCHEMA: &str = "version: 1
table: shows
primary_key: id
fields:
  - { long: id, required: true }
  - { map: title, values: text, required: true }
  - { enum: status, variants: [on_sale, done], required: false }
  - { json: extra, required: false }
  - belongs_to: hall
    column: hall_id
    table: halls
    primary_key: id
    fields:
      - { text: name, required: false, options: { norms: false } }
      - { keyword: city, required: false, options: { ignore_above: 100 } }
  - { count: orders, table: orders, foreign_key: show_id }
";

struct Memory;

impl Files for Memory {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        match path.to_str() {
            Some("flusso.toml") => Ok(CONFIG.to_owned()),
            Some("shows.schema.yml") => Ok(SCHEMA.to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

/// A table of `int` columns whose first one is the primary key.
fn row(name: &str, columns: &[(&str, &str)]) -> String {
    let column = |(name, base): &(&str, &str)| {
        json!({
            "name": name, "attnum": 1, "xmin": "7", "not_null": *name == "id", "generated": false,
            "type_name": base, "cast": format!("pg_catalog.{base}"), "is_array": false, "base_schema": "pg_catalog",
            "base_name": base, "base_kind": "b", "labels": null,
        })
    };
    let columns: Vec<Value> = columns.iter().map(column).collect();
    json!({
        "schema": "public", "name": name, "oid": 1, "kind": "r", "persistence": "p", "is_partition": false,
        "row_security": false, "select": true, "has_children": false, "columns": columns,
        "indexes": [{"primary": true, "unique": true, "columns": ["id"]}], "foreign_keys": [],
    })
    .to_string()
}

fn catalog() -> Catalog {
    let rows = [
        row(
            "shows",
            &[
                ("id", "int8"),
                ("title", "jsonb"),
                ("status", "text"),
                ("extra", "jsonb"),
                ("hall_id", "int8"),
                ("a_column_with_a_long_name", "int8"),
            ],
        ),
        row(
            "halls",
            &[("id", "int8"), ("name", "text"), ("city", "text")],
        ),
        row("orders", &[("id", "int8"), ("show_id", "int8")]),
    ];
    Catalog::from_rows(rows.iter().map(String::as_str)).unwrap()
}

fn identity(table: &str, word: &str, columns: &[&str]) -> String {
    json!({"schema": "public", "name": table, "identity": word, "columns": columns}).to_string()
}

fn identities(orders: &[String]) -> Identities {
    let mut rows = vec![
        identity("halls", "default", &["id"]),
        identity("shows", "full", &[]),
    ];
    rows.extend_from_slice(orders);
    Identities::from_rows(rows.iter().map(String::as_str)).unwrap()
}

fn report() -> Report {
    let none = std::collections::BTreeMap::new();
    let path = Path::new("flusso.toml");
    let (deployment, warnings) = load(path, &Memory, &none, &Overrides::default()).unwrap();
    let index = &deployment.indexes[0];
    let catalog = catalog();
    let mut findings = warnings;
    findings.extend(
        crate::compile::check(&index.definition, &catalog).locate(&index.name, &index.spans),
    );
    let needs = crate::compile::needs(&index.definition, &catalog).unwrap();
    findings.push(
        Diagnostic::error("E404", "wal_level is replica, not logical")
            .help("ALTER SYSTEM SET wal_level = logical; then restart the server"),
    );
    findings.sort();
    let differences = crate::differences::explain(&crate::differences::Input {
        config: path,
        files: &Memory,
        environment: &none,
        findings: &findings,
        catalog: Some(&catalog),
    });
    let of_orders = identity("orders", "default", &["id"]);
    Report {
        indexes: vec![IndexReport::new(&deployment, index, &catalog).needs(
            &needs,
            &catalog,
            &identities(&[of_orders]),
        )],
        findings,
        information: vec!["apply would:\ncreate   search/shows: the first generation".to_owned()],
        differences: Some((differences, true)),
        is_unreachable: false,
    }
}

#[test]
fn people_see_findings_then_each_index_then_counts() {
    insta::assert_snapshot!(report().render_human(false));
}

/// The names in an object, sorted.
fn members(json: &Value) -> Vec<&str> {
    let mut members: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    members.sort_unstable();
    members
}

#[test]
fn tools_see_the_members_of_the_reference() {
    let json = report().to_json();
    assert_eq!(
        members(&json),
        [
            "differences",
            "errors",
            "findings",
            "indexes",
            "ok",
            "warnings"
        ]
    );
    assert_eq!(json["ok"], json!(false));
    assert_eq!(json["errors"], json!(1));
    let shows = &json["indexes"]["shows"];
    assert!(shows["definition"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(
        shows["mappings"]["properties"]["id"],
        json!({"type": "long"})
    );
    assert_eq!(
        shows["needs"],
        json!([
            {"table": "public.halls", "routing": [], "used": ["city", "id", "name"], "identity": "default", "current": "default"},
            {"table": "public.orders", "routing": ["show_id"], "used": ["show_id"], "identity": "full", "current": "default"},
            {"table": "public.shows", "routing": [], "used": ["extra", "hall_id", "id", "status", "title"], "identity": "default", "current": "full"},
        ])
    );
    let finding = json["findings"].as_array().unwrap().last().unwrap();
    assert_eq!(
        members(finding),
        [
            "code", "column", "file", "help", "index", "line", "message", "path", "severity", "sql"
        ]
    );
    let mut report = report();
    report.differences = None;
    assert_eq!(report.to_json().get("differences"), None);
}

#[test]
fn every_leaf_s_identity_is_named_and_the_least_one_counts() {
    let (catalog, routing) = (catalog(), |name: &str| ColumnNames::from([name.into()]));
    let mut needs = Needs::new();
    needs.add(
        "public.orders".parse().unwrap(),
        model::TableNeeds {
            routing: routing("show_id"),
            used: routing("show_id"),
            all_used: true,
        },
    );
    for (leaves, current, suffices) in [
        (vec![identity("orders", "full", &[])], vec!["full"], true),
        (
            vec![identity("orders", "index", &["id", "show_id"])],
            vec!["index"],
            true,
        ),
        (
            vec![identity("orders", "index", &["show_id"])],
            vec!["index"],
            false,
        ),
        (
            vec![identity("orders", "nothing", &[])],
            vec!["nothing"],
            false,
        ),
        (
            vec![
                identity("orders", "full", &[]),
                identity("orders", "default", &["id"]),
            ],
            vec!["default", "full"],
            false,
        ),
        (vec![], vec![], true),
    ] {
        let told = identity::needs(&needs, &catalog, &identities(&leaves));
        assert_eq!(told[0].current, current);
        assert_eq!(told[0].suffices, suffices, "{leaves:?}");
        // All columns count as used, so all are listed.
        assert_eq!(told[0].used, ["id", "show_id"]);
    }
}

type ColumnNames = std::collections::BTreeSet<model::ColumnName>;

#[test]
fn each_value_and_raw_condition_of_a_file_is_asked_about_at_its_place() {
    let schema = "version: 1\ntable: shows\nfilters: [{ column: id, op: between, value: [1, 2] }, { raw: id > 1 }]\n\
        soft_delete: { column: status, when: [{ column: id, op: in, value: [3] }] }\nfields:\n\
        - { text: status, default: none }\n\
        - object: o\n  fields: [{ long: hall_id, default: 7 }]\n\
        - has_many: orders\n  table: orders\n  foreign_key: show_id\n  filters: [{ column: id, op: eq, value: x }]\n  fields: [{ long: id, default: 0 }]\n\
        - { count: n, table: orders, foreign_key: show_id, filters: [{ column: id, op: is_null }, { raw: 'true' }] }\n";
    let read = crate::check::schema::read("shows.schema.yml", schema);
    let definition = read.definition.unwrap();
    let asked: Vec<(String, String)> = probes(&definition, &catalog())
        .into_iter()
        .map(|probe| (probe.path, probe.key))
        .collect();
    let asked: Vec<(&str, &str)> = asked
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    assert_eq!(
        asked,
        [
            ("", "filters.0.value"),
            ("", "filters.0.value"),
            ("", "filters.1.raw"),
            ("", "soft_delete.when.0.value"),
            ("status", "default"),
            ("o.hall_id", "default"),
            ("orders", "filters.0.value"),
            ("orders.id", "default"),
            ("n", "filters.1.raw"),
        ]
    );
}
