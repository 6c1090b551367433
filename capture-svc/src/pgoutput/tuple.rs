//! The values of one row.
//! Must hold: *NULL*, *unchanged and not sent* and *a text* stay three things.
//! Why one slice and not a list of values: most columns of most rows are
//! looked at by nobody, and a list costs an allocation and a reference count
//! for each.

use bytes::Bytes;

use super::cursor::{Cursor, DecodeError};

/// A row: its columns in the order of the [`Relation`](super::Relation)
/// message. Checked when it was decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Tuple {
    columns: u16,
    values: Bytes,
}

/// One value of a [`Tuple`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datum<'a> {
    /// SQL NULL; in an old row also: not sent.
    Null,
    /// A large value that the change left alone and the server did not send.
    Unchanged,
    /// Postgres' text form, in the client encoding (UTF-8).
    Text(&'a [u8]),
}

impl Tuple {
    /// Reads a tuple off the front, and checks every value's length and kind.
    pub(super) fn read(cursor: &mut Cursor) -> Result<Self, DecodeError> {
        let columns = cursor.u16("column count")?;
        let start = cursor.rest().clone();
        for _ in 0..columns {
            match cursor.u8("value kind")? {
                b'n' | b'u' => {}
                b't' => {
                    let length = cursor.u32("value length")?;
                    cursor.take(length, "value")?;
                }
                // `b` too: binary values are never asked for.
                other => return Err(cursor.unexpected("value kind", other)),
            }
        }
        let length = start.len().saturating_sub(cursor.rest().len());
        Ok(Tuple {
            columns,
            values: start.slice(..length),
        })
    }

    /// How many columns it has.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.columns)
    }

    /// `true` for the row of a table without published columns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// The values, in column order.
    #[must_use]
    pub fn iter(&self) -> Data<'_> {
        Data { rest: &self.values }
    }

    /// The bytes it takes in the stream.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.values.len()
    }
}

/// Shows sizes, not values: rows do not belong in logs.
impl std::fmt::Debug for Tuple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tuple")
            .field("columns", &self.columns)
            .field("bytes", &self.values.len())
            .finish()
    }
}

impl<'a> IntoIterator for &'a Tuple {
    type Item = Datum<'a>;
    type IntoIter = Data<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The values of a [`Tuple`], one after the other.
#[derive(Debug, Clone)]
pub struct Data<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Data<'a> {
    type Item = Datum<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, rest) = self.rest.split_first()?;
        self.rest = rest;
        match kind {
            b'n' => Some(Datum::Null),
            b't' => {
                let (length, rest) = self.rest.split_first_chunk::<4>()?;
                let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
                let (value, rest) = rest.split_at_checked(length)?;
                self.rest = rest;
                Some(Datum::Text(value))
            }
            // `read` let nothing else pass but `u`.
            _ => Some(Datum::Unchanged),
        }
    }
}
