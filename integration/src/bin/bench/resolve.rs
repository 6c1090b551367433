//! How fast changed children become documents of their parents: their documents found, and built.

use anyhow::Result;
use integration::stack::Stack;
use model::{Change, ColumnValue, Epoch, Lsn, OldValues, Operation, Seq, TableName, Xid};

use super::build::chosen;
use super::hand;
use super::product::{Counted, Product, Take};
use super::rounds::{HEADING, Rounds};

/// What design.md asks for.
const TARGET: f64 = 0.7;
/// Changed children.
const CHILDREN: u32 = 10_000;
/// Changes of one batch, by default.
const BATCH: usize = 2_000;

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
    // Orders that have a parcel, spread over the table.
    let chosen: Vec<u64> = (0..CHILDREN.min(orders / 4))
        .map(|n| 2 + 4 * (u64::from(n) * 7_907 % u64::from(orders / 4)))
        .collect();
    // A line names its order by the document key, a parcel by the order's number.
    let lines: Vec<Change> = chosen
        .iter()
        .map(|order| {
            let order = text("order_id", order.to_string());
            let key = vec![order.clone(), text("line", "2".to_owned())];
            changed("lines", key, vec![order])
        })
        .collect();
    let ids: Vec<String> = chosen.iter().map(u64::to_string).collect();
    let by_lines = one(product, rounds, &lines, "id", "bigint", &ids).await?;
    let parcels: Vec<Change> = chosen
        .iter()
        .map(|order| {
            let key = vec![text("id", order.to_string())];
            changed(
                "parcels",
                key,
                vec![text("order_number", format!("O-{order}"))],
            )
        })
        .collect();
    let numbers: Vec<String> = chosen.iter().map(|order| format!("O-{order}")).collect();
    let by_parcels = one(product, rounds, &parcels, "number", "text", &numbers).await?;
    Ok([
        by_lines.line(&format!("{} lines (by document key)", lines.len()), TARGET),
        by_parcels.line(&format!("{} parcels (found by SQL)", parcels.len()), TARGET),
    ])
}

/// Changes, and the values by which a hand-written statement finds the orders.
async fn one(
    product: &Product,
    rounds: usize,
    changes: &[Change],
    column: &str,
    kind: &str,
    values: &[String],
) -> Result<Rounds> {
    let backends = product.backends().await?;
    let changes: Vec<&Change> = changes.iter().collect();
    let build = async |take: Take<'_>| {
        let mut counted = Counted::default();
        for batch in changes.chunks(BATCH) {
            counted.add(product.build_changes(batch, take).await?);
        }
        Ok(counted)
    };
    // Distinct values, as the changes of a batch may share a parent.
    let condition = format!(
        "o.{column} IN (SELECT DISTINCT c FROM unnest('{{{}}}'::{kind}[]) AS c)",
        values.join(",")
    );
    let way = chosen(product, &[condition], &build).await?;
    let mut measured = Rounds::default();
    for _ in 0..rounds {
        measured
            .round(backends, build(None), hand::read(&product.by_hand, &way))
            .await?;
    }
    Ok(measured)
}

fn text(name: &str, value: String) -> ColumnValue {
    ColumnValue::new(name, Some(value))
}

/// An update that moved nothing, as capture publishes it under identity FULL.
fn changed(table: &str, key: Vec<ColumnValue>, routing: Vec<ColumnValue>) -> Change {
    Change {
        table: TableName::new("public", table),
        op: Operation::Update,
        key,
        old_key: None,
        old_values: OldValues::Sent,
        before: Some(routing.clone()),
        after: Some(routing),
        epoch: Epoch::FIRST,
        commit_lsn: Lsn::new(1),
        seq: Seq::new(0),
        xid: Xid::new(3),
        commit_ts_us: 0,
        heartbeat: None,
    }
}
