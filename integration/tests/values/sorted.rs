//! Each row of `order.txt`: a search that sorts by the field gives the values' own order.

use anyhow::{Result, ensure};
use serde_json::json;

use super::query::hits;
use super::stage::Stage;
use super::table::{Value, columns, lines, schema};

const ORDER: &str = include_str!("order.txt");

/// Ids of the rows that hold the first, second, … value of every column: neither they nor the rows
/// stand in that order.
const IDS: [&str; 5] = ["4", "2", "5", "1", "3"];

#[tokio::test(flavor = "multi_thread")]
async fn searches_sort_values_in_their_own_order() -> Result<()> {
    let lines = lines(ORDER, 4)?;
    let mut values = Vec::new();
    let mut ranks: Vec<Vec<String>> = Vec::new();
    for line in &lines {
        values.push(Value::new('o', line)?);
        ranks.push(line.cells[1].split(" < ").map(str::to_owned).collect());
    }
    // GIVEN rows that hold the values out of order, and one that holds none.
    let rows: Vec<String> = IDS
        .iter()
        .enumerate()
        .map(|(rank, id)| {
            let literals: Vec<_> = ranks
                .iter()
                .map(|ranks| format!(", {}", ranks.get(rank).map_or("NULL", String::as_str)))
                .collect();
            let literals = literals.concat();
            format!("({id}{literals})")
        })
        .collect();
    let stage = Stage::new("order", "CREATE TYPE mood AS ENUM ('bad', 'so so', 'Fine')").await?;
    stage
        .sql(&format!(
            "CREATE TABLE t (id int PRIMARY KEY{}); INSERT INTO t VALUES {}, (6{})",
            columns(&values),
            rows.join(", "),
            ", NULL".repeat(values.len())
        ))
        .await?;
    let file = stage.file(&schema(&values), "")?;
    let compiled = stage.compile(&file).await?;
    let body = compiled.index_body(&file.definition, &file.options);
    let index = stage.index("t", &body).await?;
    let built = stage
        .built(&compiled, &["1", "2", "3", "4", "5", "6"])
        .await?;
    for outcome in stage.write(&index, &built).await? {
        ensure!(
            matches!(outcome, worker_svc::outcome::Outcome::Applied(_)),
            "{outcome:?}"
        );
    }
    // WHEN
    let searches: Vec<serde_json::Value> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| {
            let by = format!("{}{}", values[at].name, line.cells[3]);
            let exists = json!({ "exists": { "field": by } });
            json!({ "query": exists, "sort": [{ by: "asc" }], "_source": false })
        })
        .collect();
    let answers = stage.search(&index, &searches).await?;
    // THEN
    let mut wrong = Vec::new();
    for (at, answer) in answers.iter().enumerate() {
        let want: Vec<&str> = IDS.into_iter().take(ranks[at].len()).collect();
        let got = hits(answer)?;
        if got != want {
            let number = lines[at].number;
            wrong.push(format!("line {number}: {got:?}, not {want:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.remove().await
}
