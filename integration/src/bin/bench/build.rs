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
    // A sixth of the table, from its middle.
    let blocks = u32::try_from(product.orders.blocks)?;
    let (from, to) = (blocks / 2, blocks / 2 + (blocks / 6).max(1));
    let condition = format!("o.ctid >= '({from},0)' AND o.ctid < '({to},0)'");
    let way = chosen(product, &condition, async |take| {
        product.build_blocks(from, to, take).await
    })
    .await?;
    let mut by_blocks = Rounds::default();
    for _ in 0..rounds {
        by_blocks
            .round(
                backends,
                product.build_blocks(from, to, None),
                hand::read(&product.by_hand, &way),
            )
            .await?;
    }
    // Spread over the table, in no order.
    let ids: Vec<String> = (0..IDS.min(orders))
        .map(|n| (1 + u64::from(n) * 7_907 % u64::from(orders)).to_string())
        .collect();
    let keys: Vec<DocumentKey> = ids.iter().map(|id| DocumentKey(vec![id.clone()])).collect();
    let condition = format!("o.id = ANY ('{{{}}}')", ids.join(","));
    let way = chosen(product, &condition, async |take| {
        product.build_keys(keys.clone(), take).await
    })
    .await?;
    let mut by_id = Rounds::default();
    for _ in 0..rounds {
        by_id
            .round(
                backends,
                product.build_keys(keys.clone(), None),
                hand::read(&product.by_hand, &way),
            )
            .await?;
    }
    Ok([
        by_blocks.line(&format!("{} blocks", to - from), TARGET),
        by_id.line(&format!("{} ids", ids.len()), TARGET),
    ])
}

/// The fastest hand-written way, after all ways and the product have given the same documents.
pub(crate) async fn chosen(
    product: &Product,
    condition: &str,
    build: impl AsyncFn(Take<'_>) -> Result<Counted>,
) -> Result<Written> {
    let ways = hand::ways(condition);
    let taken = Mutex::default();
    build(Some(&taken)).await?;
    let taken = taken.into_inner().context("the documents")?;
    for way in &ways {
        let documents = hand::documents(&product.by_hand, way).await?;
        ensure!(
            documents.len() == taken.len(),
            "{}: {} documents, the product {}",
            way.name,
            documents.len(),
            taken.len()
        );
        for (id, document) in &documents {
            let own: Option<Value> = taken
                .get(id)
                .map(|text| serde_json::from_str(text))
                .transpose()?;
            ensure!(
                own.as_ref() == Some(document),
                "{}: document {id} differs: {document} is {own:?}",
                way.name
            );
        }
    }
    hand::fastest(&product.by_hand, ways).await
}
