//! The bytes before the datum: written, and taken apart again.
//! The first byte tells the two framings apart: 0xC3 or 0x00.

use std::fmt;

use super::WireError;

/// What stands before the datum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Avro's single-object encoding: `C3 01` and the fingerprint of the
    /// writer's schema, little-endian.
    SingleObject,
    /// A zero byte and the id of the writer's schema in a schema registry,
    /// big-endian.
    Confluent {
        /// That id.
        id: u32,
    },
}

/// The CRC-64-AVRO fingerprint of a schema's canonical form. Displayed as 16
/// hexadecimal digits, the most significant first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint from its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Fingerprint(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// What a header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    Fingerprint(Fingerprint),
    Id(u32),
}

const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];
const CONFLUENT: u8 = 0;

/// Writes the header of a record whose schema has this fingerprint.
pub(super) fn write(framing: Framing, fingerprint: Fingerprint, out: &mut Vec<u8>) {
    match framing {
        Framing::SingleObject => {
            out.extend_from_slice(&SINGLE_OBJECT);
            out.extend_from_slice(&fingerprint.0.to_le_bytes());
        }
        Framing::Confluent { id } => {
            out.push(CONFLUENT);
            out.extend_from_slice(&id.to_be_bytes());
        }
    }
}

/// Takes the header off: what it names, and the datum.
pub(super) fn split(bytes: &[u8]) -> Result<(Header, &[u8]), WireError> {
    let short = WireError::NotFramed("ends inside its header");
    if let Some(rest) = bytes.strip_prefix(&SINGLE_OBJECT) {
        let (number, datum) = rest.split_first_chunk().ok_or(short)?;
        return Ok((
            Header::Fingerprint(Fingerprint(u64::from_le_bytes(*number))),
            datum,
        ));
    }
    if let Some(rest) = bytes.strip_prefix(&[CONFLUENT]) {
        let (id, datum) = rest.split_first_chunk().ok_or(short)?;
        return Ok((Header::Id(u32::from_be_bytes(*id)), datum));
    }
    Err(WireError::NotFramed(
        "its first bytes belong to neither framing",
    ))
}
