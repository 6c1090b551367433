//! Frozen records in `schemas/golden`: bytes, and the JSON they mean.
//! A folder per version of the schemas, with those schemas. Files are named
//! `{kind}.{case}.bin`. Those that begin `{kind}.confluent` have the Confluent
//! framing and carry the id 1, 2, 3, 4 of a change, chunk, dead letter,
//! announcement; the others are single objects.
//! Files are added, never edited: `golden.sha256` holds the digest of each,
//! and nothing in this repository writes them, so that no change of the code
//! can change what it is measured by. The ones of v1 were read and written
//! again by fastavro 1.13.1, with the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

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

/// A book that knows the schemas beside the golden file `path`, by
/// fingerprint and by id.
fn schemas_beside(path: &Path) -> Schemas {
    let schemas = schemas();
    for kind in RecordKind::ALL {
        let json = fs::read_to_string(path.with_file_name(schema_file(kind))).unwrap();
        schemas.add_id(id_of(kind), &json).unwrap();
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

/// The schema registry id in the golden records with the Confluent framing.
const fn id_of(kind: RecordKind) -> u32 {
    match kind {
        RecordKind::Change => 1,
        RecordKind::Chunk => 2,
        RecordKind::DeadLetter => 3,
        RecordKind::Announcement => 4,
    }
}

fn framing_of(path: &Path, kind: RecordKind) -> Framing {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let (_, case) = name.split_once('.').unwrap();
    if case.starts_with("confluent") {
        Framing::Confluent { id: id_of(kind) }
    } else {
        Framing::SingleObject
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

fn assert_means<R>(path: &Path)
where
    R: Record + Serialize + DeserializeOwned + PartialEq + fmt::Debug,
{
    let schemas = schemas_beside(path);
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
    let beside = fs::read_to_string(path.with_file_name(schema_file(R::KIND))).unwrap();
    if schemas.add(&beside) == Ok(schemas.fingerprint(R::KIND)) {
        let encoded = schemas.encode(&record, framing_of(path, R::KIND));
        assert_eq!(encoded, Ok(bytes), "{path:?} is written differently now");
    }
}

#[test]
fn golden_records_decode_for_ever() {
    for path in files("bin") {
        match kind_of(&path) {
            RecordKind::Change => assert_means::<Change>(&path),
            RecordKind::Chunk => assert_means::<Chunk>(&path),
            RecordKind::DeadLetter => assert_means::<DeadLetter>(&path),
            RecordKind::Announcement => assert_means::<Announcement>(&path),
        }
    }
}

/// The lines of `sha256sum v1/*`, run in `schemas/golden`.
const DIGESTS: &str = include_str!("golden.sha256");

#[test]
fn golden_files_are_added_and_never_edited() {
    let listed: BTreeMap<String, String> = DIGESTS
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(digest, file)| (file.to_owned(), digest.to_owned()))
        .collect();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for ending in ["avsc", "bin", "json"] {
        for path in files(ending) {
            let file = path.strip_prefix(folder()).unwrap();
            let digest = Sha256::digest(fs::read(&path).unwrap());
            let mut hex = String::new();
            for byte in digest {
                write!(hex, "{byte:02x}").unwrap();
            }
            found.insert(file.to_str().unwrap().replace('\\', "/"), hex);
        }
    }
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        listed.keys().collect::<Vec<_>>(),
        "files of schemas/golden, and those in golden.sha256"
    );
    for (file, digest) in &listed {
        assert_eq!(&found[file], digest, "{file} was edited");
    }
}

#[test]
fn every_golden_record_has_its_meaning_and_both_framings_occur() {
    let stems = |ending| -> Vec<PathBuf> {
        let stem = |path: PathBuf| path.with_extension("");
        files(ending).into_iter().map(stem).collect()
    };
    assert_eq!(stems("bin"), stems("json"));
    for kind in RecordKind::ALL {
        for framing in [
            Framing::SingleObject,
            Framing::Confluent { id: id_of(kind) },
        ] {
            let has = |path: &PathBuf| kind_of(path) == kind && framing_of(path, kind) == framing;
            assert!(files("bin").iter().any(has), "{kind} {framing:?}");
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
