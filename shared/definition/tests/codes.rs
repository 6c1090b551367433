//! The list of codes against the places where findings are made.

#![allow(clippy::unwrap_used, reason = "a helper of a test may end the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use definition::diagnostic::codes::OF_SERVERS;

/// The sources of the crates that make findings, without their tests.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![
        root.join("src"),
        root.join("../runtime/src"),
        root.join("../../capture-svc/src"),
        root.join("../../worker-svc/src"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_stem().is_some_and(|name| name == "tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The quoted codes from 300 on in a text.
fn codes(text: &str) -> impl Iterator<Item = u16> {
    text.split('"').filter_map(|word| {
        let digits = word.strip_prefix(['E', 'W'])?;
        let number = digits.parse().ok().filter(|_| digits.len() == 3)?;
        (number >= 300).then_some(number)
    })
}

#[test]
fn every_code_of_the_servers_stands_in_the_list_and_every_line_of_it_is_used() {
    let used: BTreeSet<u16> = sources()
        .iter()
        .flat_map(|path| codes(&std::fs::read_to_string(path).unwrap()).collect::<Vec<_>>())
        .collect();
    let listed: Vec<u16> = OF_SERVERS.iter().map(|(number, _)| *number).collect();
    assert_eq!(used.into_iter().collect::<Vec<_>>(), listed);
}

#[test]
fn no_two_codes_mean_the_same() {
    let meanings: BTreeSet<&str> = OF_SERVERS.iter().map(|(_, meaning)| *meaning).collect();
    assert_eq!(meanings.len(), OF_SERVERS.len());
}
