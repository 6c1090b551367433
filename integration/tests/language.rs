//! The configuration language as a whole: random databases, files and changes, against the oracle.

mod random;
mod faults;
mod pipeline;
