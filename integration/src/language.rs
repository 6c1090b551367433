//! Random cases of the whole language: a database, files, changes.
//!
//! ```text
//! generate (seed) ─▶ case: schemas, rows, files, steps ─▶ harness: the product in process, the oracle after each step
//!                      ▲                                        │ a case that fails
//!                      └────────── shrink: smaller cases ◀──────┘
//! ```

pub mod case;
mod generate;
mod shrink;
pub mod harness;

pub use case::{Case, IndexFile, Outcome, Refused, Size, Step};
pub use shrink::shrink;
