//! From trees to checked types: every rule that needs no database.
//! In: the trees of `raw`. Out: a [`crate::Deployment`] without its schema files
//! (`config`), and an [`crate::IndexDefinition`] per schema file (`schema`).
//! Must hold: all mistakes are found in one pass; a mistake in one key does not
//! hide those of the others.

mod value;
mod names;
pub(crate) mod config;
pub(crate) mod schema;

pub use value::{parse_duration, parse_size};
