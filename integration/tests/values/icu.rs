//! `text_analysis = "icu"`: with the plugin, settings are accepted and searches fold; without it
//! `check` says so before an index is tried. Which of the two is shown depends on the server:
//! the nodes of `deploy/up` have the plugin's names.

use anyhow::{Result, ensure};
use integration::sandbox::{IndexFile, Sandbox};
use integration::service::{Kind, command};
use integration::stack::Stack;
use serde_json::{Value, json};
use worker_svc::outcome::Outcome;
use worker_svc::sink::{Options, Sink};

use super::query::hits;
use super::stage::Stage;

const TABLES: &str = "
CREATE TABLE t (id int PRIMARY KEY, title text, code text);
INSERT INTO t VALUES (1, 'ＷＩＤＥ Café straße ﬁn', 'ＳＫＵ-４２'), (2, '東京都', 'Ⅷ');
";

const SCHEMA: &str = "version: 1\ntable: t\nfields:\n  - text: title\n  - identifier: code\n  - { keyword: plain, column: title }\n";

async fn has_icu(url: &str) -> Result<bool> {
    Ok(Sink::new(&Options::for_url(url))?
        .lacks_icu()
        .await?
        .is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn icu_folds_width_accents_and_case() -> Result<()> {
    let stack = Stack::from_env()?;
    let stage = Stage::new("icu", TABLES).await?;
    let file = stage.file(SCHEMA, "text_analysis = \"icu\"")?;
    let compiled = stage.compile(&file).await?;
    let body = compiled.index_body(&file.definition, &file.options);
    if !has_icu(&stack.opensearch).await? {
        // GIVEN a server without the plugin, THEN the index is refused by name.
        let refused = stage.index("icu", &body).await;
        let reason = format!("{:#}", refused.expect_err("no plugin, yet an index"));
        ensure!(reason.contains("icu_"), "{reason}");
        return stage.remove().await;
    }
    // WHEN
    let index = stage.index("icu", &body).await?;
    let built = stage.scanned(&compiled).await?;
    for outcome in stage.write(&index, &built).await? {
        ensure!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    }
    // THEN
    let searches = [
        (json!({ "match": { "title": "wide" } }), vec!["1"]),
        (json!({ "match": { "title": "CAFE" } }), vec!["1"]),
        (json!({ "match": { "title": "STRASSE" } }), vec!["1"]),
        (json!({ "match": { "title": "fin" } }), vec!["1"]),
        (json!({ "match": { "title": "東京" } }), vec!["2"]),
        (json!({ "match": { "code": "sku42" } }), vec!["1"]),
        (json!({ "match": { "code": "viii" } }), vec!["2"]),
        (
            json!({ "term": { "title.keyword_lowercase": "WIDE CAFÉ STRASSE FIN" } }),
            vec!["1"],
        ),
        // The normalizer keeps accents; only the analyzers fold them.
        (
            json!({ "term": { "title.keyword_lowercase": "wide cafe strasse fin" } }),
            vec![],
        ),
        (
            json!({ "term": { "plain": "wide café strasse fin" } }),
            vec![],
        ),
    ];
    let bodies: Vec<Value> = searches
        .iter()
        .map(|(query, _)| json!({ "query": query }))
        .collect();
    let answers = stage.search(&index, &bodies).await?;
    for (at, (query, ids)) in searches.iter().enumerate() {
        assert_eq!(hits(&answers[at])?, *ids, "{query}");
    }
    stage.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn check_asks_the_server_whether_it_can_analyze_by_icu() -> Result<()> {
    let stack = Stack::from_env()?;
    let sandbox =
        Sandbox::new(&stack, "icu", TABLES, vec![IndexFile::new("t", SCHEMA)], "").await?;
    let path = sandbox.folder().join("flusso.toml");
    let text = std::fs::read_to_string(&path)?;
    let text = text.replace(
        "[sinks.search]\n",
        "[sinks.search]\ntext_analysis = \"icu\"\n",
    );
    std::fs::write(&path, text)?;
    // WHEN
    let arguments = ["check", "--format", "json"];
    let outcome = command(Kind::Worker, &arguments, &path, &[]).await?;
    // THEN it finds the plugin missing exactly where it is.
    let report: Value = serde_json::from_str(&outcome.out)?;
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    let missing = findings
        .iter()
        .filter(|finding| finding["code"] == "E606")
        .count();
    let expected = usize::from(!has_icu(&stack.opensearch).await?);
    ensure!(missing == expected, "{report:#}");
    sandbox.remove().await
}
