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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn values(values: &[Option<&str>]) -> Vec<ColumnValue> {
        let value = |text: Option<&str>| ColumnValue::new("c", text.map(str::to_owned));
        values.iter().copied().map(value).collect()
    }

    #[test]
    fn c3_the_bytes_of_a_key_are_fixed() {
        // Partitions are computed from them: a change would move keys.
        let table = TableName::new("crm", "Reviews");
        let key = row_key(&table, &values(&[Some("12"), None]));
        assert_eq!(key, b"crm.\"Reviews\"\0\x01\0\0\0\x0212\0");
        assert_eq!(row_key(&table, &[]), b"crm.\"Reviews\"\0");
    }

    #[test]
    fn the_table_is_read_without_the_record() {
        let key = row_key(&TableName::new("public", "orders"), &values(&[Some("7")]));
        assert_eq!(record_table(&key), Some("public.orders"));
        assert_eq!(record_table(HEARTBEAT_KEY), None);
        assert_eq!(record_table(b""), None);
        assert_eq!(record_table(b"public.orders"), None);
        assert_eq!(record_table(b"\xff\0"), None);
    }

    proptest! {
        #[test]
        fn c3_different_keys_have_different_bytes(
            one in vec(option::of("[\0\x01a]{0,4}"), 0..4),
            other in vec(option::of("[\0\x01a]{0,4}"), 0..4),
        ) {
            let table = TableName::new("s", "t");
            let key = |texts: &[Option<String>]| {
                let values: Vec<_> = texts.iter().map(Option::as_deref).collect();
                row_key(&table, &self::values(&values))
            };
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }

        #[test]
        fn any_bytes_name_a_table_or_none(key: Vec<u8>) {
            let _ = record_table(&key);
        }
    }
}
