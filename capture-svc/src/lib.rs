//! (skeleton)

pub mod error;
pub mod pgoutput;
pub mod tail;
pub mod heartbeat;
pub mod gate;
pub mod confirm;
