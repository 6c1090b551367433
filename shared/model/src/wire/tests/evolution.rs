//! What may change between two versions, and what may not.

use apache_avro::schema_compatibility::SchemaCompatibility;
use serde_json::{Value, json};

use super::*;

fn json_of(kind: RecordKind) -> Value {
    serde_json::from_str(kind.schema_json()).unwrap()
}

fn parse(json: &Value) -> Schema {
    Schema::parse(json).unwrap()
}

fn fields(schema: &mut Value) -> &mut Vec<Value> {
    schema["fields"].as_array_mut().unwrap()
}

/// A record written with `writer` by the generic path of the library.
fn written(writer: &Schema, value: apache_avro::types::Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    framing::write(Framing::SingleObject, fingerprint(writer), &mut bytes);
    let datum = GenericDatumWriter::builder(writer).build().unwrap();
    datum.write_value(&mut bytes, value).unwrap();
    bytes
}

/// `record` as the library's own value.
fn value_of<R: Record>(record: &R) -> apache_avro::types::Value {
    let schemas = schemas();
    let bytes = schemas.encode(record, Framing::SingleObject).unwrap();
    let own = schemas.own(R::KIND);
    GenericDatumReader::builder(own.schema)
        .build()
        .unwrap()
        .read_value(&mut &bytes[10..])
        .unwrap()
}

#[test]
fn every_committed_version_can_be_read_by_this_one() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/golden");
    let mut versions = 0;
    for version in std::fs::read_dir(folder).unwrap() {
        let version = version.unwrap().path();
        for kind in RecordKind::ALL {
            let name = super::golden::schema_file(kind);
            let old = std::fs::read_to_string(version.join(name)).unwrap();
            let old = Schema::parse_str(&old).unwrap();
            let new = Schema::parse_str(kind.schema_json()).unwrap();
            check_readable(&old, &new).unwrap_or_else(|e| panic!("{version:?} {kind}: {e}"));
            // The standard's own rules, for readers in other languages.
            SchemaCompatibility::can_read(&old, &new).unwrap();
        }
        versions += 1;
    }
    assert!(versions > 0, "no version is frozen");
}

#[test]
fn a_field_that_a_newer_writer_added_is_passed_over() {
    // GIVEN a newer writer with one more field, in the middle
    let mut json = json_of(RecordKind::Change);
    fields(&mut json).insert(3, json!({"name": "later", "type": "string", "default": ""}));
    let writer = parse(&json);
    let change = records::heartbeat();
    let apache_avro::types::Value::Record(mut values) = value_of(&change) else {
        panic!()
    };
    values.insert(3, ("later".to_owned(), "x".into()));
    // WHEN its schema is known THEN the rest is read
    let schemas = schemas();
    schemas.add(&json.to_string()).unwrap();
    let bytes = written(&writer, apache_avro::types::Value::Record(values));
    assert_eq!(schemas.decode::<Change>(&bytes), Ok(change));
}

#[test]
fn a_field_that_an_older_writer_lacks_gets_its_default() {
    // GIVEN an older writer that knew no settlements
    let mut json = json_of(RecordKind::Chunk);
    fields(&mut json).retain(|field| field["name"] != "settles");
    let writer = parse(&json);
    let (_, chunk) = records::chunks().remove(0);
    assert!(chunk.settles.is_empty());
    let apache_avro::types::Value::Record(mut values) = value_of(&chunk) else {
        panic!()
    };
    values.retain(|(name, _)| name != "settles");
    // THEN they are empty
    let schemas = schemas();
    schemas.add(&json.to_string()).unwrap();
    let bytes = written(&writer, apache_avro::types::Value::Record(values));
    assert_eq!(schemas.decode::<Chunk>(&bytes), Ok(chunk));
}

/// Every field with a default in the schemas has one in the types too.
#[test]
fn the_types_know_the_defaults_of_the_schemas() {
    fn without_defaults(value: &mut Value, schema: &Value) {
        match schema {
            Value::Object(object) if object.get("fields").is_some() => {
                let Some(map) = value.as_object_mut() else {
                    return;
                };
                for field in object["fields"].as_array().unwrap() {
                    let name = field["name"].as_str().unwrap();
                    if field.get("default").is_some() {
                        map.remove(name);
                    } else if let Some(inner) = map.get_mut(name) {
                        without_defaults(inner, &field["type"]);
                    }
                }
            }
            Value::Object(object) if object["type"] == "array" => {
                for item in value.as_array_mut().into_iter().flatten() {
                    without_defaults(item, &object["items"]);
                }
            }
            Value::Object(object) if object["type"] == "map" => {
                for item in value
                    .as_object_mut()
                    .into_iter()
                    .flat_map(|map| map.values_mut())
                {
                    without_defaults(item, &object["values"]);
                }
            }
            Value::Array(branches) => {
                // A union of records: {"Branch": {…}} in JSON.
                for branch in branches {
                    let Some(name) = branch["name"].as_str() else {
                        continue;
                    };
                    if let Some(inner) = value.get_mut(name) {
                        without_defaults(inner, branch);
                    }
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => {}
        }
    }
    fn check<R: Record + Serialize + serde::de::DeserializeOwned>(record: &R, schema: &Value) {
        let mut json = serde_json::to_value(record).unwrap();
        without_defaults(&mut json, schema);
        if let Err(error) = serde_json::from_value::<R>(json.clone()) {
            panic!("{error} in {json:#}");
        }
    }
    for (_, change) in records::changes() {
        check(&change, &json_of(RecordKind::Change));
    }
    for (_, chunk) in records::chunks() {
        check(&chunk, &json_of(RecordKind::Chunk));
    }
    for (_, letter) in records::dead_letters() {
        check(&letter, &json_of(RecordKind::DeadLetter));
    }
    for (_, announcement) in records::announcements() {
        let schema = json_of(RecordKind::Announcement);
        check(&announcement, &schema["fields"][0]["type"]);
    }
}

#[test]
fn a_symbol_that_only_a_newer_writer_knows_is_read_as_the_default() {
    // GIVEN a newer writer whose feeds have one more state
    let mut json = json_of(RecordKind::Announcement);
    let feed = &mut json["fields"][0]["type"][2];
    assert_eq!(feed["name"], "Feed");
    feed["fields"][2]["type"]["symbols"]
        .as_array_mut()
        .unwrap()
        .push(json!("Resting"));
    let writer = parse(&json);
    let (_, gating) = records::announcements().remove(6);
    let mut value = value_of(&gating);
    set_state(&mut value, 3, "Resting");
    // THEN an older reader takes such a feed for one that holds the slot back
    let schemas = schemas();
    schemas.add(&json.to_string()).unwrap();
    let decoded: Announcement = schemas.decode(&written(&writer, value)).unwrap();
    assert_eq!(decoded, gating);
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other values stay as they are"
)]
fn set_state(value: &mut apache_avro::types::Value, number: u32, symbol: &str) {
    use apache_avro::types::Value as Avro;
    let Avro::Record(fields) = value else {
        panic!("no record")
    };
    for (name, field) in fields {
        match field {
            Avro::Union(_, inner) if name == "body" => set_state(inner, number, symbol),
            Avro::Enum(..) if name == "state" => *field = Avro::Enum(number, symbol.to_owned()),
            _ => {}
        }
    }
}

#[test]
fn an_announcement_of_a_kind_that_only_a_newer_writer_knows_is_told_apart() {
    // GIVEN a newer writer with one more kind
    let mut json = json_of(RecordKind::Announcement);
    let field = json!({"name": "x", "type": "long"});
    let newer = json!({"type": "record", "name": "Newer", "fields": [field]});
    json["fields"][0]["type"]
        .as_array_mut()
        .unwrap()
        .push(newer);
    let writer = parse(&json);
    let schemas = schemas();
    schemas.add(&json.to_string()).unwrap();
    let value = |branch, body| {
        let body = apache_avro::types::Value::Union(branch, Box::new(body));
        apache_avro::types::Value::Record(vec![("body".to_owned(), body)])
    };
    let newer = apache_avro::types::Value::Record(vec![("x".to_owned(), 1_i64.into())]);
    // THEN that kind is an error of its own
    let bytes = written(&writer, value(8, newer));
    assert_eq!(
        schemas.decode::<Announcement>(&bytes),
        Err(WireError::NewerAnnouncement)
    );
    // AND the known kinds stay readable
    let (_, known) = records::announcements().remove(0);
    let bytes = written(&writer, value_of(&known));
    assert_eq!(schemas.decode::<Announcement>(&bytes), Ok(known));
}

#[test]
fn what_would_be_misread_is_refused() {
    let schemas = schemas();
    let refused =
        |json: &Value| matches!(schemas.add(&json.to_string()), Err(WireError::Schema(_)));

    // Another type under the same name.
    let mut json = json_of(RecordKind::Change);
    fields(&mut json)[7]["type"] = json!("string");
    assert!(refused(&json));

    // A field without default is missing.
    let mut json = json_of(RecordKind::Change);
    fields(&mut json).retain(|field| field["name"] != "seq");
    assert!(refused(&json));

    // A symbol that has no safe reading.
    let mut json = json_of(RecordKind::Change);
    fields(&mut json)[1]["type"]["symbols"]
        .as_array_mut()
        .unwrap()
        .push(json!("Merge"));
    assert!(refused(&json));

    // Branches in another order.
    let mut json = json_of(RecordKind::Announcement);
    json["fields"][0]["type"].as_array_mut().unwrap().swap(0, 1);
    assert!(refused(&json));

    // A third branch beside null.
    let mut json = json_of(RecordKind::Change);
    fields(&mut json)[3]["type"]
        .as_array_mut()
        .unwrap()
        .push(json!("string"));
    assert!(refused(&json));

    // Null first or last: an optional value is written by the place of null.
    let mut json = json_of(RecordKind::Change);
    fields(&mut json)[3]["type"]
        .as_array_mut()
        .unwrap()
        .reverse();
    fields(&mut json)[3]
        .as_object_mut()
        .unwrap()
        .remove("default");
    assert!(refused(&json));

    // No schema of ours, and no schema at all.
    assert!(refused(
        &json!({"type": "record", "name": "Other", "fields": []})
    ));
    assert!(refused(&json!("no-such-type")));
    assert!(matches!(schemas.add("{"), Err(WireError::Schema(_))));
}
