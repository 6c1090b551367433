//! What one test has for itself on shared servers: a database, a slot, topics, indexes.
//! In: tables and index files. Out: services on them, and the question whether index and database
//! are equal.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use model::Lsn;
use opensearch::OpenSearch;
use opensearch::http::transport::Transport;
use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::oracle;
use crate::service::{Kind, Outcome, Service, command};
use crate::stack::{Stack, connect};

/// Longest time in which everything that was committed must have become documents.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One index of a test.
#[derive(Debug, Clone)]
pub struct IndexFile {
    /// Its name in the configuration.
    pub name: String,
    /// The text of its `*.schema.yml`.
    pub schema: String,
    /// More lines for its `[[index]]`.
    pub settings: String,
}

impl IndexFile {
    /// An index without further settings.
    #[must_use]
    pub fn new(name: &str, schema: &str) -> Self {
        Self {
            name: name.to_owned(),
            schema: schema.to_owned(),
            settings: String::new(),
        }
    }
}

/// A test's own part of the servers.
#[derive(Debug)]
pub struct Sandbox {
    /// Prefix of everything that is named after the test.
    pub name: String,
    /// Where the servers are.
    pub stack: Stack,
    /// URL of the test's database.
    pub database_url: String,
    /// A connection to it.
    pub rows: Client,
    /// A client of the search cluster.
    pub documents: OpenSearch,
    /// Its indexes.
    pub indexes: Vec<IndexFile>,
    folder: TempDir,
}

impl Sandbox {
    /// Makes a database from `tables` and files for `indexes`; `settings` is more text for
    /// `flusso.toml`.
    ///
    /// # Errors
    /// When the servers refuse.
    pub async fn new(
        stack: &Stack,
        test: &str,
        tables: &str,
        indexes: Vec<IndexFile>,
        settings: &str,
    ) -> Result<Self> {
        let name = format!("t{:08x}_{test}", rand::random::<u32>());
        let name: String = name.chars().take(40).collect();
        let admin = connect(&stack.postgres, NoTls).await?;
        admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'")).await?;
        let (base, _) = stack
            .postgres
            .rsplit_once('/')
            .context("the URL names no database")?;
        let database_url = format!("{base}/{name}");
        let rows = connect(&database_url, NoTls).await?;
        rows.batch_execute(tables)
            .await
            .context("the tables of the test")?;
        let sandbox = Self {
            documents: OpenSearch::new(Transport::single_node(&stack.opensearch)?),
            indexes,
            stack: stack.clone(),
            folder: TempDir::with_prefix("flusso-test-")?,
            database_url,
            rows,
            name,
        };
        sandbox.write_files(settings)?;
        Ok(sandbox)
    }

    /// Writes `flusso.toml` and the index files. Top-level keys of `settings` come first in TOML,
    /// so they stand before the first table.
    fn write_files(&self, settings: &str) -> Result<()> {
        let mut toml = format!(
            "prefix = \"{name}_\"\n{settings}\n[source]\ntype = \"postgres\"\nconnection_url = \"{url}\"\nslot = \"{name}\"\npublication = \"{name}\"\n\n\
             [broker]\nbootstrap_servers = \"{kafka}\"\ntopic_prefix = \"{name}\"\npartitions = 4\n\n\
             [capture]\nheartbeat_interval = \"100ms\"\n\n\
             [sinks.search]\ntype = \"opensearch\"\nurl = \"{opensearch}\"\n",
            name = self.name,
            url = self.database_url,
            kafka = self.stack.kafka,
            opensearch = self.stack.opensearch,
        );
        for index in &self.indexes {
            std::fs::write(
                self.folder().join(format!("{}.schema.yml", index.name)),
                &index.schema,
            )?;
            let IndexFile { name, settings, .. } = index;
            let more = format!(
                "\n[[index]]\nname = \"{name}\"\nschema = \"{name}.schema.yml\"\n{settings}\n"
            );
            toml.push_str(&more);
        }
        std::fs::write(self.folder().join("flusso.toml"), toml)?;
        Ok(())
    }

    /// The folder with the configuration and the logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a capture and waits until it is ready.
    ///
    /// # Errors
    /// With its log when it does not become ready.
    pub async fn capture(&self) -> Result<Service> {
        Service::start(Kind::Capture, "capture", self.folder(), &[], &[]).await
    }

    /// Runs one command of `worker-svc` to its end.
    ///
    /// # Errors
    /// With its output when it fails.
    pub async fn worker_command(&self, arguments: &[&str]) -> Result<String> {
        let Outcome { code, out, err } = command(
            Kind::Worker,
            arguments,
            &self.folder().join("flusso.toml"),
            &[],
        )
        .await?;
        ensure!(
            code == Some(0),
            "worker-svc {arguments:?} ended with {code:?}:\n{err}"
        );
        Ok(out)
    }

    /// Starts a worker and waits until it is ready.
    ///
    /// # Errors
    /// With its log when it does not become ready.
    pub async fn worker(&self, name: &str) -> Result<Service> {
        Service::start(Kind::Worker, name, self.folder(), &[], &[]).await
    }

    /// Runs statements.
    ///
    /// # Errors
    /// With the statements when Postgres refuses them.
    pub async fn sql(&self, statements: &str) -> Result<()> {
        self.rows
            .batch_execute(statements)
            .await
            .with_context(|| statements.to_owned())
    }

    /// The alias of an index.
    #[must_use]
    pub fn alias(&self, index: &str) -> String {
        format!("{}_{index}", self.name)
    }

    /// Where the database's WAL ends now.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn end_of_wal(&self) -> Result<Lsn> {
        let text: String = self
            .rows
            .query_one("SELECT pg_current_wal_insert_lsn()::text", &[])
            .await?
            .get(0);
        Ok(text.parse()?)
    }

    /// The LSN that the slot confirmed.
    ///
    /// # Errors
    /// When there is no such slot.
    pub async fn confirmed(&self) -> Result<Lsn> {
        let sql = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1";
        let row = self
            .rows
            .query_opt(sql, &[&self.name])
            .await?
            .context("there is no slot")?;
        Ok(row
            .get::<_, Option<String>>(0)
            .context("the slot has confirmed nothing")?
            .parse()?)
    }

    /// Waits until `worker` says that everything committed so far is in every index.
    ///
    /// # Errors
    /// With the last status when it takes too long.
    pub async fn settled(&self, worker: &Service) -> Result<()> {
        let target = self.end_of_wal().await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = worker.status().await?;
            let feeds = status
                .get("feeds")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let behind = feeds.iter().filter(|feed| !is_at(feed, target)).count();
            if feeds.len() >= self.indexes.len() && behind == 0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "not at {target} after {PATIENCE:?}: {status:#}\n{}",
                worker.log_end()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until everything is in, then compares an index in full.
    ///
    /// # Errors
    /// With the differences.
    pub async fn expect_equal(&mut self, worker: &Service, index: &str) -> Result<()> {
        self.settled(worker).await?;
        self.compare(index).await
    }

    /// Compares an index in full, now (W5).
    ///
    /// # Errors
    /// With the differences.
    pub async fn compare(&mut self, index: &str) -> Result<()> {
        let file = self
            .indexes
            .iter()
            .find(|file| file.name == index)
            .context("no such index")?
            .clone();
        let expected = oracle::documents(&file.schema, &mut self.rows).await?;
        let found = oracle::compare::read_index(&self.documents, &self.alias(index)).await?;
        let comparison = oracle::compare(&expected, &found);
        ensure!(comparison.is_equal(), "{index}: {comparison}");
        Ok(())
    }

    /// Removes what the test made on the shared servers, after its services have ended.
    ///
    /// # Errors
    /// When something is still in use.
    pub async fn remove(self) -> Result<()> {
        let Self {
            name,
            stack,
            rows,
            documents,
            ..
        } = self;
        drop(rows);
        let indexes = format!("{name}_*");
        documents
            .indices()
            .delete(opensearch::indices::IndicesDeleteParts::Index(&[&indexes]))
            .expand_wildcards(&[opensearch::params::ExpandWildcards::All])
            .send()
            .await?;
        let admin = connect(&stack.postgres, NoTls).await?;
        admin.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active", &[&name]).await?;
        admin
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await?;
        Ok(())
    }
}

/// Whether a feed's watermark has reached an LSN, and its alias stands.
fn is_at(feed: &Value, target: Lsn) -> bool {
    let seeded = feed
        .get("state")
        .and_then(Value::as_str)
        .is_some_and(|state| state == "live");
    let watermark = feed
        .get("watermark_lsn")
        .and_then(Value::as_str)
        .and_then(|lsn| lsn.parse::<Lsn>().ok());
    seeded && watermark.is_some_and(|lsn| lsn >= target)
}
