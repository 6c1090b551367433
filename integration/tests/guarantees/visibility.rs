//! W3: the log shows a commit before readers see it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration::sandbox::{IndexFile, Sandbox};
use integration::stack::{OwnServer, Stack, connect};
use tokio_postgres::NoTls;

use crate::shop;

#[tokio::test(flavor = "multi_thread")]
async fn w3_a_commit_that_readers_do_not_see_yet_is_waited_for() -> Result<()> {
    // GIVEN a server whose commits wait for a standby that is not there.
    let own = OwnServer::start("postgres", "visibility", &[]).await?;
    let mut stack = Stack::from_env()?;
    own.fact("POSTGRES_URL")?.clone_into(&mut stack.postgres);
    let mut sandbox = Sandbox::new(
        &stack,
        "visibility",
        shop::TABLES,
        vec![IndexFile::new("orders", shop::ORDERS)],
        "",
    )
    .await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    sandbox.settled(&worker).await?;
    let before = worker.metric("flusso_builds_dropped_total").await?;
    sandbox
        .rows
        .batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
        .await?;
    sandbox
        .rows
        .batch_execute("SELECT pg_reload_conf()")
        .await?;
    // WHEN a row changes: it is in the log, but its commit does not return.
    let writer = connect(&sandbox.database_url, NoTls).await?;
    let commit = writer.batch_execute("UPDATE orders SET note = 'not visible yet' WHERE id = 1");
    let mut commit = std::pin::pin!(commit);
    let deadline = Instant::now() + Duration::from_mins(1);
    // THEN the worker sees the change, and builds nothing from the old row.
    loop {
        tokio::select! {
            done = &mut commit => ensure!(done.is_err(), "the commit did not wait for the standby: the fault did not happen"),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        if worker.metric("flusso_builds_dropped_total").await? > before {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "no build was dropped:\n{}",
            worker.log_end()
        );
    }
    // WHEN the commit is let go, THEN the document follows.
    sandbox
        .rows
        .batch_execute("ALTER SYSTEM RESET synchronous_standby_names")
        .await?;
    sandbox
        .rows
        .batch_execute("SELECT pg_reload_conf()")
        .await?;
    commit.await?;
    sandbox.expect_equal(&worker, "orders").await?;
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    Ok(())
}
