//! Unsigned 64-bit numbers in Avro, which has only signed ones.
//! The bits are kept: numbers above 2^63 become negative on the wire. In JSON
//! they stay unsigned.

use serde::{Deserialize, Deserializer, Serializer};

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
pub(crate) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
    if to.is_human_readable() {
        to.serialize_u64(*number)
    } else {
        to.serialize_i64(number.cast_signed())
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    if from.is_human_readable() {
        u64::deserialize(from)
    } else {
        i64::deserialize(from).map(i64::cast_unsigned)
    }
}
