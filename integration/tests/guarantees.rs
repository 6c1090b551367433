//! A test for each guarantee, by its id.

mod gaps;
mod ids;
mod slot;
mod topic;
mod visibility;
