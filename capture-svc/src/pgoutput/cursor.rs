//! Reads numbers and texts off the front of a frame.
//! Must hold: never past the end, never a panic.

use bytes::{Buf, Bytes};
use model::Lsn;

/// The bytes are not one message of the protocol. Names the field and its
/// place, never a value of a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a pgoutput message: {reason} at byte {at} ({field})")]
pub struct DecodeError {
    field: &'static str,
    at: usize,
    reason: String,
}

/// A place in a frame.
pub(super) struct Cursor {
    rest: Bytes,
    length: usize,
}

impl Cursor {
    pub(super) fn new(frame: Bytes) -> Self {
        Cursor {
            length: frame.len(),
            rest: frame,
        }
    }

    fn wrong(&self, field: &'static str, reason: impl Into<String>) -> DecodeError {
        DecodeError {
            field,
            at: self.length.saturating_sub(self.rest.len()),
            reason: reason.into(),
        }
    }

    fn ended(&self, field: &'static str) -> DecodeError {
        self.wrong(field, "it ends")
    }

    /// The error for a tag byte that the protocol does not know.
    pub(super) fn unexpected(&self, field: &'static str, tag: u8) -> DecodeError {
        self.wrong(field, format!("unknown tag {:?}", char::from(tag)))
    }

    /// The error when bytes are left over.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.wrong("end", format!("{} bytes too many", self.rest.len())))
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.rest.try_get_u8().map_err(|_| self.ended(field))
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.rest.try_get_u16().map_err(|_| self.ended(field))
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.rest.try_get_u32().map_err(|_| self.ended(field))
    }

    pub(super) fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.rest.try_get_i32().map_err(|_| self.ended(field))
    }

    pub(super) fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.rest.try_get_i64().map_err(|_| self.ended(field))
    }

    pub(super) fn lsn(&mut self, field: &'static str) -> Result<Lsn, DecodeError> {
        self.rest
            .try_get_u64()
            .map(Lsn::new)
            .map_err(|_| self.ended(field))
    }

    /// The next `length` bytes, sharing the frame's memory.
    pub(super) fn take(&mut self, length: u32, field: &'static str) -> Result<Bytes, DecodeError> {
        match usize::try_from(length) {
            Ok(length) if length <= self.rest.len() => Ok(self.rest.split_to(length)),
            _ => Err(self.ended(field)),
        }
    }

    /// A text that ends with a zero byte.
    pub(super) fn text(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let end = self
            .rest
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| self.ended(field))?;
        let text = std::str::from_utf8(&self.rest.split_to(end))
            .map(str::to_owned)
            .map_err(|_| self.wrong(field, "it is not UTF-8"))?;
        self.rest.advance(1);
        Ok(text)
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &Bytes {
        &self.rest
    }
}
