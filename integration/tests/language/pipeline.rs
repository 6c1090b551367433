//! A few random cases through both services, Kafka and OpenSearch.

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use integration::language::{Case, Size};
use integration::sandbox::{IndexFile, Sandbox};
use integration::stack::Stack;

/// Cases of a run.
const CASES: u64 = 10;
/// Pipelines at a time.
const AT_A_TIME: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn w5_random_schemas_equal_the_oracle_through_the_whole_pipeline() -> Result<()> {
    let seeds = match super::random::number("LANGUAGE_SEED")? {
        Some(seed) => seed..=seed,
        None => 1001..=1000 + CASES,
    };
    stream::iter(seeds)
        .map(|seed| async move {
            play(seed).await.with_context(|| {
                let case = Case::generate(seed, Size::Accepted);
                format!("LANGUAGE_SEED={seed}\n{}", case.to_text())
            })
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await
}

async fn play(seed: u64) -> Result<()> {
    // GIVEN a random database, and both services over it, from files.
    let case = Case::generate(seed, Size::Accepted);
    let indexes = case
        .indexes
        .iter()
        .map(|file| IndexFile::new(&file.name, &file.yaml))
        .collect();
    let name = format!("language{seed}");
    let mut sandbox = Sandbox::new(&Stack::from_env()?, &name, "", indexes, "").await?;
    case.create(&sandbox.rows).await?;
    case.load(&sandbox.rows).await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    let names: Vec<String> = case.indexes.iter().map(|file| file.name.clone()).collect();
    for index in &names {
        sandbox.expect_equal(&worker, index).await?;
    }
    for (number, step) in case.steps.iter().enumerate() {
        // WHEN rows change.
        step.run(&sandbox.rows).await?;
        sandbox.settled(&worker).await?;
        // THEN every document that OpenSearch returns is as it should be.
        for index in &names {
            sandbox
                .compare(index)
                .await
                .with_context(|| format!("after step {number}"))?;
        }
    }
    anyhow::ensure!(worker.stop().await?.success());
    anyhow::ensure!(capture.stop().await?.success());
    sandbox.remove().await
}
