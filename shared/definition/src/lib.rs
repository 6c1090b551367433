//! Configuration files to compiled index definitions. Pure: files, environment
//! and catalog are handed in as data.
//!
//! ```text
//!  flusso.toml ──┐                     ┌─▶ Deployment ─▶ services
//!                ├─▶ raw ─▶ check ─────┤
//!  *.schema.yml ─┤   (tree with spans) └─▶ IndexDefinition ─▶ canonical ─▶ registry, hash
//!  flusso.lock ──┘                                  │
//!                                     catalog ──────┴─▶ compile, sql, mapping
//!  every step ─▶ Diagnostics (file, line, column, how to mend it)
//! ```
//!
//! Must hold: nothing from a file can panic; unknown keys are refused; every key of the
//! language is read and checked. Must not: read files, clock or environment.

pub mod diagnostic;
mod raw;
mod check;
pub mod deployment;
pub mod index;
mod canonical;
mod load;
mod lock;
pub mod editor;
pub mod catalog;
pub mod compile;
pub mod mapping;
pub mod differences;
pub mod report;

pub use canonical::{RENDERING, ReadError, definition_hash};
pub use catalog::Catalog;
pub use check::{parse_duration, parse_size};
pub use compile::{CompiledIndex, compile};
pub use deployment::{Deployment, Index, IndexOptions, Secret, Sink, SinkKind};
pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity, Spans};
pub use index::{Field, FieldKind, Filter, IndexDefinition, Join, Link};
pub use load::{Files, Overrides, RefusedProperty, load};
pub use lock::{FORMAT as LOCK_FORMAT, LiteralSecrets, Lock, build as build_lock, load_lock};
