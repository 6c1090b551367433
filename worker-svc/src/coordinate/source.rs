//! What seeding asks the database: X0, and the sizes of the root table's leaves.
//! Must hold: W3 of every chunk rests on X0 being taken *after* the positions were read,
//! in a transaction of its own. Must not: write anything but a transaction id.

use model::{TableName, Xid};
use tokio_postgres::Client;

use crate::error::{Definite, Transient};
use crate::plan::LeafSize;

/// The leaves of a table, or the table itself, with what a plan needs of them.
/// A leaf without storage (a foreign table) has no file node.
const LEAVES: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text, pg_catalog.pg_relation_filenode(c.oid), \
       (pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::int8)::int8, \
       c.reltuples::float8, c.relpages::int8 \
FROM pg_catalog.pg_class c \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
WHERE c.oid IN ( \
  SELECT r.oid FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace \
  WHERE s.nspname = $1 AND r.relname = $2 AND r.relkind <> 'p' \
  UNION ALL \
  SELECT t.relid FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace \
  CROSS JOIN LATERAL pg_catalog.pg_partition_tree(r.oid) t \
  WHERE s.nspname = $1 AND r.relname = $2 AND r.relkind = 'p' AND t.isleaf) \
ORDER BY c.oid";

/// Takes X0: every transaction that committed before now is either below it or visible.
///
/// # Errors
/// Postgres does not answer.
pub async fn take_xid(client: &Client) -> Result<Xid, Transient> {
    let row = client
        .query_one("SELECT pg_catalog.pg_current_xact_id()::text", &[])
        .await
        .map_err(postgres("taking a transaction id"))?;
    let text: &str = row
        .try_get(0)
        .map_err(postgres("taking a transaction id"))?;
    let number = text.parse().map_err(|error| Transient::Postgres {
        doing: "taking a transaction id",
        source: Box::<dyn std::error::Error + Send + Sync>::from(error),
    });
    number.map(Xid::new)
}

/// The leaves of `root` as they are now.
///
/// # Errors
/// Postgres does not answer; inside: the table is gone, or a leaf has no blocks to read.
pub async fn leaves(
    client: &Client,
    root: &TableName,
) -> Result<Result<Vec<LeafSize>, Definite>, Transient> {
    const DOING: &str = "reading the size of the root table";
    let rows = client
        .query(LEAVES, &[&root.schema, &root.name])
        .await
        .map_err(postgres(DOING))?;
    let mut leaves = Vec::with_capacity(rows.len());
    for row in &rows {
        let schema: String = row.try_get(1).map_err(postgres(DOING))?;
        let name: String = row.try_get(2).map_err(postgres(DOING))?;
        let table = TableName::new(schema, name);
        let file_node: Option<u32> = row.try_get(3).map_err(postgres(DOING))?;
        let blocks: i64 = row.try_get(4).map_err(postgres(DOING))?;
        let blocks_then: i64 = row.try_get(6).map_err(postgres(DOING))?;
        let Some(file_node) = file_node else {
            return Ok(Err(Definite::Definition(format!(
                "{table} has no storage of its own"
            ))));
        };
        leaves.push(LeafSize {
            table,
            oid: row.try_get(0).map_err(postgres(DOING))?,
            file_node,
            blocks: u32::try_from(blocks).unwrap_or(u32::MAX),
            rows_then: row.try_get(5).map_err(postgres(DOING))?,
            blocks_then: u32::try_from(blocks_then).unwrap_or(0),
        });
    }
    if leaves.is_empty() && !exists(client, root).await? {
        return Ok(Err(Definite::Definition(format!("{root} does not exist"))));
    }
    Ok(Ok(leaves))
}

/// A partitioned table without partitions has no leaves and is fine.
async fn exists(client: &Client, table: &TableName) -> Result<bool, Transient> {
    let row = client
        .query_opt(
            "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2",
            &[&table.schema, &table.name],
        )
        .await
        .map_err(postgres("looking for the root table"))?;
    Ok(row.is_some())
}

fn postgres(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Transient {
    move |error| Transient::Postgres {
        doing,
        source: Box::new(error),
    }
}
