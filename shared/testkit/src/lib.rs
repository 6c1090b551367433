//! What tests of all crates share: seeds, waits, names.
//!
//! ```text
//!  seed      a random schedule is a value made from a seed; a failure prints the replay
//!  wait      poll with a deadline, and say what was last seen
//!  unique    names for databases, prefixes and groups that no other run uses
//!  server    where the servers of a run are
//! ```
//!
//! A dev-dependency only. Must not: start servers (`integration` does), or sleep to be safe.

pub mod seed;
pub mod wait;
pub mod unique;
pub mod server;

pub use seed::{Seed, with_seed, with_seeds};
pub use server::server;
pub use unique::unique;
pub use wait::{Timeout, eventually, eventually_every};
