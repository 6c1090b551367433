//! The demo that `deploy/demo` runs: makes the shop's database, then changes rows and shows how
//! the search document follows.
//! In: addresses of running servers. Out: words for a person on standard output.
//! Must not: know the services; it sees only Postgres and OpenSearch, as an application would.
#![expect(
    clippy::print_stdout,
    reason = "standard output is what this program is for"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use opensearch::http::transport::Transport;
use opensearch::{CountParts, GetParts, MgetParts, OpenSearch};
use serde_json::{Map, Value, json};
use tokio_postgres::NoTls;

/// The alias that `deploy/examples/shop/flusso.toml` describes.
const ALIAS: &str = "demo_orders";
/// The database that `shop` makes.
const DATABASE: &str = "flusso_demo_shop";
/// How long a document may take; far above what it needs, so that only a fault reaches it.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at a document: short, since the waiting time is what is shown.
const LOOK_EVERY: Duration = Duration::from_millis(2);

#[derive(Parser)]
#[command(about = "Makes a small shop and shows how its rows become documents")]
enum Command {
    /// Makes the shop's database unless it is there; prints its URL.
    Shop {
        /// URL of the server, of a role that may create databases.
        #[arg(long)]
        server: String,
        /// Tables and rows.
        #[arg(long)]
        sql: PathBuf,
    },
    /// Changes rows and shows the documents.
    Show {
        /// URL of the shop's database.
        #[arg(long)]
        database: String,
        /// URL of `OpenSearch`.
        #[arg(long)]
        opensearch: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Command::parse() {
        Command::Shop { server, sql } => make_shop(&server, &sql).await,
        Command::Show {
            database,
            opensearch,
        } => {
            let shop = Shop {
                rows: connect(&database).await?,
                documents: client(&opensearch)?,
            };
            shop.show().await
        }
    }
}

async fn connect(url: &str) -> Result<tokio_postgres::Client> {
    integration::stack::connect(url, NoTls).await
}

fn client(url: &str) -> Result<OpenSearch> {
    Ok(OpenSearch::new(
        Transport::single_node(url).context("not a URL of OpenSearch")?,
    ))
}

async fn make_shop(server: &str, sql: &std::path::Path) -> Result<()> {
    let admin = connect(server).await?;
    let exists = admin
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&DATABASE])
        .await?
        .is_some();
    let (base, _) = server
        .rsplit_once('/')
        .context("the URL names no database")?;
    let url = format!("{base}/{DATABASE}");
    if !exists {
        admin
            .batch_execute(&format!("CREATE DATABASE {DATABASE}"))
            .await?;
        let tables = std::fs::read_to_string(sql)
            .with_context(|| format!("cannot read {}", sql.display()))?;
        connect(&url)
            .await?
            .batch_execute(&tables)
            .await
            .context("cannot load the shop")?;
    }
    println!("{url}");
    Ok(())
}

/// One thing that the demo does to the shop.
struct Act {
    title: &'static str,
    sql: &'static str,
    /// Documents to watch; all of them must change.
    ids: Vec<String>,
}

struct Shop {
    rows: tokio_postgres::Client,
    documents: OpenSearch,
}

impl Shop {
    async fn show(&self) -> Result<()> {
        self.wait_until_seeded().await?;
        println!("\nA document, as it was built from its rows:\n");
        let document = self
            .document("7")
            .await?
            .context("order 7 has no document")?;
        println!(
            "  {ALIAS}/_doc/7  {}",
            serde_json::to_string_pretty(&document)?.replace('\n', "\n  ")
        );
        for act in acts() {
            self.act(&act).await?;
        }
        let (rows, documents) = (self.count_rows().await?, self.count_documents().await?);
        ensure!(
            rows == documents,
            "{rows} orders, but {documents} documents"
        );
        println!("\n{rows} orders in Postgres, {documents} documents in OpenSearch.");
        Ok(())
    }

    async fn wait_until_seeded(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let rows = self.count_rows().await?;
        loop {
            let documents = self.count_documents().await.unwrap_or(0);
            if documents == rows {
                println!("{documents} documents stand behind the alias {ALIAS}.");
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "after {PATIENCE:?} {ALIAS} has {documents} documents of {rows}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn act(&self, act: &Act) -> Result<()> {
        let before = self.documents(&act.ids).await?;
        println!("\n-- {}\n   {}", act.title, act.sql.replace('\n', "\n   "));
        self.rows
            .batch_execute(act.sql)
            .await
            .with_context(|| act.sql.to_owned())?;
        let committed = Instant::now();
        let mut first = None;
        let after = loop {
            let now = self.documents(&act.ids).await?;
            let changed = before
                .iter()
                .enumerate()
                .filter(|(at, was)| now.get(*at) != Some(*was))
                .count();
            if changed > 0 && first.is_none() {
                first = Some(committed.elapsed());
            }
            if changed == act.ids.len() {
                break now;
            }
            if committed.elapsed() > PATIENCE {
                bail!(
                    "after {PATIENCE:?} only {changed} of {} documents followed",
                    act.ids.len()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let last = committed.elapsed();
        if act.ids.len() <= 3 {
            for (at, id) in act.ids.iter().enumerate() {
                let of = |documents: &[Option<Value>]| documents.get(at).cloned().flatten();
                show_difference(id, of(&before).as_ref(), of(&after).as_ref());
            }
        } else {
            println!(
                "   {} documents followed, the first after {}",
                act.ids.len(),
                ms(first.unwrap_or(last))
            );
        }
        println!("   commit to document: {}", ms(last));
        Ok(())
    }

    async fn count_rows(&self) -> Result<i64> {
        Ok(self
            .rows
            .query_one("SELECT count(*) FROM orders", &[])
            .await?
            .get(0))
    }

    async fn count_documents(&self) -> Result<i64> {
        self.documents
            .indices()
            .refresh(opensearch::indices::IndicesRefreshParts::Index(&[ALIAS]))
            .send()
            .await?;
        let answer = self
            .documents
            .count(CountParts::Index(&[ALIAS]))
            .send()
            .await?
            .error_for_status_code()?;
        answer
            .json::<Value>()
            .await?
            .get("count")
            .and_then(Value::as_i64)
            .context("the answer has no count")
    }

    async fn document(&self, id: &str) -> Result<Option<Value>> {
        let answer = self
            .documents
            .get(GetParts::IndexId(ALIAS, id))
            .send()
            .await?;
        Ok(answer
            .json::<Value>()
            .await?
            .get_mut("_source")
            .map(Value::take))
    }

    async fn documents(&self, ids: &[String]) -> Result<Vec<Option<Value>>> {
        let body = json!({ "ids": ids });
        let answer = self
            .documents
            .mget(MgetParts::Index(ALIAS))
            .body(body)
            .send()
            .await?
            .error_for_status_code()?;
        let mut answer = answer.json::<Value>().await?;
        let documents = answer
            .get_mut("docs")
            .and_then(Value::as_array_mut)
            .context("the answer has no docs")?;
        Ok(documents
            .iter_mut()
            .map(|document| document.get_mut("_source").map(Value::take))
            .collect())
    }
}

/// Each is repeatable: running the demo again on the same database works, too.
fn acts() -> Vec<Act> {
    let one = |title, id: &str, sql| Act {
        title,
        sql,
        ids: vec![id.to_owned()],
    };
    vec![
        one(
            "a column of the root row",
            "7",
            "UPDATE orders SET note = 'left at the door, ' || clock_timestamp() WHERE id = 7",
        ),
        Act {
            title: "a parent's name, in every document that shows it",
            sql: "UPDATE customers SET name = 'Ada, ' || clock_timestamp() WHERE id = 8",
            ids: (0..10).map(|n| (7 + 500 * n).to_string()).collect(),
        },
        one(
            "a grandchild: the product of a line",
            "7",
            "UPDATE products SET price = price + 1 WHERE sku = (SELECT max(sku) FROM lines WHERE order_id = 7)",
        ),
        Act {
            title: "a child row that moves from one order to another: both follow",
            sql: "UPDATE lines SET order_id = 21 - order_id WHERE line = 9",
            ids: vec!["10".to_owned(), "11".to_owned()],
        },
        one(
            "a link of a many-to-many relation is cut",
            "9",
            "DELETE FROM order_tags WHERE order_id = 9",
        ),
        one("… and made", "9", "INSERT INTO order_tags VALUES (9, 3)"),
        one(
            "a new order with its lines, in one transaction",
            "5001",
            "BEGIN;
INSERT INTO orders VALUES (5001, 8, 'open', now());
INSERT INTO lines VALUES (5001, 1, 'SKU-1', 2), (5001, 2, 'SKU-2', 1);
COMMIT",
        ),
        one(
            "the order is deleted, and its lines with it",
            "5001",
            "DELETE FROM orders WHERE id = 5001",
        ),
        Act {
            title: "one transaction over 6,000 rows",
            sql: "UPDATE lines SET quantity = quantity + 1 WHERE order_id BETWEEN 1001 AND 3000",
            ids: (1001..=3000).map(|id: u32| id.to_string()).collect(),
        },
    ]
}

/// Prints the members that differ.
fn show_difference(id: &str, was: Option<&Value>, is: Option<&Value>) {
    let empty = Map::new();
    let members = |document: Option<&Value>| {
        document
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let (was_members, is_members) = (members(was), members(is));
    match (was, is) {
        (None, Some(_)) => println!("   order {id} has no document"),
        (Some(_), None) => {
            println!("   order {id} had a document, and has none now");
            return;
        }
        _ => {}
    }
    let names = if was_members == empty {
        is_members.keys()
    } else {
        was_members.keys()
    };
    for name in names {
        let (before, after) = (was_members.get(name), is_members.get(name));
        if before != after {
            if let Some(value) = before {
                println!("   {id} - {name}: {value}");
            }
            if let Some(value) = after {
                println!("   {id} + {name}: {value}");
            }
        }
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
