//! Reads what preflight judges.

use std::collections::{BTreeMap, BTreeSet};

use model::{ColumnName, TableName};
use serde::Deserialize;
use tokio_postgres::Client;

use super::{Facts, Settings};
use crate::needs::Union;
use crate::relation::{CatalogError, read_tables};
use crate::slot;

/// A publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The role may alter it.
    pub owned: bool,
    /// `FOR ALL TABLES`.
    pub all_tables: bool,
    /// `publish_via_partition_root`.
    pub via_root: bool,
    /// What it publishes of insert, update, delete, truncate: those it does not.
    pub lacks: Vec<String>,
    /// Its tables, as they were added.
    pub tables: BTreeMap<TableName, Member>,
    /// Its schemas: all of their tables.
    pub schemas: BTreeSet<String>,
}

/// A table of a publication.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// Only these columns are published; `None`: all.
    pub columns: Option<BTreeSet<ColumnName>>,
    /// Only rows that match a condition are published.
    pub row_filter: bool,
}

impl Publication {
    /// How it publishes `table`; `None` when it does not.
    #[must_use]
    pub fn member(&self, table: &TableName) -> Option<Member> {
        if let Some(member) = self.tables.get(table) {
            return Some(member.clone());
        }
        (self.all_tables || self.schemas.contains(&table.schema)).then(Member::default)
    }
}

pub(super) async fn read(
    client: &Client,
    settings: &Settings,
    needed: &Union,
) -> Result<Facts, CatalogError> {
    let row = client.query_one(SERVER, &[]).await?;
    let text: String = row.try_get(0)?;
    let server: RawServer = serde_json::from_str(&text)?;
    let row = client
        .query_opt(PUBLICATION, &[&settings.publication])
        .await?;
    let publication = match row {
        None => None,
        Some(row) => {
            let text: String = row.try_get(0)?;
            Some(serde_json::from_str::<RawPublication>(&text)?.into())
        }
    };
    let tables = read_tables(client, needed.tables()).await?;
    // On a standby the log's end cannot be asked for, and nothing else matters.
    let slot = if server.in_recovery {
        None
    } else {
        slot::read(client, &settings.slot).await?
    };
    Ok(Facts {
        version: server.version,
        in_recovery: server.in_recovery,
        encoding: server.encoding,
        database: server.database,
        may_create: server.may_create,
        wal_level: server.wal_level,
        role: server.role,
        superuser: server.superuser,
        may_replicate: server.may_replicate,
        slots: (server.max_slots, server.slots),
        senders: (server.max_senders, server.senders),
        max_slot_wal_keep_size: u64::try_from(server.keep_mb)
            .ok()
            .map(|megabytes| megabytes.saturating_mul(1 << 20)),
        publication,
        slot,
        tables,
    })
}

/// `rds_replication` is how one large provider grants the right.
const SERVER: &str = "
SELECT json_build_object(
    'version', current_setting('server_version_num')::int,
    'in_recovery', pg_is_in_recovery(),
    'encoding', pg_encoding_to_char(d.encoding),
    'database', d.datname,
    'may_create', has_database_privilege(d.oid, 'CREATE'),
    'wal_level', current_setting('wal_level'),
    'role', r.rolname,
    'superuser', r.rolsuper,
    'may_replicate', r.rolsuper OR r.rolreplication OR EXISTS (
        SELECT FROM pg_catalog.pg_roles g
        WHERE g.rolname = 'rds_replication' AND pg_has_role(g.oid, 'MEMBER')),
    'max_slots', current_setting('max_replication_slots')::int8,
    'slots', (SELECT count(*) FROM pg_catalog.pg_replication_slots),
    'max_senders', current_setting('max_wal_senders')::int8,
    'senders', (SELECT count(*) FROM pg_catalog.pg_stat_activity
                WHERE backend_type = 'walsender'),
    'keep_mb', (SELECT setting::int8 FROM pg_catalog.pg_settings
                WHERE name = 'max_slot_wal_keep_size')
)::text
FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
WHERE d.datname = current_database() AND r.rolname = current_user";

const PUBLICATION: &str = "
SELECT json_build_object(
    'owned', pg_has_role(p.pubowner, 'USAGE'),
    'all_tables', p.puballtables,
    'via_root', p.pubviaroot,
    'insert', p.pubinsert, 'update', p.pubupdate,
    'delete', p.pubdelete, 'truncate', p.pubtruncate,
    'tables', (
        SELECT coalesce(json_agg(json_build_object(
            'schema', n.nspname,
            'name', c.relname,
            'row_filter', r.prqual IS NOT NULL,
            'columns', CASE WHEN r.prattrs IS NOT NULL THEN (
                SELECT json_agg(a.attname)
                FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[])) END)), '[]')
        FROM pg_catalog.pg_publication_rel r
        JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE r.prpubid = p.oid),
    'schemas', (
        SELECT coalesce(json_agg(n.nspname), '[]')
        FROM pg_catalog.pg_publication_namespace s
        JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid
        WHERE s.pnpubid = p.oid)
)::text
FROM pg_catalog.pg_publication p
WHERE p.pubname = $1";

#[derive(Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are each yes or no"
)]
struct RawServer {
    version: i32,
    in_recovery: bool,
    encoding: String,
    database: String,
    may_create: bool,
    wal_level: String,
    role: String,
    superuser: bool,
    may_replicate: bool,
    max_slots: i64,
    slots: i64,
    max_senders: i64,
    senders: i64,
    /// -1 without a limit.
    keep_mb: i64,
}

#[derive(Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the columns of pg_publication"
)]
struct RawPublication {
    owned: bool,
    all_tables: bool,
    via_root: bool,
    insert: bool,
    update: bool,
    delete: bool,
    truncate: bool,
    tables: Vec<RawMember>,
    schemas: BTreeSet<String>,
}

#[derive(Deserialize)]
struct RawMember {
    schema: String,
    name: String,
    row_filter: bool,
    columns: Option<Vec<String>>,
}

impl From<RawPublication> for Publication {
    fn from(raw: RawPublication) -> Self {
        let operations = [
            ("insert", raw.insert),
            ("update", raw.update),
            ("delete", raw.delete),
            ("truncate", raw.truncate),
        ];
        let member = |member: RawMember| {
            let columns = |names: Vec<String>| names.into_iter().map(ColumnName::new).collect();
            let how = Member {
                columns: member.columns.map(columns),
                row_filter: member.row_filter,
            };
            (TableName::new(member.schema, member.name), how)
        };
        let lacks = |(word, is_published): (&str, bool)| (!is_published).then(|| word.to_owned());
        Publication {
            owned: raw.owned,
            all_tables: raw.all_tables,
            via_root: raw.via_root,
            lacks: operations.into_iter().filter_map(lacks).collect(),
            tables: raw.tables.into_iter().map(member).collect(),
            schemas: raw.schemas,
        }
    }
}
