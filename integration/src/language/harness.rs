//! Plays random cases through the product's own code, in this process, on a real Postgres.
//!
//! ```text
//!  case ─▶ tables, rows ─▶ definition::load ─▶ compile ─▶ publication, identities (capture's preflight)
//!   │                                            │
//!   └─ step ─▶ Postgres ─▶ slot ─▶ replication ─▶ pgoutput ─▶ route ─▶ Avro ─▶ scope ─▶ resolve ─▶ build
//!                 │                                                                               │
//!                 └─▶ oracle: every document from whole tables   ◀── compare, after each step ──▶ documents in memory
//! ```
//!
//! Must hold: W4, W5. The product decides what is published, with which columns, what it leads to
//! and what is built; here is only what Kafka and OpenSearch would do with it. Documents that were
//! not rebuilt are compared too. Must not: wait for a time; the stream is read up to an LSN.

mod files;
mod stage;
mod mentions;
mod records;
mod feed;
mod fault;
mod play;
mod soak;

pub use fault::{Fault, FaultKind};
pub use play::{Ended, Failure, Figures, Kind};
pub use soak::{Found, Report, Seeds, soak};
pub use stage::Stage;
