//! Which run of which server answers.
//! In: a connection. Out: [`ServerRun`] and the database. Must hold: W2, R3.
//! Must not: register it. Why the timeline comes from the WAL file's name: it is right at
//! once after a promotion, and an error on a standby, where nothing may be built.

use model::ServerRun;
use runtime::postgres::SERVER_RUN_SQL;
use runtime::postgres::server::server_run_from;
use tokio_postgres::Row;

use crate::Transient;
use crate::error::SourceIdentity;

/// Reads the run and the database. Any role may.
pub(super) fn run_sql() -> String {
    format!(
        "SELECT run.*, (SELECT oid FROM pg_database WHERE datname = current_database()) AS \
         database_oid FROM ({SERVER_RUN_SQL}) AS run"
    )
}

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
    const DOING: &str = "reading the server's run";
    let run = server_run_from(row).map_err(|error| Transient::Postgres {
        doing: DOING,
        source: Box::new(error),
    })?;
    let database_oid = row
        .try_get("database_oid")
        .map_err(|error| Transient::Postgres {
            doing: DOING,
            source: Box::new(error),
        })?;
    Ok(Seen { run, database_oid })
}
