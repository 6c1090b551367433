//! Records to bytes and back.
//! In: a [`Record`]. Out: an Avro datum behind one of two headers; the first
//! byte tells which.
//! Must hold: any bytes give a record or an error, never a panic; records of
//! every committed version of the schemas stay readable.
//! Why records are read with the writer's schema straight into the types,
//! and not resolved by the Avro library first: its resolution takes the first
//! branch of a union that fits in shape, not the one of the same name.
//! [`check_readable`] states what may differ instead.

pub(crate) mod bits;
mod compatible;
mod framing;
mod record;
pub(crate) mod symbols;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{AvroResult, Schema};
pub use compatible::check_readable;
use framing::Header;
pub use framing::{Fingerprint, Framing};
pub use record::{Record, RecordKind};
pub(crate) use symbols::symbols_with_default;

/// Bytes that give no record, or a record that gives no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Written with a schema that is not known (yet): look for its key
    /// ([`schema_key`]) in `{p}.control`, and wait meanwhile.
    #[error("written with the unknown schema {0}")]
    UnknownFingerprint(Fingerprint),
    /// Written with a schema registry id that is not known (yet).
    #[error("written with the unknown schema registry id {0}")]
    UnknownId(u32),
    /// Another record than the one asked for.
    #[error("a {found} record where a {expected} was expected")]
    WrongKind {
        /// What was asked for.
        expected: RecordKind,
        /// What it is.
        found: RecordKind,
    },
    /// An announcement of a kind that only a newer version knows.
    #[error("a kind of announcement that this version does not know")]
    NewerAnnouncement,
    /// No framing that is known.
    #[error("not a framed record: {0}")]
    NotFramed(&'static str),
    /// The datum does not follow its schema.
    #[error("not a {kind} record: {reason}")]
    Malformed {
        /// What was expected.
        kind: RecordKind,
        /// What is wrong; holds no values.
        reason: String,
    },
    /// A schema that is no Avro, or that this version cannot read.
    #[error("schema not usable: {0}")]
    Schema(String),
}

/// The key under which the JSON of a schema stands in `{p}.control`.
#[must_use]
pub fn schema_key(fingerprint: Fingerprint) -> String {
    format!("{SCHEMA_KEY_PREFIX}{fingerprint}")
}

/// How the keys of schemas in `{p}.control` begin; such a record's value is
/// JSON for [`Schemas::add`], every other is an [`Announcement`](crate::Announcement).
pub const SCHEMA_KEY_PREFIX: &str = "schema/";

/// The schemas a service writes with and the ones it can read. Built once and
/// shared; schemas are added while it is in use.
pub struct Schemas {
    own: [Own; 4],
    others: RwLock<Others>,
}

/// A schema of this build, with what is made of it once.
struct Own {
    kind: RecordKind,
    fingerprint: Fingerprint,
    schema: &'static Schema,
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
}

/// Schemas of other versions. Grows by one per version that was ever run on
/// these topics, and by one id each.
#[derive(Default)]
struct Others {
    by_fingerprint: HashMap<Fingerprint, Arc<Other>>,
    by_id: HashMap<u32, Fingerprint>,
}

struct Other {
    kind: RecordKind,
    schema: Schema,
}

/// The parsed schemas of this build, in the order of [`RecordKind::ALL`].
static OWN: LazyLock<Result<[Schema; 4], String>> = LazyLock::new(|| {
    let parse =
        |kind: RecordKind| Schema::parse_str(kind.schema_json()).map_err(|error| error.to_string());
    let [change, chunk, dead_letter, announcement] = RecordKind::ALL.map(parse);
    Ok([change?, chunk?, dead_letter?, announcement?])
});

impl Own {
    fn new(kind: RecordKind, schema: &'static Schema) -> AvroResult<Own> {
        Ok(Own {
            kind,
            fingerprint: fingerprint(schema),
            schema,
            writer: GenericDatumWriter::builder(schema)
                .human_readable(false)
                .build()?,
            reader: GenericDatumReader::builder(schema)
                .human_readable(false)
                .build()?,
        })
    }
}

impl Schemas {
    /// The schemas of this build.
    ///
    /// # Errors
    /// When they do not parse, which a test rules out.
    pub fn new() -> Result<Self, WireError> {
        let schemas = OWN
            .as_ref()
            .map_err(|error| WireError::Schema(error.clone()))?;
        let [change, chunk, dead_letter, announcement] = schemas;
        let own = |kind, schema| Own::new(kind, schema).map_err(|e| WireError::Schema(problem(&e)));
        Ok(Schemas {
            own: [
                own(RecordKind::Change, change)?,
                own(RecordKind::Chunk, chunk)?,
                own(RecordKind::DeadLetter, dead_letter)?,
                own(RecordKind::Announcement, announcement)?,
            ],
            others: RwLock::default(),
        })
    }

    /// The record as bytes.
    ///
    /// # Errors
    /// When a value does not fit the schema.
    pub fn encode<R: Record>(&self, record: &R, framing: Framing) -> Result<Vec<u8>, WireError> {
        let own = self.own(R::KIND);
        let mut bytes = Vec::with_capacity(256);
        framing::write(framing, own.fingerprint, &mut bytes);
        record
            .write(&own.writer, &mut bytes)
            .map_err(|error| malformed(R::KIND, &error))?;
        Ok(bytes)
    }

    /// The record that `bytes` hold, whichever framing they have.
    ///
    /// # Errors
    /// [`WireError::UnknownFingerprint`] and [`WireError::UnknownId`] may
    /// heal: add the schema and try again. The others do not.
    pub fn decode<R: Record>(&self, bytes: &[u8]) -> Result<R, WireError> {
        let (header, datum) = framing::split(bytes)?;
        let fingerprint = match header {
            Header::Fingerprint(fingerprint) => fingerprint,
            Header::Id(id) => {
                let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
                *others.by_id.get(&id).ok_or(WireError::UnknownId(id))?
            }
        };
        match self.own.iter().find(|own| own.fingerprint == fingerprint) {
            Some(own) => {
                expect_kind(R::KIND, own.kind)?;
                read(&own.reader, datum)
            }
            None => self.decode_other(fingerprint, datum),
        }
    }

    /// A record of another version. Its reader is made for each record:
    /// upgrades pass, and a schema cannot be held beside what borrows it.
    fn decode_other<R: Record>(
        &self,
        fingerprint: Fingerprint,
        datum: &[u8],
    ) -> Result<R, WireError> {
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        let other = others.by_fingerprint.get(&fingerprint).map(Arc::clone);
        drop(others);
        let other = other.ok_or(WireError::UnknownFingerprint(fingerprint))?;
        expect_kind(R::KIND, other.kind)?;
        if R::KIND == RecordKind::Announcement {
            self.expect_known_announcement(&other.schema, datum)?;
        }
        let reader = GenericDatumReader::builder(&other.schema)
            .human_readable(false)
            .build();
        read(&reader.map_err(|error| malformed(R::KIND, &error))?, datum)
    }

    /// The datum of an announcement starts with the branch of its kind when
    /// the body is the first field of the writer's record.
    fn expect_known_announcement(&self, writer: &Schema, datum: &[u8]) -> Result<(), WireError> {
        let known = self.own(RecordKind::Announcement).schema;
        let (Some(known), Some(written)) = (kinds(known), kinds(writer)) else {
            return Ok(());
        };
        // Zigzag in one byte: fewer than 64 branches.
        let branch = datum.first().map_or(0, |byte| usize::from(byte >> 1));
        let is_newer = (known..written).contains(&branch);
        if is_newer {
            Err(WireError::NewerAnnouncement)
        } else {
            Ok(())
        }
    }

    /// Makes records of another version readable: `json` is the writer's
    /// schema, as found in `{p}.control`. Adding it again changes nothing.
    ///
    /// # Errors
    /// When it is no schema of a known record, or this version cannot read
    /// what it writes.
    pub fn add(&self, json: &str) -> Result<Fingerprint, WireError> {
        let schema = Schema::parse_str(json).map_err(|error| WireError::Schema(problem(&error)))?;
        let name = schema.name().map(apache_avro::schema::Name::name);
        let own = self
            .own
            .iter()
            .find(|own| Some(own.kind.name()) == name)
            .ok_or_else(|| WireError::Schema("it names no known record".to_owned()))?;
        check_readable(&schema, own.schema).map_err(WireError::Schema)?;
        let fingerprint = fingerprint(&schema);
        if fingerprint != own.fingerprint {
            let other = Arc::new(Other {
                kind: own.kind,
                schema,
            });
            let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
            others.by_fingerprint.insert(fingerprint, other);
        }
        Ok(fingerprint)
    }

    /// Makes records that carry the schema registry id `id` readable.
    ///
    /// # Errors
    /// As for [`Schemas::add`].
    pub fn add_id(&self, id: u32, json: &str) -> Result<(), WireError> {
        let fingerprint = self.add(json)?;
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        others.by_id.insert(id, fingerprint);
        Ok(())
    }

    /// The fingerprint of the schema that records of `kind` are written with.
    #[must_use]
    pub fn fingerprint(&self, kind: RecordKind) -> Fingerprint {
        self.own(kind).fingerprint
    }

    /// What to put into `{p}.control` before anything is written: keys and
    /// values, one per schema of this build.
    #[must_use]
    pub fn control_records(&self) -> Vec<(String, &'static str)> {
        let record = |own: &Own| (schema_key(own.fingerprint), own.kind.schema_json());
        self.own.iter().map(record).collect()
    }

    fn own(&self, kind: RecordKind) -> &Own {
        let [change, chunk, dead_letter, announcement] = &self.own;
        match kind {
            RecordKind::Change => change,
            RecordKind::Chunk => chunk,
            RecordKind::DeadLetter => dead_letter,
            RecordKind::Announcement => announcement,
        }
    }
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own: Vec<_> = self
            .own
            .iter()
            .map(|own| (own.kind, own.fingerprint))
            .collect();
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Schemas")
            .field("own", &own)
            .field("others", &others.by_fingerprint.keys())
            .finish_non_exhaustive()
    }
}

/// How many kinds of announcements a schema knows.
fn kinds(schema: &Schema) -> Option<usize> {
    let Schema::Record(record) = schema else {
        return None;
    };
    let Schema::Union(union) = &record.fields.first()?.schema else {
        return None;
    };
    Some(union.variants().len())
}

/// Reads one record, all of `datum`.
fn read<R: Record>(reader: &GenericDatumReader<'_>, mut datum: &[u8]) -> Result<R, WireError> {
    let record = R::read(reader, &mut datum).map_err(|error| malformed(R::KIND, &error))?;
    if !datum.is_empty() {
        let reason = format!("{} bytes are left over", datum.len());
        return Err(WireError::Malformed {
            kind: R::KIND,
            reason,
        });
    }
    Ok(record)
}

fn expect_kind(expected: RecordKind, found: RecordKind) -> Result<(), WireError> {
    if expected == found {
        Ok(())
    } else {
        Err(WireError::WrongKind { expected, found })
    }
}

fn fingerprint(schema: &Schema) -> Fingerprint {
    let bytes = schema.fingerprint::<Rabin>().bytes;
    let number = bytes
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Fingerprint::new(number)
}

fn malformed(kind: RecordKind, error: &apache_avro::Error) -> WireError {
    WireError::Malformed {
        kind,
        reason: problem(error),
    }
}

/// The library's name of what went wrong. Its messages may quote values,
/// which must not get into a log.
fn problem(error: &apache_avro::Error) -> String {
    let details = format!("{:?}", error.details());
    details
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect()
}
