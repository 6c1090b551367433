use super::*;
use crate::check::schema;

const FILE: &str = r#"
version: 1
table: shows
primary_key: id
soft_delete: { column: withdrawn_at, when: [{ column: status, op: neq, value: done }] }
filters:
  - { column: status, op: in, value: [b, a] }
  - { column: price, op: gte, value: 10.50 }
fields:
  - long: id
  - { map: title, values: text, required: true }
  - { enum: status, variants: [on_sale, done], options: { boost: 2 } }
  - { constant: kind, value: null }
  - { geo: place, lat: lat, lon: lon }
  - { custom: ip, postgres: inet, opensearch: ip }
  - belongs_to: hall
    column: [venue_code, hall_no]
    table: halls
    fields: [{ integer: seats, default: 0 }, { keyword: name, transforms: [trim, lowercase] }]
  - many_to_many: artists
    table: artists
    through: { table: show_artists, left_key: show_id, right_key: artist_id }
    order_by: [{ column: name, direction: desc }]
    limit: 3
    fields: [{ identifier: name }]
  - { count: reviewCount, schema: crm, table: '"Reviews"', foreign_key: show_id }
  - { max: lastPaidAt, table: orders, column: paid_at, value_type: timestamp, foreign_key: show_id }
  - ids: artistIds
    table: artists
    through: { table: show_artists, left_key: show_id, right_key: artist_id }
    element_type: integer
"#;

fn read(text: &str) -> IndexDefinition {
    let schema = schema::read("shows.schema.yml", text);
    schema
        .definition
        .unwrap_or_else(|| panic!("{:#?}", schema.findings))
}

fn hash(text: &str) -> String {
    definition_hash(&read(text), &IndexOptions::default())
}

#[test]
fn a_definition_survives_the_registry_unchanged() {
    let definition = read(FILE);
    let stored = definition.to_json().to_string();
    let back = IndexDefinition::from_json(&serde_json::from_str(&stored).unwrap()).unwrap();
    assert_eq!(back, definition);
}

#[test]
fn a_definition_of_another_version_is_refused_with_a_reason() {
    let mut json = read(FILE).to_json();
    json["format"] = json!(2);
    assert_eq!(
        IndexDefinition::from_json(&json).unwrap_err().to_string(),
        "the stored definition has format 2, this version reads 1"
    );
    let mut json = read(FILE).to_json();
    json["definition"]["fields"][0]["kind"] = json!({ "hologram": {} });
    assert!(matches!(
        IndexDefinition::from_json(&json),
        Err(ReadError::Content(_))
    ));
    assert!(IndexDefinition::from_json(&Value::Null).is_err());
}

#[test]
fn layout_and_order_of_fields_filters_and_in_lists_do_not_count() {
    let first = hash(
        "version: 1\ntable: t\nfilters: [{column: a, op: in, value: [1, 2]}, {column: b, op: is_null}]\nfields: [{long: x}, {keyword: y}]",
    );
    let second = hash(
        "# a comment\nversion: 1\nschema: PUBLIC\ntable: T\nfields:\n  - {keyword: y, column: Y, required: false}\n  - long: x\nfilters: [{column: b, op: is_null}, {column: a, op: in, value: [2, 1]}]\n",
    );
    assert_eq!(first, second);
    assert!(first.starts_with("sha256:"));
    assert_eq!(first.len(), 71);
}

#[test]
fn what_changes_a_document_changes_the_hash() {
    let base = hash("version: 1\ntable: t\nfields: [{keyword: x, transforms: [trim, lowercase]}]");
    for other in [
        "version: 1\ntable: u\nfields: [{keyword: x, transforms: [trim, lowercase]}]",
        "version: 1\ntable: t\nfields: [{keyword: x, transforms: [lowercase, trim]}]",
        "version: 1\ntable: t\nfields: [{text: x, transforms: [trim, lowercase]}]",
        "version: 1\ntable: t\nfields: [{keyword: x, column: y, transforms: [trim, lowercase]}]",
        "version: 1\ntable: t\nprimary_key: [a, b]\nfields: [{keyword: x, transforms: [trim, lowercase]}]",
        "version: 1\ntable: t\nfields: [{keyword: x, transforms: [trim, lowercase], options: {doc_values: false}}]",
    ] {
        assert_ne!(hash(other), base, "{other}");
    }
}

#[test]
fn only_options_that_cannot_change_in_place_change_the_hash() {
    let definition = read(FILE);
    let of = |change: fn(&mut IndexOptions)| {
        let mut options = IndexOptions::default();
        change(&mut options);
        definition_hash(&definition, &options)
    };
    let base = of(|_| {});
    assert_eq!(of(|o| o.number_of_replicas = 5), base);
    assert_eq!(
        of(|o| {
            o.index_settings
                .insert("max_result_window".to_owned(), json!(5));
        }),
        base
    );
    assert_ne!(of(|o| o.number_of_shards = 5), base);
    assert_ne!(of(|o| o.auto_subfields = false), base);
    assert_ne!(of(|o| o.pipeline = Some("p".to_owned())), base);
    assert_ne!(
        of(|o| {
            o.index_settings
                .insert("codec".to_owned(), json!("best_compression"));
        }),
        base
    );
}

/// A changed hash rebuilds every index of every user: this one must only
/// change together with `RENDERING` or the language.
#[test]
fn the_hash_is_pinned() {
    insta::assert_snapshot!(hash(FILE));
    insta::assert_json_snapshot!(read(FILE).canonical());
}
