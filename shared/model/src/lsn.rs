//! A place in the write-ahead log.
//! In: Postgres' text form `16/B374D848`, or the 64-bit number of the wire
//! protocol. Out: [`Lsn`], ordered as the log is.
//! Must not: be compared across epochs; that is what
//! [`Position`](crate::Position) is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire;

/// A byte position in the write-ahead log of one cluster and timeline.
/// Serialised as text (`X/Y`) in JSON, as a number in Avro.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(u64);

/// The text is no LSN of the form `X/Y` (two hexadecimal halves of 32 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an LSN: expected two hexadecimal numbers of up to 8 digits, such as 16/B374D848")]
pub struct ParseLsnError;

impl Lsn {
    /// Postgres' `0/0`: no position. Sorts before every real one.
    pub const INVALID: Lsn = Lsn(0);

    /// The position `bytes` into the log.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Lsn(bytes)
    }

    /// The byte position as a number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// `false` for [`Lsn::INVALID`].
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 != 0
    }

    /// The position `bytes` further on; `None` past the end of the number
    /// space.
    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Lsn)
    }

    /// The position `bytes` before this one; `None` below zero.
    #[must_use]
    pub fn checked_sub(self, bytes: u64) -> Option<Self> {
        self.0.checked_sub(bytes).map(Lsn)
    }

    /// Bytes of log between `earlier` and this position; zero when `earlier`
    /// lies behind it. For lag figures, never for decisions.
    #[must_use]
    pub fn bytes_since(self, earlier: Lsn) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lsn({self})")
    }
}

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (high, low) = text.split_once('/').ok_or(ParseLsnError)?;
        Ok(Lsn((u64::from(half(high)?) << 32) | u64::from(half(low)?)))
    }
}

/// One half: 1 to 8 hexadecimal digits, without the sign that
/// `from_str_radix` would let pass.
fn half(digits: &str) -> Result<u32, ParseLsnError> {
    let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !plain {
        return Err(ParseLsnError);
    }
    u32::from_str_radix(digits, 16).map_err(|_| ParseLsnError)
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            wire::bits::serialize(&self.0, serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return wire::bits::deserialize(deserializer).map(Lsn);
        }
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_form_is_the_one_of_postgres() {
        assert_eq!(Lsn::new(0x16_B374_D848).to_string(), "16/B374D848");
        assert_eq!("16/B374D848".parse(), Ok(Lsn::new(0x16_B374_D848)));
        assert_eq!("0/0".parse(), Ok(Lsn::INVALID));
    }

    #[test]
    fn what_is_no_lsn_is_refused() {
        for text in [
            "",
            "/",
            "1/",
            "/1",
            "0/+1",
            "-1/0",
            "g/0",
            "0/123456789",
            "1/2/3",
            " 1/2",
        ] {
            assert_eq!(text.parse::<Lsn>(), Err(ParseLsnError), "{text:?}");
        }
    }

    #[test]
    fn arithmetic_stops_at_both_ends() {
        assert_eq!(Lsn::new(u64::MAX).checked_add(1), None);
        assert_eq!(Lsn::INVALID.checked_sub(1), None);
        assert_eq!(Lsn::new(5).bytes_since(Lsn::new(7)), 0);
    }

    proptest! {
        #[test]
        fn text_and_number_round_trip(bytes: u64) {
            let lsn = Lsn::new(bytes);
            prop_assert_eq!(lsn.to_string().parse(), Ok(lsn));
        }
    }
}
