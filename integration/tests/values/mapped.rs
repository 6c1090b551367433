//! Mappings and settings that the product makes, on a real OpenSearch: all of them are accepted,
//! and do what the page says.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use worker_svc::outcome::Outcome;

use super::query::hits;
use super::stage::Stage;

/// A file with every tag and sibling that the mapping depends on, kept beside its golden files.
const EVERY_TAG: &str =
    include_str!("../../../shared/definition/tests/mapping/every_tag.schema.yml");

/// What `EVERY_TAG` reads.
const EVERY_TABLE: &str = "
CREATE TYPE mood AS ENUM ('draft', 'done');
CREATE TABLE p (id int PRIMARY KEY, name text);
CREATE TABLE t (id bigint PRIMARY KEY, txt text, num numeric, f float4, d float8, s int2, i int4, b boolean, u uuid,
  at timestamptz, day date, tod time, raw bytea, j jsonb, m mood, addr inet, r int4range, lat float8, lon float8, p_id int REFERENCES p);
CREATE TABLE l (id int PRIMARY KEY, t_id bigint REFERENCES t, txt text, n numeric, at timestamptz);
CREATE TABLE k (t_id bigint REFERENCES t, p_id int REFERENCES p, PRIMARY KEY (t_id, p_id));
INSERT INTO t (id) VALUES (1);
";

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_of_every_tag_is_accepted_and_kept_as_it_is() -> Result<()> {
    let stage = Stage::new("tags", EVERY_TABLE).await?;
    for (name, sink) in [
        ("plain", "auto_subfields = false"),
        (
            "subfields",
            "auto_subfields = true\nindex_settings = { \"mapping.nested_objects.limit\" = 50000 }",
        ),
    ] {
        let file = stage.file(EVERY_TAG, sink)?;
        let compiled = stage.compile(&file).await?;
        let body = compiled.index_body(&file.definition, &file.options);
        let index = stage.index(name, &body).await?;
        // THEN a row of NULLs is a document of it, and what was asked for is what is there.
        let built = stage.scanned(&compiled).await?;
        for outcome in stage.write(&index, &built).await? {
            ensure!(
                matches!(outcome, Outcome::Applied(_)),
                "{name}: {outcome:?}"
            );
        }
        let kept = stage
            .request(reqwest::Method::GET, &index, String::new())
            .await?;
        let kept: Value = serde_json::from_str(&kept)?;
        let mappings = &kept[&index]["mappings"];
        for key in ["_meta", "dynamic", "date_detection", "dynamic_templates"] {
            assert_eq!(mappings[key], body["mappings"][key], "{name}: {key}");
        }
        let never_null = mappings["_meta"]["flusso"]["never_null"].to_string();
        for path in ["id", "belongs_to.id", "has_many.id", "keyword", "count"] {
            ensure!(
                never_null.contains(&format!("\"{path}\"")),
                "{path}: {never_null}"
            );
        }
        let mut missing = Vec::new();
        within(
            &body["mappings"]["properties"],
            &mappings["properties"],
            "",
            &mut missing,
        );
        ensure!(missing.is_empty(), "{name}: {}", missing.join("\n"));
        // THEN a field that the file does not name is refused.
        let strange = json!({ "nobody": 1 }).to_string();
        let refused = stage
            .request(reqwest::Method::POST, &format!("{index}/_doc"), strange)
            .await;
        let reason = refused
            .err()
            .context("a strange field is taken")?
            .to_string();
        ensure!(
            reason.contains("strict_dynamic_mapping_exception"),
            "{reason}"
        );
    }
    stage.remove().await
}

/// What of `asked` is not in `kept`. OpenSearch leaves out what is its default.
fn within(asked: &Value, kept: &Value, path: &str, missing: &mut Vec<String>) {
    let Some(asked) = asked.as_object() else {
        // `dynamic: true` comes back as text, a whole number as a broken one.
        let is_same = asked == kept
            || kept.as_str() == Some(asked.to_string().as_str())
            || (asked.is_number() && asked.as_f64() == kept.as_f64());
        if !is_same {
            missing.push(format!("{path}: asked for {asked}, got {kept}"));
        }
        return;
    };
    for (key, value) in asked {
        let is_default = matches!(key.as_str(), "index" | "doc_values" | "enabled") && *value == json!(true)
            || key == "fields" && *value == json!({})
            // An object that has properties is not called one.
            || key == "type" && value == "object" && kept.get("properties").is_some();
        match kept.get(key) {
            Some(kept) => within(value, kept, &format!("{path}.{key}"), missing),
            None if is_default => {}
            None => missing.push(format!("{path}.{key}: asked for {value}, got nothing")),
        }
    }
}

/// Most variants that an enum may have are 1000. So many keep the server busy for ten seconds, in
/// which it makes no other index: beside other tests there are fewer, `deploy/test-os3` has all.
fn variants_of_test() -> Result<usize> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test reads its environment here"
    )]
    let count = std::env::var("TEST_VARIANTS");
    Ok(count.map_or(Ok(200), |text| text.parse())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_variants_sort_as_listed_and_many_fields_make_an_index() -> Result<()> {
    // GIVEN an enum with many variants, awkward ones among them, and fields whose entries are more
    // than OpenSearch allows by itself.
    let count = variants_of_test()?;
    let variants: Vec<String> = (0..count)
        .map(|n| match n % 4 {
            0 => format!("v{n}"),
            1 => format!("({n}|*"),
            2 => format!("\\E{n}\\Q$1"),
            _ => format!("ü {n}"),
        })
        .collect();
    let columns: Vec<_> = (0..400).map(|n| format!(", f{n} text")).collect();
    let columns = columns.concat();
    let fields: Vec<_> = (0..400).map(|n| format!("  - keyword: f{n}\n")).collect();
    let fields = fields.concat();
    let stage = Stage::new(
        "many",
        &format!("CREATE TABLE t (id int PRIMARY KEY, rank text{columns})"),
    )
    .await?;
    for (id, variant) in [
        (1, count - 1),
        (2, 2),
        (3, count - 3),
        (4, 1),
        (5, 100),
        (6, 10),
    ] {
        let text = &variants[variant];
        stage
            .sql(&format!("INSERT INTO t (id, rank) VALUES ({id}, '{text}')"))
            .await?;
    }
    stage
        .sql("INSERT INTO t (id, rank) VALUES (7, 'not listed'), (8, 'v')")
        .await?;
    let schema = format!(
        "version: 1\ntable: t\nfields:\n  - {{ enum: rank, variants: {} }}\n{fields}",
        json!(variants)
    );
    // WHEN
    let file = stage.file(&schema, "")?;
    let compiled = stage.compile(&file).await?;
    let body = compiled.index_body(&file.definition, &file.options);
    let index = stage.index("many", &body).await?;
    let built = stage.scanned(&compiled).await?;
    for outcome in stage.write(&index, &built).await? {
        ensure!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    }
    // THEN they sort as listed, the others behind them by their text.
    let all = json!({ "query": { "match_all": {} }, "sort": [{ "rank.sort": "asc" }] });
    let answers = stage.search(&index, &[all]).await?;
    assert_eq!(hits(&answers[0])?, ["4", "2", "6", "5", "3", "1", "7", "8"]);
    assert_eq!(
        body["settings"]["mapping.total_fields.limit"],
        json!(1000 + 4 + 400 * 3)
    );
    stage.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_whose_templates_would_share_a_name_keep_apart() -> Result<()> {
    // GIVEN maps at `a.b`, `a_b` and inside a join, of different kinds.
    let stage = Stage::new(
        "maps",
        "CREATE TABLE t (id int PRIMARY KEY, x jsonb, y jsonb); CREATE TABLE l (id int PRIMARY KEY, t int, z jsonb);
         INSERT INTO t VALUES (1, '{\"k\":\"Nacht Musik\",\"n\":1}', '{\"k\":\"Nacht Musik\",\"n\":1}');
         INSERT INTO l VALUES (1, 1, '{\"k\":\"2024-02-29\"}')",
    )
    .await?;
    let schema = "version: 1\ntable: t\nfields:\n\
        \x20 - { object: a, fields: [ { map: b, column: x, values: text } ] }\n\
        \x20 - { map: a_b, column: y, values: keyword }\n\
        \x20 - { has_many: l, table: l, foreign_key: t, fields: [ { map: z, values: date } ] }\n";
    let file = stage.file(schema, "")?;
    let compiled = stage.compile(&file).await?;
    let index = stage
        .index(
            "maps",
            &compiled.index_body(&file.definition, &file.options),
        )
        .await?;
    // WHEN
    let built = stage.scanned(&compiled).await?;
    for outcome in stage.write(&index, &built).await? {
        ensure!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    }
    // THEN each key is searched as its map says.
    let nested = |query: Value| json!({ "nested": { "path": "l", "query": query } });
    let searches = [
        (json!({ "match": { "a.b.k": "musik" } }), true),
        (json!({ "match": { "a.b.n": "1" } }), true),
        (json!({ "match": { "a_b.k": "musik" } }), false),
        (json!({ "term": { "a_b.k": "Nacht Musik" } }), true),
        (json!({ "term": { "a_b.n": "1" } }), true),
        (
            nested(json!({ "range": { "l.z.k": { "lt": "2024-03-01", "gt": "2024-02-28" } } })),
            true,
        ),
    ];
    let bodies: Vec<Value> = searches
        .iter()
        .map(|(query, _)| json!({ "query": query }))
        .collect();
    let answers = stage.search(&index, &bodies).await?;
    for (at, (query, should)) in searches.iter().enumerate() {
        assert_eq!(hits(&answers[at])?.len() == 1, *should, "{query}");
    }
    stage.remove().await
}
