//! The four records that travel, and how each meets the Avro library.

use std::fmt;

use apache_avro::AvroResult;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::{Deserialize, Serialize};

use crate::announcement::Announcement;
use crate::change::Change;
use crate::chunk::Chunk;
use crate::dead_letter::DeadLetter;

/// The kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// [`Change`].
    Change,
    /// [`Chunk`].
    Chunk,
    /// [`DeadLetter`].
    DeadLetter,
    /// [`Announcement`].
    Announcement,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [RecordKind; 4] = [
        RecordKind::Change,
        RecordKind::Chunk,
        RecordKind::DeadLetter,
        RecordKind::Announcement,
    ];

    /// The name of its record in the schemas, without namespace.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RecordKind::Change => "Change",
            RecordKind::Chunk => "Chunk",
            RecordKind::DeadLetter => "DeadLetter",
            RecordKind::Announcement => "Announcement",
        }
    }

    /// The schema that this build writes it with, as JSON.
    #[must_use]
    pub const fn schema_json(self) -> &'static str {
        match self {
            RecordKind::Change => include_str!("../../../../schemas/change.avsc"),
            RecordKind::Chunk => include_str!("../../../../schemas/chunk.avsc"),
            RecordKind::DeadLetter => include_str!("../../../../schemas/dead_letter.avsc"),
            RecordKind::Announcement => include_str!("../../../../schemas/announcement.avsc"),
        }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A record that travels through a topic: [`Change`], [`Chunk`],
/// [`DeadLetter`], [`Announcement`].
#[expect(private_bounds, reason = "sealed: these four and no others")]
pub trait Record: Datum {
    /// Which one it is.
    const KIND: RecordKind;
}

impl Record for Change {
    const KIND: RecordKind = RecordKind::Change;
}
impl Record for Chunk {
    const KIND: RecordKind = RecordKind::Chunk;
}
impl Record for DeadLetter {
    const KIND: RecordKind = RecordKind::DeadLetter;
}
impl Record for Announcement {
    const KIND: RecordKind = RecordKind::Announcement;
}

/// How a record meets the Avro library.
pub(super) trait Datum: Sized {
    fn write(&self, writer: &GenericDatumWriter<'_>, out: &mut Vec<u8>) -> AvroResult<usize>;
    fn read(reader: &GenericDatumReader<'_>, datum: &mut &[u8]) -> AvroResult<Self>;
}

macro_rules! plain_datum {
    ($($record:ident),+) => {$(
        impl Datum for $record {
            fn write(&self, to: &GenericDatumWriter<'_>, out: &mut Vec<u8>) -> AvroResult<usize> {
                to.write_ser(out, self)
            }

            fn read(from: &GenericDatumReader<'_>, datum: &mut &[u8]) -> AvroResult<Self> {
                from.read_deser(datum)
            }
        }
    )+};
}
plain_datum!(Change, Chunk, DeadLetter);

/// An announcement is the only field of its record: a union at the top could
/// never get a second one.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Announcement")]
struct Envelope<B> {
    body: B,
}

impl Datum for Announcement {
    fn write(&self, to: &GenericDatumWriter<'_>, out: &mut Vec<u8>) -> AvroResult<usize> {
        to.write_ser(out, &Envelope { body: self })
    }

    fn read(from: &GenericDatumReader<'_>, datum: &mut &[u8]) -> AvroResult<Self> {
        from.read_deser::<Envelope<Announcement>>(datum)
            .map(|envelope| envelope.body)
    }
}
