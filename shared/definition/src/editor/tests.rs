use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::*;
use crate::check::{config, schema};
use crate::diagnostic::{Diagnostic, Severity};
use crate::load::{Files, Overrides};
use crate::raw::{parse_toml, parse_yaml};

/// No file is read here.
struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// One of the two formats: its schema, and what `check` says of a document.
struct Format {
    schema: Value,
    validator: Validator,
    check: fn(&Value) -> Vec<Diagnostic>,
    /// A document that both take.
    base: Value,
    /// Its tables (JSON pointers) with their schemas.
    tables: Vec<(String, String)>,
}

fn read_config(text: &str) -> config::ReadConfig {
    let (environment, overrides) = (BTreeMap::new(), Overrides::default());
    let outside = (&environment, &overrides);
    config::read("flusso.toml", text, Path::new(""), outside, &NoFiles)
}

fn config_format() -> Format {
    let tables = [
        ("", ""),
        ("/source", "/$defs/source"),
        ("/source/connection_url", "/$defs/connection_parts"),
        ("/source/connection_url/password", "/$defs/secret_reference"),
        ("/broker", "/$defs/broker"),
        ("/capture", "/$defs/capture"),
        ("/worker", "/$defs/worker"),
        ("/sinks/s", "/$defs/opensearch"),
        ("/sinks/o", "/$defs/stdout"),
        ("/index/0", "/$defs/index"),
        ("/server", "/$defs/server"),
        ("/server/capture", "/$defs/surface"),
        ("/server/worker", "/$defs/surface"),
        ("/telemetry", "/$defs/telemetry"),
    ];
    let schema = config_schema();
    Format {
        validator: jsonschema::validator_for(&schema).unwrap(),
        schema,
        check: |document| read_config(&toml(document)).findings,
        base: json!({
            "source": {"type": "postgres", "connection_url": {"database": "d", "password": {"env": "P"}}},
            "broker": {},
            "capture": {},
            "worker": {},
            "sinks": {"s": {"type": "opensearch", "url": "http://h"}, "o": {"type": "stdout"}},
            "index": [{"name": "a", "schema": "a.yml"}],
            "server": {"capture": {}, "worker": {}},
            "telemetry": {},
        }),
        tables: owned(&tables),
    }
}

/// The least that a field of each tag needs beside its name.
const NEEDED: [(&str, &str); 32] = [
    ("text", "{}"),
    ("identifier", "{}"),
    ("keyword", "{}"),
    ("enum", "{}"),
    ("uuid", "{}"),
    ("time", "{}"),
    ("boolean", "{}"),
    ("short", "{}"),
    ("integer", "{}"),
    ("long", "{}"),
    ("float", "{}"),
    ("double", "{}"),
    ("binary", "{}"),
    ("decimal", "{}"),
    ("date", "{}"),
    ("timestamp", "{}"),
    ("json", "{}"),
    (
        "custom",
        r#"{"postgres": "inet", "opensearch": {"type": "ip"}}"#,
    ),
    ("geo", r#"{"column": "c"}"#),
    ("map", r#"{"values": "text"}"#),
    ("object", r#"{"fields": [{"long": "id"}]}"#),
    ("constant", r#"{"value": 1}"#),
    (
        "belongs_to",
        r#"{"table": "t", "fields": [{"long": "id"}]}"#,
    ),
    (
        "has_one",
        r#"{"table": "t", "foreign_key": "a", "fields": [{"long": "id"}]}"#,
    ),
    (
        "has_many",
        r#"{"table": "t", "foreign_key": "a", "order_by": [{"column": "c"}], "fields": [{"long": "id"}]}"#,
    ),
    (
        "many_to_many",
        r#"{"table": "t", "through": {"table": "j", "left_key": "l", "right_key": "r"}, "fields": [{"long": "id"}]}"#,
    ),
    ("count", r#"{"table": "t", "foreign_key": "a"}"#),
    (
        "avg",
        r#"{"table": "t", "foreign_key": "a", "column": "c"}"#,
    ),
    (
        "sum",
        r#"{"table": "t", "foreign_key": "a", "column": "c", "value_type": "long"}"#,
    ),
    (
        "min",
        r#"{"table": "t", "foreign_key": "a", "column": "c", "value_type": "long"}"#,
    ),
    (
        "max",
        r#"{"table": "t", "foreign_key": "a", "column": "c", "value_type": "long"}"#,
    ),
    (
        "ids",
        r#"{"table": "t", "foreign_key": "a", "element_type": "long"}"#,
    ),
];

fn index_format() -> Format {
    let mut tables = owned(&[
        ("", ""),
        ("/soft_delete", "/$defs/soft_delete"),
        ("/filters/0", "/$defs/filter"),
    ]);
    let mut fields = Vec::new();
    for (at, (tag, needed)) in NEEDED.iter().enumerate() {
        let mut field: Value = serde_json::from_str(needed).unwrap();
        field[*tag] = format!("f{at}").into();
        tables.push((format!("/fields/{at}"), format!("/$defs/field_{tag}")));
        if field.get("order_by").is_some() {
            tables.push((format!("/fields/{at}/order_by/0"), "/$defs/order".into()));
        }
        if field.get("through").is_some() {
            tables.push((format!("/fields/{at}/through"), "/$defs/through".into()));
        }
        fields.push(field);
    }
    let schema = index_schema();
    Format {
        validator: jsonschema::validator_for(&schema).unwrap(),
        schema,
        // JSON is YAML.
        check: |document| schema::read("a.yml", &document.to_string()).findings,
        base: json!({
            "version": 1,
            "table": "t",
            "soft_delete": {"column": "c"},
            "filters": [{"column": "c", "op": "eq", "value": 1}],
            "fields": fields,
        }),
        tables,
    }
}

fn owned(tables: &[(&str, &str)]) -> Vec<(String, String)> {
    tables
        .iter()
        .map(|(table, schema)| ((*table).to_owned(), (*schema).to_owned()))
        .collect()
}

fn formats() -> [Format; 2] {
    [config_format(), index_format()]
}

/// A document as TOML, each top-level key on its line.
fn toml(document: &Value) -> String {
    let members = document.as_object().unwrap();
    let lines = members
        .iter()
        .map(|(key, value)| format!("{} = {}\n", Value::from(key.as_str()), inline(value)));
    lines.collect()
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{} = {}", Value::from(key.as_str()), inline(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

impl Format {
    /// The properties of a table's schema, those of all its forms.
    fn properties(&self, pointer: &str) -> BTreeMap<String, Value> {
        let schema = self.schema.pointer(pointer).unwrap();
        let forms = schema["oneOf"].as_array().into_iter().flatten();
        std::iter::once(schema)
            .chain(forms)
            .filter_map(|form| form["properties"].as_object())
            .flatten()
            .map(|(key, schema)| (key.clone(), schema.clone()))
            .collect()
    }

    /// The base with `key` of the table at `pointer` set, or removed.
    fn changed(&self, pointer: &str, key: &str, value: Option<&Value>) -> Value {
        let mut document = self.base.clone();
        let table = document.pointer_mut(pointer).unwrap();
        let table = table.as_object_mut().unwrap();
        match value {
            Some(value) => table.insert(key.to_owned(), value.clone()),
            None => table.shift_remove(key),
        };
        // One field alone is read as among others, only faster.
        let field = pointer
            .strip_prefix("/fields/")
            .and_then(|rest| rest.split('/').next()?.parse::<usize>().ok());
        if let Some(at) = field {
            document["fields"] = json!([document["fields"][at]]);
        }
        document
    }

    fn errors(&self, document: &Value) -> Vec<Diagnostic> {
        (self.check)(document)
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect()
    }

    /// The words of an enumeration, if that is all a key takes.
    fn words(schema: &Value) -> Vec<Value> {
        schema["enum"].as_array().cloned().unwrap_or_default()
    }
}

/// Values of every kind, and of the forms that some keys ask for.
fn samples() -> Vec<Value> {
    vec![
        json!(true),
        json!(0),
        json!(1),
        json!(2),
        json!(-1),
        json!(1.5),
        json!(100_000_000_000_i64),
        json!(""),
        json!("text"),
        json!("Some Text"),
        json!("5s"),
        json!("5m"),
        json!("0s"),
        json!("10GiB"),
        json!("0"),
        json!("10"),
        json!("-1"),
        json!(":80"),
        json!("[::1]:80"),
        json!("https://h"),
        json!([]),
        json!(["text"]),
        json!(["text", "text"]),
        json!([1]),
        json!([1, "text"]),
        json!([["text"]]),
        json!({}),
        json!({"env": "X"}),
        json!({"file": "x"}),
        json!({"env": "X", "file": "x"}),
        json!({"x": 1}),
        json!({"x": {"y": [1]}}),
        json!({"type": "ip"}),
        json!({"database": "d"}),
        json!([{"long": "id"}]),
        json!([{"column": "c", "op": "is_null"}]),
        json!([{"raw": "true"}]),
        json!([{"column": "c"}]),
        json!({"table": "j", "left_key": "l", "right_key": ["r"]}),
        Value::Null,
    ]
}

/// Rules about more than one key, about names and about ranges of durations: no editor's schema
/// says them.
const BEYOND: [&str; 10] = [
    "E104", "E201", "E205", "E206", "E207", "E208", "E209", "E210", "E211", "E212",
];

#[test]
fn both_schemas_take_the_base_as_check_does() {
    for format in formats() {
        let errors = format.errors(&format.base);
        assert!(errors.is_empty(), "{errors:#?}");
        let found: Vec<String> = format
            .validator
            .iter_errors(&format.base)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn every_key_that_check_allows_is_in_the_schema_and_the_reverse() {
    const UNKNOWN: &str = "zzzzzzzzzzzzzzz";
    for format in formats() {
        for (table, schema) in &format.tables {
            let document = format.changed(table, UNKNOWN, Some(&json!(1)));
            let findings = format.errors(&document);
            let finding = findings
                .iter()
                .find(|finding| finding.message.contains(UNKNOWN))
                .unwrap_or_else(|| panic!("{table}: {findings:#?}"));
            let allowed: BTreeSet<String> = finding.allowed.iter().cloned().collect();
            let mut described: BTreeSet<String> = format
                .properties(schema)
                .into_iter()
                .filter(|(_, schema)| schema["deprecated"] != true)
                .map(|(key, _)| key)
                .collect();
            // A field's tag is its kind, and no sibling.
            if let Some(tag) = schema.strip_prefix("/$defs/field_") {
                assert!(described.remove(tag), "{tag}");
            }
            assert_eq!(allowed, described, "{table} {schema}");
            assert!(!format.validator.is_valid(&document), "{table}");
        }
    }
}

#[test]
fn the_tags_of_the_schema_are_those_of_the_language() {
    let format = index_format();
    let mut document = format.base.clone();
    document["fields"] = json!([{"zzz": "f"}]);
    let finding = format.errors(&document).pop().unwrap();
    assert_eq!(finding.code, "E103");
    let allowed: BTreeSet<&str> = finding.allowed.iter().map(String::as_str).collect();
    let described: BTreeSet<&str> = format.schema["$defs"]
        .as_object()
        .unwrap()
        .keys()
        .filter_map(|name| name.strip_prefix("field_"))
        .collect();
    assert_eq!(allowed, described);
    // Two tags are refused.
    document["fields"] = json!([{"text": "f", "keyword": "f"}]);
    assert!(!format.validator.is_valid(&document));
}

#[test]
fn every_key_takes_the_same_kinds_of_values_in_both() {
    let mut wrong = Vec::new();
    // A key described as one before (most scalar tags have the same siblings) meets one value of
    // each kind only.
    let mut seen = BTreeSet::new();
    let kinds = [
        json!(true),
        json!(1),
        json!("text"),
        json!(["text"]),
        json!({"x": 1}),
        Value::Null,
    ];
    for format in formats() {
        let is_config = format.base.get("version").is_none();
        for (table, schema) in &format.tables {
            for (key, described) in format.properties(schema) {
                let mut values = if seen.insert(described.to_string()) {
                    samples()
                } else {
                    kinds.to_vec()
                };
                values.extend(Format::words(&described));
                values.extend(described.get("default").cloned());
                // TOML has no null.
                values.retain(|value| !is_config || !value.is_null());
                for value in values {
                    let document = format.changed(table, &key, Some(&value));
                    let errors = format.errors(&document);
                    let is_valid = format.validator.is_valid(&document);
                    let codes: Vec<&str> = errors.iter().map(|error| error.code).collect();
                    let is_beyond = codes.iter().all(|code| {
                        BEYOND.contains(code) || (*code == "E202" && !value.is_number())
                    });
                    if errors.is_empty() != is_valid && !(is_valid && is_beyond) {
                        wrong.push(format!(
                            "{table}/{key} = {value}: check {codes:?}, schema takes it: {is_valid}"
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_are_the_same_in_both() {
    for format in formats() {
        for (table, schema) in &format.tables {
            for (key, described) in format.properties(schema) {
                let words: BTreeSet<String> = Format::words(&described)
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect();
                // The forms of a filter share the list of operators; a kind of sink is one word.
                if words.is_empty() || key == "op" || (key == "type" && table.contains("sinks")) {
                    continue;
                }
                let document = format.changed(table, &key, Some(&json!("zzzzzz")));
                let findings = format.errors(&document);
                let finding = findings.iter().find(|finding| !finding.allowed.is_empty());
                let allowed: BTreeSet<String> = finding
                    .unwrap_or_else(|| panic!("{table}/{key}: {findings:#?}"))
                    .allowed
                    .iter()
                    .cloned()
                    .collect();
                assert_eq!(allowed, words, "{table}/{key}");
            }
        }
    }
    // What was left out above.
    let format = index_format();
    let document = format.changed("/filters/0", "op", Some(&json!("zzzzzz")));
    let allowed: BTreeSet<String> = format
        .errors(&document)
        .pop()
        .unwrap()
        .allowed
        .into_iter()
        .collect();
    let described: BTreeSet<String> = format.schema["$defs"]["filter"]["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|form| Format::words(&form["properties"]["op"]))
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect();
    assert_eq!(allowed, described);
    let format = config_format();
    let document = format.changed("/sinks/s", "type", Some(&json!("zzzzzz")));
    let allowed: Vec<String> = format.errors(&document).pop().unwrap().allowed;
    assert_eq!(allowed, ["opensearch", "stdout"]);
}

#[test]
fn every_operator_takes_the_same_values_in_both() {
    let format = index_format();
    let values = [
        None,
        Some(json!(1)),
        Some(json!("a")),
        Some(json!(true)),
        Some(Value::Null),
        Some(json!([])),
        Some(json!([1])),
        Some(json!([1, "a"])),
        Some(json!([1, 2, 3])),
        Some(json!([null])),
        Some(json!([[1]])),
        Some(json!({"a": 1})),
    ];
    let described = &format.schema["$defs"]["filter"]["oneOf"];
    let operators = described.as_array().unwrap().iter();
    for operator in operators.flat_map(|form| Format::words(&form["properties"]["op"])) {
        for value in &values {
            let mut filter = json!({"column": "c", "op": operator});
            if let Some(value) = value {
                filter["value"] = value.clone();
            }
            let document = format.changed("", "filters", Some(&json!([filter])));
            let errors = format.errors(&document);
            assert_eq!(
                errors.is_empty(),
                format.validator.is_valid(&document),
                "{filter}: {errors:#?}"
            );
        }
    }
    for filter in [
        json!({"raw": "true", "column": "c"}),
        json!({"raw": " "}),
        json!({}),
    ] {
        let document = format.changed("", "filters", Some(&json!([filter])));
        assert!(!format.errors(&document).is_empty(), "{filter}");
        assert!(!format.validator.is_valid(&document), "{filter}");
    }
}

#[test]
fn required_keys_are_the_same_in_both() {
    for format in formats() {
        for (table, schema) in &format.tables {
            let Some(members) = format.base.pointer(table).unwrap().as_object() else {
                continue;
            };
            for key in members.keys() {
                // A variable can give the address.
                if table == "/sinks/s" && key == "url" {
                    continue;
                }
                let document = format.changed(table, key, None);
                let errors = format.errors(&document);
                assert_eq!(
                    errors.is_empty(),
                    format.validator.is_valid(&document),
                    "{table} {schema} without {key}: {errors:#?}"
                );
            }
        }
    }
}

#[test]
fn defaults_of_the_schema_are_what_holds_without_the_key() {
    let format = config_format();
    let said = |document: &Value| {
        let config = read_config(&toml(document)).config.unwrap();
        let indexes: Vec<String> = config
            .indexes
            .iter()
            .map(|index| {
                format!(
                    "{} {:?} {:?} {:?}",
                    index.enabled, index.on_error, index.aliases, index.overrides
                )
            })
            .collect();
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {indexes:?}",
            config.prefix,
            config.source,
            config.broker,
            config.capture,
            config.worker,
            config.sinks,
            config.server,
            config.telemetry
        )
    };
    let without = said(&format.base);
    let mut count = 0;
    for (table, schema) in &format.tables {
        for (key, described) in format.properties(schema) {
            // Nothing written leaves the choice to the URL, and only then is it this.
            if key == "sslmode" {
                continue;
            }
            if let Some(default) = described.get("default") {
                let with = said(&format.changed(table, &key, Some(default)));
                assert_eq!(with, without, "{table}/{key} = {default}");
                count += 1;
            }
        }
    }
    assert!(count > 50, "only {count} defaults");
    let format = index_format();
    let said = |document: &Value| {
        let read = schema::read("a.yml", &document.to_string());
        read.definition.unwrap().to_json()
    };
    for (table, schema) in &format.tables {
        for (key, described) in format.properties(schema) {
            // The base has values there that are not the default.
            let is_set = format.base.pointer(table).unwrap().get(&key).is_some();
            if let (Some(default), false) = (described.get("default"), is_set) {
                let with = said(&format.changed(table, &key, Some(default)));
                let mut bare = format.changed(table, &key, Some(default));
                if let Some(table) = bare.pointer_mut(&alone(table)) {
                    table.as_object_mut().unwrap().shift_remove(&key);
                }
                assert_eq!(with, said(&bare), "{table}/{key} = {default}");
            }
        }
    }
}

/// The pointer of a table when its field stands alone.
fn alone(table: &str) -> String {
    match table.strip_prefix("/fields/") {
        Some(rest) => match rest.split_once('/') {
            Some((_, inside)) => format!("/fields/0/{inside}"),
            None => "/fields/0".to_owned(),
        },
        None => table.to_owned(),
    }
}

#[test]
fn every_key_is_described() {
    fn look(schema: &Value, at: &str) {
        if let Some(properties) = schema["properties"].as_object() {
            for (key, described) in properties {
                // The mapping of a custom field is OpenSearch's.
                let is_free = at.contains("opensearch/anyOf") && key == "type";
                let about = described["description"].as_str().unwrap_or_default();
                assert!(is_free || about.len() > 2, "{at}/{key} has no description");
            }
        }
        let inside: Vec<(String, &Value)> = match schema {
            Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), v)).collect(),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(n, v)| (n.to_string(), v))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for (key, inner) in inside {
            if key != "required" && key != "default" {
                look(inner, &format!("{at}/{key}"));
            }
        }
    }
    look(&config_schema(), "");
    look(&index_schema(), "");
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_files_in_schemas_are_what_the_product_prints() {
    for (name, schema) in [("flusso", config_schema()), ("index", index_schema())] {
        let path = root().join(format!("schemas/{name}.schema.json"));
        let wanted = format!("{schema:#}\n");
        if std::env::var_os("FLUSSO_WRITE_SCHEMAS").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "{} is not what `worker-svc schema` prints; write it anew:\n\
             FLUSSO_WRITE_SCHEMAS=1 cargo test -p definition the_files_in_schemas",
            path.display()
        );
    }
}

/// All files below a folder whose name ends so.
fn below(folder: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, end, found);
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
}

#[test]
fn the_files_of_this_repository_fit_the_schemas() {
    let (config, index) = (config_format(), index_format());
    let mut seen = 0;
    for folder in ["deploy", "integration"] {
        for (end, validator) in [
            ("flusso.toml", &config.validator),
            (".schema.yml", &index.validator),
        ] {
            let mut files = Vec::new();
            below(&root().join(folder), end, &mut files);
            for path in files {
                let text = std::fs::read_to_string(&path).unwrap();
                let node = if end == ".schema.yml" {
                    parse_yaml(&text).unwrap_or_else(|_| panic!("{}", path.display()))
                } else {
                    parse_toml(&text).unwrap_or_else(|_| panic!("{}", path.display()))
                };
                let document = node.to_json().unwrap();
                let errors: Vec<String> = validator
                    .iter_errors(&document)
                    .map(|error| format!("{error} at {}", error.instance_path()))
                    .collect();
                assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 4, "only {seen} files");
    // And the language reference's own example.
    let page = std::fs::read_to_string(root().join("docs/config-language.md")).unwrap();
    let block = |language: &str| -> String {
        let (_, after) = page.split_once(&format!("```{language}\n")).unwrap();
        after.split_once("\n```").unwrap().0.to_owned()
    };
    let document = parse_toml(&block("toml")).unwrap().to_json().unwrap();
    assert!(config.validator.is_valid(&document));
    let Ok(example) = parse_yaml(&block("yaml")) else {
        panic!("the example does not parse")
    };
    assert!(index.validator.is_valid(&example.to_json().unwrap()));
}
