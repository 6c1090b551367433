//! Commands that need no server, called as a person calls them: the lock in the place of files.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test may end it"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use definition::{LiteralSecrets, Overrides, build_lock};
use runtime::cli::Disk;

const CONFIG: &str = "[source]\ntype = \"postgres\"\n[broker]\ntopic_prefix = \"locked\"\n\
    [[index]]\nname = \"shows\"\nschema = \"shows.schema.yml\"\n";
const SCHEMA: &str = "version: 1\ntable: shows\nfields:\n  - long: id\n";

fn capture(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_capture-svc"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn a_lock_takes_the_place_of_its_files() {
    // GIVEN files and their lock
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("flusso.toml"), CONFIG).unwrap();
    fs::write(path.join("shows.schema.yml"), SCHEMA).unwrap();
    let lock = build_lock(
        &path.join("flusso.toml"),
        &Disk,
        &std::collections::BTreeMap::new(),
        &Overrides::default(),
        LiteralSecrets::Refused,
    )
    .unwrap();
    fs::write(path.join("flusso.lock"), lock.text).unwrap();
    let check = ["check", "--offline", "--format", "json"];
    let from_files = capture(path, &check, &[]);
    assert_eq!(from_files.status.code(), Some(0), "{from_files:?}");
    // WHEN the lock is asked for, or is all there is
    let locked = capture(path, &check, &[("FLUSSO_LOCKED", "1")]);
    fs::rename(path.join("flusso.toml"), path.join("gone.toml")).unwrap();
    let alone = capture(path, &check, &[]);
    // THEN both say the same
    for output in [locked, alone] {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(output.stdout, from_files.stdout, "{output:?}");
    }
}

#[test]
fn no_command_takes_a_lock_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(
        path.join("old.lock"),
        b"\x82\xaeformat_version\x01\xa6config\x80",
    )
    .unwrap();
    for command in ["run", "topics"] {
        let output = capture(path, &[command, "--locked", "--lock", "old.lock"], &[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            told.contains("error[E107]: old.lock was written by flusso 0.15"),
            "{told}"
        );
    }
}

#[test]
fn version_tells_product_commit_librdkafka_and_rendering() {
    let folder = tempfile::tempdir().unwrap();
    let output = capture(folder.path(), &["version", "--format", "json"], &[]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["product", "commit", "librdkafka", "rendering"]);
}
