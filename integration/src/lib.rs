//! The pipeline against real servers.
//!
//! ```text
//! stack (servers) ─▶ sandbox (a database, topics and indexes of its own) ─▶ service (capture-svc, worker-svc)
//!                        │ rows change                                         │ kill -9, stop, start
//!                        ▼                                                     ▼
//!                     oracle: every document from whole tables   ◀─compare─▶   the index as it stands
//! ```
//!
//! Servers are named by the environment (`STACK_*`, written by `deploy/up`); `deploy/test` sets it.

pub mod stack;
pub mod sandbox;
pub mod service;
pub mod datasets;
pub mod oracle;
pub mod language;
