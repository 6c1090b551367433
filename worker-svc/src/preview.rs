//! One document as it would be written now, from its id; or why there is none.
//! In: an id, the compiled index. Out: the document, or a [`Reason`].
//! Must hold: the document and the reason come from one snapshot, by the statement of the feeds.
//! Must not: write anything, to the source neither: the transaction is read-only.
//! Why variants of the definition tell the reason: they are compiled like every other, so what
//! they say of a row is what the feed decides; a second spelling of the filters could differ.

mod id;

use std::time::{Duration, Instant};

use definition::index::{Filter, FilterOp, IndexDefinition, SoftDelete};
use model::TableName;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

pub use id::{NoId, parts};

use crate::compiled::{self, Compiled};
use crate::error::{Definite, Transient};

/// A document, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    /// It would be written.
    Document {
        /// Its id: not always the text that was asked for (`7` finds the row of `7.00`).
        id: String,
        /// Its JSON.
        json: String,
    },
    /// There is none.
    None(Reason),
}

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No row has this key.
    NoRow,
    /// The row counts as deleted.
    Deleted(String),
    /// The row does not meet these root filters.
    Outside(Vec<String>),
}

/// What was run for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The statement that builds the document.
    pub statement: String,
    /// Its parameters: one array per key column.
    pub parameters: Vec<Vec<String>>,
    /// How long it took, the way to the server included.
    pub took: Duration,
}

/// Outside: nobody can answer now. Then: the definition does not fit. Inside: this is no id.
pub type Looked<T> = Result<Result<Result<T, NoId>, Definite>, Transient>;

/// Looks at the database as it is now.
///
/// # Errors
/// Postgres does not answer, or cannot build the document; the definition does not fit it; the
/// id cannot be one of this index.
pub async fn preview(
    client: &Client,
    definition: &IndexDefinition,
    id: &str,
    statement_timeout: Duration,
) -> Looked<(Preview, Trace)> {
    let begin = format!(
        "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; \
         SET LOCAL statement_timeout = {}",
        statement_timeout.as_millis()
    );
    client
        .batch_execute(&begin)
        .await
        .map_err(failed("beginning a transaction"))?;
    let looked = look(client, definition, id).await;
    // The session ends with the command: what was read stays what it was.
    drop(client.batch_execute("ROLLBACK").await);
    looked
}

async fn look(client: &Client, definition: &IndexDefinition, id: &str) -> Looked<(Preview, Trace)> {
    let compiled = match compiled::read(client, definition).await? {
        Ok(compiled) => compiled,
        Err(definite) => return Ok(Err(definite)),
    };
    let bare = match variant(definition, &compiled, None, Vec::new()) {
        Ok(bare) => bare,
        Err(definite) => return Ok(Err(definite)),
    };
    let key = if id::is_digest(id) {
        match key_of_digest(client, &bare, id).await? {
            Some(key) => key,
            None => return Ok(Ok(Ok((Preview::None(Reason::NoRow), Trace::default())))),
        }
    } else {
        match parts(id, compiled.index.key.len()) {
            Ok(key) => key,
            Err(wrong) => return Ok(Ok(Err(wrong))),
        }
    };
    // Fields apart: what fails here is the key, not the document.
    let row = match run(client, &bare, &key).await {
        Ok(row) => row,
        Err(error) => {
            return match id::refused_value(&error) {
                Some(wrong) => Ok(Ok(Err(wrong))),
                None => Err(failed("looking for the row")(error)),
            };
        }
    };
    let started = Instant::now();
    let built = run(client, &compiled, &key)
        .await
        .map_err(failed("building the document"))?;
    let trace = Trace {
        statement: compiled.index.build_sql.clone(),
        parameters: key.iter().map(|part| vec![part.clone()]).collect(),
        took: started.elapsed(),
    };
    let preview = match (built, row) {
        (Some((id, Some(json))), _) => Preview::Document { id, json },
        (_, None) => Preview::None(Reason::NoRow),
        (_, Some(_)) => match reason(client, definition, &compiled, &key).await? {
            Ok(reason) => Preview::None(reason),
            Err(definite) => return Ok(Err(definite)),
        },
    };
    Ok(Ok(Ok((preview, trace))))
}

/// The definition without its fields, and with these of its conditions.
fn variant(
    definition: &IndexDefinition,
    compiled: &Compiled,
    soft_delete: Option<SoftDelete>,
    filters: Vec<Filter>,
) -> Result<Compiled, Definite> {
    let variant = IndexDefinition {
        soft_delete,
        filters,
        fields: Vec::new(),
        ..definition.clone()
    };
    compiled::compile(&variant, compiled.catalog.clone())
        .map_err(|findings| Definite::Definition(compiled::in_one_line(&findings)))
}

/// The row's own id and its document, `None` without a row that meets the conditions.
async fn run(
    client: &Client,
    compiled: &Compiled,
    key: &[String],
) -> Result<Option<(String, Option<String>)>, tokio_postgres::Error> {
    let arrays: Vec<Vec<&str>> = key.iter().map(|part| vec![part.as_str()]).collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = arrays
        .iter()
        .map(|array| -> &(dyn ToSql + Sync) { array })
        .collect();
    let rows = client.query(&compiled.index.build_sql, &parameters).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let id: Option<String> = row.try_get("row_id")?;
    let document: Option<String> = row.try_get("document")?;
    Ok(id.map(|id| (id, document)))
}

/// Why a row that is there has no document.
async fn reason(
    client: &Client,
    definition: &IndexDefinition,
    compiled: &Compiled,
    key: &[String],
) -> Result<Result<Reason, Definite>, Transient> {
    const DOING: &str = "looking for the reason";
    if let Some(soft_delete) = &definition.soft_delete {
        let alone = match variant(definition, compiled, Some(soft_delete.clone()), Vec::new()) {
            Ok(alone) => alone,
            Err(definite) => return Ok(Err(definite)),
        };
        if run(client, &alone, key)
            .await
            .map_err(failed(DOING))?
            .is_none()
        {
            return Ok(Ok(Reason::Deleted(soft_delete.column.to_string())));
        }
    }
    let mut outside = Vec::new();
    for filter in &definition.filters {
        let alone = match variant(definition, compiled, None, vec![filter.clone()]) {
            Ok(alone) => alone,
            Err(definite) => return Ok(Err(definite)),
        };
        if run(client, &alone, key)
            .await
            .map_err(failed(DOING))?
            .is_none()
        {
            outside.push(in_words(filter));
        }
    }
    Ok(Ok(Reason::Outside(outside)))
}

/// A filter as a file writes it.
fn in_words(filter: &Filter) -> String {
    match filter {
        Filter::Raw(sql) => format!("raw: {sql}"),
        Filter::Column { column, op } => {
            let (op, value) = match op {
                FilterOp::IsNull => ("is_null", String::new()),
                FilterOp::IsNotNull => ("is_not_null", String::new()),
                FilterOp::Eq(value) => ("eq", value.to_string()),
                FilterOp::Neq(value) => ("neq", value.to_string()),
                FilterOp::Lt(value) => ("lt", value.to_string()),
                FilterOp::Lte(value) => ("lte", value.to_string()),
                FilterOp::Gt(value) => ("gt", value.to_string()),
                FilterOp::Gte(value) => ("gte", value.to_string()),
                FilterOp::Like(text) => ("like", format!("{text:?}")),
                FilterOp::Ilike(text) => ("ilike", format!("{text:?}")),
                FilterOp::In(values) => ("in", listed(values)),
                FilterOp::NotIn(values) => ("not_in", listed(values)),
                FilterOp::Between(low, high) => ("between", format!("[{low}, {high}]")),
            };
            format!("{column} {op} {value}").trim_end().to_owned()
        }
    }
}

fn listed(values: &[serde_json::Value]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("[{}]", values.join(", "))
}

/// The key of the row whose id is this digest. A digest does not hold its key, so every row of
/// the table is looked at; no document is built for it.
async fn key_of_digest(
    client: &Client,
    bare: &Compiled,
    id: &str,
) -> Result<Option<Vec<String>>, Transient> {
    const DOING: &str = "looking for the row of a digest";
    for leaf in leaves(client, bare).await.map_err(failed(DOING))? {
        let sql = format!(
            "SELECT * FROM ({}) AS c WHERE c.row_id = $3",
            bare.index.chunk_sql(&leaf)
        );
        let found = client
            .query_opt(&sql, &[&0_i64, &None::<i64>, &id])
            .await
            .map_err(failed(DOING))?;
        let Some(row) = found else { continue };
        // Behind id and document stand the key's columns.
        let key: Result<Vec<String>, _> = (2..row.len()).map(|at| row.try_get(at)).collect();
        return key.map(Some).map_err(failed(DOING));
    }
    Ok(None)
}

/// The tables that hold the root's rows.
async fn leaves(
    client: &Client,
    compiled: &Compiled,
) -> Result<Vec<TableName>, tokio_postgres::Error> {
    const SQL: &str = "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class AS c \
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE (c.oid = $1::pg_catalog.oid AND c.relkind = 'r') \
        OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid) WHERE isleaf)";
    let oid = compiled
        .catalog
        .table(&compiled.index.root)
        .map(|table| table.oid)
        .unwrap_or_default();
    let rows = client.query(SQL, &[&oid]).await?;
    rows.iter()
        .map(|row| {
            Ok(TableName::new(
                row.try_get::<_, String>(0)?,
                row.try_get::<_, String>(1)?,
            ))
        })
        .collect()
}

/// Turns a driver's error into ours.
fn failed(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Transient {
    move |error| Transient::Postgres {
        doing,
        source: Box::new(error),
    }
}

/// Whether Postgres could not read a value as its type.
fn is_bad_value(state: &SqlState) -> bool {
    // Class 22: data exceptions.
    state.code().starts_with("22")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_filter_is_named_as_the_file_writes_it() {
        let column = model::ColumnName::new("state");
        let of = |op| Filter::Column {
            column: column.clone(),
            op,
        };
        for (filter, words) in [
            (of(FilterOp::IsNull), "state is_null"),
            (of(FilterOp::Neq(json!("draft"))), "state neq \"draft\""),
            (
                of(FilterOp::In(vec![json!(1), json!("b")])),
                "state in [1, \"b\"]",
            ),
            (
                of(FilterOp::Between(json!(1), json!(2))),
                "state between [1, 2]",
            ),
            (Filter::Raw("a < b".into()), "raw: a < b"),
        ] {
            assert_eq!(in_words(&filter), words);
        }
    }
}
