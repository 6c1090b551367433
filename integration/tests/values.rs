//! Values, mappings and settings on a real Postgres and a real OpenSearch.
//!
//! ```text
//! table.txt ─▶ table ─▶ a table of Postgres, a schema file
//!                            │ stage: the product compiles, makes the index, builds, writes
//!                            ▼
//!               documents, `_source`, answers to query ─▶ compared with the row
//! ```
//!
//! `table.txt` is section 5 of the language reference, `order.txt` how its values sort,
//! `refused.txt` what the index refuses. No feed runs: what is proven is what is written, not when.

mod icu;
mod mapped;
mod query;
mod refused;
mod rendered;
mod sorted;
mod stage;
mod table;
