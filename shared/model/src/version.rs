//! The version a document is written with.
//! In: the incarnation of the server run and the ordinal of the snapshot.
//! Out: [`DocumentVersion`], incarnation · 2^48 + ordinal, which OpenSearch
//! compares. Must hold: W2, so both parts are checked and never wrap.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a snapshot stands in the history of one server run: how many
/// transaction ids were finished.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Ordinal(u64);

impl Ordinal {
    /// The ordinal `number`.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Ordinal(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a server run in the registry. Later runs have higher ones.
/// 32,767 are possible; the first is 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(u16);

impl Incarnation {
    /// The incarnation of the first run that was registered.
    pub const FIRST: Incarnation = Incarnation(1);

    /// The incarnation numbered `number`.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Incarnation(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The incarnation after this one; `None` when no version could carry it.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let next = self.0.checked_add(1)?;
        (next <= DocumentVersion::MAX_INCARNATION).then_some(Incarnation(next))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The external version of a document in OpenSearch: 0 … 2^63 − 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct DocumentVersion(i64);

/// The parts do not fit into a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// More transaction ids than 48 bits count.
    #[error("ordinal {0} does not fit into 48 bits of a document version")]
    Ordinal(Ordinal),
    /// More server runs than 15 bits count.
    #[error("incarnation {0} does not fit into 15 bits of a document version")]
    Incarnation(Incarnation),
    /// A number that is no version: negative.
    #[error("{0} is no document version")]
    Negative(i64),
}

impl DocumentVersion {
    const ORDINAL_BITS: u32 = 48;
    const MAX_ORDINAL: u64 = (1 << Self::ORDINAL_BITS) - 1;
    const MAX_INCARNATION: u16 = 0x7FFF;

    /// The version of a document built from the snapshot `ordinal` of the run
    /// `incarnation`.
    ///
    /// # Errors
    /// When a part does not fit. Nothing is ever cut off: a wrapped version
    /// would let an older write win.
    pub fn new(incarnation: Incarnation, ordinal: Ordinal) -> Result<Self, VersionError> {
        if incarnation.0 > Self::MAX_INCARNATION {
            return Err(VersionError::Incarnation(incarnation));
        }
        if ordinal.0 > Self::MAX_ORDINAL {
            return Err(VersionError::Ordinal(ordinal));
        }
        let low = i64::try_from(ordinal.0).map_err(|_| VersionError::Ordinal(ordinal))?;
        Ok(DocumentVersion(
            (i64::from(incarnation.0) << Self::ORDINAL_BITS) | low,
        ))
    }

    /// A version as OpenSearch returned it.
    ///
    /// # Errors
    /// When it is negative.
    pub fn from_i64(number: i64) -> Result<Self, VersionError> {
        if number < 0 {
            return Err(VersionError::Negative(number));
        }
        Ok(DocumentVersion(number))
    }

    /// The number that goes to OpenSearch.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The server run it was built in.
    #[must_use]
    pub fn incarnation(self) -> Incarnation {
        Incarnation(u16::try_from(self.0 >> Self::ORDINAL_BITS).unwrap_or(Self::MAX_INCARNATION))
    }

    /// The snapshot it was built from.
    #[must_use]
    pub fn ordinal(self) -> Ordinal {
        Ordinal(self.0.unsigned_abs() & Self::MAX_ORDINAL)
    }
}

impl fmt::Display for DocumentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn w2_a_later_run_wins_whatever_the_ordinals() {
        let last = DocumentVersion::new(Incarnation::new(1), Ordinal::new((1 << 48) - 1));
        let next = DocumentVersion::new(Incarnation::new(2), Ordinal::new(3));
        assert!(next.unwrap() > last.unwrap());
    }

    #[test]
    fn w2_what_does_not_fit_is_refused_and_never_cut_off() {
        let (run, many) = (Incarnation::new(0x8000), Ordinal::new(1 << 48));
        assert_eq!(
            DocumentVersion::new(run, Ordinal::new(1)),
            Err(VersionError::Incarnation(run))
        );
        assert_eq!(
            DocumentVersion::new(Incarnation::FIRST, many),
            Err(VersionError::Ordinal(many))
        );
        assert_eq!(
            DocumentVersion::from_i64(-1),
            Err(VersionError::Negative(-1))
        );
        assert_eq!(Incarnation::new(0x7FFF).next(), None);
    }

    #[test]
    fn the_highest_version_is_the_highest_number_of_the_index() {
        let highest = DocumentVersion::new(Incarnation::new(0x7FFF), Ordinal::new((1 << 48) - 1));
        assert_eq!(highest.map(DocumentVersion::get), Ok(i64::MAX));
    }

    proptest! {
        #[test]
        fn parts_round_trip(run in 0..0x8000_u16, ordinal in 0..(1_u64 << 48)) {
            let (run, ordinal) = (Incarnation::new(run), Ordinal::new(ordinal));
            let version = DocumentVersion::new(run, ordinal).unwrap();
            prop_assert_eq!((version.incarnation(), version.ordinal()), (run, ordinal));
            prop_assert_eq!(DocumentVersion::from_i64(version.get()), Ok(version));
        }
    }
}
