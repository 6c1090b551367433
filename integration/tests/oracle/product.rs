//! The product's documents of the same file, by both of its ways: whole tables, and by keys.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use definition::catalog::CATALOG_SQL;
use definition::{Catalog, CompiledIndex, Files, IndexDefinition, Overrides, compile};
use integration::oracle::{Documents, Json};
use model::TableName;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

struct InMemory<'t>(&'t str);

impl Files for InMemory<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("flusso.toml") => Ok("[source]\ntype = \"postgres\"\nconnection_url = \"postgres://x\"\n[[index]]\nname = \"t\"\nschema = \"t.yml\"\n".to_owned()),
            Some("t.yml") => Ok(self.0.to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn definition(schema: &str) -> Result<IndexDefinition> {
    let loaded = definition::load(
        Path::new("flusso.toml"),
        &InMemory(schema),
        &BTreeMap::new(),
        &Overrides::default(),
    );
    let (deployment, _) = loaded.map_err(|found| anyhow::anyhow!(found.render_human(false)))?;
    let index = deployment.indexes.first().context("no index")?;
    Ok(index.definition.as_ref().clone())
}

async fn compiled(schema: &str, rows: &Client) -> Result<CompiledIndex> {
    let definition = definition(schema)?;
    let tables = compile::tables(&definition);
    let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let described = rows.query(CATALOG_SQL, &[&schemas, &names]).await?;
    let texts: Vec<String> = described.iter().map(|row| row.get(0)).collect();
    let catalog = Catalog::from_rows(texts.iter().map(String::as_str))?;
    compile(&definition, &catalog).map_err(|found| anyhow::anyhow!(found.render_human(false)))
}

/// What the product builds; an error when its two ways differ.
pub(super) async fn documents(schema: &str, rows: &Client) -> Result<Documents> {
    let compiled = compiled(schema, rows).await?;
    rows.batch_execute(
        "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601';
         SET extra_float_digits = 1; SET bytea_output = 'hex'",
    )
    .await?;
    let leaves = rows
        .query(
            "SELECT n.nspname::text, c.relname::text FROM pg_partition_tree(to_regclass($1)) p
             JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.isleaf
             UNION ALL SELECT $2, $3 WHERE NOT EXISTS (SELECT FROM pg_partition_tree(to_regclass($1)))",
            &[
                &compiled.root.sql(),
                &compiled.root.schema.as_str(),
                &compiled.root.name.as_str(),
            ],
        )
        .await?;
    let mut whole = Documents::new();
    let mut keys: Vec<Vec<String>> = vec![Vec::new(); compiled.key.len()];
    for leaf in leaves {
        let leaf = TableName::new(leaf.get::<_, &str>(0), leaf.get::<_, &str>(1));
        let found = rows
            .query(&compiled.chunk_sql(&leaf), &[&0_i64, &None::<i64>])
            .await
            .with_context(|| compiled.chunk_sql(&leaf))?;
        for row in found {
            for (at, column) in keys.iter_mut().enumerate() {
                column.push(row.get(at + 2));
            }
            take(&mut whole, row.get(0), row.get(1))?;
        }
    }
    let mut by_key = Documents::new();
    let parameters: Vec<&(dyn ToSql + Sync)> = keys
        .iter()
        .map(|column| {
            let column: &(dyn ToSql + Sync) = column;
            column
        })
        .collect();
    for row in rows.query(&compiled.build_sql, &parameters).await? {
        take(&mut by_key, row.get("row_id"), row.get("document"))?;
    }
    ensure!(
        whole == by_key,
        "by chunk {whole:?}\nby key {by_key:?}\n{}",
        compiled.build_sql
    );
    Ok(whole)
}

fn take(documents: &mut Documents, id: Option<String>, document: Option<String>) -> Result<()> {
    if let (Some(id), Some(document)) = (id, document) {
        let document = Json::parse(&document).with_context(|| document.clone())?;
        ensure!(documents.insert(id, document).is_none(), "an id twice");
    }
    Ok(())
}
