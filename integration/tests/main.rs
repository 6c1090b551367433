//! The pipeline against real servers: `deploy/test` starts them and runs this.
//!
//! `flow` says what the product does, `faults` what it survives, `guarantees` has a test for each
//! guarantee of `docs/architecture.md`, by its id. Each test has a database, topics and indexes of
//! its own; the truth is the oracle of this crate, which shares no code with the product.

mod check;
mod compat;
mod faults;
mod flow;
mod guarantees;
mod oracle;
mod language;
mod shop;
mod values;
