//! Who the server is: one cluster, one timeline, one run.
//! Must hold: all of it is readable by any role, and only on a primary.
//!
//! `pg_walfile_name` tells the timeline: it is right at once after a promotion, when
//! `pg_control_checkpoint()` still shows the old one. It is an error on a standby.

use model::ServerRun;
use tokio_postgres::{GenericClient, Row};

use super::error::{Error, ErrorKind};

/// Reads the run of the server: one row for [`server_run_from`]. Inside a transaction it
/// is fresh only because our sessions set `stats_fetch_consistency` to `none`.
pub const SERVER_RUN_SQL: &str = "\
SELECT (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
       pg_walfile_name(pg_current_wal_lsn()) AS wal_file,
       (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8 AS started_at_us,
       coalesce((extract(epoch FROM stats_reset) * 1000000)::int8, 0) AS stats_reset_us
  FROM pg_stat_wal";

const IDENTITY_SQL: &str = "\
SELECT (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
       (SELECT oid FROM pg_database WHERE datname = current_database()) AS database_oid,
       current_database()::text AS database,
       current_setting('server_version_num')::int4 AS version,
       pg_is_in_recovery() AS in_recovery,
       CASE WHEN pg_is_in_recovery() THEN NULL
            ELSE pg_walfile_name(pg_current_wal_lsn()) END AS wal_file";

/// Which database of which cluster this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's number, given by `initdb`.
    pub system_identifier: u64,
    /// The timeline being written; `None` on a standby.
    pub timeline: Option<u32>,
    /// The database's oid.
    pub database_oid: u32,
    /// The database's name.
    pub database: String,
    /// `server_version_num`, e.g. 150004.
    pub version: i32,
    /// Whether it is a standby.
    pub in_recovery: bool,
}

impl Identity {
    /// Asks the server.
    ///
    /// # Errors
    /// The statement fails, or its answer has another form.
    pub async fn read(client: &impl GenericClient) -> Result<Self, Error> {
        let doing = "cannot read the identity of the server";
        let row = client
            .query_one(IDENTITY_SQL, &[])
            .await
            .map_err(|error| Error::from_sql(doing, &error))?;
        let wal_file: Option<String> = get(&row, "wal_file", doing)?;
        Ok(Self {
            system_identifier: get::<i64>(&row, "system_identifier", doing)?.cast_unsigned(),
            timeline: wal_file.map(|file| timeline(&file, doing)).transpose()?,
            database_oid: get(&row, "database_oid", doing)?,
            database: get(&row, "database", doing)?,
            version: get(&row, "version", doing)?,
            in_recovery: get(&row, "in_recovery", doing)?,
        })
    }
}

/// Asks which run of which server this is.
///
/// # Errors
/// The statement fails (also on a standby), or its answer has another form.
pub async fn server_run(client: &impl GenericClient) -> Result<ServerRun, Error> {
    let row = client
        .query_one(SERVER_RUN_SQL, &[])
        .await
        .map_err(|error| Error::from_sql(DOING, &error))?;
    server_run_from(&row)
}

const DOING: &str = "cannot read the run of the server";

/// Reads the row of [`SERVER_RUN_SQL`], for callers that pipeline it.
///
/// # Errors
/// The row has another form.
pub fn server_run_from(row: &Row) -> Result<ServerRun, Error> {
    let wal_file: String = get(row, "wal_file", DOING)?;
    Ok(ServerRun {
        system_identifier: get::<i64>(row, "system_identifier", DOING)?.cast_unsigned(),
        timeline: timeline(&wal_file, DOING)?,
        started_at_us: get(row, "started_at_us", DOING)?,
        stats_reset_us: get(row, "stats_reset_us", DOING)?,
    })
}

fn timeline(wal_file: &str, doing: &str) -> Result<u32, Error> {
    wal_file
        .get(..8)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Unexpected,
                doing,
                "a WAL file name without a timeline",
            )
        })
}

fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: &str,
    doing: &str,
) -> Result<T, Error> {
    row.try_get(column)
        .map_err(|error| Error::from_sql(doing, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeline_is_the_first_eight_digits_of_the_wal_file() {
        assert_eq!(timeline("0000000A0000000100000002", "x").unwrap(), 10);
        for wrong in ["", "0000", "0000000G00", "äöüäöü"] {
            assert!(timeline(wrong, "x").is_err(), "{wrong}");
        }
    }
}
