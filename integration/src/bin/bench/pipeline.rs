//! The whole pipeline: services as processes, Kafka and OpenSearch between and behind them.
//! In: a measurement to make. Out: its figures, and the number of wrong documents at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::sandbox::{IndexFile, Sandbox};
use integration::service::Service;
use integration::stack::Stack;
use opensearch::{GetParts, OpenSearch};
use serde_json::{Value, json};

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Measurement {
    /// Root updates at a steady rate: changes per second, and for how many seconds.
    Latency { rate: u32, seconds: u32 },
    /// One transaction of so many rows.
    Transaction { rows: u32 },
}

/// Longest time that one document may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at a document; bounds the resolution of the latencies.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Rows before anything is measured.
const ITEMS: u32 = 5_000;

const TABLES: &str = "
CREATE TABLE items (id bigint PRIMARY KEY, title text NOT NULL, price numeric(10,2) NOT NULL, note text);
INSERT INTO items SELECT i, 'Item ' || i, i % 100, NULL FROM generate_series(1, 5000) i";

const SCHEMA: &str = "version: 1\ntable: items\nfields:\n  - long: id\n  - text: title\n  - decimal: price\n  - keyword: note\n";

/// Runs the services on tables of their own, and prints a line of JSON.
pub(crate) async fn measure(stack: &Stack, measurement: Measurement) -> Result<()> {
    let mut sandbox = Sandbox::new(
        stack,
        "bench",
        TABLES,
        vec![IndexFile::new("items", SCHEMA)],
        "",
    )
    .await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    sandbox.settled(&worker).await?;
    let figures = match measurement {
        Measurement::Latency { rate, seconds } => latency(&sandbox, rate, seconds).await?,
        Measurement::Transaction { rows } => transaction(&sandbox, &worker, rows).await?,
    };
    let wrong = match sandbox.expect_equal(&worker, "items").await {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    };
    let memory = json!({"capture_peak_mib": peak(&capture)?, "worker_peak_mib": peak(&worker)?});
    println!(
        "{}",
        json!({"figures": figures, "memory": memory, "wrong_documents": wrong})
    );
    ensure!(wrong == 0, "the index differs from the database");
    worker.stop().await?;
    capture.stop().await?;
    sandbox.remove().await
}

async fn latency(sandbox: &Sandbox, rate: u32, seconds: u32) -> Result<Value> {
    let documents = Arc::new(sandbox.documents.clone());
    let alias = sandbox.alias("items");
    let statement = sandbox
        .rows
        .prepare("UPDATE items SET note = $2 WHERE id = $1")
        .await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut waiting = tokio::task::JoinSet::new();
    for turn in 0..rate * seconds {
        ticks.tick().await;
        let id = i64::from(turn % ITEMS) + 1;
        let note = format!("turn {turn}");
        sandbox.rows.execute(&statement, &[&id, &note]).await?;
        let committed = Instant::now();
        waiting.spawn(followed(
            Arc::clone(&documents),
            alias.clone(),
            id,
            note,
            committed,
        ));
    }
    let mut times = Vec::new();
    while let Some(time) = waiting.join_next().await {
        times.push(time??.as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let at = |permille: usize| {
        times
            .get(times.len() * permille / 1000)
            .or(times.last())
            .copied()
            .unwrap_or_default()
    };
    Ok(
        json!({"what": "commit to document", "rate": rate, "changes": times.len(), "p50_ms": at(500), "p90_ms": at(900), "p99_ms": at(990), "max_ms": times.last()}),
    )
}

async fn followed(
    documents: Arc<OpenSearch>,
    alias: String,
    id: i64,
    note: String,
    committed: Instant,
) -> Result<Duration> {
    loop {
        let answer = documents
            .get(GetParts::IndexId(&alias, &id.to_string()))
            .send()
            .await?
            .json::<Value>()
            .await?;
        if answer.pointer("/_source/note").and_then(Value::as_str) == Some(note.as_str()) {
            return Ok(committed.elapsed());
        }
        ensure!(
            committed.elapsed() < PATIENCE,
            "document {id} does not follow"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn transaction(sandbox: &Sandbox, worker: &Service, rows: u32) -> Result<Value> {
    let began = Instant::now();
    sandbox.sql(&format!("INSERT INTO items SELECT {ITEMS} + i, 'Item ' || i, i % 100, 'one transaction' FROM generate_series(1, {rows}) i")).await?;
    let committed = Instant::now();
    let target = sandbox.end_of_wal().await?;
    loop {
        let status = worker.status().await?;
        let watermark = status
            .pointer("/feeds/0/watermark_lsn")
            .and_then(Value::as_str)
            .unwrap_or("0/0")
            .parse::<model::Lsn>()?;
        if watermark >= target {
            break;
        }
        ensure!(
            committed.elapsed() < Duration::from_mins(20),
            "not followed: {status:#}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let seconds = committed.elapsed().as_secs_f64();
    Ok(
        json!({"what": "one transaction", "rows": rows, "transaction_seconds": (committed - began).as_secs_f64(), "seconds_until_documents": seconds, "documents_per_second": f64::from(rows) / seconds}),
    )
}

/// The most memory that a service has used, as Linux counts it.
fn peak(service: &Service) -> Result<f64> {
    let pid = service.pid().context("the service is gone")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib / 1024.0)
}
