//! The guarantees, and the check that one of them is kept.
//!
//! ```
//! use model::{Lsn, Violation, invariant};
//!
//! struct Confirm {
//!     confirmed: Lsn,
//! }
//!
//! impl Confirm {
//!     // Any error that is `From<Violation>` will do.
//!     fn raise(&mut self, new: Lsn) -> Result<(), Violation> {
//!         invariant!(C2, new >= self.confirmed, "asked to go from {} to {new}", self.confirmed);
//!         self.confirmed = new;
//!         Ok(())
//!     }
//! }
//! # Confirm { confirmed: Lsn::new(1) }.raise(Lsn::new(2)).unwrap();
//! ```
//!
//! Stands before the act it guards. A debug build panics. A release build
//! returns the [`Violation`] from the enclosing function, through `From`;
//! whoever handles that error counts
//! `flusso_invariant_violations_total{id}` and logs it, once, and stops the
//! feed or the process before the wrong thing is done.

use std::fmt;

/// The guarantees of the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarantee {
    /// The confirmed LSN never passes a change that is not durable.
    C1,
    /// The confirmed LSN never goes down.
    C2,
    /// All changes of one key value go to one partition, in commit order.
    C3,
    /// Every committed change is in its partition at least once.
    C4,
    /// A committed offset never passes a record that is not done.
    W1,
    /// An older snapshot never replaces a newer one.
    W2,
    /// A document is built from a snapshot that sees its whole batch.
    W3,
    /// Every affected document is rebuilt, the formerly affected included.
    W4,
    /// Once writes stop, index and database are equal.
    W5,
    /// An alias never points at a generation that is not ready.
    R1,
    /// No gap passes silently.
    R2,
    /// Nothing from lost transactions stays in an index.
    R3,
}

impl Guarantee {
    /// All of them, in the order of the table in `docs/architecture.md`.
    pub const ALL: [Guarantee; 12] = [
        Guarantee::C1,
        Guarantee::C2,
        Guarantee::C3,
        Guarantee::C4,
        Guarantee::W1,
        Guarantee::W2,
        Guarantee::W3,
        Guarantee::W4,
        Guarantee::W5,
        Guarantee::R1,
        Guarantee::R2,
        Guarantee::R3,
    ];

    /// Its id, as in test names, metrics and the documentation.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Guarantee::C1 => "C1",
            Guarantee::C2 => "C2",
            Guarantee::C3 => "C3",
            Guarantee::C4 => "C4",
            Guarantee::W1 => "W1",
            Guarantee::W2 => "W2",
            Guarantee::W3 => "W3",
            Guarantee::W4 => "W4",
            Guarantee::W5 => "W5",
            Guarantee::R1 => "R1",
            Guarantee::R2 => "R2",
            Guarantee::R3 => "R3",
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A guarantee would have been broken; the act was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("guarantee {guarantee} would be broken: {detail}")]
pub struct Violation {
    /// Which one.
    pub guarantee: Guarantee,
    /// What was asked for: positions and counts, never row values.
    pub detail: String,
}

impl Violation {
    /// The violation of `guarantee`.
    #[must_use]
    pub fn new(guarantee: Guarantee, detail: impl Into<String>) -> Self {
        Violation {
            guarantee,
            detail: detail.into(),
        }
    }

    /// Panics in debug builds; otherwise hands the violation on. The body of
    /// [`invariant!`](crate::invariant!).
    #[must_use]
    #[track_caller]
    pub fn found(self) -> Self {
        if cfg!(debug_assertions) {
            broken(&self);
        }
        self
    }
}

#[track_caller]
#[expect(
    clippy::panic,
    reason = "a broken guarantee must stop every test that meets it"
)]
fn broken(violation: &Violation) {
    panic!("{violation}")
}

/// Checks that a guarantee is kept: `invariant!(C2, condition, "text {}", x)`.
/// See the [module](mod@crate::invariant) for what happens when it is not.
#[macro_export]
macro_rules! invariant {
    ($guarantee:ident, $kept:expr, $($detail:tt)+) => {
        if !$kept {
            let violation = $crate::Violation::new(
                $crate::Guarantee::$guarantee,
                ::std::format!($($detail)+),
            );
            return ::std::result::Result::Err(violation.found().into());
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raise(from: u32, to: u32) -> Result<u32, Violation> {
        invariant!(C2, to >= from, "asked to go from {from} to {to}");
        Ok(to)
    }

    #[test]
    fn what_keeps_the_guarantee_passes() {
        assert_eq!(raise(1, 2), Ok(2));
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "C2 would be broken"))]
    fn what_breaks_it_stops_a_debug_build_and_is_an_error_in_a_release_build() {
        let violation = raise(2, 1).unwrap_err();
        assert_eq!(violation.guarantee, Guarantee::C2);
        assert_eq!(violation.detail, "asked to go from 2 to 1");
    }

    #[test]
    fn ids_are_those_of_the_design() {
        let ids: Vec<_> = Guarantee::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(ids.join(" "), "C1 C2 C3 C4 W1 W2 W3 W4 W5 R1 R2 R3");
    }
}
