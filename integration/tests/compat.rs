//! The files of flusso 0.15 and the take-over of a running one.

mod keys;
mod takeover;

use std::path::PathBuf;

/// Files that use every key of flusso 0.15, written for this test.
fn folder() -> PathBuf {
    integration::stack::repository().join("integration/compat")
}

/// The text of one of them.
fn file(name: &str) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(folder().join(name))?)
}
