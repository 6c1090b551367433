//! Right files to begin with: those of the page, of the examples, of flusso 0.15, and some that
//! use every key.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::files::{Loaded, ONE_INDEX, loaded};

/// A configuration and its one schema file.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) config: String,
    pub(crate) schema: String,
}

impl Case {
    pub(crate) fn files(&self) -> [(&'static str, &str); 2] {
        [
            ("flusso.toml", &self.config),
            ("shows.schema.yml", &self.schema),
        ]
    }

    pub(crate) fn load(&self) -> Loaded {
        loaded(&self.files())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "flusso.toml:\n{}\n{:?}\nshows.schema.yml:\n{}\n{:?}",
            self.config, self.config, self.schema, self.schema
        )
    }
}

const PAGE: &str = include_str!("../../../../docs/config-language.md");

/// Every section and most keys, in few words.
const CONFIG: &str = r#"prefix = "dev_"
on_error = "skip"
[source]
type = "postgres"
connection_url = { host = "h", port = 5432, user = "u", password = { env = "P" }, database = "d" }
sslmode = "require"
slot = "a_1"
publication = '"My pub"'
on_slot_loss = "stop"
[broker]
bootstrap_servers = ["a:1", "b:2"]
partitions = 24
retention = "7d"
retention_bytes = "10GiB"
schema_registry_url = "http://r"
framing = "confluent"
kafka.security.protocol = "ssl"
[broker.kafka."sasl.password"]
file = "p"
[capture]
max_retained_wal = "none"
heartbeat_interval = "100ms"
[worker]
in_flight = 64
statement_timeout = "0s"
[sinks.primary]
type = "opensearch"
url = ["https://a:9200", { env = "B" }]
username = { env = "U" }
headers = { X-Team = "shop" }
refresh_interval = -1
index_settings = { "mapping.nested_objects.limit" = 50_000, codec = "default" }
[sinks.other]
type = "stdout"
pretty = true
[[index]]
name = "shows"
schema = "shows.schema.yml"
aliases = ["old"]
sinks = ["primary"]
[server]
public_address = "[::1]:0"
admin_token = { env = "T" }
[server.worker]
private_address = ":2"
[telemetry]
otlp_endpoint = "http://o:4318"
trace_ratio = 0.5
"#;

/// Every tag and most siblings, in few words.
const SCHEMA: &str = r#"version: 1
table: Shows
schema: '"Crm"'
primary_key: [id, "no"]
soft_delete: { field: goneAt, when: [ { column: a, op: is_not_null } ] }
filters: &live
  - { column: state, op: in, value: [live, 7, 10.50, true] }
  - { column: n, op: between, value: [-1, 0x1F] }
  - raw: "a > 'b' -- c"
fields:
  - &id { long: id }
  - { text: title, transforms: [trim, lowercase], default: '', options: { fields: { raw: { type: keyword } } } }
  - { enum: state, variants: [live, gone], required: true }
  - { timestamp: goneAt, column: gone_at, default: infinity }
  - { json: extra, options: { type: flat_object } }
  - { custom: ip, postgres: [inet, cidr], opensearch: { type: ip } }
  - { geo: at, lat: a, lon: b }
  - { geo: spot, column: p }
  - { map: names, values: keyword }
  - { constant: kind, value: [1, 2.5] }
  - { constant: any, value: { a: [null, x] } }
  - object: o
    fields: [ { decimal: price, default: 0 }, { binary: blob } ]
  - belongs_to: hall
    column: [venue, no]
    table: halls
    references: [venue, no]
    filters: *live
    fields:
      - { belongs_to: next, table: halls, column: next_id, fields: [ *id ] }
  - { has_one: x, table: t, foreign_key: [k, l], order_by: [ { column: a, direction: desc, nulls: last } ], fields: [ *id ] }
  - { has_many: y, schema: public, table: '"T"', foreign_key: [k, l], limit: 5, options: { type: object }, fields: [ { short: s } ] }
  - many_to_many: z
    table: z
    through: { table: j, left_key: [l, m], right_key: r, right_references: zid }
    fields: [ { uuid: u }, { time: t }, { date: d } ]
  - { count: n, table: t, foreign_key: [k, l] }
  - { avg: m, table: t, column: v, foreign_key: [k, l], filters: [ { column: v, op: gt, value: .5 } ] }
  - { sum: total, table: t, column: v, value_type: decimal, foreign_key: [k, l] }
  - { max: last, table: t, column: v, value_type: timestamp, foreign_key: [k, l] }
  - { ids: all, table: t, element_type: keyword, through: { table: j, left_key: [l, m], right_key: r } }
"#;

/// The smallest right schema file.
const SMALL: &str = "version: 1\ntable: t\nfields:\n  - { keyword: a, column: b }\n  - long: id\n";

fn block(language: &str) -> &'static str {
    let (_, after) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    after.split_once("\n```").unwrap().0
}

/// The schema files of the repository.
fn schema_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    let mut folders = vec![
        root.join("integration/compat"),
        root.join("integration/datasets"),
        root.join("deploy/examples"),
    ];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(".schema.yml") {
                found.push(path);
            }
        }
    }
    // The order of a folder is anything; a seed must mean the same everywhere.
    found.sort();
    found
}

/// The right cases, the small ones first.
pub(crate) fn corpus() -> Vec<Case> {
    let case = |config: &str, schema: &str| Case {
        config: config.to_owned(),
        schema: schema.to_owned(),
    };
    let mut cases = vec![
        case(ONE_INDEX, SMALL),
        case(CONFIG, SMALL),
        case(ONE_INDEX, SCHEMA),
        case(block("toml"), block("yaml")),
    ];
    for path in schema_files() {
        cases.push(case(ONE_INDEX, &std::fs::read_to_string(path).unwrap()));
    }
    cases
}
