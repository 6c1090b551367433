//! The key bytes of a record of `{p}.changes`.
//! The table's text, a zero byte, then per key column a zero byte for NULL or
//! a one, the length (32 bits, big-endian) and the text. Must hold: C3, so
//! equal keys have equal bytes and different keys different ones; and the
//! table is readable without decoding the record.
//! Must not change: partitions are computed from these bytes.

use crate::change::ColumnValue;
use crate::table::TableName;

/// The key of every heartbeat: names no table.
pub const HEARTBEAT_KEY: &[u8] = b"\0heartbeat";

/// The key bytes of the row of `table` with the values `key`, in the order of
/// the primary key. Empty for TRUNCATE: the key of the table alone.
#[must_use]
pub fn row_key(table: &TableName, key: &[ColumnValue]) -> Vec<u8> {
    let mut bytes = table.to_string().into_bytes();
    bytes.push(0);
    for column in key {
        match &column.value {
            None => bytes.push(0),
            Some(value) => {
                bytes.push(1);
                // A value of 4 GiB cannot come out of Postgres (1 GiB is its limit).
                let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(value.as_bytes());
            }
        }
    }
    bytes
}

/// The text of the table a record key names, without decoding the record.
/// `None` for a heartbeat and for bytes that are no key of a change.
#[must_use]
pub fn record_table(key: &[u8]) -> Option<&str> {
    let end = key.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(key.get(..end)?).ok()?;
    (!text.is_empty()).then_some(text)
}
