//! Real data to try the pipeline on.

pub mod debian;
