//! The oracle itself, against documents that were written by hand from the words of the reference;
//! and the product against the oracle, on the same files.

mod compared;
mod documents;
mod example;
mod filters;
mod joins;
mod product;
mod values;

use anyhow::{Context, Result, ensure};
use integration::oracle::{self, Documents, Json};
use integration::stack::{Stack, connect};
use testkit::unique;
use tokio_postgres::{Client, NoTls};

/// Runs a test in a database of its own, which is removed whatever the test says.
async fn in_database(
    tables: &str,
    test: impl AsyncFnOnce(&mut Client) -> Result<()>,
) -> Result<()> {
    let stack = Stack::from_env()?;
    let name = unique("oracle");
    let admin = connect(&stack.postgres, NoTls).await?;
    admin
        .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"))
        .await?;
    let (base, _) = stack
        .postgres
        .rsplit_once('/')
        .context("the URL names no database")?;
    let mut rows = connect(&format!("{base}/{name}"), NoTls).await?;
    let outcome = match rows.batch_execute(tables).await {
        Ok(()) => test(&mut rows).await,
        Err(error) => Err(error).context("the tables of the test"),
    };
    drop(rows);
    admin
        .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await?;
    outcome
}

/// The truth, once the product has said the same.
async fn documents_of(schema: &str, rows: &mut Client) -> Result<Documents> {
    let truth = oracle::documents(schema, rows)
        .await
        .with_context(|| format!("oracle: {schema}"))?;
    let found = product::documents(schema, rows)
        .await
        .with_context(|| format!("product: {schema}"))?;
    let comparison = oracle::compare_documents(&truth, &found);
    ensure!(
        comparison.is_equal(),
        "the product differs: {comparison}\n{schema}"
    );
    Ok(truth)
}

/// The documents must be exactly these: (id, JSON).
async fn expect(rows: &mut Client, schema: &str, expected: &[(&str, &str)]) -> Result<()> {
    let documents = documents_of(schema, rows).await?;
    let mut wrong = Vec::new();
    for (id, text) in expected {
        let right = Json::parse(text).with_context(|| (*text).to_owned())?;
        let found = documents.get(*id);
        if !found.is_some_and(|found| found.fits(&right)) {
            let found = found.map_or("none".to_owned(), Json::to_string);
            wrong.push(format!("\n{id}\n  expected {right}\n  found    {found}"));
        }
    }
    let extra: Vec<&String> = documents
        .keys()
        .filter(|id| !expected.iter().any(|(known, _)| known == id))
        .collect();
    ensure!(
        wrong.is_empty() && extra.is_empty(),
        "{}\nextra: {extra:?}\n{schema}",
        wrong.join("\n")
    );
    Ok(())
}

/// The same, of a table `t` with these fields.
async fn expect_fields(rows: &mut Client, fields: &str, expected: &[(&str, &str)]) -> Result<()> {
    expect(
        rows,
        &format!("version: 1\ntable: t\nfields: [ {fields} ]\n"),
        expected,
    )
    .await
}

fn ids(documents: &Documents) -> Vec<&str> {
    documents.keys().map(String::as_str).collect()
}
