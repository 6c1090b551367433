//! Every statement about the slot.
//! In: an SQL session. Out: what state it is in, whether it can be used, what
//! it holds back.
//! Must hold: C1, C2. A slot is made only when its publication is there (else
//! it errors for ever once changes lie in between), and after its epoch was
//! announced; both are the caller's order. What the server confirmed is read
//! again *after* a stream was started, because it starts later than asked
//! without a word.
//! Must not: raise the confirmed position; only the stream's reports do.

use model::{Lsn, Xid};
use serde::Deserialize;
use tokio_postgres::Client;

use crate::relation::CatalogError;

/// The only output plugin that is understood here.
pub const PLUGIN: &str = "pgoutput";

/// A slot as `pg_replication_slots` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Its output plugin; `None` for a physical slot.
    pub plugin: Option<String>,
    /// The database it decodes; `None` for a physical slot.
    pub database: Option<String>,
    /// It decodes prepared transactions, which our protocol version cannot.
    pub two_phase: bool,
    /// Who holds it.
    pub holder: Option<Holder>,
    /// Whether the WAL it needs is still there.
    pub wal_status: WalStatus,
    /// Everything below has been confirmed; `None` for a physical or lost slot.
    pub confirmed: Option<Lsn>,
    /// The oldest WAL it still needs; `None` when lost.
    pub restart: Option<Lsn>,
    /// Why the server invalidated it, where it says (17 and later, in part 16).
    pub invalidation: Option<String>,
    /// Bytes of WAL that may still be written before it is lost; `None` when
    /// there is no limit.
    pub safe_wal_size: Option<i64>,
    /// It is kept on standbys (17 and later).
    pub failover: bool,
    /// Bytes of WAL from its confirmed position to the end.
    pub retained_bytes: u64,
}

/// The session that holds a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    /// Its `application_name`; empty when it set none or has just gone.
    pub application_name: String,
}

impl Holder {
    /// Whether it is a capture, for which a standby waits. Any other program has to be stopped by
    /// a person: it does not hand the slot over.
    #[must_use]
    pub fn is_capture(&self) -> bool {
        self.application_name == crate::APPLICATION
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.application_name.as_str() {
            "" => write!(f, "a session without application_name (pid {})", self.pid),
            name => write!(f, "{name} (pid {})", self.pid),
        }
    }
}

/// `wal_status` of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalStatus {
    /// Within `max_wal_size`.
    Reserved,
    /// Kept beyond `max_wal_size` for this slot.
    Extended,
    /// Will be removed at the next checkpoint.
    Unreserved,
    /// Removed: the slot is of no use.
    Lost,
    /// A slot that never reserved any, or a word of a later server.
    Unknown,
}

/// Whether a slot can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fitness {
    /// It can, by us or by whoever holds it.
    Fit,
    /// The server invalidated it: what it held is gone (R2).
    Lost {
        /// Why, in the server's word.
        reason: String,
    },
    /// It was made for something else.
    Foreign {
        /// What is wrong with it.
        reason: String,
    },
}

impl Slot {
    /// Whether it can be used to stream `database`.
    #[must_use]
    pub fn fitness(&self, database: &str) -> Fitness {
        let foreign = |reason: String| Fitness::Foreign { reason };
        match (self.plugin.as_deref(), self.database.as_deref()) {
            (None, _) => return foreign("it is a physical slot".to_owned()),
            (Some(plugin), _) if plugin != PLUGIN => {
                return foreign(format!("its plugin is {plugin}, not {PLUGIN}"));
            }
            (_, of) if of != Some(database) => {
                let of = of.unwrap_or("none");
                return foreign(format!("it belongs to database {of}, not {database}"));
            }
            _ => {}
        }
        if self.two_phase {
            return foreign("it decodes prepared transactions (two_phase)".to_owned());
        }
        if let Some(reason) = &self.invalidation {
            return Fitness::Lost {
                reason: reason.clone(),
            };
        }
        if self.wal_status == WalStatus::Lost || self.confirmed.is_none() {
            return Fitness::Lost {
                reason: "wal_removed".to_owned(),
            };
        }
        Fitness::Fit
    }
}

/// Where the server's log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// Written to disk: what may be streamed.
    pub flushed: Lsn,
    /// Inserted so far: every later commit lies at or behind it.
    pub inserted: Lsn,
    /// The xmax of a current snapshot, to widen 32-bit ids by.
    pub xmax: Xid,
}

/// Reads a slot; `None` when there is none of this name.
///
/// # Errors
/// When the statement fails.
pub async fn read(client: &Client, name: &str) -> Result<Option<Slot>, CatalogError> {
    let row = client.query_opt(SLOT, &[&name]).await?;
    let read = |row: tokio_postgres::Row| -> Result<Slot, CatalogError> {
        let text: String = row.try_get(0)?;
        Ok(serde_json::from_str::<RawSlot>(&text)?.into())
    };
    row.map(read).transpose()
}

/// As JSON, because the view gained columns with almost every version.
const SLOT: &str = "
SELECT (to_jsonb(s) || jsonb_build_object(
           'application_name', a.application_name,
           'retained', pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn)::int8))::text
FROM pg_catalog.pg_replication_slots s
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
WHERE s.slot_name = $1";

/// Makes the slot. Its publication must be there already. With `failover`
/// (17 and later) standbys keep it too. Returns where it starts. Waits for as
/// long as transactions go on that were running before: that is how the server
/// finds a point to start from.
///
/// # Errors
/// When the server refuses: no free slot, a missing right, a slot of that name.
pub async fn create(client: &Client, name: &str, failover: bool) -> Result<Lsn, CatalogError> {
    // The fifth argument exists from 17 on only.
    let statement = if failover {
        "SELECT lsn::text FROM pg_create_logical_replication_slot($1, $2, false, false, true)"
    } else {
        "SELECT lsn::text FROM pg_create_logical_replication_slot($1, $2)"
    };
    let row = client.query_one(statement, &[&name, &PLUGIN]).await?;
    lsn(&row, 0)
}

/// Drops the slot. The server refuses while somebody holds it.
///
/// # Errors
/// When the server refuses.
pub async fn drop(client: &Client, name: &str) -> Result<(), CatalogError> {
    client
        .execute("SELECT pg_drop_replication_slot($1)", &[&name])
        .await?;
    Ok(())
}

/// Where the server's log stands. Fails on a standby.
///
/// # Errors
/// When the statement fails.
pub async fn log_end(client: &Client) -> Result<LogEnd, CatalogError> {
    let statement = "
        SELECT pg_current_wal_flush_lsn()::text, pg_current_wal_insert_lsn()::text,
               pg_snapshot_xmax(pg_current_snapshot())::text";
    let row = client.query_one(statement, &[]).await?;
    let xmax: String = row.try_get(2)?;
    Ok(LogEnd {
        flushed: lsn(&row, 0)?,
        inserted: lsn(&row, 1)?,
        xmax: Xid::new(
            xmax.parse()
                .map_err(|_| CatalogError::unexpected("a snapshot's xmax"))?,
        ),
    })
}

/// Whether a stream that was asked to start at `asked` did: the server moves
/// forward silently to what the slot has confirmed. Read after the stream was
/// opened, so nobody else can have moved it since.
///
/// # Errors
/// When the statement fails, or the slot is gone.
pub async fn started_later(
    client: &Client,
    name: &str,
    asked: Lsn,
) -> Result<Option<Lsn>, CatalogError> {
    let slot = read(client, name).await?;
    let confirmed = slot
        .and_then(|slot| slot.confirmed)
        .ok_or_else(|| CatalogError::unexpected("the slot behind a running stream"))?;
    Ok((confirmed > asked).then_some(confirmed))
}

fn lsn(row: &tokio_postgres::Row, column: usize) -> Result<Lsn, CatalogError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| CatalogError::unexpected("an LSN"))
}

#[derive(Deserialize)]
struct RawSlot {
    slot_name: String,
    plugin: Option<String>,
    database: Option<String>,
    #[serde(default)]
    two_phase: bool,
    active_pid: Option<i32>,
    application_name: Option<String>,
    wal_status: Option<String>,
    confirmed_flush_lsn: Option<Lsn>,
    restart_lsn: Option<Lsn>,
    invalidation_reason: Option<String>,
    /// 16: a logical slot on a standby that conflicted with recovery.
    conflicting: Option<bool>,
    safe_wal_size: Option<i64>,
    failover: Option<bool>,
    retained: Option<i64>,
}

impl From<RawSlot> for Slot {
    fn from(raw: RawSlot) -> Self {
        let conflict = || {
            raw.conflicting
                .unwrap_or(false)
                .then(|| "conflict".to_owned())
        };
        Slot {
            name: raw.slot_name,
            plugin: raw.plugin,
            database: raw.database,
            two_phase: raw.two_phase,
            holder: raw.active_pid.map(|pid| Holder {
                pid,
                application_name: raw.application_name.unwrap_or_default(),
            }),
            wal_status: match raw.wal_status.as_deref() {
                Some("reserved") => WalStatus::Reserved,
                Some("extended") => WalStatus::Extended,
                Some("unreserved") => WalStatus::Unreserved,
                Some("lost") => WalStatus::Lost,
                Some(_) | None => WalStatus::Unknown,
            },
            confirmed: raw.confirmed_flush_lsn,
            restart: raw.restart_lsn,
            invalidation: raw.invalidation_reason.or_else(conflict),
            safe_wal_size: raw.safe_wal_size,
            failover: raw.failover.unwrap_or(false),
            // Behind the end of the log only in the moment between two reads.
            retained_bytes: raw
                .retained
                .and_then(|bytes| u64::try_from(bytes).ok())
                .unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests;
