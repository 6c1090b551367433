//! Kafka → OpenSearch: turns changes into documents and keeps each index equal to the database.
//!
//! ```text
//!  {p}.changes ─┐
//!  {p}.fanout  ─┼▶ consume ─▶ batch ─▶ resolve ─▶ build ─▶ bulk ─▶ sink ─▶ outcome ─▶ offsets ─▶ committed
//!  {p}.backfill ┘    │           │         │        │                        │           ▲
//!                assignment      │      fanout ─▶ {p}.fanout           dead_letter ──────┘
//!                                └────────── feed: the loop ──────────────────┘
//!  registry ◀─▶ coordinate (owner of partition 0): plan ─▶ {p}.backfill; generation: what comes next
//! ```
//!
//! Must hold: W1–W5, R1–R3. Must not: read the slot, or write source tables.

pub mod cli;
pub mod config;
pub mod error;
pub mod metrics;
pub mod http;
pub mod compiled;
pub mod registry;
pub mod generation;
pub mod coordinate;
pub mod plan;
pub mod consume;
pub mod assignment;
pub mod batch;
pub mod resolve;
pub mod fanout;
pub mod build;
pub mod bulk;
pub mod outcome;
pub mod limit;
pub mod sink;
pub mod dead_letter;
pub mod offsets;
pub mod feed;
pub mod freshness;
pub mod preview;
pub mod service;

#[cfg(test)]
mod loopback;

pub use error::{Definite, Transient};
pub use service::run;
