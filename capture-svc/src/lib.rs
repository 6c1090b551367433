//! (skeleton)

pub mod error;
pub mod preflight;
pub mod needs;
pub mod slot;
pub mod replication;
pub mod pgoutput;
pub mod relation;
pub mod route;
pub mod tail;
pub mod publish;
pub mod heartbeat;
pub mod gate;
pub mod confirm;
pub mod control;
