//! Frozen records in `schemas/golden`: bytes, and the JSON they mean.
//! Files are added, never edited. A new version of the schemas gets a folder
//! of its own, with its schemas and one record per variant:
//! `cargo test -p model -- --ignored add_golden_records` writes what the
//! newest folder lacks and touches nothing that is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::records;
use super::*;

/// The version that this build writes.
const NEWEST: &str = "v1";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/golden")
}

/// The frozen files of every version with the ending `ending`, in order.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for version in fs::read_dir(folder()).unwrap() {
        for file in fs::read_dir(version.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|found| found == ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(
        !files.is_empty(),
        "no golden files with the ending {ending}"
    );
    files
}

/// A book that knows the schemas of every version.
fn schemas_of_all_versions() -> Schemas {
    let schemas = schemas();
    for path in files("avsc") {
        schemas.add(&fs::read_to_string(&path).unwrap()).unwrap();
    }
    schemas
}

/// The kind of a golden file: the first word of its name.
fn kind_of(path: &Path) -> RecordKind {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let (kind, _) = name.split_once('.').unwrap();
    match kind {
        "change" => RecordKind::Change,
        "chunk" => RecordKind::Chunk,
        "dead_letter" => RecordKind::DeadLetter,
        "announcement" => RecordKind::Announcement,
        other => panic!("{other} is no kind of records"),
    }
}

/// `true` when `whole` says all that `part` says; a later version may add
/// fields.
fn says(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, value)| whole.get(name).is_some_and(|found| says(found, value))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole
                    .iter()
                    .enumerate()
                    .all(|(n, value)| says(value, &part[n]))
        }
        (whole, part) => whole == part,
    }
}

fn assert_means<R>(schemas: &Schemas, path: &Path)
where
    R: Record + Serialize + DeserializeOwned + PartialEq + fmt::Debug,
{
    let bytes = fs::read(path).unwrap();
    let json = fs::read_to_string(path.with_extension("json")).unwrap();
    let record: R = schemas
        .decode(&bytes)
        .unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let meant: Value = serde_json::from_str(&json).unwrap();
    let found = serde_json::to_value(&record).unwrap();
    assert!(
        says(&found, &meant),
        "{path:?}:\n{found:#}\nwhere is meant\n{meant:#}"
    );
    assert_eq!(
        serde_json::from_str::<R>(&json).unwrap(),
        record,
        "{path:?}"
    );
}

#[test]
fn golden_records_decode_for_ever() {
    let schemas = schemas_of_all_versions();
    for path in files("bin") {
        match kind_of(&path) {
            RecordKind::Change => assert_means::<Change>(&schemas, &path),
            RecordKind::Chunk => assert_means::<Chunk>(&schemas, &path),
            RecordKind::DeadLetter => assert_means::<DeadLetter>(&schemas, &path),
            RecordKind::Announcement => assert_means::<Announcement>(&schemas, &path),
        }
    }
}

#[test]
fn the_schemas_of_this_build_are_frozen() {
    // A changed schema without a new folder would make records that no later
    // version is tested to read.
    let newest = folder().join(NEWEST);
    for kind in RecordKind::ALL {
        let frozen = fs::read_to_string(newest.join(schema_file(kind))).unwrap();
        let frozen = Schema::parse_str(&frozen).unwrap();
        assert_eq!(fingerprint(&frozen), schemas().fingerprint(kind), "{kind}");
    }
}

#[test]
fn every_symbol_and_branch_has_a_golden_record() {
    for kind in RecordKind::ALL {
        let mut wanted = BTreeSet::new();
        symbols_of(
            &serde_json::from_str(kind.schema_json()).unwrap(),
            &mut wanted,
        );
        let mut found = BTreeSet::new();
        for path in files("json").iter().filter(|path| kind_of(path) == kind) {
            words_of(
                &serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap(),
                &mut found,
            );
        }
        let missing: Vec<_> = wanted.difference(&found).collect();
        assert!(missing.is_empty(), "{kind} lacks {missing:?}");
    }
}

/// The symbols of enumerations, and the branches that unions choose between.
fn symbols_of(schema: &Value, symbols: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for symbol in object
                .get("symbols")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                symbols.insert(symbol.as_str().unwrap().to_owned());
            }
            let union = object.get("type").and_then(Value::as_array);
            let branches = union.filter(|branches| !branches.contains(&"null".into()));
            for branch in branches.into_iter().flatten() {
                symbols.insert(branch["name"].as_str().unwrap().to_owned());
            }
            object.values().for_each(|value| symbols_of(value, symbols));
        }
        Value::Array(array) => array.iter().for_each(|value| symbols_of(value, symbols)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The keys and texts of a JSON value.
fn words_of(value: &Value, words: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            words.extend(object.keys().cloned());
            object.values().for_each(|value| words_of(value, words));
        }
        Value::Array(array) => array.iter().for_each(|value| words_of(value, words)),
        Value::String(text) => {
            words.insert(text.clone());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(super) fn schema_file(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Change => "change.avsc",
        RecordKind::Chunk => "chunk.avsc",
        RecordKind::DeadLetter => "dead_letter.avsc",
        RecordKind::Announcement => "announcement.avsc",
    }
}

fn add<R: Record + Serialize>(kind: &str, records: Vec<(&str, R)>) {
    let schemas = schemas();
    for (name, record) in records {
        let path = folder().join(NEWEST).join(format!("{kind}.{name}.bin"));
        if path.exists() {
            continue;
        }
        let json = serde_json::to_string_pretty(&record).unwrap();
        fs::write(path.with_extension("json"), format!("{json}\n")).unwrap();
        fs::write(
            &path,
            schemas.encode(&record, Framing::SingleObject).unwrap(),
        )
        .unwrap();
    }
}

#[test]
#[ignore = "adds files; run by hand when a record or version is new"]
fn add_golden_records() {
    let newest = folder().join(NEWEST);
    fs::create_dir_all(&newest).unwrap();
    for kind in RecordKind::ALL {
        let path = newest.join(schema_file(kind));
        if !path.exists() {
            fs::write(&path, kind.schema_json()).unwrap();
        }
    }
    add("change", records::changes());
    add("chunk", records::chunks());
    add("dead_letter", records::dead_letters());
    add("announcement", records::announcements());
}
