//! Round trips, golden records, evolution, and bytes that are no records.

mod evolution;
mod golden;
mod records;

use proptest::prelude::*;

use serde::Serialize;

use super::*;
use crate::{Announcement, Change, Chunk, DeadLetter};

fn schemas() -> Schemas {
    Schemas::new().unwrap()
}

/// Encodes and decodes in both framings.
fn round_trip<R: Record + PartialEq + fmt::Debug>(record: &R) {
    let schemas = schemas();
    schemas.add_id(7, R::KIND.schema_json()).unwrap();
    for framing in [Framing::SingleObject, Framing::Confluent { id: 7 }] {
        let bytes = schemas.encode(record, framing).unwrap();
        assert_eq!(
            schemas.decode::<R>(&bytes).as_ref(),
            Ok(record),
            "{framing:?}"
        );
    }
}

/// Any bytes behind a header that leads to each of the readers.
fn never_panics<R: Record>(schemas: &Schemas, datum: &[u8]) {
    let mut bytes = Vec::new();
    framing::write(
        Framing::SingleObject,
        schemas.fingerprint(R::KIND),
        &mut bytes,
    );
    bytes.extend_from_slice(datum);
    let _: Result<R, _> = schemas.decode(&bytes);
}

/// A record with one byte changed, and cut off: what bytes alone rarely hit.
fn damaged<R: Record>(record: &R, place: prop::sample::Index, byte: u8) {
    let schemas = schemas();
    let bytes = schemas.encode(record, Framing::SingleObject).unwrap();
    let place = place.index(bytes.len());
    let mut changed = bytes.clone();
    changed[place] = byte;
    let _: Result<R, _> = schemas.decode(&changed);
    assert!(
        schemas.decode::<R>(&bytes[..place]).is_err(),
        "cut at {place}"
    );
}

proptest! {
    #[test]
    fn changes_round_trip(record in records::change()) {
        round_trip(&record);
    }

    #[test]
    fn chunks_round_trip(record in records::chunk()) {
        round_trip(&record);
    }

    #[test]
    fn dead_letters_round_trip(record in records::dead_letter()) {
        round_trip(&record);
    }

    #[test]
    fn announcements_round_trip(record in records::announcement()) {
        round_trip(&record);
    }

    #[test]
    fn any_bytes_give_a_record_or_an_error(bytes: Vec<u8>) {
        let schemas = schemas();
        let _: Result<Change, _> = schemas.decode(&bytes);
        never_panics::<Change>(&schemas, &bytes);
        never_panics::<Chunk>(&schemas, &bytes);
        never_panics::<DeadLetter>(&schemas, &bytes);
        never_panics::<Announcement>(&schemas, &bytes);
    }

    #[test]
    fn a_damaged_record_gives_a_record_or_an_error(
        change in records::change(),
        chunk in records::chunk(),
        letter in records::dead_letter(),
        announcement in records::announcement(),
        place: prop::sample::Index,
        byte: u8,
    ) {
        damaged(&change, place, byte);
        damaged(&chunk, place, byte);
        damaged(&letter, place, byte);
        damaged(&announcement, place, byte);
    }
}

/// Lengths and counts that a datum claims without holding so much: as zigzag
/// the greatest and the least 64-bit number, 2^40, −2^40, 2^31.
const CLAIMS: [&[u8]; 5] = [
    &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x40],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0x3f],
    &[0x80, 0x80, 0x80, 0x80, 0x10],
];

/// A claim in the place of each byte.
fn claimed<R: Record>(records: Vec<(&str, R)>) {
    let schemas = schemas();
    for (name, record) in records {
        let bytes = schemas.encode(&record, Framing::SingleObject).unwrap();
        let mut refused = 0;
        for place in 10..bytes.len() {
            for claim in CLAIMS {
                let claimed = [&bytes[..place], claim, &bytes[place + 1..]].concat();
                refused += usize::from(schemas.decode::<R>(&claimed).is_err());
            }
        }
        assert!(refused > bytes.len(), "{name}: {refused}");
    }
}

#[test]
fn a_claimed_length_gives_a_record_or_an_error() {
    claimed(records::changes());
    claimed(records::chunks());
    claimed(records::dead_letters());
    claimed(records::announcements());
}

/// Made with another implementation, which these schemas must agree with
/// (`pip install fastavro==1.13.1`; it prints the eight bytes in the order of
/// the header):
/// `python -c 'import json,sys; from fastavro.schema import *;
/// print(fingerprint(to_parsing_canonical_form(json.load(open(sys.argv[1]))),
/// "CRC-64-AVRO"))' schemas/change.avsc`
#[test]
fn fingerprints_are_those_of_another_implementation() {
    let expected = [
        (RecordKind::Change, "cd0f9aa7ced18ffb"),
        (RecordKind::Chunk, "6806c97e05b65116"),
        (RecordKind::DeadLetter, "921cf8013ad48211"),
        (RecordKind::Announcement, "800bab716126e6c8"),
    ];
    let schemas = schemas();
    for (kind, bytes) in expected {
        let number = u64::from_str_radix(bytes, 16).unwrap().swap_bytes();
        assert_eq!(
            schemas.fingerprint(kind),
            Fingerprint::new(number),
            "{kind}"
        );
    }
}

#[test]
fn headers_are_those_of_the_two_conventions() {
    let schemas = schemas();
    let record = records::heartbeat();
    let single = schemas.encode(&record, Framing::SingleObject).unwrap();
    let fingerprint = [0xcd, 0x0f, 0x9a, 0xa7, 0xce, 0xd1, 0x8f, 0xfb];
    assert_eq!(single[..2], [0xC3, 0x01]);
    assert_eq!(single[2..10], fingerprint);
    let confluent = schemas
        .encode(&record, Framing::Confluent { id: 0x0102_0304 })
        .unwrap();
    assert_eq!(confluent[..5], [0, 1, 2, 3, 4]);
    assert_eq!(confluent[5..], single[10..]);
}

#[test]
fn the_schemas_carry_no_logical_types() {
    // The library computes a wrong fingerprint for them.
    for kind in RecordKind::ALL {
        assert!(!kind.schema_json().contains("logicalType"), "{kind}");
    }
}

/// The names of all fields of a schema, with those of the records within.
fn fields_of(schema: &serde_json::Value, names: &mut Vec<String>) {
    use serde_json::Value as Json;
    match schema {
        Json::Object(object) => {
            let fields = object.get("fields").and_then(Json::as_array);
            for field in fields.into_iter().flatten() {
                names.push(field["name"].as_str().unwrap().to_owned());
            }
            object.values().for_each(|inner| fields_of(inner, names));
        }
        Json::Array(array) => array.iter().for_each(|inner| fields_of(inner, names)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn every_field_is_explained_in_the_readme() {
    let readme = include_str!("../../../../schemas/README.md");
    for kind in RecordKind::ALL {
        let heading = format!("## {kind}\n");
        let (_, section) = readme.split_once(&heading).unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let mut names = Vec::new();
        fields_of(
            &serde_json::from_str(kind.schema_json()).unwrap(),
            &mut names,
        );
        // A feed's and a record's parts are explained where they come first.
        let above = [
            "sink",
            "index",
            "generation",
            "topic",
            "partition",
            "offset",
        ];
        names.retain(|name| kind == RecordKind::Chunk || !above.contains(&name.as_str()));
        for name in names {
            assert!(section.contains(&format!("`{name}`")), "{kind}: {name}");
        }
    }
}

#[test]
fn an_unknown_schema_is_named_and_can_be_added() {
    // GIVEN a record whose schema this book does not know
    let schemas = schemas();
    let json = RecordKind::Change.schema_json().replace(
        r#""name": "seq""#,
        r#""name": "later", "type": "string"}, {"name": "seq""#,
    );
    let schema = Schema::parse_str(&json).unwrap();
    let unknown = fingerprint(&schema);
    let mut bytes = Vec::new();
    framing::write(Framing::SingleObject, unknown, &mut bytes);
    // THEN it is an error of its own kind
    assert_eq!(
        schemas.decode::<Change>(&bytes).unwrap_err(),
        WireError::UnknownFingerprint(unknown)
    );
    assert_eq!(
        schemas.decode::<Change>(&[0, 0, 0, 0, 9]).unwrap_err(),
        WireError::UnknownId(9)
    );
    // WHEN the schema is added THEN the bytes are looked at
    assert_eq!(schemas.add(&json), Ok(unknown));
    schemas.add_id(9, &json).unwrap();
    let malformed = |result| matches!(result, Err(WireError::Malformed { .. }));
    assert!(malformed(schemas.decode::<Change>(&bytes)));
    assert!(malformed(schemas.decode::<Change>(&[0, 0, 0, 0, 9])));
}

#[test]
fn another_kind_of_record_is_told_apart() {
    let schemas = schemas();
    let bytes = schemas
        .encode(&records::heartbeat(), Framing::SingleObject)
        .unwrap();
    let wrong = WireError::WrongKind {
        expected: RecordKind::Chunk,
        found: RecordKind::Change,
    };
    assert_eq!(schemas.decode::<Chunk>(&bytes).unwrap_err(), wrong);
}

#[test]
fn bytes_left_over_are_an_error() {
    let schemas = schemas();
    let mut bytes = schemas
        .encode(&records::heartbeat(), Framing::SingleObject)
        .unwrap();
    bytes.push(0);
    assert!(matches!(
        schemas.decode::<Change>(&bytes),
        Err(WireError::Malformed { .. })
    ));
}

#[test]
fn an_error_shows_no_value() {
    // GIVEN a change whose table is no table name
    let schemas = schemas();
    let mut record = records::heartbeat();
    record.table = crate::TableName::new("s", "t");
    let bytes = schemas.encode(&record, Framing::SingleObject).unwrap();
    let text = bytes
        .windows(3)
        .position(|window| window == b"s.t")
        .unwrap();
    let mut damaged = bytes;
    damaged[text + 1] = b'Z';
    // THEN the error does not repeat it
    let error = schemas.decode::<Change>(&damaged).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sZt"), "{error}");
}

#[test]
fn the_control_topic_gets_every_schema_under_its_fingerprint() {
    let schemas = schemas();
    let records = schemas.control_records();
    assert_eq!(records.len(), RecordKind::ALL.len());
    for (key, json) in records {
        let fingerprint = schemas.add(json).unwrap();
        assert_eq!(key, schema_key(fingerprint));
        assert!(key.starts_with(SCHEMA_KEY_PREFIX));
    }
}
