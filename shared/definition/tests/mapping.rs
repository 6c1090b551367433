//! The example of the language reference, taken from the page itself: its files give its mapping
//! and its analysis, byte for byte once white space is gone.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "helpers fail the test that calls them"
)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use definition::{Catalog, Deployment, Files, IndexOptions, Overrides, load, mapping};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/config-language.md");

/// The n-th block of a language on the page.
fn block(language: &str, n: usize) -> &'static str {
    let mut blocks = PAGE.split("```").skip(1).step_by(2);
    let found = blocks
        .by_ref()
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .nth(n);
    found.unwrap_or_else(|| panic!("the page has no block {n} of {language}"))
}

struct Page;

impl Files for Page {
    fn read(&self, path: &Path) -> io::Result<String> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("flusso.toml") => Ok(block("toml", 0).to_owned()),
            Some("shows.schema.yml") => Ok(block("yaml", 0).to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn deployment() -> Deployment {
    let environment = BTreeMap::from([
        ("SHOP_DB".to_owned(), "postgres://x".to_owned()),
        ("SEARCH_KEY".to_owned(), "k".to_owned()),
    ]);
    match load(
        Path::new("flusso.toml"),
        &Page,
        &environment,
        &Overrides::default(),
    ) {
        Ok((deployment, _)) => deployment,
        Err(findings) => panic!("{}", findings.render_human(false)),
    }
}

/// The index of the page and its options in the sink of the page.
fn index(deployment: &Deployment) -> (&definition::Index, IndexOptions) {
    let index = deployment.index("shows").expect("the index of the page");
    let sink = deployment.sink("primary").expect("the sink of the page");
    (index, sink.index_options(&index.overrides))
}

#[test]
fn the_mapping_is_that_of_the_page() {
    let deployment = deployment();
    let (index, options) = index(&deployment);
    let mut got = mapping::mappings(&index.definition, &Catalog::default(), &options);
    got.as_object_mut().expect("an object").remove("_meta");
    // The page shows one template of four; the others are like it.
    let mut page: Value = serde_json::from_str(block("json", 1)).expect("the page's mapping");
    let shown = page["dynamic_templates"][0]["title__string"].clone();
    let templates = ["string", "long", "double", "boolean"].map(|json_type| {
        let mut template = shown.clone();
        template["match_mapping_type"] = json!(json_type);
        json!({ format!("title__{json_type}"): template })
    });
    page["dynamic_templates"] = json!(templates);
    assert_eq!(sorted(got), sorted(page));
}

#[test]
fn the_analysis_is_that_of_the_page() {
    let deployment = deployment();
    let (index, options) = index(&deployment);
    let settings = mapping::settings(&index.definition, &Catalog::default(), &options);
    let page: Value = serde_json::from_str(block("json", 2)).expect("the page's analysis");
    let mut analysis = settings["analysis"].clone();
    // What the list of variants adds.
    let added = analysis["normalizer"]
        .as_object_mut()
        .and_then(|all| all.remove("flusso_enumsort_ab85f877"));
    assert_eq!(
        added,
        Some(json!({"type": "custom", "char_filter": [
            "flusso_enumsort_ab85f877_0", "flusso_enumsort_ab85f877_1", "flusso_enumsort_ab85f877_2"]}))
    );
    let filters = analysis
        .as_object_mut()
        .and_then(|all| all.remove("char_filter"))
        .expect("char filters");
    assert_eq!(
        filters["flusso_enumsort_ab85f877_1"],
        json!({"type": "pattern_replace", "pattern": "^\\Qsold_out\\E$", "replacement": "\u{1}1"})
    );
    assert_eq!(sorted(analysis), sorted(page));
}

const EVERY_TAG: &str = include_str!("mapping/every_tag.schema.yml");

/// The files of an index over `EVERY_TAG`, with settings of its sink.
struct EveryTag(&'static str);

impl Files for EveryTag {
    fn read(&self, path: &Path) -> io::Result<String> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("flusso.toml") => Ok(format!(
                "[source]\ntype = \"postgres\"\nconnection_url = \"postgres://x\"\n\
                 [sinks.search]\ntype = \"opensearch\"\nurl = \"http://x\"\n{}\n\
                 [[index]]\nname = \"t\"\nschema = \"t.schema.yml\"\n",
                self.0
            )),
            Some("t.schema.yml") => Ok(EVERY_TAG.to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn every_tag(sink: &'static str) -> (Value, Value) {
    let loaded = load(
        Path::new("flusso.toml"),
        &EveryTag(sink),
        &BTreeMap::new(),
        &Overrides::default(),
    );
    let deployment = match loaded {
        Ok((deployment, _)) => deployment,
        Err(findings) => panic!("{}", findings.render_human(false)),
    };
    let index = deployment.index("t").expect("the index");
    let sink = deployment.sink("search").expect("the sink");
    let options = sink.index_options(&index.overrides);
    let catalog = Catalog::default();
    (
        mapping::mappings(&index.definition, &catalog, &options),
        mapping::settings(&index.definition, &catalog, &options),
    )
}

#[test]
fn every_tag_has_its_mapping() {
    insta::assert_json_snapshot!("every_tag", every_tag("auto_subfields = false").0);
}

#[test]
fn every_tag_has_its_mapping_with_subfields() {
    insta::assert_json_snapshot!("every_tag_with_subfields", every_tag("").0);
}

#[test]
fn every_setting_has_its_place() {
    let builtin = "number_of_shards = 3\nnumber_of_replicas = 2\nrefresh_interval = \"2s\"\ngc_deletes = \"20m\"\n\
                   index_settings = { \"mapping.nested_objects.limit\" = 50000 }";
    insta::assert_json_snapshot!("settings", every_tag(builtin).1);
    insta::assert_json_snapshot!("settings_icu", every_tag("text_analysis = \"icu\"").1);
}

/// Text with the members of every object by name, so that a difference reads as one.
fn sorted(value: Value) -> String {
    fn sort(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.sort_keys();
                members.values_mut().for_each(sort);
            }
            Value::Array(elements) => elements.iter_mut().for_each(sort),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut value = value;
    sort(&mut value);
    serde_json::to_string_pretty(&value).expect("JSON")
}
