use super::*;
use crate::diagnostic::Severity;
use crate::index::{AggregateFunction, Filter, FilterOp, GeoSource, Link, Tag};

fn definition(fields: &str) -> IndexDefinition {
    let text = format!("version: 1\ntable: shows\nprimary_key: id\nfields:\n{fields}");
    let schema = read("shows.schema.yml", &text);
    schema
        .definition
        .unwrap_or_else(|| panic!("{fields}\n{:#?}", schema.findings))
}

/// The only error of a file: code, message, help, line and column.
fn error(text: &str) -> (String, String, String, String) {
    let schema = read("shows.schema.yml", text);
    assert!(schema.definition.is_none());
    let errors: Vec<_> = schema
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    let [one] = errors.as_slice() else {
        panic!("{text}\n{errors:#?}")
    };
    let place = one.place.as_ref().unwrap();
    (
        one.code.to_owned(),
        one.message.clone(),
        one.label
            .clone()
            .or_else(|| one.help.clone())
            .unwrap_or_default(),
        format!("{}:{}", place.line, place.column),
    )
}

fn field_error(field: &str) -> (String, String, String) {
    let text = format!("version: 1\ntable: shows\nprimary_key: id\nfields:\n  - {field}");
    let (code, message, help, _) = error(&text);
    (code, message, help)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of rules")]
fn every_rule_has_its_code_message_and_help() {
    for (field, code, message, help) in [
        (
            "{ timestamp: startsAt, colum: starts_at }",
            "E102",
            "unknown key `colum` for the field `startsAt`",
            "did you mean `column`?",
        ),
        (
            "{ text: a, keyword: b }",
            "E103",
            "a field needs exactly one type tag, found `text` and `keyword`",
            "make two fields, or remove one tag",
        ),
        (
            "{ keywrd: a }",
            "E103",
            "a field needs exactly one type tag, found none",
            "did you mean `keyword`?",
        ),
        (
            "{ has_many: x, table: t, foreign_key: k, limit: 0, fields: [{long: id}] }",
            "E202",
            "limit must be at least 1",
            "leave it out for no limit",
        ),
        (
            "{ count: x, table: t, foreign_key: k, filters: [{column: a, op: in, value: []}] }",
            "E203",
            "`in` needs a list with at least one value",
            "add values, or remove the filter",
        ),
        (
            "{ count: x, table: t, foreign_key: k, filters: [{column: a, op: eq, value: [1]}] }",
            "E204",
            "`eq` takes one value, found a list",
            "use `in`",
        ),
        (
            "{ count: x, table: t, foreign_key: k, filters: [{column: a, op: eq, value: null}] }",
            "E204",
            "`eq` takes one value, found null",
            "use `is_null` or `is_not_null`",
        ),
        (
            "{ belongs_to: hall, column: venue_code, table: halls, primary_key: [venue_code, hall_no], fields: [{long: id}] }",
            "E206",
            "`column` lists 1 column, but halls is referenced by 2: venue_code, hall_no",
            "list as many, in the same order",
        ),
        (
            "{ has_many: x, table: t, foreign_key: [a, b], fields: [{long: id}] }",
            "E206",
            "`foreign_key` lists 2 columns, but shows is referenced by 1: id",
            "list as many, in the same order",
        ),
        (
            "{ integer: x, options: { type: long } }",
            "E207",
            "options.type cannot change an `integer`",
            "use `custom` with `opensearch: …`",
        ),
        (
            "{ has_many: x, table: t, column: k, fields: [{long: id}] }",
            "E208",
            "has_many takes `foreign_key`, found `column`",
            "`column` belongs to belongs_to",
        ),
        (
            "{ count: x, table: crm.Reviews, foreign_key: k }",
            "E209",
            "\"crm.Reviews\" is not a table name",
            "write schema: crm and table: '\"Reviews\"'",
        ),
        (
            "{ long: _id }",
            "E212",
            "`_id` is kept by OpenSearch for itself",
            "rename the field; `column` can name the column",
        ),
        (
            "{ long: a-b }",
            "E212",
            "\"a-b\" is not a document key",
            "letters, digits and _, not first a digit, at most 63; `column` can name the column",
        ),
        (
            "{ belongs_to: x, table: t }",
            "E110",
            "`fields` is missing for the field `x`",
            "",
        ),
        (
            "{ has_many: x, table: t, foreign_key: k, fields: [] }",
            "E106",
            "`x` has no fields",
            "give at least one",
        ),
        (
            "{ count: x, table: t }",
            "E110",
            "count needs a `foreign_key` or a `through`",
            "foreign_key: the columns of the table that name this row",
        ),
        (
            "{ integer: x, transforms: [trim] }",
            "E102",
            "unknown key `transforms` for the field `x`",
            "",
        ),
        (
            "{ keyword: x, required: no }",
            "E106",
            "required must be true or false, found text",
            "",
        ),
        (
            "{ keyword: x, default: null }",
            "E106",
            "default replaces null, and cannot be null",
            "remove it",
        ),
        (
            "{ constant: x, value: [1, a] }",
            "E106",
            "a constant list holds values of one kind: text, numbers, booleans or tables",
            "make them all text",
        ),
        (
            "{ enum: x, variants: [a, a] }",
            "E211",
            "the variant \"a\" stands here twice",
            "remove it",
        ),
        (
            "{ geo: x, lat: a }",
            "E210",
            "geo takes `lat` and `lon`, or `column`",
            "keep one of the two forms",
        ),
        (
            "{ sum: x, table: t, column: a, value_type: json, foreign_key: k }",
            "E106",
            "value_type cannot be \"json\"",
            "",
        ),
        (
            "{ has_many: x, table: t, foreign_key: k, order_by: [{column: a, direction: dsc}], fields: [{long: id}] }",
            "E106",
            "direction cannot be \"dsc\"",
            "did you mean `desc`?",
        ),
    ] {
        let found = field_error(field);
        assert_eq!(
            (found.0.as_str(), found.1.as_str(), found.2.as_str()),
            (code, message, help),
            "{field}"
        );
    }
}

#[test]
fn a_second_field_of_one_name_names_the_place_of_the_first() {
    assert_eq!(
        error("version: 1\ntable: t\nfields:\n  - long: total\n  - text: total"),
        (
            "E201".to_owned(),
            "field `total` is defined twice, first at 4:5".to_owned(),
            "rename one".to_owned(),
            "5:11".to_owned()
        )
    );
}

#[test]
fn soft_delete_needs_one_existing_scalar_field() {
    let file = |field: &str| {
        format!(
            "version: 1\ntable: t\nsoft_delete: {{ field: {field} }}\nfields:\n  - {{timestamp: gone, column: gone_at}}\n  - {{object: o, fields: [{{boolean: off}}]}}"
        )
    };
    let (code, message, help, place) = error(&file("removedAt"));
    assert_eq!(code, "E205");
    assert_eq!(
        message,
        "soft_delete.field: the root row has no scalar field `removedAt`"
    );
    assert_eq!(help, "scalar fields: gone, off; or use `column`");
    assert_eq!(place, "3:23");
    let found = read("f", &file("gone")).definition.unwrap();
    assert_eq!(found.soft_delete.unwrap().column.as_str(), "gone_at");
    let found = read("f", &file("off")).definition.unwrap();
    assert_eq!(found.soft_delete.unwrap().column.as_str(), "off");
}

#[test]
fn the_top_level_is_as_strict_as_a_field() {
    for (text, code, message) in [
        ("", "E106", "a schema file must be a table, found null"),
        (
            "table: t\nfields: []",
            "E110",
            "`version` is missing at top level",
        ),
        (
            "version: 2\ntable: t\nfields: []",
            "E106",
            "version must be 1",
        ),
        (
            "version: 1\ntable: t\nfields: []\nfield: []",
            "E101",
            "unknown key `field` at top level",
        ),
        (
            "version: 1\ntable: t\nfields: []\ndoc_id: id",
            "E214",
            "doc_id cannot be set: ids come from the document key",
        ),
        (
            "version: 1\ntable: t\ntable: u\nfields: []",
            "E111",
            "the key `table` stands here twice",
        ),
        (
            "version: 1\ntable: t\nfields: []\nprimary_key: [a, A]",
            "E211",
            "primary_key lists a twice",
        ),
    ] {
        let (found_code, found_message, ..) = error(text);
        assert_eq!(
            (found_code.as_str(), found_message.as_str()),
            (code, message)
        );
    }
}

#[test]
fn all_mistakes_of_a_file_are_found_in_one_pass() {
    let schema = read(
        "f",
        "version: 2\ntable: 1a\nfields:\n  - {long: id, colum: x}\n  - {text: a, keyword: b}\n  - belongs_to: c\n    table: t\n    fields: [{long: d, required: 3}]\n",
    );
    let codes: Vec<&str> = schema.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["E106", "E209", "E102", "E103", "E106"]);
}

#[test]
fn names_follow_sql_and_defaults_are_filled_in() {
    let definition = definition(
        "  - long: startsAt\n  - {belongs_to: hallId, table: Halls, fields: [{long: id}]}\n  - {count: n, schema: crm, table: '\"Reviews\"', foreign_key: ShowId}",
    );
    assert_eq!(definition.root, TableName::new("public", "shows"));
    let [starts, hall, n] = definition.fields.as_slice() else {
        panic!()
    };
    let FieldKind::Scalar(scalar) = &starts.kind else {
        panic!()
    };
    assert_eq!(scalar.tag, Tag::Long);
    assert_eq!(scalar.column.as_str(), "startsat");
    let FieldKind::BelongsTo(join) = &hall.kind else {
        panic!()
    };
    assert_eq!(join.table, TableName::new("public", "halls"));
    assert_eq!(
        join.link,
        Link::Column {
            column: vec![ColumnName::new("hallid")],
            references: None
        }
    );
    let FieldKind::Aggregate(count) = &n.kind else {
        panic!()
    };
    assert_eq!(count.function, AggregateFunction::Count);
    assert_eq!(count.table, TableName::new("crm", "Reviews"));
}

#[test]
fn a_join_inherits_the_schema_of_its_parent_and_a_junction_that_of_its_table() {
    let definition = definition(
        "  - has_many: a\n    schema: crm\n    table: a\n    foreign_key: k\n    fields:\n      - many_to_many: b\n        table: b\n        through: {table: ab, left_key: x, right_key: y}\n        fields: [{long: id}]",
    );
    let FieldKind::HasMany(a) = &definition.fields.first().unwrap().kind else {
        panic!()
    };
    let FieldKind::ManyToMany(b) = &a.fields.first().unwrap().kind else {
        panic!()
    };
    assert_eq!(b.table, TableName::new("crm", "b"));
    let Link::Through(through) = &b.link else {
        panic!()
    };
    assert_eq!(through.table, TableName::new("crm", "ab"));
}

#[test]
fn filter_values_are_taken_as_written() {
    let definition = definition(
        "  - count: n\n    table: t\n    foreign_key: k\n    filters:\n      - {column: a, op: eq, value: 10.50}\n      - {column: a, op: eq, value: 10.5}\n      - {column: a, op: eq, value: 007}\n      - {column: a, op: eq, value: 123456789012345678901234567890}\n      - {column: a, op: eq, value: .inf}\n      - {column: a, op: between, value: [1, two]}\n      - {raw: 'a > b'}",
    );
    let FieldKind::Aggregate(aggregate) = &definition.fields.first().unwrap().kind else {
        panic!()
    };
    let values: Vec<String> = aggregate
        .filters
        .iter()
        .map(|filter| match filter {
            Filter::Column {
                op: FilterOp::Eq(value),
                ..
            } => value.to_string(),
            Filter::Column { op, .. } => format!("{op:?}"),
            Filter::Raw(raw) => raw.clone(),
        })
        .collect();
    assert_eq!(
        values,
        [
            "\"10.50\"",
            "10.5",
            "\"007\"",
            "\"123456789012345678901234567890\"",
            "\"Infinity\"",
            "Between(Number(1), String(\"two\"))",
            "a > b"
        ]
    );
}

#[test]
fn nulls_come_last_ascending_and_first_descending() {
    let definition = definition(
        "  - has_many: x\n    table: t\n    foreign_key: k\n    order_by: [{column: a}, {column: b, direction: desc}, {column: c, direction: desc, nulls: last}]\n    fields: [{long: id}]",
    );
    let FieldKind::HasMany(join) = &definition.fields.first().unwrap().kind else {
        panic!()
    };
    let order: Vec<(bool, bool)> = join
        .order_by
        .iter()
        .map(|order| (order.descending, order.nulls_first))
        .collect();
    assert_eq!(order, [(false, false), (true, true), (true, false)]);
}

#[test]
fn a_point_comes_from_two_columns_or_one() {
    let definition = definition("  - {geo: a, lat: x, lon: y}\n  - {geo: b, column: p}");
    let sources: Vec<bool> = definition
        .fields
        .iter()
        .map(|field| {
            matches!(
                field.kind,
                FieldKind::Geo {
                    source: GeoSource::LatLon { .. },
                    ..
                }
            )
        })
        .collect();
    assert_eq!(sources, [true, false]);
}

#[test]
fn a_finding_of_a_later_step_finds_its_place_by_path_and_key() {
    let text = "version: 1\ntable: shows\nfields:\n  - belongs_to: hall\n    column: hall_no\n    table: halls\n    fields:\n      - long: seats\n  - many_to_many: artists\n    table: artists\n    through: { table: sa, left_key: show_id, right_key: artist_id }\n    fields: [{long: id}]\n";
    let spans = read("f", text).spans;
    let at = |path: &str, key: Option<&str>| {
        let place = spans.find(path, key).unwrap();
        (place.line, place.column, text.get(place.span).unwrap())
    };
    assert_eq!(at("hall.seats", None), (8, 15, "seats"));
    assert_eq!(at("hall.seats", Some("column")), (8, 15, "seats"));
    assert_eq!(at("hall", Some("column")), (5, 13, "hall_no"));
    assert_eq!(at("artists", Some("through.left_key")), (11, 37, "show_id"));
    assert_eq!(at("", Some("table")), (2, 8, "shows"));
    assert_eq!(at("hall.none.such", None), (4, 17, "hall"));
    assert_eq!(spans.find("none", None), None);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC*") {
        let _ = read("f", &text);
    }

    #[test]
    fn any_arrangement_of_the_languages_words_is_read_without_a_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "version: 1\n", "table: t\n", "fields:\n", "  - ", "- ", "{", "}", "[", "]", ", ",
                "belongs_to: ", "has_many: ", "through: ", "column: ", "a", "\"", "'", "&x ", "*x ",
                "<<: ", "filters: ", "op: in", "value: ", "1", "1.5", ".nan", "null", "\n", "    ",
                "options: ", "type: ", "limit: 0", "ids: ", "constant: ", "é", "!!t ", "? ", "# ",
                "soft_delete: ", "|\n", "-", "---\n", "\u{feff}", "\t",
            ]),
            0..40,
        )
    ) {
        let _ = read("f", &words.concat());
    }
}
