//! Tells the crate which commit it is built from, for `version`.
//! In: `FLUSSO_COMMIT`, or the repository around the sources. Out: the variable of that name
//! while compiling; unset when neither is there.
//! Why only release builds ask the repository: asking makes every commit compile all that
//! depends on this crate again.

use std::path::Path;
use std::process::Command;

const VARIABLE: &str = "FLUSSO_COMMIT";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let is_given = std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
    let is_release = std::env::var_os("PROFILE").is_some_and(|profile| profile == "release");
    if is_given || !is_release {
        // A variable that is given is seen by the compiler as it is.
        return;
    }
    let Some(directory) = git(&["rev-parse", "--absolute-git-dir"]) else {
        return;
    };
    // Every commit and every switch of branches is written there.
    let log = Path::new(&directory).join("logs/HEAD");
    println!("cargo::rerun-if-changed={}", log.display());
    if let Some(commit) = git(&["rev-parse", "HEAD"]) {
        println!("cargo::rustc-env={VARIABLE}={commit}");
    }
}

/// What git says, when there is a repository and git is installed.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
