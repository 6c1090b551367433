//! How fast documents are built: by range of blocks, as when an index is seeded, and by id, as
//! when rows change.

use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};
use integration::stack::Stack;
use serde_json::Value;
use worker_svc::resolve::DocumentKey;

use super::hand::{self, Written};
use super::product::{Counted, Product, Take};
use super::rounds::{HEADING, Rounds};

/// What design.md asks for.
const TARGET: f64 = 0.8;
/// Rows of a chunk, by default.
const CHUNK_ROWS: u32 = 10_000;
/// Chunks of a round.
const CHUNKS: u32 = 5;
/// Ids of one list: as many as one batch builds.
const IDS: u32 = 10_000;

/// Measures and prints.
pub(crate) async fn measure(stack: &Stack, orders: u32, rounds: usize) -> Result<()> {
    let product = Product::open(stack, orders).await?;
    let measured = both(&product, orders, rounds).await;
    product.remove().await?;
    let lines = measured?;
    println!("{HEADING}");
    for line in lines {
        println!("{line}");
    }
    Ok(())
}

async fn both(product: &Product, orders: u32, rounds: usize) -> Result<[String; 2]> {
    let backends = product.backends().await?;
    // Chunks from the middle of the table, as a plan cuts them.
    let blocks = product.orders.blocks;
    let chunk = (blocks / (orders / CHUNK_ROWS).max(1)).max(1);
    let ranges: Vec<(u32, u32)> = (0..CHUNKS)
        .map(|n| blocks / 2 + n * chunk)
        .map(|from| (from, (from + chunk).min(blocks)))
        .filter(|(from, to)| from < to)
        .collect();
    let build_chunks = async |take: Take<'_>| {
        let mut counted = Counted::default();
        for (from, to) in &ranges {
            counted.add(product.build_blocks(*from, *to, take).await?);
        }
        Ok(counted)
    };
    let conditions: Vec<String> = ranges
        .iter()
        .map(|(from, to)| format!("o.ctid >= '({from},0)' AND o.ctid < '({to},0)'"))
        .collect();
    let ways = chosen(product, &conditions, &build_chunks).await?;
    let mut by_blocks = Rounds::default();
    for _ in 0..rounds {
        let by_hand = hand::read(&product.by_hand, &ways);
        by_blocks
            .round(backends, build_chunks(None), by_hand)
            .await?;
    }
    // Spread over the table, in no order.
    let ids: Vec<String> = (0..IDS.min(orders))
        .map(|n| (1 + u64::from(n) * 7_907 % u64::from(orders)).to_string())
        .collect();
    let keys: Vec<DocumentKey> = ids.iter().map(|id| DocumentKey(vec![id.clone()])).collect();
    let condition = format!("o.id = ANY ('{{{}}}')", ids.join(","));
    let build_ids = async |take: Take<'_>| product.build_keys(keys.clone(), take).await;
    let ways = chosen(product, &[condition], &build_ids).await?;
    let mut by_id = Rounds::default();
    for _ in 0..rounds {
        let by_hand = hand::read(&product.by_hand, &ways);
        by_id.round(backends, build_ids(None), by_hand).await?;
    }
    let chunks = format!("{} chunks of {chunk} blocks", ranges.len());
    Ok([
        by_blocks.line(&chunks, TARGET),
        by_id.line(&format!("{} ids", ids.len()), TARGET),
    ])
}

/// The fastest hand-written way, one statement per condition, after all ways and the product have
/// given the same documents.
pub(crate) async fn chosen(
    product: &Product,
    conditions: &[String],
    build: impl AsyncFn(Take<'_>) -> Result<Counted>,
) -> Result<Vec<Written>> {
    let taken = Mutex::default();
    build(Some(&taken)).await?;
    let taken = taken.into_inner().context("the documents")?;
    let ways = hand::ways(conditions);
    for way in &ways {
        let mut count = 0;
        for written in way {
            for (id, document) in hand::documents(&product.by_hand, written).await? {
                count += 1;
                let own: Option<Value> = taken
                    .get(&id)
                    .map(|text| serde_json::from_str(text))
                    .transpose()?;
                ensure!(
                    own.as_ref() == Some(&document),
                    "{}: document {id} differs: {document} is {own:?}",
                    written.name
                );
            }
        }
        ensure!(
            count == taken.len(),
            "{count} documents by hand, {} by the product",
            taken.len()
        );
    }
    hand::fastest(&product.by_hand, ways).await
}
