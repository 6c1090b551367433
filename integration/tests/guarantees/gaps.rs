//! R2: what the stream cannot say stops the feed with its reason.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration::service::Service;
use serde_json::Value;

use crate::shop;

/// Waits until every feed has stopped, and returns the reasons.
async fn stopped(worker: &Service) -> Result<Vec<String>> {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let status = worker.status().await?;
        let feeds = status
            .get("feeds")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let text = |feed: &Value, key: &str| {
            feed.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        if !feeds.is_empty() && feeds.iter().all(|feed| text(feed, "state") == "stopped") {
            return Ok(feeds.iter().map(|feed| text(feed, "reason")).collect());
        }
        ensure!(
            Instant::now() < deadline,
            "not all feeds have stopped: {status:#}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_a_truncated_table_stops_its_feeds_with_the_reason() -> Result<()> {
    let sandbox = shop::sandbox("truncate").await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    sandbox.settled(&worker).await?;
    // WHEN a table is emptied without a change for each row.
    sandbox.sql("TRUNCATE parcels").await?;
    // THEN both feeds, which use it, stop and say why; nothing is passed over.
    for reason in stopped(&worker).await? {
        ensure!(
            reason.contains("parcels") && reason.to_lowercase().contains("truncate"),
            "the reason is {reason:?}"
        );
    }
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_a_lost_slot_begins_a_new_epoch_and_no_feed_goes_on_silently() -> Result<()> {
    let sandbox = shop::sandbox("slot_loss").await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    sandbox.settled(&worker).await?;
    // WHEN the slot is gone while rows change.
    assert!(capture.stop().await?.success());
    let dropped = "SELECT pg_drop_replication_slot($1)";
    sandbox.rows.execute(dropped, &[&sandbox.name]).await?;
    sandbox.sql("UPDATE orders SET note = 'in the gap'").await?;
    let capture = sandbox.capture().await?;
    // THEN capture begins a new epoch, and the feeds stop with the reason.
    let epoch = capture
        .status()
        .await?
        .pointer("/slot/epoch")
        .and_then(Value::as_u64);
    ensure!(epoch == Some(2), "the epoch is {epoch:?}");
    for reason in stopped(&worker).await? {
        ensure!(
            reason.contains("missing") || reason.contains("gap") || reason.contains("epoch"),
            "the reason is {reason:?}"
        );
    }
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}
