//! A test for each guarantee, by its id.

mod control;
mod gaps;
mod ids;
mod slot;
mod topic;
mod visibility;
