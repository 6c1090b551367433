//! More workers.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::shop;

/// Documents that a worker wrote.
const WRITTEN: &str = "flusso_documents_total";

#[tokio::test(flavor = "multi_thread")]
async fn a_second_worker_started_mid_stream_shares_the_load() -> Result<()> {
    // GIVEN one worker under a stream of changes.
    let mut sandbox = shop::sandbox("second").await?;
    let capture = sandbox.capture().await?;
    let first = sandbox.worker("first").await?;
    sandbox.settled(&first).await?;
    // WHEN a second one joins, while changes go on until it has written documents.
    let second = sandbox.worker("second").await?;
    let deadline = Instant::now() + Duration::from_mins(1);
    let first_before = first.metric(WRITTEN).await?;
    let mut turn = 0;
    loop {
        turn += 1;
        sandbox.sql(&format!("UPDATE orders SET note = 'turn {turn}'; UPDATE customers SET name = name || '.' WHERE id = 1")).await?;
        if second.metric(WRITTEN).await? > 0.0 && first.metric(WRITTEN).await? > first_before {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "after {turn} turns the second worker has written nothing:\n{}",
            second.log_end()
        );
    }
    // THEN both have written, and every document is right.
    sandbox.settled(&second).await?;
    sandbox.expect_equal(&first, "orders").await?;
    sandbox.compare("parcels").await?;
    assert!(first.stop().await?.success());
    assert!(second.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}
