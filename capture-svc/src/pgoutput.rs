//! Bytes of the plugin `pgoutput`, protocol version 1, to messages.
//! In: the payload of one `XLogData` frame. Out: [`Message`].
//! Must hold: no bytes can make it panic or allocate more than they are long;
//! bytes that are not exactly one message are an error. A tuple shares the
//! frame's memory, nothing is copied.
//! Must not: know tables, needs or keys; `relation` and `route` do.
//! Why our own decoder: it is where a count read as 16 instead of 32 bits, or
//! NULL taken for *not sent*, becomes a wrong document.

use bytes::Bytes;
use model::Lsn;

mod cursor;
mod tuple;

use cursor::Cursor;
pub use cursor::DecodeError;
pub use tuple::{Datum, Tuple};

/// Microseconds between 1970 (Unix) and 2000 (Postgres).
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// The oid of a relation, as the stream names it: a partition's root under
/// `publish_via_partition_root`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelationOid(u32);

impl RelationOid {
    /// The relation numbered `oid`.
    #[must_use]
    pub const fn new(oid: u32) -> Self {
        RelationOid(oid)
    }

    /// Its number in `pg_class`.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// One message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A transaction starts; its rows follow, then its [`Message::Commit`].
    Begin(Begin),
    /// The transaction has ended.
    Commit(Commit),
    /// The transaction was replicated from elsewhere.
    Origin(Origin),
    /// What the following rows of this relation look like. Sent before the
    /// first row of a session, and again after each change of the table.
    Relation(Relation),
    /// A type that is not built in.
    Type(TypeName),
    /// A new row.
    Insert {
        /// Where.
        relation: RelationOid,
        /// The row.
        new: Tuple,
    },
    /// A changed row.
    Update {
        /// Where.
        relation: RelationOid,
        /// What was sent of the former row; `None` when no column of the
        /// identity changed.
        old: Option<OldTuple>,
        /// The row.
        new: Tuple,
    },
    /// A deleted row.
    Delete {
        /// Where.
        relation: RelationOid,
        /// What was sent of it.
        old: OldTuple,
    },
    /// All rows of these relations are gone.
    Truncate(Truncate),
    /// `pg_logical_emit_message`.
    Logical(Logical),
}

/// A transaction starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Where its commit record *starts*: the position of its changes.
    pub commit_lsn: Lsn,
    /// When it committed, microseconds since 1970.
    pub commit_ts_us: i64,
    /// Lower half of the top-level transaction id: [`model::Xid::widen`].
    pub xid: u32,
}

/// A transaction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The same as [`Begin::commit_lsn`].
    pub commit_lsn: Lsn,
    /// Where its commit record ends: confirming this releases it.
    pub end_lsn: Lsn,
    /// When it committed, microseconds since 1970.
    pub commit_ts_us: i64,
}

/// Where a replicated transaction came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its commit LSN on the origin.
    pub lsn: Lsn,
    /// The origin's name.
    pub name: String,
}

/// What the rows of a relation look like from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Its oid.
    pub oid: RelationOid,
    /// Its schema, exact.
    pub schema: String,
    /// Its name, exact.
    pub name: String,
    /// The replica identity in force: a leaf's own for a leaf.
    pub identity: ReplicaIdentity,
    /// The published columns, in the order of the tuples.
    pub columns: Vec<RelationColumn>,
}

/// One column of a [`Relation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationColumn {
    /// Part of the replica identity. Under `FULL` every column is, so this
    /// says nothing about the primary key.
    pub in_identity: bool,
    /// Its name, exact.
    pub name: String,
    /// The oid of its type.
    pub type_oid: u32,
    /// Its type modifier, -1 for none.
    pub type_modifier: i32,
}

/// What an old row consists of in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicaIdentity {
    /// The primary key.
    Default,
    /// Nothing.
    Nothing,
    /// All columns.
    Full,
    /// The columns of an index.
    Index,
}

/// A type that is not built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    /// Its oid.
    pub oid: u32,
    /// Its schema, exact.
    pub schema: String,
    /// Its name, exact.
    pub name: String,
}

/// A former row, by how much of it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldTuple {
    /// Tag `K`: the columns of the identity; the others are sent as NULL and
    /// mean nothing.
    Key(Tuple),
    /// Tag `O`: every column. On a leaf whose own identity is less than its
    /// root's, the others are NULL here too.
    Full(Tuple),
}

impl OldTuple {
    /// The values, whatever the tag.
    #[must_use]
    pub fn tuple(&self) -> &Tuple {
        match self {
            OldTuple::Key(tuple) | OldTuple::Full(tuple) => tuple,
        }
    }
}

/// All rows of some relations are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncate {
    /// Which, in the order sent.
    pub relations: Vec<RelationOid>,
    /// `CASCADE` was given.
    pub cascade: bool,
    /// `RESTART IDENTITY` was given.
    pub restart_identity: bool,
}

/// A message an application wrote into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logical {
    /// It belongs to the transaction around it.
    pub transactional: bool,
    /// Its own position.
    pub lsn: Lsn,
    /// Its prefix.
    pub prefix: String,
    /// Its content.
    pub content: Bytes,
}

/// Decodes one message.
///
/// # Errors
/// When the bytes are not exactly one message of protocol version 1.
pub fn decode(payload: Bytes) -> Result<Message, DecodeError> {
    let mut cursor = Cursor::new(payload);
    let message = match cursor.u8("tag")? {
        b'B' => Message::Begin(begin(&mut cursor)?),
        b'C' => Message::Commit(commit(&mut cursor)?),
        b'O' => Message::Origin(Origin {
            lsn: cursor.lsn("origin LSN")?,
            name: cursor.text("origin name")?,
        }),
        b'R' => Message::Relation(relation(&mut cursor)?),
        b'Y' => Message::Type(TypeName {
            oid: cursor.u32("type oid")?,
            schema: schema(&mut cursor)?,
            name: cursor.text("type name")?,
        }),
        b'I' => insert(&mut cursor)?,
        b'U' => update(&mut cursor)?,
        b'D' => delete(&mut cursor)?,
        b'T' => Message::Truncate(truncate(&mut cursor)?),
        b'M' => Message::Logical(logical(&mut cursor)?),
        tag => return Err(cursor.unexpected("message tag", tag)),
    };
    cursor.finish()?;
    Ok(message)
}

fn begin(cursor: &mut Cursor) -> Result<Begin, DecodeError> {
    Ok(Begin {
        commit_lsn: cursor.lsn("final LSN")?,
        commit_ts_us: timestamp(cursor)?,
        xid: cursor.u32("transaction id")?,
    })
}

fn commit(cursor: &mut Cursor) -> Result<Commit, DecodeError> {
    // Reserved, always zero in this version.
    cursor.u8("commit flags")?;
    Ok(Commit {
        commit_lsn: cursor.lsn("commit LSN")?,
        end_lsn: cursor.lsn("end LSN")?,
        commit_ts_us: timestamp(cursor)?,
    })
}

fn relation(cursor: &mut Cursor) -> Result<Relation, DecodeError> {
    let oid = oid(cursor)?;
    let schema = schema(cursor)?;
    let name = cursor.text("relation name")?;
    let identity = match cursor.u8("replica identity")? {
        b'd' => ReplicaIdentity::Default,
        b'n' => ReplicaIdentity::Nothing,
        b'f' => ReplicaIdentity::Full,
        b'i' => ReplicaIdentity::Index,
        other => return Err(cursor.unexpected("replica identity", other)),
    };
    let count = cursor.u16("column count")?;
    let mut columns = Vec::new();
    for _ in 0..count {
        columns.push(RelationColumn {
            in_identity: cursor.u8("column flags")? & 1 == 1,
            name: cursor.text("column name")?,
            type_oid: cursor.u32("column type")?,
            type_modifier: cursor.i32("type modifier")?,
        });
    }
    Ok(Relation {
        oid,
        schema,
        name,
        identity,
        columns,
    })
}

fn insert(cursor: &mut Cursor) -> Result<Message, DecodeError> {
    let relation = oid(cursor)?;
    expect_new(cursor)?;
    Ok(Message::Insert {
        relation,
        new: Tuple::read(cursor)?,
    })
}

fn update(cursor: &mut Cursor) -> Result<Message, DecodeError> {
    let relation = oid(cursor)?;
    let old = match cursor.u8("tuple tag")? {
        b'N' => None,
        b'K' => Some(OldTuple::Key(Tuple::read(cursor)?)),
        b'O' => Some(OldTuple::Full(Tuple::read(cursor)?)),
        other => return Err(cursor.unexpected("tuple tag", other)),
    };
    if old.is_some() {
        expect_new(cursor)?;
    }
    Ok(Message::Update {
        relation,
        old,
        new: Tuple::read(cursor)?,
    })
}

fn delete(cursor: &mut Cursor) -> Result<Message, DecodeError> {
    let relation = oid(cursor)?;
    let old = match cursor.u8("tuple tag")? {
        b'K' => OldTuple::Key(Tuple::read(cursor)?),
        b'O' => OldTuple::Full(Tuple::read(cursor)?),
        other => return Err(cursor.unexpected("tuple tag", other)),
    };
    Ok(Message::Delete { relation, old })
}

fn truncate(cursor: &mut Cursor) -> Result<Truncate, DecodeError> {
    // 32 bits, unlike every other count of the protocol.
    let count = cursor.u32("relation count")?;
    let options = cursor.u8("truncate options")?;
    let mut relations = Vec::new();
    for _ in 0..count {
        relations.push(oid(cursor)?);
    }
    Ok(Truncate {
        relations,
        cascade: options & 1 != 0,
        restart_identity: options & 2 != 0,
    })
}

fn logical(cursor: &mut Cursor) -> Result<Logical, DecodeError> {
    let flags = cursor.u8("message flags")?;
    let lsn = cursor.lsn("message LSN")?;
    let prefix = cursor.text("message prefix")?;
    let length = cursor.u32("message length")?;
    Ok(Logical {
        transactional: flags & 1 == 1,
        lsn,
        prefix,
        content: cursor.take(length, "message content")?,
    })
}

fn expect_new(cursor: &mut Cursor) -> Result<(), DecodeError> {
    match cursor.u8("tuple tag")? {
        b'N' => Ok(()),
        other => Err(cursor.unexpected("tuple tag", other)),
    }
}

fn oid(cursor: &mut Cursor) -> Result<RelationOid, DecodeError> {
    cursor.u32("relation oid").map(RelationOid)
}

/// The stream writes `pg_catalog` as the empty text.
fn schema(cursor: &mut Cursor) -> Result<String, DecodeError> {
    let name = cursor.text("schema")?;
    Ok(if name.is_empty() {
        "pg_catalog".to_owned()
    } else {
        name
    })
}

/// Microseconds since 1970. A time the server cannot mean (its own range ends
/// long before) is held at the end of the range.
fn timestamp(cursor: &mut Cursor) -> Result<i64, DecodeError> {
    Ok(cursor.i64("timestamp")?.saturating_add(POSTGRES_EPOCH_US))
}

#[cfg(test)]
mod tests;
