//! C3 and C4: what the topic holds after a capture was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use model::{Change, Operation, Partition, Position, Schemas, Topics, partition_of};
use runtime::kafka::{Kafka, Settings, Start};

use crate::shop;

/// Rows of the transaction in whose middle capture is killed.
const ROWS: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn c3_c4_after_a_kill_the_topic_holds_every_change_once_and_in_order() -> Result<()> {
    // GIVEN a capture that is killed half-way through a large transaction, and another one.
    let sandbox = shop::sandbox("topic").await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    sandbox.settled(&worker).await?;
    let insert = format!(
        "INSERT INTO lines SELECT 100000 + i, 1 + i % 40, 'A', 1 FROM generate_series(1, {ROWS}) i"
    );
    let before = capture.metric("flusso_changes_published_total").await?;
    sandbox.sql(&insert).await?;
    let deadline = Instant::now() + Duration::from_mins(1);
    let published = loop {
        let published = capture.metric("flusso_changes_published_total").await? - before;
        if published > 0.0 {
            break published;
        }
        ensure!(Instant::now() < deadline, "nothing is published");
    };
    capture.kill().await?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "20,000 is exact"
    )]
    let all = ROWS as f64;
    ensure!(
        published < all,
        "the kill came too late: all {published} changes were out"
    );
    let capture = sandbox.capture().await?;
    sandbox.settled(&worker).await?;
    // WHEN the topic is read whole.
    let topic = Topics::new(sandbox.name.as_str()).changes();
    let kafka = Kafka::new(Settings::new(&sandbox.stack.kafka, "test"))?;
    let partitions: Vec<Partition> = (0..4).map(Partition::new).collect();
    let from: Vec<(Partition, Start)> = partitions
        .iter()
        .map(|partition| (*partition, Start::Earliest))
        .collect();
    let records = kafka
        .reader(&topic, &from)?
        .read_to_end(&partitions, Duration::from_mins(1))
        .await?;
    // THEN positions rise within each partition, each row stands where its key belongs, and none
    // is missing or there twice.
    let schemas = Schemas::new()?;
    let mut last: BTreeMap<Partition, Position> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    let mut rows = 0;
    for record in records {
        let change: Change =
            schemas.decode(&record.payload.context("a record without a value")?)?;
        if change.op == Operation::Heartbeat {
            continue;
        }
        let key = record.key.context("a record without a key")?;
        ensure!(
            partition_of(&key, 4) == record.partition,
            "C3: a key stands in partition {}",
            record.partition
        );
        let before = last.insert(record.partition, change.position());
        ensure!(
            before.is_none_or(|before| before < change.position()),
            "C4: {before:?} is followed by {:?}",
            change.position()
        );
        if change.table.name == "lines" {
            rows += 1;
            keys.insert(key);
        }
    }
    ensure!(
        rows == ROWS && keys.len() == ROWS,
        "C4: {rows} records of {} keys for {ROWS} rows",
        keys.len()
    );
    ensure!(
        capture.metric("flusso_changes_skipped_total").await? > 0.0,
        "the successor skipped nothing: the kill hit nothing"
    );
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}
