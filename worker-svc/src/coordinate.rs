//! Drives a generation from *planned* to *active*.
//! In: its record, `{p}.control`, the group's offsets, the source. Out: index, positions,
//! chunk plan, alias; every step noted in the registry by compare-and-set.
//! Must hold: R1 (the alias moves last, when all is read), R2 (positions are noted
//! before anything is built on them). Must not: decide; `generation` says what is next.
//! Who drives: while it is planned, whoever started it; from *building* on the owner of
//! partition 0 of `changes`. Why that may go wrong harmlessly: a second driver finds
//! each step done, or loses its compare-and-set.

pub mod control;
pub mod view;
pub mod positions;
pub mod source;
pub mod gating;
pub mod drive;
mod chunks;
mod finish;
pub mod create;

pub use control::{Control, ControlReader};
pub use drive::{Context, Coordinator};
pub use gating::announce_enabled;
pub use view::View;

/// The wall clock, microseconds since 1970: for people and records, never for order.
#[must_use]
pub fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
