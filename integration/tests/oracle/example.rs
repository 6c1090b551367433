//! Section 1 of the reference: its tables, its file, its documents. All three are read from the
//! reference itself.

use anyhow::{Context, Result};

use super::{expect, in_database};

const REFERENCE: &str = include_str!("../../../docs/config-language.md");

/// The first block of that language after `heading`.
fn block(heading: &str, language: &str) -> Result<&'static str> {
    let (_, rest) = REFERENCE.split_once(heading).context("no such heading")?;
    let (_, rest) = rest
        .split_once(&format!("```{language}\n"))
        .context("no such block")?;
    Ok(rest.split_once("```").context("a block without an end")?.0)
}

#[tokio::test]
async fn the_example_of_the_reference_has_its_documents() -> Result<()> {
    // GIVEN the example, and document 3 in full: what the reference says of it in words, and its
    // own columns
    let prelude = r#"{"id": 3, "title": {"en": "Prelude"}, "status": "done",
        "startsAt": "2025-03-01T18:30:00+00:00", "doors": null, "priceFrom": 0, "extra": null,
        "kind": "show", "hall": null, "follows": null, "artists": [], "orders": [],
        "reviewCount": 0, "stars": null, "lastPaidAt": null, "artistIds": []}"#;
    let night_music = block("Document `7`", "json")?;
    in_database(block("## 1. Example", "sql")?, async |rows| {
        // WHEN the oracle builds it, THEN these are its documents
        let schema = block("`shows.schema.yml`", "yaml")?;
        expect(rows, schema, &[("3", prelude), ("7", night_music)]).await
    })
    .await
}
