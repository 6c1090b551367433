//! The independent truth: builds every document of an index from whole tables, in memory.
//! In: a `*.schema.yml` and a connection. Out: id → document, to compare with an index.
//! Must not: share code with the product, or be clever. It reads whole tables in one snapshot as
//! Postgres' own output text, joins them in memory, and follows the words of the reference.
//! Why it can be trusted: what it does is so plain that a fault of the product and a fault here
//! would have to be the same by chance. What only Postgres knows (how a type compares and sorts, how
//! a text becomes lower case, what a raw condition means) is asked of every row of one table, never
//! of a join; sums are added up by Postgres from values that were picked here.
//!
//! ```text
//! file ─▶ names ─▶ catalog ─▶ shape (columns, links, questions per table)
//!                               │ one statement per table
//!                               ▼
//!                             tables ─▶ figures (sums) ─▶ document ─▶ id → Json
//! ```
//!
//! Numbers compare by their digits; see [`Json`].

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most questions here are whether a node or type is of one kind"
)]

pub mod compare;
mod catalog;
mod document;
mod figures;
pub(crate) mod file;
mod id;
pub mod json;
mod literal;
mod shape;
mod tables;
mod value;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use tokio_postgres::IsolationLevel;

pub use compare::{Comparison, Found, compare, compare_documents};
pub use json::Json;
#[cfg(test)]
pub(crate) use shape::TAGS;

/// Documents by id.
pub type Documents = BTreeMap<String, Json>;

/// Builds every document that `schema` (the text of a `*.schema.yml`) describes, from one snapshot
/// of the database. The session keeps its settings.
///
/// # Errors
/// When the file uses something that the oracle does not know, or the database cannot be read.
pub async fn documents(schema: &str, database: &mut tokio_postgres::Client) -> Result<Documents> {
    let file = file::Node::parse(schema)?;
    let snapshot = database
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let catalog = catalog::describe(&snapshot, &shape::names(&file)).await?;
    let shape = shape::Shape::new(&file, catalog)?;
    let tables = tables::Tables::load(&snapshot, &shape.tables, &shape.links)
        .await
        .context("the oracle cannot read the tables")?;
    let figures = figures::Figures::load(&snapshot, &shape, &tables)
        .await
        .context("the oracle cannot add up")?;
    snapshot.commit().await?;
    document::Builder {
        shape: &shape,
        tables: &tables,
        figures: &figures,
    }
    .build_all()
}
