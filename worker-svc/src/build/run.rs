//! Which run of which server answers.
//! In: a connection. Out: [`ServerRun`] and the database. Must hold: W2, R3.
//! Must not: register it. Why the timeline comes from the WAL file's name: it is right at
//! once after a promotion, and an error on a standby, where nothing may be built.

use model::ServerRun;
use tokio_postgres::Row;

use crate::Transient;
use crate::error::SourceIdentity;

/// Any role may read all of it.
pub(super) const RUN_SQL: &str = "\
SELECT (SELECT system_identifier FROM pg_control_system())::text, \
       substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), \
       (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, \
       coalesce((extract(epoch FROM (SELECT stats_reset FROM pg_stat_wal)) * 1000000)::int8, 0), \
       (SELECT oid FROM pg_database WHERE datname = current_database())";

/// A run, and the database that the connection is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) run: ServerRun,
    pub(super) database_oid: u32,
}

impl Seen {
    pub(super) fn identity(&self) -> SourceIdentity {
        SourceIdentity {
            system_identifier: self.run.system_identifier,
            database_oid: self.database_oid,
        }
    }
}

pub(super) fn read(row: &Row) -> Result<Seen, Transient> {
    let strange =
        |what: &'static str| Transient::Waiting(format!("a server that states its {what}"));
    let column = |source: tokio_postgres::Error| Transient::Postgres {
        doing: "reading the server's run",
        source: Box::new(source),
    };
    let system: &str = row.try_get(0).map_err(column)?;
    let timeline: &str = row.try_get(1).map_err(column)?;
    Ok(Seen {
        run: ServerRun {
            system_identifier: system.parse().map_err(|_| strange("system identifier"))?,
            timeline: u32::from_str_radix(timeline, 16).map_err(|_| strange("timeline"))?,
            started_at_us: row.try_get(2).map_err(column)?,
            stats_reset_us: row.try_get(3).map_err(column)?,
        },
        database_oid: row.try_get(4).map_err(column)?,
    })
}
