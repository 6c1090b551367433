use serde_json::{Value, json};

use super::*;
use crate::deployment::TextAnalysis;

/// A definition from its fields, in the form that the registry stores.
fn definition(fields: &Value) -> IndexDefinition {
    let stored = json!({ "format": 1, "definition": {
        "root": "public.t", "primary_key": ["id"], "soft_delete": null, "filters": [], "fields": fields,
    }});
    IndexDefinition::from_json(&stored).expect("a stored definition")
}

fn scalar(name: &str, tag: &str, more: &Value) -> Value {
    let mut scalar = json!({
        "tag": tag, "column": name, "required": false, "transforms": [], "default": null,
        "variants": null, "custom": null,
    });
    let mut options = json!({});
    for (key, value) in more.as_object().expect("siblings") {
        if key == "options" {
            options = value.clone();
        } else {
            scalar[key] = value.clone();
        }
    }
    json!({ "name": name, "kind": { "scalar": scalar }, "options": options })
}

fn mapped(fields: &Value, auto_subfields: bool) -> Value {
    let options = IndexOptions {
        auto_subfields,
        ..IndexOptions::default()
    };
    mappings(&definition(fields), &Catalog::default(), &options)
}

fn property(field: &Value, auto_subfields: bool) -> Value {
    let name = field["name"].clone();
    mapped(&json!([field]), auto_subfields)["properties"][name.as_str().unwrap()].clone()
}

#[test]
fn each_tag_has_its_type() {
    let types = [
        ("text", "text"),
        ("identifier", "text"),
        ("keyword", "keyword"),
        ("enum", "keyword"),
        ("uuid", "keyword"),
        ("time", "keyword"),
        ("boolean", "boolean"),
        ("short", "short"),
        ("integer", "integer"),
        ("long", "long"),
        ("float", "float"),
        ("double", "double"),
        ("binary", "binary"),
        ("decimal", "double"),
        ("date", "date"),
        ("timestamp", "date"),
        ("json", "object"),
    ];
    for (tag, kind) in types {
        let got = property(&scalar("a", tag, &json!({})), true);
        assert_eq!(got["type"], kind, "{tag}");
    }
    assert_eq!(
        property(&scalar("a", "json", &json!({})), true),
        json!({"type": "object", "enabled": false})
    );
}

#[test]
fn text_and_keywords_get_subfields_and_times_do_not() {
    let lowercase =
        json!({"type": "keyword", "normalizer": "flusso_lowercase", "ignore_above": 256});
    let of_keyword = json!({
        "text": {"type": "text", "analyzer": "flusso_code"}, "keyword_lowercase": lowercase,
    });
    let of_text = json!({
        "keyword": {"type": "keyword", "ignore_above": 256}, "keyword_lowercase": lowercase,
    });
    let keyword = json!({"type": "keyword", "ignore_above": 8191, "fields": of_keyword});
    let cases = [
        (
            "text",
            json!({"type": "text", "analyzer": "flusso_text", "fields": of_text}),
        ),
        (
            "identifier",
            json!({"type": "text", "analyzer": "flusso_code", "fields": of_text}),
        ),
        ("keyword", keyword.clone()),
        ("uuid", keyword),
        ("time", json!({"type": "keyword", "ignore_above": 8191})),
    ];
    for (tag, want) in cases {
        assert_eq!(property(&scalar("a", tag, &json!({})), true), want, "{tag}");
    }
}

#[test]
fn options_lie_over_what_is_derived_and_an_enum_keeps_its_order() {
    let above = scalar(
        "a",
        "keyword",
        &json!({"options": {"ignore_above": 100, "doc_values": false}}),
    );
    assert_eq!(
        property(&above, false),
        json!({"type": "keyword", "ignore_above": 100, "doc_values": false})
    );
    let analyzer = scalar("a", "text", &json!({"options": {"analyzer": "english"}}));
    assert_eq!(property(&analyzer, true)["analyzer"], "english");
    // GIVEN own subfields on an enum, THEN they replace the derived ones, but for `sort`.
    let own = json!({"raw": {"type": "keyword"}});
    let of_enum = scalar(
        "a",
        "enum",
        &json!({"variants": ["on_sale", "sold_out", "done"], "options": {"fields": own}}),
    );
    let sort =
        json!({"type": "keyword", "normalizer": "flusso_enumsort_ab85f877", "ignore_above": 256});
    assert_eq!(
        property(&of_enum, true)["fields"],
        json!({"raw": {"type": "keyword"}, "sort": sort})
    );
    let own_sort = scalar(
        "a",
        "enum",
        &json!({"variants": ["x"], "options": {"fields": {"sort": {"type": "keyword"}}}}),
    );
    assert_eq!(
        property(&own_sort, true)["fields"],
        json!({"sort": {"type": "keyword"}})
    );
}

#[test]
fn a_json_field_of_another_type_is_not_disabled() {
    let flat = scalar("a", "json", &json!({"options": {"type": "flat_object"}}));
    assert_eq!(property(&flat, true), json!({"type": "flat_object"}));
    let searched = scalar(
        "a",
        "json",
        &json!({"options": {"enabled": true, "dynamic": true}}),
    );
    assert_eq!(
        property(&searched, true),
        json!({"type": "object", "enabled": true, "dynamic": true})
    );
}

#[test]
fn a_custom_keyword_gets_what_every_keyword_gets() {
    let custom = scalar(
        "a",
        "custom",
        &json!({"custom": {"postgres": ["inet"], "opensearch": {"type": "ip"}}}),
    );
    assert_eq!(property(&custom, true), json!({"type": "ip"}));
    let keyword = scalar(
        "a",
        "custom",
        &json!({"custom": {"postgres": ["inet"], "opensearch": {"type": "keyword", "norms": false}}}),
    );
    assert_eq!(
        property(&keyword, false),
        json!({"type": "keyword", "norms": false, "ignore_above": 8191})
    );
}

#[test]
fn constants_are_typed_by_their_value() {
    let cases = [
        (json!(true), "boolean"),
        (json!(3), "long"),
        (json!(1.5), "double"),
        (json!("x"), "keyword"),
        (json!(null), "keyword"),
        (json!([]), "keyword"),
        (json!([1, 2]), "long"),
        (json!({"a": 1}), "object"),
    ];
    for (value, kind) in cases {
        let field = json!({"name": "a", "kind": {"constant": value}, "options": {}});
        assert_eq!(property(&field, true)["type"], kind, "{value}");
    }
}

#[test]
fn maps_get_templates_whose_names_differ() {
    let map = |name: &str| {
        json!({
            "name": name, "options": {},
            "kind": {"map": {"column": "m", "values": "keyword", "required": false}},
        })
    };
    let mapping = mapped(
        &json!([{"name": "a", "kind": {"object": [map("b")]}, "options": {}}, map("a_b")]),
        false,
    );
    let templates = mapping["dynamic_templates"].as_array().unwrap();
    let names: Vec<&String> = templates
        .iter()
        .flat_map(|one| one.as_object().unwrap().keys())
        .collect();
    assert_eq!(
        names,
        [
            "a_b__string",
            "a_b__long",
            "a_b__double",
            "a_b__boolean",
            "a_b__string2",
            "a_b__long2",
            "a_b__double2",
            "a_b__boolean2"
        ]
    );
    assert_eq!(
        templates[0]["a_b__string"],
        json!({"path_match": "a.b.*", "match_mapping_type": "string",
               "mapping": {"type": "keyword", "ignore_above": 8191}})
    );
    // A map that says itself what happens to new keys gets none.
    let mut own = map("m");
    own["options"] = json!({"dynamic": false});
    let mapping = mapped(&json!([own]), false);
    assert_eq!(mapping.get("dynamic_templates"), None);
    assert_eq!(
        mapping["properties"]["m"],
        json!({"type": "object", "dynamic": false})
    );
}

#[test]
fn analysis_is_that_of_the_page_with_one_normalizer_per_list() {
    let listed = |name: &str, variants: Value| scalar(name, "enum", &json!({"variants": variants}));
    let many: Vec<String> = (0..11).map(|n| format!("v{n}")).collect();
    let fields = json!([
        listed("a", json!(["x", "a\\Eb"])),
        listed("b", json!(["x", "a\\Eb"])),
        listed("c", json!(many))
    ]);
    let settings = settings(
        &definition(&fields),
        &Catalog::default(),
        &IndexOptions::default(),
    );
    insta::assert_json_snapshot!(settings);
    let icu = IndexOptions {
        text_analysis: TextAnalysis::Icu,
        ..IndexOptions::default()
    };
    insta::assert_json_snapshot!(super::settings(
        &definition(&json!([])),
        &Catalog::default(),
        &icu
    ));
}

#[test]
fn a_wide_mapping_raises_the_limit_of_entries() {
    let wide: Vec<Value> = (0..400)
        .map(|n| scalar(&format!("f{n}"), "keyword", &json!({})))
        .collect();
    let definition = definition(&Value::Array(wide));
    let limit = |auto_subfields, index_settings: Value| {
        let options = IndexOptions {
            auto_subfields,
            index_settings: index_settings.as_object().unwrap().clone(),
            ..IndexOptions::default()
        };
        let settings = settings(&definition, &Catalog::default(), &options);
        settings.get("mapping.total_fields.limit").cloned()
    };
    assert_eq!(limit(false, json!({})), None);
    assert_eq!(limit(true, json!({})), Some(json!(2200)));
    let own = json!({"mapping.total_fields.limit": 5000});
    assert_eq!(limit(true, own), Some(json!(5000)));
}

#[test]
fn what_is_never_null_is_listed() {
    let fields = json!([
        scalar("id", "long", &json!({})),
        scalar("a", "text", &json!({})),
        scalar("b", "text", &json!({"required": true})),
        scalar("c", "long", &json!({"default": 0})),
        {"name": "o", "kind": {"object": [scalar("id", "long", &json!({}))]}, "options": {}},
        {"name": "k", "kind": {"constant": "x"}, "options": {}},
        {"name": "n", "kind": {"constant": null}, "options": {}},
    ]);
    let mapping = mapped(&fields, false);
    assert_eq!(
        mapping["_meta"]["flusso"],
        json!({"rendering": 1, "never_null": ["id", "b", "c", "o", "o.id", "k"]})
    );
}
