//! Capture beside `pg_recvlogical`: the same WAL, decoded by the same plugin, thrown away.
//! In: a Kafka of its own, tables of its own. Out: rows per second of both and their ratio, memory
//! above the idle process, processor time, bytes in Kafka, latency.
//! Why from the start of streaming: that is where `pg_recvlogical` begins too; what capture does
//! before (preflight, the ends of the topics) does not grow with the WAL.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::sandbox::{IndexFile, Sandbox};
use integration::service::Service;
use integration::stack::{OwnServer, Stack};
use jiff::Timestamp;
use model::{Change, Lsn, Operation, Partition, Schemas, Topics};
use runtime::kafka::{Kafka, Read, Settings, Start};
use tokio::process::Command;

/// What design.md asks for.
const TARGET: f64 = 0.8;
/// MiB above the idle process that capture may take.
const MEMORY: f64 = 64.0;
/// Longest time for anything.
const PATIENCE: Duration = Duration::from_mins(15);
/// Between two looks at a metric.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Counts what Kafka has acknowledged.
const PUBLISHED: &str = "flusso_changes_published_total";

const TABLES: &str =
    "CREATE TABLE items (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0, note text)";
const SCHEMA: &str =
    "version: 1\ntable: items\nfields: [ { long: id }, { long: n }, { keyword: note } ]\n";

/// How much.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Sizes {
    /// Rows of the large transaction.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// Transactions of one row.
    #[arg(long, default_value_t = 200_000)]
    transactions: u32,
    /// Rounds; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Measures and prints.
pub(crate) async fn measure(stack: &Stack, sizes: Sizes) -> Result<()> {
    let kafka = OwnServer::start("kafka", "bench", &[]).await?;
    let mut stack = stack.clone();
    kafka.fact("KAFKA_BOOTSTRAP")?.clone_into(&mut stack.kafka);
    let indexes = vec![IndexFile::new("items", SCHEMA)];
    let sandbox = Sandbox::new(&stack, "capture", TABLES, indexes, "").await?;
    let Sizes {
        rows, transactions, ..
    } = sizes;
    sandbox
        .sql(&format!(
            "INSERT INTO items SELECT i FROM generate_series(1, {rows}) i; ANALYZE items"
        ))
        .await?;
    let capture = sandbox.capture().await?;
    served(&sandbox).await?;
    let idle = memory(&capture, "VmRSS:")?;
    capture.stop().await?;

    println!(
        "rows per second              capture  recvlogical   ratio   spread    cpu s/M  target"
    );
    let update = "UPDATE items SET n = n + 1".to_owned();
    rounds(&sandbox, "one large transaction", &update, rows, sizes).await?;
    // On its own: a block that commits may not stand beside other statements.
    sandbox.sql("SET synchronous_commit = off").await?;
    let each = format!(
        "DO $$ BEGIN FOR i IN 1..{transactions} LOOP UPDATE items SET n = n + 1 WHERE id = i; COMMIT; END LOOP; END $$"
    );
    rounds(
        &sandbox,
        "transactions of one row",
        &each,
        transactions,
        sizes,
    )
    .await?;
    footprint(&sandbox, &kafka, rows, idle).await?;
    latency(&sandbox).await?;
    sandbox.remove().await
}

// --- rates ---

/// One side of one round.
struct Took {
    wall: Duration,
    processor: Duration,
}

async fn rounds(
    sandbox: &Sandbox,
    what: &str,
    sql: &str,
    changes: u32,
    sizes: Sizes,
) -> Result<()> {
    let (mut ratios, mut ours, mut theirs, mut processor) = (vec![], vec![], vec![], vec![]);
    for round in 0..sizes.rounds.max(1) {
        let slot = format!("{}_recv", sandbox.name);
        let other = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        sandbox.sql(&other).await?;
        sandbox.sql(sql).await?;
        let end = sandbox.end_of_wal().await?;
        let (product, limit) = if round.is_multiple_of(2) {
            let product = captured(sandbox, changes).await?;
            (product, received(sandbox, &slot, end).await?)
        } else {
            let limit = received(sandbox, &slot, end).await?;
            (captured(sandbox, changes).await?, limit)
        };
        let drop = format!("SELECT pg_drop_replication_slot('{slot}')");
        sandbox.sql(&drop).await?;
        let changes = f64::from(changes);
        ratios.push(limit.as_secs_f64() / product.wall.as_secs_f64());
        ours.push(changes / product.wall.as_secs_f64());
        theirs.push(changes / limit.as_secs_f64());
        processor.push(product.processor.as_secs_f64() / changes * 1e6);
    }
    let ratio = median(&mut ratios);
    println!(
        "{what:<26} {:>9.0} {:>12.0} {ratio:>7.2} {:>5.2}–{:<5.2} {:>8.2} {TARGET:>7.2} {}",
        median(&mut ours),
        median(&mut theirs),
        ratios.first().copied().unwrap_or_default(),
        ratios.last().copied().unwrap_or_default(),
        median(&mut processor),
        if ratio >= TARGET { "met" } else { "MISSED" },
    );
    Ok(())
}

/// From the start of streaming until Kafka has acknowledged all changes.
async fn captured(sandbox: &Sandbox, changes: u32) -> Result<Took> {
    let capture = sandbox.capture().await?;
    published(&capture, f64::from(changes)).await?;
    let wall = Timestamp::now().duration_since(streaming_since(&capture)?);
    let processor = processor(&capture)?;
    confirmed(sandbox).await?;
    ensure!(capture.stop().await?.success(), "capture did not stop well");
    Ok(Took {
        wall: wall.try_into()?,
        processor,
    })
}

async fn received(sandbox: &Sandbox, slot: &str, end: Lsn) -> Result<Duration> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where deploy/up put the server's programs"
    )]
    let folder = std::env::var("STACK_POSTGRES_BIN").context("STACK_POSTGRES_BIN")?;
    let began = Instant::now();
    let status = Command::new(Path::new(&folder).join("pg_recvlogical"))
        .args([
            "--start",
            "--no-loop",
            "--fsync-interval=0",
            "-f",
            "/dev/null",
        ])
        .args(["-d", &sandbox.database_url, "-S", slot])
        .args(["-o", "proto_version=1", "-o"])
        .arg(format!("publication_names={}", sandbox.name))
        .arg(format!("--endpos={end}"))
        .stdin(Stdio::null())
        .status()
        .await?;
    ensure!(status.success(), "pg_recvlogical: {status}");
    Ok(began.elapsed())
}

// --- memory, bytes ---

async fn footprint(sandbox: &Sandbox, kafka: &OwnServer, rows: u32, idle: f64) -> Result<()> {
    // About 1 KiB of WAL per row, of which a change record carries the key.
    let insert = format!(
        "INSERT INTO items SELECT {rows} * 2 + i, 0, repeat(md5(i::text), 29) FROM generate_series(1, {rows}) i"
    );
    let before = topic_bytes(sandbox, kafka)?;
    sandbox.sql(&insert).await?;
    let capture = sandbox.capture().await?;
    published(&capture, f64::from(rows)).await?;
    let peak = memory(&capture, "VmHWM:")? - idle;
    let bytes = (topic_bytes(sandbox, kafka)? - before) / f64::from(rows);
    println!(
        "memory above idle ({idle:.0} MiB), one transaction of {rows} rows of 1 KiB: {peak:.0} MiB of {MEMORY:.0}: {}",
        if peak <= MEMORY { "met" } else { "MISSED" }
    );
    println!("bytes in Kafka per change: {bytes:.1}");
    // The same with Kafka gone while rows change.
    kafka.kill().await?;
    let update = format!("UPDATE items SET n = n + 1 WHERE id <= {rows}");
    sandbox.sql(&update).await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let peak = memory(&capture, "VmHWM:")? - idle;
    println!(
        "memory above idle, {rows} updates while Kafka is gone: {peak:.0} MiB of {MEMORY:.0}: {}",
        if peak <= MEMORY { "met" } else { "MISSED" }
    );
    kafka.start_again().await?;
    published(&capture, f64::from(rows) * 2.0).await?;
    ensure!(capture.stop().await?.success(), "capture did not stop well");
    Ok(())
}

/// What the partitions of the changes take on disk: the broker writes what it was sent.
fn topic_bytes(sandbox: &Sandbox, kafka: &OwnServer) -> Result<f64> {
    let topic = Topics::new(sandbox.name.as_str()).changes();
    let mut bytes = 0;
    for entry in std::fs::read_dir(kafka.folder().join("data"))? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(&topic) {
            continue;
        }
        for file in std::fs::read_dir(entry.path())? {
            let file = file?;
            if file.path().extension().is_some_and(|kind| kind == "log") {
                bytes += file.metadata()?.len();
            }
        }
    }
    Ok(f64::from(u32::try_from(bytes / 1024)?) * 1024.0)
}

// --- latency ---

/// From the commit as Postgres timed it to the record in the hands of a consumer.
async fn latency(sandbox: &Sandbox) -> Result<()> {
    const RATE: u32 = 1000;
    const SECONDS: u32 = 20;
    let capture = sandbox.capture().await?;
    let kafka = Kafka::new(Settings::new(&sandbox.stack.kafka, "bench"))?;
    let partitions: Vec<_> = (0..4).map(|n| (Partition::new(n), Start::End)).collect();
    let reader = kafka.reader(&Topics::new(sandbox.name.as_str()).changes(), &partitions)?;
    let schemas = Schemas::new()?;
    let statement = sandbox
        .rows
        .prepare("UPDATE items SET n = n + 1 WHERE id = $1")
        .await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut times = Vec::new();
    let write = async {
        for id in 1..=i64::from(RATE * SECONDS) {
            ticks.tick().await;
            sandbox.rows.execute(&statement, &[&id]).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let read = async {
        while times.len() < usize::try_from(RATE * SECONDS)? {
            let Read::Record(record) = reader.next().await? else {
                continue;
            };
            let now = Timestamp::now().as_microsecond();
            let change: Change = schemas.decode(&record.payload.unwrap_or_default())?;
            if change.op == Operation::Update {
                times.push(now - change.commit_ts_us);
            }
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::try_join!(write, read)?;
    times.sort_unstable();
    let at = |permille: usize| {
        let us = times.get(times.len() * permille / 1000).copied();
        f64::from(i32::try_from(us.unwrap_or_default()).unwrap_or(i32::MAX)) / 1000.0
    };
    println!(
        "commit to consumer at {RATE} changes/s: p50 {:.1} ms, p99 {:.1} ms",
        at(500),
        at(990)
    );
    ensure!(capture.stop().await?.success(), "capture did not stop well");
    Ok(())
}

// --- looks ---

/// Waits until the table is published from any start on.
async fn served(sandbox: &Sandbox) -> Result<()> {
    let kafka = Kafka::new(Settings::new(&sandbox.stack.kafka, "bench"))?;
    let topics = Topics::new(sandbox.name.as_str());
    let mut control = capture_svc::control::Control::open(&kafka, &topics).await?;
    while control.state().served_needs(model::Epoch::FIRST).0 == model::Needs::new() {
        control.changed().await?;
    }
    Ok(())
}

async fn published(capture: &Service, changes: f64) -> Result<()> {
    let began = Instant::now();
    while capture.metric(PUBLISHED).await? < changes {
        ensure!(
            began.elapsed() < PATIENCE,
            "not published:\n{}",
            capture.log_end()
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Waits until the slot is past the WAL, so that the next start does not see it again.
async fn confirmed(sandbox: &Sandbox) -> Result<()> {
    let end = sandbox.end_of_wal().await?;
    let began = Instant::now();
    while sandbox.confirmed().await? < end {
        ensure!(
            began.elapsed() < PATIENCE,
            "the slot is not confirmed up to {end}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn streaming_since(capture: &Service) -> Result<Timestamp> {
    let log = capture.log_text();
    let line = log
        .lines()
        .rfind(|line| line.contains("capture_svc::connect: streaming"))
        .context("capture does not say that it streams")?;
    Ok(line.split(' ').next().unwrap_or_default().parse()?)
}

/// A line of the process's status, in MiB.
fn memory(service: &Service, name: &str) -> Result<f64> {
    let pid = service.pid().context("the service is gone")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib: f64 = line
        .with_context(|| format!("no {name}"))?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kib / 1024.0)
}

fn processor(service: &Service) -> Result<Duration> {
    let pid = service.pid().context("the service is gone")?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, numbers) = stat.rsplit_once(')').context("no stat")?;
    let mut ticks = numbers.split_whitespace().skip(11);
    let mut next = || -> Result<u64> { Ok(ticks.next().context("no ticks")?.parse()?) };
    // Linux counts hundredths of a second here.
    Ok(Duration::from_millis((next()? + next()?) * 10))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
