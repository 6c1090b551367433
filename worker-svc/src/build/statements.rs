//! The SQL of one index, as the definition crate compiled it.
//! In: a compiled index. Out: texts that stay the same from batch to batch, so that each
//! connection prepares them once.

use std::fmt;
use std::sync::Arc;

use model::{ColumnName, TableName};

/// Makes the statement for a range of blocks of one leaf.
type ChunkSql = Arc<dyn Fn(&TableName) -> String + Send + Sync>;

/// The statements of an index.
#[derive(Clone)]
pub struct Statements {
    /// The root table.
    pub root: TableName,
    /// `LOCK TABLE … IN ACCESS SHARE MODE` over all tables of the index.
    pub lock: String,
    /// `$1…$k text[]`, one array per key column → rows (n int8, `requested_id`, `row_id`,
    /// document).
    pub build: String,
    /// The key columns.
    pub key: Vec<ColumnName>,
    /// `$1 int8` first block, `$2 int8` block after the last or NULL → rows (`row_id`,
    /// document, key columns).
    pub chunk: ChunkSql,
}

impl fmt::Debug for Statements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statements")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Statements {
    /// The keys of the rows in a range of blocks of one leaf: `$1 int8` first block, `$2
    /// int8` block after the last or NULL.
    pub(super) fn keys_of(&self, leaf: &TableName) -> String {
        let columns: Vec<String> = self
            .key
            .iter()
            .map(|column| format!("{}::text", column.sql()))
            .collect();
        // The highest block number there is bounds an open-ended range.
        format!(
            "SELECT {} FROM ONLY {} WHERE ctid >= format('(%s,0)', $1::int8)::tid \
             AND ctid < format('(%s,0)', coalesce($2::int8, 4294967294))::tid",
            columns.join(", "),
            leaf.sql()
        )
    }
}

/// The file node of a leaf under the lock, and whether it still belongs to the root.
/// `$1` oid of the leaf, `$2` text of the root.
pub(super) const LEAF_SQL: &str = "\
SELECT pg_relation_filenode(leaf.oid)::int8, \
       leaf.oid = root.oid OR EXISTS (SELECT FROM pg_partition_ancestors(leaf.oid) AS up(oid) WHERE up.oid = root.oid) \
FROM pg_class AS leaf, (SELECT to_regclass($2)::oid AS oid) AS root WHERE leaf.oid = $1";

/// The snapshot of the transaction.
pub(super) const SNAPSHOT_SQL: &str = "SELECT pg_current_snapshot()::text";

/// Begins the transaction and locks; one round trip, as a simple query.
pub(super) fn begin(lock: &str, lock_timeout_ms: u128, statement_timeout_ms: u128) -> String {
    format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
         SET LOCAL lock_timeout = {lock_timeout_ms}; \
         SET LOCAL statement_timeout = {statement_timeout_ms}; \
         {lock}"
    )
}

/// A statement that finds keys, cut off beyond `most` rows.
pub(super) fn at_most(sql: &str, most: usize) -> String {
    format!(
        "SELECT * FROM ({}) AS found LIMIT {most}",
        sql.trim_end().trim_end_matches(';')
    )
}
