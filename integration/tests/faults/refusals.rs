//! A document that OpenSearch refuses.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::sandbox::{IndexFile, Sandbox};
use integration::stack::Stack;
use serde_json::Value;

use crate::shop;

/// A second root over the same rows, in an index that takes four nested documents and no fifth.
const NARROW: &str = "version: 1\ntable: orders\nfields:\n  - long: id\n  - { has_many: lines, table: lines, foreign_key: order_id, fields: [ { long: id } ] }\n";

fn feed<'s>(status: &'s Value, index: &str) -> Result<&'s Value> {
    let feeds = status
        .get("feeds")
        .and_then(Value::as_array)
        .context("no feeds")?;
    feeds
        .iter()
        .find(|feed| feed.get("index").and_then(Value::as_str) == Some(index))
        .context("no such feed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_document_stops_its_feed_with_a_reason_and_no_other() -> Result<()> {
    // GIVEN two feeds over one table.
    let stack = Stack::from_env()?;
    let narrow = IndexFile {
        settings: "index_settings = { \"mapping.nested_objects.limit\" = 4 }".to_owned(),
        ..IndexFile::new("narrow", NARROW)
    };
    let indexes = vec![IndexFile::new("orders", shop::ORDERS), narrow];
    let mut sandbox = Sandbox::new(&stack, "refused", shop::TABLES, indexes, "").await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    sandbox.settled(&worker).await?;
    let confirmed = sandbox.confirmed().await?;
    // WHEN a row becomes a document that one index refuses.
    sandbox
        .sql("INSERT INTO lines VALUES (70001, 11, 'A', 1), (70002, 11, 'B', 1)")
        .await?;
    let refused = sandbox.end_of_wal().await?;
    // THEN that feed stops, with the reason,
    let deadline = Instant::now() + Duration::from_mins(1);
    let reason = loop {
        let status = worker.status().await?;
        let narrow = feed(&status, "narrow")?;
        if narrow.get("state").and_then(Value::as_str) == Some("stopped") {
            break narrow
                .get("reason")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
        }
        ensure!(
            Instant::now() < deadline,
            "the feed does not stop: {status:#}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    ensure!(
        reason.contains("mapper_parsing_exception") && reason.contains("nested documents"),
        "the reason is {reason:?}"
    );
    // the other goes on,
    for turn in 0..20 {
        sandbox
            .sql(&format!("UPDATE orders SET note = 'turn {turn}'"))
            .await?;
    }
    let target = sandbox.end_of_wal().await?;
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let status = worker.status().await?;
        let watermark = feed(&status, "orders")?
            .get("watermark_lsn")
            .and_then(Value::as_str)
            .unwrap_or("0/0")
            .parse::<model::Lsn>()?;
        if watermark >= target {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "the other feed stands still: {status:#}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sandbox.compare("orders").await?;
    // and the slot stays at what both have made durable (C1).
    let now = sandbox.confirmed().await?;
    ensure!(
        now >= confirmed && now < refused,
        "confirmed {now}, the refused change ends at {refused}"
    );
    // WHEN the row is mended and the feed resumed, THEN it goes on.
    sandbox.sql("DELETE FROM lines WHERE id = 70001").await?;
    sandbox.worker_command(&["resume", "narrow"]).await?;
    sandbox.settled(&worker).await?;
    sandbox.compare("narrow").await?;
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}
