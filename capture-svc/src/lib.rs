//! (skeleton)

pub mod pgoutput;
