//! A database of one test, and what a definition becomes over it.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use definition::catalog::CATALOG_SQL;
use definition::{
    Catalog, CompiledIndex, Diagnostics, Files, IndexDefinition, Overrides, compile, load,
};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

/// A schema file.
pub(crate) struct Schema(String);

impl Schema {
    pub(crate) fn new(text: &str) -> Self {
        Schema(text.to_owned())
    }

    fn definition(&self) -> IndexDefinition {
        let environment = BTreeMap::from([("DB".to_owned(), "postgres://x".to_owned())]);
        let path = Path::new("flusso.toml");
        match load(path, self, &environment, &Overrides::default()) {
            Ok((deployment, _)) => {
                let index = deployment.indexes.first().expect("one index");
                index.definition.as_ref().clone()
            }
            Err(findings) => panic!("{}", findings.render_human(false)),
        }
    }
}

impl Files for Schema {
    fn read(&self, path: &Path) -> io::Result<String> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("flusso.toml") => Ok(String::from(
                "[source]\ntype = \"postgres\"\nconnection_url = { env = \"DB\" }\n\
                 [[index]]\nname = \"t\"\nschema = \"t.schema.yml\"\n",
            )),
            Some("t.schema.yml") => Ok(self.0.clone()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// A database of its own. Call [`Database::remove`] at the end: what a failed test leaves behind
/// can be looked at.
pub(crate) struct Database {
    pub(crate) client: Client,
    server: String,
    name: String,
}

fn listed(findings: &Diagnostics) -> Vec<(String, String)> {
    let findings = findings.findings().iter();
    findings
        .map(|finding| (finding.code.to_owned(), finding.message.clone()))
        .collect()
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("Postgres answers");
    #[expect(clippy::disallowed_methods, reason = "the test's runtime owns it")]
    tokio::spawn(connection);
    client
}

impl Database {
    /// An empty one, its session set like those of the services.
    pub(crate) async fn create(test: &str) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is where the test learns of its server"
        )]
        let server = std::env::var("STACK_POSTGRES_URL")
            .expect("STACK_POSTGRES_URL names a Postgres: run deploy/test");
        let name = format!("definition_{test}_{}", std::process::id());
        let admin = connect(&server).await;
        for statement in ["DROP DATABASE IF EXISTS", "CREATE DATABASE"] {
            let done = admin.batch_execute(&format!("{statement} {name}")).await;
            done.unwrap_or_else(|error| panic!("{statement} {name}: {error}"));
        }
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        let client = connect(&format!("{base}/{name}")).await;
        let database = Database {
            client,
            server,
            name,
        };
        database
            .run(
                "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; \
                  SET extra_float_digits = 1; SET bytea_output = 'hex'",
            )
            .await;
        database
    }

    pub(crate) async fn remove(self) {
        drop(self.client);
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let done = connect(&self.server).await.batch_execute(&drop).await;
        done.unwrap_or_else(|error| panic!("{drop}: {error}"));
    }

    pub(crate) async fn run(&self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql).await {
            panic!("{error:?}\n{sql}");
        }
    }

    async fn catalog(&self, definition: &IndexDefinition) -> Catalog {
        let tables = compile::tables(definition);
        let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        let rows = self.client.query(CATALOG_SQL, &[&schemas, &names]).await;
        let rows = rows.expect("the catalog answers");
        let texts: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        Catalog::from_rows(texts.iter().map(String::as_str)).expect("the catalog is read")
    }

    async fn try_compile(&self, schema: &Schema) -> Result<CompiledIndex, Diagnostics> {
        let definition = schema.definition();
        compile::compile(&definition, &self.catalog(&definition).await)
    }

    /// Codes and messages of everything that `check` finds.
    pub(crate) async fn findings(&self, schema: &Schema) -> Vec<(String, String)> {
        let definition = schema.definition();
        listed(&compile::check(
            &definition,
            &self.catalog(&definition).await,
        ))
    }

    pub(crate) async fn compile(&self, schema: &Schema) -> CompiledIndex {
        let compiled = self.try_compile(schema).await;
        compiled.unwrap_or_else(|findings| panic!("{}", findings.render_human(false)))
    }

    /// Codes and messages of the findings that refuse a definition.
    pub(crate) async fn refusal(&self, schema: &Schema) -> Vec<(String, String)> {
        match self.try_compile(schema).await {
            Ok(_) => Vec::new(),
            Err(findings) => listed(&findings),
        }
    }

    /// Rows of a statement over parallel arrays that hold one key: their columns as text.
    pub(crate) async fn rows(&self, sql: &str, key: &[&str]) -> Vec<tokio_postgres::Row> {
        let arrays: Vec<Vec<&str>> = key.iter().map(|part| vec![*part]).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = arrays
            .iter()
            .map(|array| {
                let array: &(dyn ToSql + Sync) = array;
                array
            })
            .collect();
        let rows = self.client.query(sql, &parameters).await;
        rows.unwrap_or_else(|error| panic!("{error:?}\n{sql}"))
    }

    /// Requested id, id of the row, document.
    pub(crate) async fn build(
        &self,
        compiled: &CompiledIndex,
        key: &[&str],
    ) -> (String, Option<String>, Option<String>) {
        let rows = self.rows(&compiled.build_sql, key).await;
        let row = rows.first().expect("a row per key");
        (
            row.get("requested_id"),
            row.get("row_id"),
            row.get("document"),
        )
    }

    pub(crate) async fn document(&self, compiled: &CompiledIndex, key: &[&str]) -> Option<String> {
        self.build(compiled, key).await.2
    }
}
