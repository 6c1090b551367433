//! `kill -9` of either service in the middle of a large transaction (C1, C4, W1, W5).

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration::service::Service;

use crate::shop;

/// Rows of the large transaction.
const ROWS: u32 = 20_000;

/// A transaction over many rows of two tables.
fn large_transaction() -> String {
    format!(
        "BEGIN;
         INSERT INTO orders SELECT i, 1 + i % 3, 'bulk', now() FROM generate_series(1000, 999 + {ROWS} / 2) i;
         INSERT INTO lines SELECT 100000 + i, i, 'A', 1 FROM generate_series(1000, 999 + {ROWS} / 2) i;
         COMMIT"
    )
}

/// Waits until a metric passes a bound, and returns what it was.
async fn wait_metric(service: &Service, metric: &str, above: f64) -> Result<f64> {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let value = service.metric(metric).await?;
        if value > above {
            return Ok(value);
        }
        ensure!(
            Instant::now() < deadline,
            "{metric} is {value} after 60 s, not above {above}:\n{}",
            service.log_end()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_a_capture_killed_in_a_large_transaction_loses_nothing() -> Result<()> {
    // GIVEN a capture that is publishing a large transaction.
    let mut sandbox = shop::sandbox("kill_capture").await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    sandbox.settled(&worker).await?;
    let before = capture.metric("flusso_changes_published_total").await?;
    sandbox.sql(&large_transaction()).await?;
    let published = wait_metric(&capture, "flusso_changes_published_total", before).await? - before;
    // WHEN it is killed half-way.
    capture.kill().await?;
    ensure!(
        published < f64::from(ROWS),
        "the kill came too late: all {published} changes were out"
    );
    // THEN its successor publishes the rest, and every document is right.
    let capture = sandbox.capture().await?;
    sandbox.expect_equal(&worker, "orders").await?;
    sandbox.compare("parcels").await?;
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn w1_a_worker_killed_in_a_large_transaction_loses_nothing() -> Result<()> {
    // GIVEN a worker that is writing the documents of a large transaction.
    let mut sandbox = shop::sandbox("kill_worker").await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    sandbox.settled(&worker).await?;
    let before = worker.metric("flusso_documents_total").await?;
    sandbox.sql(&large_transaction()).await?;
    let written = wait_metric(&worker, "flusso_documents_total", before).await? - before;
    // WHEN it is killed half-way.
    worker.kill().await?;
    ensure!(
        written < f64::from(ROWS / 2),
        "the kill came too late: {written} documents were written"
    );
    // THEN its successor goes on from the committed offsets, and every document is right.
    let worker = sandbox.worker("successor").await?;
    sandbox.expect_equal(&worker, "orders").await?;
    sandbox.compare("parcels").await?;
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}
