//! An index against the truth: what is missing, what is extra, what is stale.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use opensearch::{OpenSearch, ScrollParts, SearchParts, indices::IndicesRefreshParts};
use serde_json::{Value, json};

use super::Documents;

/// Documents per page when an index is read whole.
const PAGE: i64 = 2000;
/// How many differences a report shows.
const SHOWN: usize = 5;

/// An index as it stands: id → (external version, document).
pub type Found = BTreeMap<String, (i64, Value)>;

/// How an index differs from the truth.
#[derive(Debug, Default, PartialEq)]
pub struct Comparison {
    /// How many documents there should be.
    pub expected: usize,
    /// In the truth, not in the index.
    pub missing: Vec<String>,
    /// In the index, not in the truth.
    pub extra: Vec<String>,
    /// In both, but different: (id, expected, found).
    pub stale: Vec<(String, Value, Value)>,
}

impl Comparison {
    /// Nothing missing, nothing extra, nothing stale.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.stale.is_empty()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            expected,
            missing,
            extra,
            stale,
        } = self;
        write!(
            f,
            "{expected} documents expected: {} missing, {} extra, {} stale",
            missing.len(),
            extra.len(),
            stale.len()
        )?;
        for id in missing.iter().take(SHOWN) {
            write!(f, "\n  missing {id}")?;
        }
        for id in extra.iter().take(SHOWN) {
            write!(f, "\n  extra   {id}")?;
        }
        for (id, expected, found) in stale.iter().take(SHOWN) {
            write!(
                f,
                "\n  stale   {id}\n    expected {expected}\n    found    {found}"
            )?;
        }
        Ok(())
    }
}

/// Compares `found` with the truth.
#[must_use]
pub fn compare(expected: &Documents, found: &Found) -> Comparison {
    let mut comparison = Comparison {
        expected: expected.len(),
        ..Comparison::default()
    };
    for (id, document) in expected {
        match found.get(id) {
            None => comparison.missing.push(id.clone()),
            Some((_, is)) if !same(document, is) => {
                comparison
                    .stale
                    .push((id.clone(), document.clone(), is.clone()));
            }
            Some(_) => {}
        }
    }
    comparison.extra = found
        .keys()
        .filter(|id| !expected.contains_key(*id))
        .cloned()
        .collect();
    comparison
}

/// Equal as JSON: member order does not count, numbers by their value.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left == right,
            // Sums of the truth are added up in another order than Postgres does.
            _ => match (left.as_f64(), right.as_f64()) {
                (Some(left), Some(right)) => {
                    (left - right).abs() <= 1e-9 * left.abs().max(right.abs())
                }
                _ => false,
            },
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .enumerate()
                    .all(|(at, value)| right.get(at).is_some_and(|other| same(value, other)))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

/// Reads an index (or alias) whole, after a refresh.
///
/// # Errors
/// When there is no such index, or `OpenSearch` cannot be reached.
pub async fn read_index(client: &OpenSearch, index: &str) -> Result<Found> {
    client
        .indices()
        .refresh(IndicesRefreshParts::Index(&[index]))
        .send()
        .await?
        .error_for_status_code()?;
    let mut page = client
        .search(SearchParts::Index(&[index]))
        .scroll("2m")
        .size(PAGE)
        .version(true)
        .body(json!({ "query": { "match_all": {} }, "sort": ["_doc"] }))
        .send()
        .await?
        .error_for_status_code()?
        .json::<Value>()
        .await?;
    let mut found = Found::new();
    loop {
        let hits = page
            .pointer("/hits/hits")
            .and_then(Value::as_array)
            .context("the answer has no hits")?;
        if hits.is_empty() {
            return Ok(found);
        }
        for hit in hits {
            let id = hit
                .get("_id")
                .and_then(Value::as_str)
                .context("a hit without an id")?;
            let version = hit
                .get("_version")
                .and_then(Value::as_i64)
                .context("a hit without a version")?;
            found.insert(
                id.to_owned(),
                (version, hit.get("_source").cloned().unwrap_or_default()),
            );
        }
        let scroll = page
            .get("_scroll_id")
            .and_then(Value::as_str)
            .context("no scroll id")?;
        page = client
            .scroll(ScrollParts::None)
            .body(json!({ "scroll": "2m", "scroll_id": scroll }))
            .send()
            .await?
            .error_for_status_code()?
            .json()
            .await?;
    }
}
