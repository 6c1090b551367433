//! Sections 2 and 3 of `docs/config-language.md`, line by line: each key with its default, its
//! rule and its forms. What is refused stands, with place and words, in the snapshots.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::format_collect,
    clippy::wildcard_enum_match_arm,
    reason = "a helper of a test may end the test"
)]

#[path = "support/files.rs"]
mod files;
#[path = "reference/config.rs"]
mod config;
#[path = "reference/precedence.rs"]
mod precedence;
#[path = "reference/places.rs"]
mod places;
#[path = "reference/schema.rs"]
mod schema;
#[path = "reference/tags.rs"]
mod tags;
