//! A deployment from one file.

use anyhow::{Context as _, Result};
use integration::service::{Kind, Service};

use crate::shop;

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_all_that_both_services_need() -> Result<()> {
    // GIVEN a lock, and nothing of the files that it was built from.
    let mut sandbox = shop::sandbox("lock").await?;
    let lock = sandbox.folder().join("flusso.lock");
    let lock = lock.to_str().context("a path")?.to_owned();
    sandbox.worker_command(&["build", "--out", &lock]).await?;
    std::fs::remove_file(sandbox.folder().join("flusso.toml"))?;
    for index in &sandbox.indexes {
        std::fs::remove_file(sandbox.folder().join(format!("{}.schema.yml", index.name)))?;
    }
    // WHEN both services start from it, and rows change.
    let flags = ["--locked", "--lock", &lock];
    let folder = sandbox.folder();
    let capture = Service::start(Kind::Capture, "capture", folder, &[], &flags).await?;
    let worker = Service::start(Kind::Worker, "worker", folder, &[], &flags).await?;
    sandbox.settled(&worker).await?;
    sandbox
        .sql("UPDATE customers SET name = 'from the lock' WHERE id = 2; DELETE FROM order_labels WHERE order_id < 5")
        .await?;
    // THEN the indexes are what the files describe.
    sandbox.expect_equal(&worker, "orders").await?;
    sandbox.compare("parcels").await?;
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}
