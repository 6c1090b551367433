//! A server that goes away for a while.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::sandbox::{IndexFile, Sandbox};
use integration::stack::{OwnServer, Stack};

use crate::shop;

/// How long the cluster is gone.
const OUTAGE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_opensearch_loses_nothing() -> Result<()> {
    // GIVEN a pipeline on an OpenSearch of its own.
    let own = OwnServer::start("opensearch", "outage", &[]).await?;
    let mut stack = Stack::from_env()?;
    own.fact("OPENSEARCH_URL")?
        .clone_into(&mut stack.opensearch);
    let mut sandbox = Sandbox::new(
        &stack,
        "outage",
        shop::TABLES,
        vec![IndexFile::new("orders", shop::ORDERS)],
        "",
    )
    .await?;
    let mut capture = sandbox.capture().await?;
    let mut worker = sandbox.worker("worker").await?;
    sandbox.settled(&worker).await?;
    let confirmed = sandbox.confirmed().await?;
    // WHEN it is gone for a minute, while rows change all the time.
    own.kill().await?;
    sandbox
        .sql("UPDATE orders SET note = 'first during the outage'")
        .await?;
    let written = sandbox.end_of_wal().await?;
    let began = Instant::now();
    let mut turns = 0;
    while began.elapsed() < OUTAGE {
        turns += 1;
        sandbox.sql(&format!("UPDATE orders SET note = 'outage {turns}' WHERE id % 7 = {turns} % 7; UPDATE customers SET name = 'n{turns}'")).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        ensure!(
            worker.is_running()? && capture.is_running()?,
            "a service ended during the outage:\n{}",
            worker.log_end()
        );
        let now = sandbox.confirmed().await?;
        ensure!(
            now < written,
            "confirmed {now}, but nothing behind {confirmed} can be durable"
        );
    }
    ensure!(
        worker.answers("/healthz").await,
        "waiting for a dependency is healthy"
    );
    let status = worker.status().await?;
    let state = status
        .pointer("/feeds/0/state")
        .and_then(serde_json::Value::as_str)
        .context("no state")?;
    ensure!(state == "retrying", "the feed says {state}: {status:#}");
    own.start_again().await?;
    // THEN nothing is lost.
    sandbox.expect_equal(&worker, "orders").await?;
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}
