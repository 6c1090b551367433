//! Fields (3.3): which sibling each tag takes, as the table of the page says.

use std::fmt::Write as _;

use crate::files::{findings, schema};

/// All scalar tags but `enum` and `custom`, which take more.
const SCALARS: &str =
    "boolean short integer long float double binary decimal date timestamp json uuid time";

/// Tag, what it needs, what it may have besides.
fn table() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut rows = vec![
        ("text", "", "column required options transforms default"),
        (
            "identifier",
            "",
            "column required options transforms default",
        ),
        ("keyword", "", "column required options transforms default"),
        (
            "enum",
            "",
            "column required options transforms default variants",
        ),
        (
            "custom",
            "postgres opensearch",
            "column required options default",
        ),
        ("geo", "lat lon", "required options"),
        ("map", "values", "column required options"),
        ("object", "fields", "options"),
        ("constant", "value", "options"),
        (
            "belongs_to",
            "table fields",
            "schema primary_key column references required filters options",
        ),
        (
            "has_one",
            "table fields foreign_key",
            "schema primary_key references required filters order_by options",
        ),
        (
            "has_many",
            "table fields foreign_key",
            "schema primary_key references filters order_by limit options",
        ),
        (
            "many_to_many",
            "table fields through",
            "schema primary_key filters order_by limit options",
        ),
        (
            "count",
            "table foreign_key",
            "schema references filters options",
        ),
        (
            "avg",
            "table foreign_key column",
            "schema references filters options",
        ),
        (
            "sum",
            "table foreign_key column value_type",
            "schema references filters options",
        ),
        (
            "min",
            "table foreign_key column value_type",
            "schema references filters options",
        ),
        (
            "max",
            "table foreign_key column value_type",
            "schema references filters options",
        ),
        (
            "ids",
            "table foreign_key element_type",
            "schema references filters options primary_key",
        ),
    ];
    for tag in SCALARS.split_whitespace() {
        rows.push((tag, "", "column required options default"));
    }
    rows
}

/// Every sibling with a right value.
const SIBLINGS: [(&str, &str); 25] = [
    ("column", "a"),
    ("required", "true"),
    ("options", "{ store: true }"),
    ("transforms", "[trim]"),
    ("default", "1"),
    ("variants", "[a]"),
    ("postgres", "inet"),
    ("opensearch", "{ type: ip }"),
    ("lat", "a"),
    ("lon", "b"),
    ("values", "text"),
    ("fields", "[{ long: id }]"),
    ("value", "1"),
    ("table", "t"),
    ("schema", "s"),
    ("primary_key", "id"),
    ("references", "id"),
    ("filters", "[]"),
    ("foreign_key", "k"),
    ("order_by", "[{ column: a }]"),
    ("limit", "1"),
    ("through", "{ table: j, left_key: l, right_key: r }"),
    ("value_type", "long"),
    ("element_type", "long"),
    ("doc_id", "id"),
];

fn value_of(key: &str) -> &'static str {
    let found = SIBLINGS.iter().find(|(sibling, _)| *sibling == key);
    found.map_or_else(|| panic!("{key}"), |(_, value)| value)
}

fn field(tag: &str, siblings: &[&str]) -> String {
    let mut text = format!("version: 1\ntable: p\nprimary_key: id\nfields:\n  - {tag}: x\n");
    for key in siblings {
        writeln!(text, "    {key}: {}", value_of(key)).unwrap();
    }
    text
}

#[test]
fn every_tag_takes_the_siblings_of_the_page_and_no_other() {
    let rows = table();
    assert_eq!(rows.len(), 32);
    for (tag, needed, besides) in rows {
        let needed: Vec<&str> = needed.split_whitespace().collect();
        let besides: Vec<&str> = besides.split_whitespace().collect();
        // What is needed is enough, and each missing one is named.
        let loaded = schema(&field(tag, &needed));
        assert!(loaded.is_ok(), "{tag}: {}", findings(&loaded));
        for missing in &needed {
            let rest: Vec<&str> = needed
                .iter()
                .copied()
                .filter(|key| key != missing)
                .collect();
            let loaded = schema(&field(tag, &rest));
            let named = |finding: &definition::Diagnostic| {
                finding.message.contains(&format!("`{missing}`"))
            };
            assert!(
                loaded.is_err() && findings(&loaded).findings().iter().any(named),
                "{tag} without {missing}: {}",
                findings(&loaded)
            );
        }
        for (sibling, _) in SIBLINGS {
            if needed.contains(&sibling) {
                continue;
            }
            let mut siblings = needed.clone();
            siblings.push(sibling);
            let loaded = schema(&field(tag, &siblings));
            if besides.contains(&sibling) {
                assert!(
                    loaded.is_ok(),
                    "{tag} with {sibling}: {}",
                    findings(&loaded)
                );
                continue;
            }
            // `geo` has a second form, `count` and `avg` ignore what flusso 0.15 ignored, aggregates go over a junction too.
            match (tag, sibling) {
                ("count", "column" | "value_type") | ("avg", "value_type") => {
                    assert!(loaded.is_ok());
                    assert_eq!(findings(&loaded).findings()[0].code, "W217");
                }
                _ => assert!(loaded.is_err(), "{tag} takes {sibling}"),
            }
        }
    }
}

#[test]
fn geo_has_a_second_form_and_aggregates_go_over_a_junction_too() {
    let loaded = schema(&field("geo", &["column"]));
    assert!(loaded.is_ok(), "{}", findings(&loaded));
    for (tag, needed) in [
        ("count", vec!["table", "through"]),
        ("avg", vec!["table", "through", "column"]),
        ("sum", vec!["table", "through", "column", "value_type"]),
        ("min", vec!["table", "through", "column", "value_type"]),
        ("max", vec!["table", "through", "column", "value_type"]),
        ("ids", vec!["table", "through", "element_type"]),
    ] {
        let loaded = schema(&field(tag, &needed));
        assert!(loaded.is_ok(), "{tag}: {}", findings(&loaded));
    }
}

/// The tags that are right under a key.
fn taken(key: &str, tag: &str, needed: &[&str]) -> Vec<&'static str> {
    let all = "text identifier keyword enum uuid time boolean short integer long float double binary decimal date timestamp json custom geo map";
    all.split_whitespace()
        .filter(|word| {
            let mut text = field(tag, needed);
            writeln!(text, "    {key}: {word}").unwrap();
            schema(&text).is_ok()
        })
        .collect()
}

#[test]
fn map_values_and_results_of_aggregates_take_the_tags_of_the_page() {
    let split = |text: &'static str| text.split_whitespace().collect::<Vec<_>>();
    assert_eq!(
        taken("values", "map", &[]),
        split(
            "text identifier keyword enum uuid short integer long float double decimal date timestamp"
        )
    );
    let scalar = split(
        "text identifier keyword enum uuid time boolean short integer long float double decimal date timestamp",
    );
    for tag in ["sum", "min", "max"] {
        assert_eq!(
            taken("value_type", tag, &["table", "foreign_key", "column"]),
            scalar
        );
    }
    assert_eq!(
        taken("element_type", "ids", &["table", "foreign_key"]),
        scalar
    );
}
