//! Every package of a Debian archive as a search document; `integration/datasets/debian/run` runs it.
//! In: what `apt-cache dumpavail` prints, addresses of running servers and services.
//! Out: progress and figures for a person; exit 0 only when index and database are equal.
#![expect(
    clippy::print_stdout,
    reason = "standard output is what this program is for"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use integration::datasets::debian::{Archive, load};
use integration::oracle;
use opensearch::{CountParts, OpenSearch, http::transport::Transport};
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

/// The alias that `flusso.toml` describes.
const ALIAS: &str = "debian_packages";
/// The database that `load` makes.
const DATABASE: &str = "flusso_debian";
/// Longest time without any progress.
const PATIENCE: Duration = Duration::from_mins(3);
/// Between two looks, and two lines of progress.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Parser)]
#[command(about = "Every package of a Debian archive as a search document")]
enum Command {
    /// Reads an archive listing from standard input into a database; prints its URL.
    Load {
        /// URL of the server, of a role that may create databases.
        #[arg(long)]
        server: String,
        /// Folder of tables.sql and indexes.sql.
        #[arg(long)]
        sql: PathBuf,
    },
    /// Waits for the seed, changes rows live, compares.
    Follow {
        /// URL of the database.
        #[arg(long)]
        database: String,
        /// URL of `OpenSearch`.
        #[arg(long)]
        opensearch: String,
        /// The file that describes the documents.
        #[arg(long)]
        schema: PathBuf,
        /// Public address of the worker.
        #[arg(long)]
        worker: String,
        /// Process ids whose memory is reported.
        #[arg(long, value_delimiter = ',')]
        pids: Vec<u32>,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Command::parse() {
        Command::Load { server, sql } => make_database(&server, &sql).await,
        Command::Follow {
            database,
            opensearch,
            schema,
            worker,
            pids,
        } => {
            let documents = OpenSearch::new(Transport::single_node(&opensearch)?);
            let schema =
                std::fs::read_to_string(&schema).with_context(|| schema.display().to_string())?;
            Follow {
                rows: connect(&database).await?,
                documents,
                worker,
                pids,
                schema,
            }
            .run()
            .await
        }
    }
}

async fn connect(url: &str) -> Result<Client> {
    integration::stack::connect(url, NoTls).await
}

async fn make_database(server: &str, sql: &Path) -> Result<()> {
    let began = Instant::now();
    let admin = connect(server).await?;
    let (base, _) = server
        .rsplit_once('/')
        .context("the URL names no database")?;
    let url = format!("{base}/{DATABASE}");
    if admin
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&DATABASE])
        .await?
        .is_none()
    {
        let archive = Archive::read(std::io::stdin().lock())?;
        admin
            .batch_execute(&format!("CREATE DATABASE {DATABASE}"))
            .await?;
        let mut database = connect(&url).await?;
        let counts = load(&archive, sql, &mut database).await?;
        eprintln!("loaded {counts} in {:.1} s", began.elapsed().as_secs_f64());
    }
    println!("{url}");
    Ok(())
}

struct Follow {
    rows: Client,
    documents: OpenSearch,
    worker: String,
    pids: Vec<u32>,
    schema: String,
}

/// Live changes: title and SQL.
const ACTS: [(&str, &str); 4] = [
    (
        "the busiest maintainer is renamed",
        "UPDATE maintainers SET name = 'Renamed ' || clock_timestamp() WHERE id =
           (SELECT maintainer_id FROM packages GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1)",
    ),
    (
        "a section moves to another area, and gives half of its packages to another",
        "BEGIN;
         UPDATE sections SET area = 'moved ' || clock_timestamp() WHERE name = 'python';
         UPDATE packages SET section_id = (SELECT id FROM sections WHERE name = 'misc')
           WHERE id % 2 = 0 AND section_id = (SELECT id FROM sections WHERE name = 'python');
         COMMIT",
    ),
    (
        "1,000 packages are deleted, with their dependencies and tags",
        "DELETE FROM packages WHERE id IN (SELECT id FROM packages WHERE name <> 'libc6' ORDER BY md5(name) LIMIT 1000)",
    ),
    (
        "300 packages depend on something else",
        "UPDATE dependencies SET target = 'libc6' WHERE (package_id, kind, position, alternative) IN
           (SELECT package_id, kind, position, alternative FROM dependencies WHERE target <> 'libc6' ORDER BY md5(target || package_id) LIMIT 300)",
    ),
];

impl Follow {
    async fn run(mut self) -> Result<()> {
        self.seed().await?;
        for (title, sql) in ACTS {
            let began = Instant::now();
            self.rows
                .batch_execute(sql)
                .await
                .with_context(|| title.to_owned())?;
            let committed = Instant::now();
            self.wait_for_everything(title).await?;
            println!(
                "{title}: {:.1} s in Postgres, {:.1} s until every document had followed",
                (committed - began).as_secs_f64(),
                committed.elapsed().as_secs_f64()
            );
        }
        println!("building every document independently, and comparing …");
        let expected = oracle::documents(&self.schema, &mut self.rows).await?;
        let found = oracle::compare::read_index(&self.documents, ALIAS).await?;
        let comparison = oracle::compare(&expected, &found);
        println!("{comparison}");
        for pid in &self.pids {
            println!("{}", memory(*pid)?);
        }
        ensure!(comparison.is_equal(), "the index differs from the database");
        Ok(())
    }

    /// Waits until the alias stands and holds all packages. Before it stands, the generation's
    /// own index is counted.
    async fn seed(&self) -> Result<()> {
        let packages: i64 = self
            .rows
            .query_one("SELECT count(*) FROM packages", &[])
            .await?
            .get(0);
        let began = Instant::now();
        let mut progress = (0, Instant::now());
        loop {
            let status = self.status().await?;
            let percent = status
                .pointer("/feeds/0/seeded_percent")
                .and_then(Value::as_f64)
                .unwrap_or(0.0);
            let done = self.count(ALIAS).await?;
            let so_far = match done {
                Some(count) => count,
                None => self.count(&format!("{ALIAS}-g1")).await?.unwrap_or(0),
            };
            line(&format!(
                "seeding: {so_far} of {packages} packages searchable, {percent:.0} % of the plan, {:.0} s",
                began.elapsed().as_secs_f64()
            ));
            if done == Some(packages) {
                let seconds = began.elapsed().as_secs_f64();
                #[expect(
                    clippy::cast_precision_loss,
                    clippy::as_conversions,
                    reason = "a rate for people"
                )]
                let rate = packages as f64 / seconds;
                println!("\nseeded {packages} packages in {seconds:.1} s: {rate:.0} documents/s");
                return Ok(());
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::as_conversions,
                reason = "whole percent"
            )]
            let mark = so_far + percent as i64;
            if mark != progress.0 {
                progress = (mark, Instant::now());
            }
            if progress.1.elapsed() > PATIENCE {
                bail!("no progress for {PATIENCE:?}; the worker says {status}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until everything that is committed now is in the index.
    async fn wait_for_everything(&self, what: &str) -> Result<()> {
        let lsn: String = self
            .rows
            .query_one("SELECT pg_current_wal_lsn()::text", &[])
            .await?
            .get(0);
        let target: model::Lsn = lsn.parse()?;
        let began = Instant::now();
        loop {
            let status = self.status().await?;
            let watermark = status
                .pointer("/feeds/0/watermark_lsn")
                .and_then(Value::as_str)
                .unwrap_or("0/0");
            if watermark.parse::<model::Lsn>()? >= target {
                println!();
                return Ok(());
            }
            line(&format!(
                "{what}: watermark {watermark} of {lsn}, {:.1} s",
                began.elapsed().as_secs_f64()
            ));
            ensure!(
                began.elapsed() < PATIENCE,
                "not everything followed in {PATIENCE:?}; the worker says {status}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn status(&self) -> Result<Value> {
        integration::stack::get_json(&format!("{}/status", self.worker)).await
    }

    /// How many documents are searchable, or nothing when there is no such index.
    async fn count(&self, index: &str) -> Result<Option<i64>> {
        let refreshed = self
            .documents
            .indices()
            .refresh(opensearch::indices::IndicesRefreshParts::Index(&[index]))
            .send()
            .await?;
        if refreshed.status_code().as_u16() == 404 {
            return Ok(None);
        }
        let answer = self
            .documents
            .count(CountParts::Index(&[index]))
            .send()
            .await?
            .error_for_status_code()?;
        Ok(answer
            .json::<Value>()
            .await?
            .get("count")
            .and_then(Value::as_i64))
    }
}

/// Overwrites the line on a terminal; elsewhere only what ends a phase is printed.
fn line(text: &str) {
    use std::io::IsTerminal as _;
    if std::io::stdout().is_terminal() {
        print!("\r\x1b[2K{text}");
        // A terminal that cannot be written to has nobody to tell.
        let _unseen = std::io::stdout().flush();
    }
}

/// What a process uses and used at most, as Linux counts it.
fn memory(pid: u32) -> Result<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} is gone"))?;
    let of = |key: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .map(str::trim)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(format!(
        "memory of {}: {} now, {} at most",
        of("Name:"),
        of("VmRSS:"),
        of("VmHWM:")
    ))
}
