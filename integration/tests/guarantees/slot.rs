//! C1 and C2, watched from outside while rows change.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::sandbox::Sandbox;
use model::{FeedId, Generation, Lsn, OffsetMetadata, Partition, Topics};
use runtime::kafka::{GroupOffsets, Kafka, Settings, TopicPartition};

use crate::shop;

/// How long the slot is watched under load.
const WATCHED: Duration = Duration::from_secs(12);

/// What a group has made durable: the lowest of its partitions, `None` while one has not said.
async fn durable(offsets: &GroupOffsets, partitions: &[TopicPartition]) -> Result<Option<Lsn>> {
    let committed = offsets.committed(partitions).await?;
    let lsn = |metadata: &str| {
        metadata
            .parse::<OffsetMetadata>()
            .ok()
            .map(|metadata| metadata.lsn)
    };
    Ok(committed
        .iter()
        .map(|one| lsn(&one.metadata))
        .min()
        .flatten())
}

fn groups(sandbox: &Sandbox) -> Result<Vec<(GroupOffsets, Vec<TopicPartition>)>> {
    let kafka = Kafka::new(Settings::new(&sandbox.stack.kafka, "test"))?;
    let topic = Topics::new(sandbox.name.as_str()).changes();
    let prefix = format!("{}_", sandbox.name);
    let of = |index: &str| {
        let group = FeedId::new("search", index, Generation::FIRST).group(&sandbox.name, &prefix);
        let partitions = (0..4)
            .map(|number| TopicPartition::new(&topic, Partition::new(number)))
            .collect();
        Ok((kafka.group_offsets(&group)?, partitions))
    };
    ["orders", "parcels"].into_iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_c2_the_slot_never_passes_what_every_feed_committed_and_never_goes_back() -> Result<()> {
    // GIVEN two feeds under load.
    let mut sandbox = shop::sandbox("slot").await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    sandbox.settled(&worker).await?;
    let groups = groups(&sandbox)?;
    let first = sandbox.confirmed().await?;
    let (mut last, mut samples, mut turn) = (first, 0, 0);
    let began = Instant::now();
    while began.elapsed() < WATCHED {
        turn += 1;
        sandbox.sql(&format!("UPDATE orders SET note = 'turn {turn}'; UPDATE lines SET quantity = quantity + 1 WHERE id % 3 = {turn} % 3")).await?;
        // WHEN the slot is read first and the commits after it: they only grow.
        let confirmed = sandbox.confirmed().await?;
        ensure!(
            confirmed >= last,
            "C2: the slot went from {last} back to {confirmed}"
        );
        last = confirmed;
        for (offsets, partitions) in &groups {
            let durable = durable(offsets, partitions)
                .await?
                .context("a group has lost its metadata")?;
            // THEN the slot is at most where every group was a moment later.
            ensure!(
                confirmed <= durable,
                "C1: confirmed {confirmed}, but {} has committed {durable}",
                offsets.group()
            );
            samples += 1;
        }
    }
    ensure!(samples > 20, "only {samples} samples: nothing was watched");
    // It did move, and once all is durable it follows an idle database.
    sandbox.expect_equal(&worker, "orders").await?;
    ensure!(last > first, "the slot never moved from {first}");
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}
