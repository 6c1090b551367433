//! Schema files (3.1, 3.2, 3.4 to 3.8): YAML, names, rules.

use std::fmt::Write as _;

use definition::index::{FieldKind, Filter, FilterOp, GeoSource, Link};
use serde_json::{Value, json};

use crate::files::{findings, lines, schema};

const HEAD: &str = "version: 1\ntable: p\nprimary_key: id\n";

/// A file with one field.
fn one_field(field: &str) -> String {
    format!("{HEAD}fields:\n  - {field}\n")
}

fn kind(field: &str) -> FieldKind {
    let loaded = schema(&one_field(field));
    match loaded {
        Ok((deployment, _)) => deployment.indexes[0].definition.fields[0].kind.clone(),
        Err(findings) => panic!("{field}\n{findings}"),
    }
}

/// The column that a field reads.
fn column(field: &str) -> String {
    match kind(field) {
        FieldKind::Scalar(scalar) => scalar.column.as_str().to_owned(),
        FieldKind::Map { column, .. } => column.as_str().to_owned(),
        FieldKind::Geo {
            source: GeoSource::Column(column),
            ..
        } => column.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_follow_sql() {
    for (written, means) in [
        ("Users", "users"),
        ("' Users '", "users"),
        ("'\"Users\"'", "Users"),
        ("'\"a\"\"b\"'", "a\"b"),
        ("'\"a.b c\"'", "a.b c"),
        ("_x$1", "_x$1"),
        ("Größe", "größe"),
        ("ÄB", "Äb"),
        ("日本", "日本"),
        ("select", "select"),
        ("no", "no"),
    ] {
        assert_eq!(
            column(&format!("{{ keyword: x, column: {written} }}")),
            means
        );
    }
    let longest = "a".repeat(63);
    assert_eq!(
        column(&format!("{{ keyword: x, column: {longest} }}")),
        longest
    );
    // Without `column` the field's name, as a plain identifier.
    assert_eq!(column("{ keyword: startsAt }"), "startsat");
    assert_eq!(column("{ keyword: ' _X1 ' }"), "_x1");
    assert_eq!(column("{ map: Title, values: text }"), "title");
}

/// What is refused or warned of: whole schema files.
fn whole_files() -> Vec<String> {
    let mut files: Vec<String> = [
        // YAML
        "version: 1\ntable: p\nfields: []\nfields: []\n",
        "a: &a { table: p }\nversion: 1\n<<: *a\nfields: []\n",
        "version: !!int 1\ntable: p\nfields: []\n",
        "version: 1\ntable: !name p\nfields: !!seq []\n",
        "version: 1\ntable: p\nfields: []\n---\nversion: 1\n",
        "version: 1\ntable: p\nfields: *nowhere\n",
        "? [a, b]\n: 1\n",
        "- version: 1\n",
        "version: 1\ntable: p\n fields: []\n",
        "version: 1\n\ttable: p\n",
        "version: 1\ntable: p\nfields: [ \"a\n",
        // top level
        "table: p\nfields: []\n",
        "version: 2\ntable: p\nfields: []\n",
        "version: \"1\"\ntable: p\nfields: []\n",
        "version: 1\nfields: []\n",
        "version: 1\ntable: p\n",
        "version: 1\ntable: p\nfields: {}\n",
        "version: 1\ntable: p\nfields:\n",
        "version: 1\ntable: p\nfields: []\nprimary_key: []\n",
        "version: 1\ntable: p\nfields: []\nprimary_key: [a, b, A]\n",
        "version: 1\ntable: p\nfields: []\nprimary_key: [a, 5]\n",
        "version: 1\ntable: p\nfields: []\ndoc_id: id\n",
        "version: 1\ntable: p\nfields: []\nfilter: []\n",
        "version: 1\ntable: p\nschema: [s]\nfields: []\n",
        "version: 1\ntable: ''\nfields: []\n",
        // soft delete
        "version: 1\ntable: p\nfields: []\nsoft_delete: gone\n",
        "version: 1\ntable: p\nfields: []\nsoft_delete: {}\n",
        "version: 1\ntable: p\nfields: [{long: a}]\nsoft_delete: { column: a, field: a }\n",
        "version: 1\ntable: p\nfields: []\nsoft_delete: { field: a }\n",
        "version: 1\ntable: p\nfields: [{long: a}, {object: o, fields: [{long: a}]}]\nsoft_delete: { field: a }\n",
        "version: 1\ntable: p\nfields: [{constant: a, value: 1}]\nsoft_delete: { field: a }\n",
        "version: 1\ntable: p\nfields: [{long: a, colum: b}]\nsoft_delete: { field: a }\n",
        "version: 1\ntable: p\nfields: []\nsoft_delete: { column: a, wen: [] }\n",
        "version: 1\ntable: p\nfields: []\nsoft_delete: { column: a, when: [{ column: b, op: in, value: [] }] }\n",
    ]
    .map(str::to_owned)
    .to_vec();
    let deep = (0..21).fold(String::from("{ long: id }"), |inner, level| {
        format!("{{ object: o{level}, fields: [{inner}] }}")
    });
    files.push(one_field(&deep));
    let wide: String = (0..51).fold(format!("{HEAD}fields:\n"), |mut text, number| {
        writeln!(
            text,
            "  - {{ has_many: n{number}, table: t, foreign_key: k, fields: [{{ long: id }}] }}"
        )
        .unwrap();
        text
    });
    files.push(wide);
    files
}

/// What is refused or warned of: one field.
const WRONG_FIELDS: [&str; 98] = [
    // names
    "{ keyword: x, column: a.b }",
    "{ keyword: x, column: 1a }",
    "{ keyword: x, column: '' }",
    "{ keyword: x, column: '\"\"' }",
    "{ keyword: x, column: '\"a' }",
    "{ keyword: x, column: '\"a\"b\"' }",
    "{ keyword: x, column: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa }",
    "{ keyword: x, column: [a] }",
    "{ keyword: x, column: true }",
    "{ count: x, table: crm.reviews, foreign_key: k }",
    "{ count: x, table: Crm.Reviews, foreign_key: k }",
    "{ count: x, table: shop.crm.reviews, foreign_key: k }",
    "{ count: x, table: t, schema: a.b, foreign_key: k }",
    "{ keyword: 1x }",
    "{ keyword: a.b }",
    "{ keyword: '' }",
    "{ keyword: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa }",
    "{ keyword: no_, column: '_', required: no }",
    "{ keyword: 5 }",
    "keyword",
    "{}",
    "{ column: a }",
    "{ text: a, keyword: b, long: c }",
    "{ txt: a, column: b }",
    // options
    "{ keyword: x, options: [] }",
    "{ long: x, options: { type: integer } }",
    "{ identifier: x, options: { properties: {} } }",
    "{ count: x, table: t, foreign_key: k, options: { type: short } }",
    "{ object: x, fields: [{ long: id }], options: { type: nested } }",
    "{ has_one: x, table: t, foreign_key: k, fields: [{ long: id }], options: { type: nested } }",
    "{ has_many: x, table: t, foreign_key: k, fields: [{ long: id }], options: { type: flat_object } }",
    "{ json: x, options: { type: 5 } }",
    "{ keyword: x, options: { ignore_above: 8192 } }",
    "{ keyword: x, options: { a: 99999999999999999999999 } }",
    "{ keyword: x, options: { a: .nan } }",
    // transforms, defaults, variants
    "{ keyword: x, transforms: trim }",
    "{ keyword: x, transforms: [trimm] }",
    "{ keyword: x, transforms: [upper, 5] }",
    "{ keyword: x, default: [a] }",
    "{ keyword: x, default: { a: 1 } }",
    "{ keyword: x, default: }",
    "{ enum: x, variants: a }",
    "{ enum: x, variants: [' '] }",
    "{ enum: x, variants: [a, b, a] }",
    "{ enum: x, variants: [\"a\\tb\"] }",
    "{ enum: x, variants: [1] }",
    // map, geo, constant, custom
    "{ map: x, values: time }",
    "{ map: x, values: tex }",
    "{ map: x, values: [text] }",
    "{ geo: x }",
    "{ geo: x, lon: b }",
    "{ geo: x, lat: a, lon: b, column: c }",
    "{ constant: x, value: [1, a] }",
    "{ constant: x, value: [null] }",
    "{ constant: x, value: [[1]] }",
    "{ constant: x, value: 9223372036854775808 }",
    "{ constant: x, value: [9223372036854775808] }",
    "{ constant: x, value: .inf }",
    "{ custom: x, postgres: 'numeric(8,2)', opensearch: { type: long } }",
    "{ custom: x, postgres: [], opensearch: { type: long } }",
    "{ custom: x, postgres: inet, opensearch: {} }",
    "{ custom: x, postgres: inet, opensearch: 5 }",
    // joins
    "{ object: x, fields: [] }",
    "{ belongs_to: x, table: t, fields: [] }",
    "{ belongs_to: x, table: t, foreign_key: k, fields: [{ long: id }] }",
    "{ belongs_to: x, table: t, through: {}, fields: [{ long: id }] }",
    "{ belongs_to: x, table: t, fields: [{ long: id }], order_by: [] }",
    "{ belongs_to: x, table: t, fields: [{ long: id }], limit: 1 }",
    "{ has_one: x, table: t, column: c, fields: [{ long: id }] }",
    "{ has_many: x, table: t, foreign_key: k, through: {}, fields: [{ long: id }] }",
    "{ has_many: x, table: t, foreign_key: k, fields: [{ long: id }], required: true }",
    "{ has_many: x, table: t, foreign_key: k, fields: [{ long: id }], limit: 0 }",
    "{ has_many: x, table: t, foreign_key: k, fields: [{ long: id }], limit: 1.5 }",
    "{ has_many: x, table: t, foreign_key: k, fields: [{ long: id }], order_by: a }",
    "{ has_many: x, table: t, foreign_key: k, fields: [{ long: id }], order_by: [a] }",
    "{ has_many: x, table: t, foreign_key: k, fields: [{ long: id }], order_by: [{ column: a, direction: up, nulls: frist, x: 1 }] }",
    "{ has_many: x, table: t, foreign_key: [a, b], references: [c, d, e], fields: [{ long: id }] }",
    "{ belongs_to: x, table: t, column: [a, b], references: c, fields: [{ long: id }] }",
    "{ many_to_many: x, table: t, foreign_key: k, fields: [{ long: id }] }",
    "{ many_to_many: x, table: t, references: k, through: { table: j, left_key: [a, b], right_key: r }, fields: [{ long: id }] }",
    "{ many_to_many: x, table: t, through: { table: j, left_key: l }, fields: [{ long: id }] }",
    "{ many_to_many: x, table: t, primary_key: [a, b], through: { tabel: j, left_key: l, right_key: r }, fields: [{ long: id }] }",
    // aggregates
    "{ count: x, table: t, foreign_key: k, through: { table: j, left_key: l, right_key: r } }",
    "{ count: x, table: t, references: id, through: { table: j, left_key: l, right_key: r } }",
    "{ count: x, table: t, foreign_key: k, column: c }",
    "{ sum: x, table: t, foreign_key: k }",
    "{ ids: x, table: t, foreign_key: k, primary_key: [a, b], element_type: long }",
    // filters
    "{ count: x, table: t, foreign_key: k, filters: { column: a, op: is_null } }",
    "{ count: x, table: t, foreign_key: k, filters: [a] }",
    "{ count: x, table: t, foreign_key: k, filters: [{ column: a, op: is_null, value: 1 }] }",
    "{ count: x, table: t, foreign_key: k, filters: [{ column: a, op: gt }] }",
    "{ count: x, table: t, foreign_key: k, filters: [{ column: a, op: gt, value: }] }",
    "{ count: x, table: t, foreign_key: k, filters: [{ column: a, op: like, value: 5 }, { column: a, op: ilike, value: [a] }] }",
    "{ count: x, table: t, foreign_key: k, filters: [{ column: a, op: in, value: 1 }, { column: a, op: not_in, value: [] }, { column: a, op: in, value: [[1]] }] }",
    "{ count: x, table: t, foreign_key: k, filters: [{ column: a, op: between, value: 1 }, { column: a, op: between, value: [1] }, { column: a, op: between, value: [1, null] }] }",
    "{ count: x, table: t, foreign_key: k, filters: [{ column: a, op: equals, value: 1 }, { column: a, op: neq, value: { a: 1 } }] }",
    "{ count: x, table: t, foreign_key: k, filters: [{ raw: '' }, { raw: a > b, column: c }, { rwa: a }] }",
    "{ count: x, table: t, foreign_key: k, filters: [{ op: eq, value: 1 }, { column: a, value: 1 }] }",
];

#[test]
fn every_rule_of_a_schema_file_is_kept_with_place_and_words() {
    let mut shown = String::new();
    for text in whole_files() {
        let loaded = schema(&text);
        let lines = lines(&loaded, &text);
        assert!(!lines.is_empty(), "{text}");
        writeln!(
            shown,
            "{}\n{lines}",
            text.chars().take(300).collect::<String>()
        )
        .unwrap();
    }
    for field in WRONG_FIELDS {
        let text = one_field(field);
        let loaded = schema(&text);
        let lines = lines(&loaded, &text);
        assert!(!lines.is_empty(), "{text}");
        writeln!(shown, "{field}\n{lines}").unwrap();
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn the_names_that_opensearch_keeps_are_refused_at_the_root_only() {
    let kept = "_id _index _source _type _routing _version _seq_no _primary_term _field_names \
        _ignored _nested_path _size _doc_count _tier _meta";
    assert_eq!(kept.split_whitespace().count(), 15);
    for name in kept.split_whitespace() {
        let refused = schema(&one_field(&format!("{{ keyword: {name} }}"))).unwrap_err();
        assert_eq!(refused.findings()[0].code, "E212", "{name}");
        let inside = schema(&one_field(&format!(
            "{{ object: o, fields: [{{ keyword: {name} }}] }}"
        )));
        assert!(inside.is_ok(), "{name}");
    }
    assert!(schema(&one_field("{ keyword: _other }")).is_ok());
}

#[test]
fn the_core_schema_reads_scalars() {
    let value = |written: &str| match kind(&format!("{{ constant: x, value: {written} }}")) {
        FieldKind::Constant(value) => value,
        other => panic!("{other:?}"),
    };
    for (written, means) in [
        ("true", json!(true)),
        ("True", json!(true)),
        ("FALSE", json!(false)),
        ("no", json!("no")),
        ("yes", json!("yes")),
        ("on", json!("on")),
        ("'true'", json!("true")),
        ("null", Value::Null),
        ("~", Value::Null),
        ("", Value::Null),
        ("0x1F", json!(31)),
        ("0o17", json!(15)),
        ("017", json!(17)),
        ("-5", json!(-5)),
        ("+5", json!(5)),
        ("1.50", json!(1.5)),
        (".5", json!(0.5)),
        ("1e3", json!(1000.0)),
        ("1_000", json!("1_000")),
        ("2026-01-01", json!("2026-01-01")),
        ("0b1", json!("0b1")),
        ("1:30", json!("1:30")),
        ("9223372036854775807", json!(i64::MAX)),
        ("[1, 2.5]", json!([1, 2.5])),
        ("[a, b]", json!(["a", "b"])),
        ("[]", json!([])),
        ("[true]", json!([true])),
        (
            "[{ a: 1 }, { b: [1, x] }]",
            json!([{"a": 1}, {"b": [1, "x"]}]),
        ),
        ("{ a: [1, x, null] }", json!({"a": [1, "x", null]})),
    ] {
        assert_eq!(value(written), means, "{written}");
    }
}

#[test]
fn anchors_may_be_used_anywhere() {
    let text = format!(
        "{HEAD}filters:\n  - &live {{ column: state, op: eq, value: live }}\nfields:\n  - {{ count: a, table: t, foreign_key: k, filters: &f [*live] }}\n  - {{ count: b, table: t, foreign_key: k, filters: *f }}\n"
    );
    let (deployment, _) = schema(&text).unwrap();
    let definition = &deployment.indexes[0].definition;
    for field in &definition.fields {
        let FieldKind::Aggregate(aggregate) = &field.kind else {
            panic!()
        };
        assert_eq!(aggregate.filters, definition.filters);
    }
}

#[test]
fn filter_values_are_taken_as_written() {
    let operator = |filter: &str| {
        let text = format!("{{ count: x, table: t, foreign_key: k, filters: [{filter}] }}");
        match kind(&text) {
            FieldKind::Aggregate(aggregate) => aggregate.filters[0].clone(),
            other => panic!("{other:?}"),
        }
    };
    for (written, value) in [
        ("10.50", json!("10.50")),
        ("10", json!(10)),
        ("007", json!("007")),
        ("+7", json!("+7")),
        ("-0", json!("-0")),
        ("1e3", json!("1e3")),
        ("true", json!(true)),
        ("no", json!("no")),
        ("' a '", json!(" a ")),
        (
            "123456789012345678901234567890",
            json!("123456789012345678901234567890"),
        ),
        (".inf", json!("Infinity")),
        ("-.inf", json!("-Infinity")),
        (".nan", json!("NaN")),
    ] {
        let Filter::Column {
            op: FilterOp::Eq(found),
            ..
        } = operator(&format!("{{ column: a, op: eq, value: {written} }}"))
        else {
            panic!()
        };
        assert_eq!(found, value, "{written}");
    }
    for (op, value) in [
        ("is_null", ""),
        ("is_not_null", ""),
        ("eq", "1"),
        ("neq", "1"),
        ("lt", "1"),
        ("lte", "1"),
        ("gt", "1"),
        ("gte", "1"),
        ("like", "a%"),
        ("ilike", "a%"),
        ("in", "[1]"),
        ("not_in", "[a, 2]"),
        ("between", "[1, 2]"),
    ] {
        let value = if value.is_empty() {
            String::new()
        } else {
            format!(", value: {value}")
        };
        operator(&format!("{{ column: a, op: {op}{value} }}"));
    }
    assert_eq!(
        operator("{ raw: ' a > b ' }"),
        Filter::Raw(" a > b ".to_owned())
    );
}

#[test]
fn a_join_takes_the_schema_of_its_parent_and_a_junction_that_of_its_table() {
    let FieldKind::HasMany(outer) = kind(
        "{ has_many: a, schema: crm, table: a, foreign_key: k, fields: [{ many_to_many: b, table: b, through: { table: ab, left_key: x, right_key: y }, fields: [{ long: id }] }, { ids: c, schema: other, table: c, element_type: long, through: { table: ac, left_key: x, right_key: y } }] }",
    ) else {
        panic!()
    };
    assert_eq!(outer.table.to_string(), "crm.a");
    let FieldKind::ManyToMany(inner) = &outer.fields[0].kind else {
        panic!()
    };
    assert_eq!(inner.table.to_string(), "crm.b");
    let Link::Through(through) = &inner.link else {
        panic!()
    };
    assert_eq!(through.table.to_string(), "crm.ab");
    let FieldKind::Aggregate(ids) = &outer.fields[1].kind else {
        panic!()
    };
    let Link::Through(through) = &ids.link else {
        panic!()
    };
    assert_eq!(
        (ids.table.to_string(), through.table.to_string()),
        ("other.c".into(), "other.ac".into())
    );
}

#[test]
fn an_empty_list_of_variants_states_no_order_and_a_thousand_are_the_most() {
    let FieldKind::Scalar(scalar) = kind("{ enum: x, variants: [] }") else {
        panic!()
    };
    assert_eq!(scalar.variants, None);
    let list = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("v{number}")).collect();
        schema(&one_field(&format!(
            "{{ enum: x, variants: [{}] }}",
            names.join(", ")
        )))
    };
    assert!(list(1000).is_ok());
    let refused = list(1001);
    assert_eq!(
        findings(&refused).findings()[0].help.as_deref(),
        Some("at most 1000")
    );
}

#[test]
fn a_marker_is_found_in_objects_and_keeps_its_own_column() {
    let text = format!(
        "{HEAD}soft_delete: {{ field: goneAt, when: [{{ column: a, op: is_not_null }}] }}\nfields:\n  - object: o\n    fields:\n      - {{ timestamp: goneAt, column: gone, default: infinity }}\n"
    );
    let (deployment, _) = schema(&text).unwrap();
    let soft_delete = deployment.indexes[0]
        .definition
        .soft_delete
        .clone()
        .unwrap();
    assert_eq!(soft_delete.column.to_string(), "gone");
    assert_eq!(soft_delete.when.len(), 1);
}
