//! The vocabulary that both services share: positions, snapshots, versions,
//! names, records, and the bytes they become.
//!
//! ```text
//!  WAL ─▶ Lsn, Position ─▶ Change ─▶ wire ─▶ {p}.changes ─▶ wire ─▶ Change ─▶ Snapshot ─▶ DocumentVersion
//!                             │                  Chunk, DeadLetter, Announcement likewise
//!                             └─▶ record key ─▶ partition_of
//!  finished work ─▶ Watermark ─▶ OffsetMetadata ─▶ committed offset
//! ```
//!
//! Must hold: nothing here panics on bytes or text from outside; two kinds of
//! numbers are two types, so comparing an offset with an LSN does not compile.
//! Must not: do I/O, read a clock, or know tokio.

pub mod lsn;
pub mod position;
pub mod snapshot;
pub mod run;
pub mod version;
pub mod table;
pub mod key;
pub mod topics;
pub mod feed;
pub mod needs;
pub mod change;
pub mod chunk;
pub mod dead_letter;
pub mod announcement;
pub mod wire;
pub mod offsets;
pub mod watermark;
pub mod invariant;

pub use announcement::{Announcement, FeedState, Leaf, RepairCause, ServedTable, SourceCause};
pub use change::{Change, ColumnValue, Heartbeat, OldValues, Operation, PublishedTransaction};
pub use chunk::{Chunk, ChunkCause, RecordPosition, Work};
pub use dead_letter::{DeadLetter, Settlement, Stage};
pub use feed::{FeedId, Generation};
pub use invariant::{Guarantee, Violation};
pub use key::{HEARTBEAT_KEY, record_table};
pub use lsn::{Lsn, ParseLsnError};
pub use needs::{Needs, TableNeeds};
pub use offsets::{OffsetMetadata, OffsetMetadataError, PendingSplit};
pub use position::{Epoch, Offset, OffsetRange, Partition, Position, RangesDoNotJoin, Seq};
pub use run::ServerRun;
pub use snapshot::{ParseSnapshotError, Snapshot, Xid};
pub use table::{ColumnName, ParseNameError, TableName};
pub use topics::{Topics, partition_of};
pub use version::{DocumentVersion, Incarnation, Ordinal, VersionError};
pub use watermark::{Ticket, Watermark, WatermarkError};
pub use wire::{Framing, Schemas, WireError};
