//! Each row of `table.txt`: the document is as the page says, its marks too, OpenSearch takes it,
//! keeps its digits, and a search finds it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use worker_svc::outcome::Outcome;

use super::query::{hits, query};
use super::stage::{Stage, text};
use super::table::{Value, columns, lines, schema};

const TABLE: &str = include_str!("table.txt");

/// Types that rows name, and the table that joins and figures read.
const TYPES: &str = "
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('so so', 'Fine');
CREATE TYPE mood_range AS RANGE (subtype = mood);
CREATE TYPE float_range AS RANGE (subtype = float8);
CREATE DOMAIN short_text AS varchar(3);
CREATE DOMAIN shorter_text AS short_text CHECK (length(VALUE) < 3);
CREATE DOMAIN short_texts AS short_text[];
CREATE DOMAIN padded AS char(3);
CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE <> 13);
CREATE DOMAIN moods AS mood;
CREATE DOMAIN birthday AS date;
CREATE DOMAIN settings AS jsonb;
CREATE DOMAIN ratio AS float8;
CREATE TABLE u (id int PRIMARY KEY, t int, i int, n numeric(8,2), f float8, g uuid, b bool, d date, m money, at timestamptz, e mood);
CREATE INDEX ON u (t);
INSERT INTO u VALUES
  (1, 1, 2000000000, 1.50, 1.5, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', false, '2024-02-29', 1, '2024-02-29 13:14:15+02', 'so so'),
  (2, 1, 2000000000, 2.25, 'NaN', 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true, 'infinity', 2.5, NULL, 'Fine');
";

/// A row of the table.
struct Row {
    line: usize,
    value: Value,
    json: String,
    marks: usize,
    finds: Option<Json>,
    misses: Option<Json>,
}

fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for line in lines(TABLE, 6)? {
        let value = Value::new('c', &line)?;
        let [.., json, finds, misses] = line.cells.as_slice() else {
            anyhow::bail!("line {} is too short", line.number);
        };
        let plain = json.trim_start_matches('⚠');
        rows.push(Row {
            marks: match json.chars().take_while(|c| *c == '⚠').count() {
                1 => plain.matches("null").count(),
                0 => 0,
                _ => 1,
            },
            json: plain.to_owned(),
            finds: query(finds, &value.name)?,
            misses: query(misses, &value.name)?,
            line: line.number,
            value,
        });
    }
    Ok(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_value_table_is_rendered_kept_and_found() -> Result<()> {
    let rows = rows()?;
    let values: Vec<Value> = rows.iter().map(|row| &row.value).map(copy).collect();
    let stage = Stage::new("values", TYPES).await?;
    // GIVEN a row with every value, and one with none.
    let literals: Vec<_> = values
        .iter()
        .filter(|value| !value.columns.is_empty())
        .map(|value| format!(", {}", value.sql))
        .collect();
    let literals = literals.concat();
    stage
        .sql(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, f0 float8{}); INSERT INTO t VALUES (1, 'NaN'{literals}); INSERT INTO t VALUES (2)",
            columns(&values)
        ))
        .await?;
    // WHEN the product builds and writes the documents.
    let file = stage.file(&schema(&values), "")?;
    let compiled = stage.compile(&file).await?;
    let body = compiled.index_body(&file.definition, &file.options);
    let index = stage.index("t", &body).await?;
    let built = stage.built(&compiled, &["1", "2"]).await?;
    let scanned = stage.scanned(&compiled).await?;
    let outcomes = stage.write(&index, &built).await?;
    let stored = stage
        .request(
            reqwest::Method::GET,
            &format!("{index}/_source/1"),
            String::new(),
        )
        .await?;
    let mut searches = Vec::new();
    for row in &rows {
        for wanted in [&row.finds, &row.misses].into_iter().flatten() {
            searches.push(json!({ "query": wanted, "_source": false }));
        }
    }
    let mut answers = stage.search(&index, &searches).await?.into_iter();
    // THEN OpenSearch took both, and all is as the row says.
    let mut wrong: Vec<String> = outcomes
        .iter()
        .filter(|outcome| !matches!(outcome, Outcome::Applied(_)))
        .map(|outcome| format!("{outcome:?}"))
        .collect();
    let seen = Seen {
        built: members(text(&built, "1")?)?,
        scanned: members(text(&scanned, "1")?)?,
        stored: members(&stored)?,
        without: members(text(&built, "2")?)?,
    };
    for row in &rows {
        let line = |said: String| format!("line {}, {}: {said}", row.line, row.value.field);
        wrong.extend(seen.differences(row).into_iter().map(line));
        for (wanted, should) in [(&row.finds, true), (&row.misses, false)] {
            let Some(wanted) = wanted else { continue };
            let answer = answers.next().context("an answer is missing")?;
            match hits(&answer) {
                Ok(ids) if ids.iter().any(|id| id == "1") == should => {}
                Ok(ids) => wrong.push(line(format!("{wanted} finds {ids:?}"))),
                Err(error) => wrong.push(line(format!("{wanted} is refused: {error}"))),
            }
        }
    }
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The worker counts these nulls.
    let marked: usize = rows.iter().map(|row| row.marks).sum();
    assert_eq!(built.nulled(), u64::try_from(marked)?);
    let document = text(&built, "1")?;
    assert!(!document.contains(['\n', '\r']), "a bulk line is one line");
    stage.remove().await
}

/// The members of the documents.
struct Seen<'d> {
    /// By the statement of live batches.
    built: BTreeMap<&'d str, &'d str>,
    /// By the statement of seeds.
    scanned: BTreeMap<&'d str, &'d str>,
    /// As OpenSearch has it.
    stored: BTreeMap<&'d str, &'d str>,
    /// Of the row that holds no values.
    without: BTreeMap<&'d str, &'d str>,
}

impl Seen<'_> {
    fn differences(&self, row: &Row) -> Vec<String> {
        let of = |members: &BTreeMap<&str, &str>| -> String {
            let member = members.get(row.value.name.as_str());
            member.map_or("missing", |text| *text).to_owned()
        };
        let (built, scanned, stored) = (of(&self.built), of(&self.scanned), of(&self.stored));
        let (Row { json, marks, .. }, mut wrong) = (row, Vec::new());
        if compact(&built) != *json {
            wrong.push(format!("is {built}, not {json}"));
        }
        if marks_of(&built) != *marks {
            wrong.push(format!("{} marks, not {marks}", marks_of(&built)));
        }
        if compact(&scanned) != *json || marks_of(&scanned) != *marks {
            wrong.push(format!("a seed writes {scanned:?}"));
        }
        if compact(&stored) != *json {
            wrong.push(format!("is kept as {stored}"));
        }
        let is_always_there = row.value.columns.is_empty() || row.value.field.contains("default: ");
        if !is_always_there && of(&self.without) != "null" {
            wrong.push(format!("a NULL is {}", of(&self.without)));
        }
        wrong
    }
}

fn copy(value: &Value) -> Value {
    Value {
        name: value.name.clone(),
        columns: value.columns.clone(),
        sql: value.sql.clone(),
        field: value.field.clone(),
    }
}

/// The members of an object as they stand there, with a mark before them.
fn members(object: &str) -> Result<BTreeMap<&str, &str>> {
    let raw: BTreeMap<&str, &RawValue> = serde_json::from_str(object)?;
    let mut members = BTreeMap::new();
    for (name, value) in raw {
        let value = value.get();
        let start = value.as_ptr().addr() - object.as_ptr().addr();
        let before = object.get(..start).unwrap_or_default();
        let from = start - usize::from(before.ends_with('\t'));
        let member = object.get(from..start + value.len());
        members.insert(name, member.context("a member is outside of its object")?);
    }
    Ok(members)
}

/// How many values are marked.
fn marks_of(json: &str) -> usize {
    json.matches('\t').count()
}

/// JSON without the blanks between its tokens.
fn compact(json: &str) -> String {
    let (mut is_inside, mut is_escaped) = (false, false);
    json.chars()
        .filter(|c| {
            let kept = is_inside || !c.is_ascii_whitespace();
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' if is_inside => is_escaped = true,
                '"' => is_inside = !is_inside,
                _ => {}
            }
            kept
        })
        .collect()
}
