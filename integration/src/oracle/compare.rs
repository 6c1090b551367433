//! An index against the truth: what is missing, what is extra, what is stale.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail};
use opensearch::{OpenSearch, ScrollParts, SearchParts, indices::IndicesRefreshParts};
use serde_json::json;

use super::{Documents, Json};

/// Documents per page when an index is read whole.
const PAGE: i64 = 2000;
/// How many differences a report shows.
const SHOWN: usize = 5;

/// An index as it stands: id → (external version, document).
pub type Found = BTreeMap<String, (i64, Json)>;

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
    pub stale: Vec<(String, Json, Json)>,
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
            write!(f, "\n  stale   {id}")?;
            for (path, expected, found) in expected.differences(found).iter().take(SHOWN) {
                write!(
                    f,
                    "\n    {path}\n      expected {expected}\n      found    {found}"
                )?;
            }
        }
        Ok(())
    }
}

/// Compares `found` with the truth; see [`Json`] for when two documents are equal.
#[must_use]
pub fn compare(expected: &Documents, found: &Found) -> Comparison {
    compare_with(expected, found, |(_, document)| document)
}

/// Compares documents that have no version, such as those of one build, with the truth.
#[must_use]
pub fn compare_documents(expected: &Documents, found: &Documents) -> Comparison {
    compare_with(expected, found, |document| document)
}

fn compare_with<F>(
    expected: &Documents,
    found: &BTreeMap<String, F>,
    document_of: impl Fn(&F) -> &Json,
) -> Comparison {
    let mut comparison = Comparison {
        expected: expected.len(),
        ..Comparison::default()
    };
    for (id, document) in expected {
        match found.get(id).map(&document_of) {
            None => comparison.missing.push(id.clone()),
            Some(is) if !document.fits(is) => {
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
        .text()
        .await?;
    let mut found = Found::new();
    loop {
        let page_read = Json::parse(&page)?;
        let Some(Json::Array(hits)) = page_read.get("hits").and_then(|hits| hits.get("hits"))
        else {
            bail!("the answer has no hits");
        };
        if hits.is_empty() {
            return Ok(found);
        }
        for hit in hits {
            let id = hit
                .get("_id")
                .and_then(Json::as_str)
                .context("a hit without an id")?;
            let Some(Json::Number(version)) = hit.get("_version") else {
                bail!("a hit without a version");
            };
            let source = hit.get("_source").context("a hit without a document")?;
            found.insert(id.to_owned(), (version.parse()?, source.clone()));
        }
        let scroll = page_read
            .get("_scroll_id")
            .and_then(Json::as_str)
            .context("no scroll id")?;
        page = client
            .scroll(ScrollParts::None)
            .body(json!({ "scroll": "2m", "scroll_id": scroll }))
            .send()
            .await?
            .error_for_status_code()?
            .text()
            .await?;
    }
}
