//! Every key, tag and sibling of flusso 0.15 stands in the files, and they load as they are.
//!
//! The lists are facts of the crates `flusso-schema-config-toml` and `flusso-schema-index-yaml`,
//! version 0.15.1 (the types that read the two formats); the files were accepted by
//! `flusso check --offline` of `flusso-cli` 0.15.1.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use integration::service::{Kind, Outcome, command};
use serde_json::Value;

use super::{file, folder};

const CONFIGS: [&str; 3] = ["flusso.toml", "env.toml", "url.toml"];
const SCHEMAS: [&str; 3] = [
    "plants.schema.yml",
    "harvests.schema.yml",
    "gardeners.schema.yml",
];

/// What the configuration's secrets are taken from, so that none is missing.
const VARIABLES: [(&str, &str); 4] = [
    ("GARDEN_DB", "postgres://gardener@127.0.0.1:1/garden"),
    ("GARDEN_DB_PASSWORD", "x"),
    ("GARDEN_SEARCH_PASSWORD", "x"),
    ("SECOND_URL", "http://127.0.0.1:1"),
];

/// Sections of `flusso.toml` and their keys.
const SECTIONS: [(&str, &[&str]); 7] = [
    (
        "",
        &["prefix", "on_error", "source", "server", "sinks", "index"],
    ),
    ("source", &["type", "connection_url", "manage_publication"]),
    (
        "source.connection_url",
        &[
            "text", "env", "host", "port", "user", "password", "database",
        ],
    ),
    ("server", &["public_address", "private_address"]),
    (
        "opensearch",
        &[
            "type",
            "url",
            "username",
            "password",
            "tls_verify",
            "batch_size",
            "max_bytes",
            "timeout_secs",
            "max_retries",
            "pipeline",
            "number_of_shards",
            "number_of_replicas",
            "refresh_interval",
            "text_analysis",
            "auto_subfields",
        ],
    ),
    ("stdout", &["type", "pretty"]),
    ("index", &["name", "schema", "enabled", "on_error"]),
];

/// Keys of a schema file and of what stands inside. `doc_id` is an error there and here.
const PARTS: [(&str, &[&str]); 7] = [
    (
        "",
        &[
            "version",
            "table",
            "schema",
            "primary_key",
            "soft_delete",
            "filters",
            "fields",
        ],
    ),
    ("soft_delete", &["field", "column", "when"]),
    ("filter", &["raw", "column", "op", "value"]),
    (
        "op",
        &[
            "is_null",
            "is_not_null",
            "eq",
            "neq",
            "lt",
            "lte",
            "gt",
            "gte",
            "in",
            "not_in",
            "like",
            "ilike",
            "between",
        ],
    ),
    ("through", &["table", "left_key", "right_key"]),
    ("order_by", &["column", "direction"]),
    ("transform", &["lowercase", "trim"]),
];

const SCALAR: &[&str] = &["column", "required", "options", "default"];
/// `transforms` on other tags were taken there and are an error here (D17).
const TEXT: &[&str] = &["column", "required", "options", "default", "transforms"];
const FIGURE: &[&str] = &[
    "table",
    "column",
    "value_type",
    "foreign_key",
    "through",
    "filters",
    "options",
];

/// Tags with their siblings.
const TAGS: [(&str, &[&str]); 31] = [
    ("text", TEXT),
    ("identifier", TEXT),
    ("keyword", TEXT),
    (
        "enum",
        &[
            "column",
            "required",
            "options",
            "default",
            "transforms",
            "variants",
        ],
    ),
    ("uuid", SCALAR),
    ("boolean", SCALAR),
    ("short", SCALAR),
    ("integer", SCALAR),
    ("long", SCALAR),
    ("float", SCALAR),
    ("double", SCALAR),
    ("decimal", SCALAR),
    ("date", SCALAR),
    ("timestamp", SCALAR),
    ("binary", SCALAR),
    ("json", SCALAR),
    (
        "custom",
        &[
            "postgres",
            "opensearch",
            "column",
            "required",
            "options",
            "default",
        ],
    ),
    ("geo", &["lat", "lon", "column", "required", "options"]),
    ("map", &["values", "column", "required", "options"]),
    ("object", &["options", "fields"]),
    ("constant", &["value"]),
    (
        "belongs_to",
        &[
            "table",
            "primary_key",
            "column",
            "required",
            "filters",
            "options",
            "fields",
        ],
    ),
    (
        "has_one",
        &[
            "table",
            "primary_key",
            "foreign_key",
            "required",
            "filters",
            "order_by",
            "options",
            "fields",
        ],
    ),
    (
        "has_many",
        &[
            "table",
            "primary_key",
            "foreign_key",
            "filters",
            "order_by",
            "limit",
            "options",
            "fields",
        ],
    ),
    (
        "many_to_many",
        &[
            "table",
            "primary_key",
            "through",
            "filters",
            "order_by",
            "limit",
            "options",
            "fields",
        ],
    ),
    ("count", FIGURE),
    ("avg", FIGURE),
    ("sum", FIGURE),
    ("min", FIGURE),
    ("max", FIGURE),
    (
        "ids",
        &[
            "table",
            "element_type",
            "foreign_key",
            "through",
            "filters",
            "options",
        ],
    ),
];

/// Every (place, key) of a list.
fn pairs(lists: &[(&str, &[&str])]) -> BTreeSet<(String, String)> {
    let pair = |(place, keys): &(&str, &[&str])| -> Vec<(String, String)> {
        keys.iter()
            .map(|key| ((*place).to_owned(), (*key).to_owned()))
            .collect()
    };
    lists.iter().flat_map(pair).collect()
}

/// What a file uses.
#[derive(Default)]
struct Used(BTreeSet<(String, String)>);

impl Used {
    fn keys(&mut self, place: &str, of: &Value) {
        for key in of.as_object().into_iter().flatten().map(|(key, _)| key) {
            self.0.insert((place.to_owned(), key.clone()));
        }
    }

    fn words(&mut self, place: &str, of: Option<&Value>) {
        let one = of.and_then(Value::as_str).into_iter();
        let several = of
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        for word in one.chain(several) {
            self.0.insert((place.to_owned(), word.to_owned()));
        }
    }

    fn config(&mut self, root: &Value) {
        self.keys("", root);
        if let Some(source) = root.get("source") {
            self.keys("source", source);
            match source.get("connection_url") {
                Some(Value::String(_)) => {
                    self.words("source.connection_url", Some(&Value::from("text")));
                }
                Some(parts) => self.keys("source.connection_url", parts),
                None => {}
            }
        }
        self.keys("server", root.get("server").unwrap_or(&Value::Null));
        for (_, sink) in root
            .get("sinks")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            self.keys(
                sink.get("type").and_then(Value::as_str).unwrap_or_default(),
                sink,
            );
        }
        for index in root
            .get("index")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.keys("index", index);
        }
    }

    fn schema(&mut self, root: &Value) {
        self.keys("", root);
        self.filters(root.get("filters"));
        if let Some(delete) = root.get("soft_delete") {
            self.keys("soft_delete", delete);
            self.filters(delete.get("when"));
        }
        self.fields(root);
    }

    fn filters(&mut self, filters: Option<&Value>) {
        for filter in filters.and_then(Value::as_array).into_iter().flatten() {
            self.keys("filter", filter);
            self.words("op", filter.get("op"));
        }
    }

    fn fields(&mut self, of: &Value) {
        for field in of
            .get("fields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let tag = TAGS.iter().find(|(tag, _)| field.get(tag).is_some());
            let (tag, _) = tag.unwrap_or(&("no tag of 0.15", &[]));
            let mut siblings = field.clone();
            if let Some(members) = siblings.as_object_mut() {
                members.remove(*tag);
            }
            self.keys(tag, &siblings);
            self.words("transform", field.get("transforms"));
            self.keys("through", field.get("through").unwrap_or(&Value::Null));
            for order in field
                .get("order_by")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                self.keys("order_by", order);
            }
            self.filters(field.get("filters"));
            self.fields(field);
        }
    }
}

/// Equal, told by what is missing and what is too much.
fn expect_same(used: &Used, listed: &BTreeSet<(String, String)>) -> Result<()> {
    let missing: Vec<_> = listed.difference(&used.0).collect();
    let unknown: Vec<_> = used.0.difference(listed).collect();
    ensure!(
        missing.is_empty() && unknown.is_empty(),
        "not used: {missing:?}; used, but no key of 0.15: {unknown:?}"
    );
    Ok(())
}

#[test]
fn the_files_use_every_key_of_flusso_0_15_and_no_other() -> Result<()> {
    let mut used = Used::default();
    for name in CONFIGS {
        let root: toml::Value = toml::from_str(&file(name)?).context(name)?;
        used.config(&serde_json::to_value(root)?);
    }
    expect_same(&used, &pairs(&SECTIONS))?;

    let mut used = Used::default();
    let strict = serde_saphyr::options! { strict_booleans: true };
    for name in SCHEMAS {
        used.schema(&serde_saphyr::from_str_with_options(
            &file(name)?,
            strict.clone(),
        )?);
    }
    let mut listed = pairs(&PARTS);
    listed.extend(pairs(&TAGS));
    expect_same(&used, &listed)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_flusso_0_15_load_unchanged_in_both_services() -> Result<()> {
    for config in CONFIGS {
        for kind in [Kind::Worker, Kind::Capture] {
            let arguments = ["check", "--offline", "--format", "json"];
            let Outcome { code, out, err } =
                command(kind, &arguments, &folder().join(config), &VARIABLES).await?;
            ensure!(code == Some(0), "{kind:?} {config}: {code:?}\n{out}{err}");
            let report: Value = serde_json::from_str(&out)?;
            ensure!(report["errors"] == 0, "{kind:?} {config}: {report:#}");
            for (name, index) in report["indexes"].as_object().context("no indexes")? {
                let mapping = index["mappings"]["properties"].as_object();
                ensure!(
                    mapping.is_some_and(|it| !it.is_empty()),
                    "{name}: {index:#}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_of_what_is_gone_give_one_warning() -> Result<()> {
    let retired = [
        "FLUSSO_SKIP_BACKFILL",
        "FLUSSO_QUEUE_CAPACITY",
        "FLUSSO_LAG_POLL_SECS",
        "FLUSSO_DESIGN_ADDRESS",
        "FLUSSO_DESIGN_NO_OPEN",
    ];
    let config = folder().join("url.toml");
    let warnings = async |set: &[&'static str]| -> Result<Vec<String>> {
        let mut variables = VARIABLES.to_vec();
        variables.extend(set.iter().map(|name| (*name, "1")));
        let arguments = ["check", "--offline", "--format", "json"];
        let Outcome { out, .. } = command(Kind::Worker, &arguments, &config, &variables).await?;
        let report: Value = serde_json::from_str(&out).with_context(|| out.clone())?;
        let findings = report["findings"].as_array().context("no findings")?.iter();
        let messages = findings.filter_map(|finding| finding["message"].as_str());
        Ok(messages.map(str::to_owned).collect())
    };
    ensure!(warnings(&[]).await?.is_empty());
    for name in retired {
        let told = warnings(&[name]).await?;
        ensure!(
            told.len() == 1 && told[0].contains(name),
            "{name}: {told:?}"
        );
    }
    let told = warnings(&retired).await?;
    ensure!(
        told.len() == 1 && retired.iter().all(|name| told[0].contains(name)),
        "{told:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_differences_that_concern_the_files_are_explained() -> Result<()> {
    let arguments = [
        "check",
        "--offline",
        "--explain-differences",
        "--format",
        "json",
    ];
    let config = folder().join("flusso.toml");
    let Outcome { out, .. } = command(Kind::Worker, &arguments, &config, &VARIABLES).await?;
    let report: Value = serde_json::from_str(&out).with_context(|| out.clone())?;
    let rows = report["differences"].as_array().context("no differences")?;
    let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    let expected = [
        "D2", "D3", "D4", "D5", "D6", "D7", "D8", "D9", "D10", "D12", "D18", "D19", "D20", "D21",
        "D22", "D23", "D24", "D25", "D26", "D28", "D29", "D31", "D32", "D33", "D34", "D37", "D39",
    ];
    ensure!(ids == expected, "{ids:?}");
    for row in rows {
        for place in row["places"].as_array().context("no places")? {
            ensure!(place["file"].is_string(), "{row:#}");
        }
    }
    Ok(())
}
