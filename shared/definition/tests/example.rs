//! The example of the language reference, taken from the page itself: its files on its tables give
//! its documents and its mapping.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "helpers fail the test that calls them"
)]

#[path = "support/database.rs"]
mod database;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use database::Database;
use definition::catalog::CATALOG_SQL;
use definition::{Catalog, CompiledIndex, Deployment, Files, Overrides, compile, load};
use serde_json::{Value, json};
use tokio_postgres::Client;

const PAGE: &str = include_str!("../../../docs/config-language.md");

/// The n-th block of a language on the page.
fn block(language: &str, n: usize) -> String {
    let fence = format!("```{language}\n");
    let block = PAGE
        .split(&fence)
        .nth(n + 1)
        .and_then(|rest| rest.split("\n```").next());
    block
        .unwrap_or_else(|| panic!("the page has no block {n} of {language}"))
        .to_owned()
}

struct Page;

impl Files for Page {
    fn read(&self, path: &Path) -> io::Result<String> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("flusso.toml") => Ok(block("toml", 0)),
            Some("shows.schema.yml") => Ok(block("yaml", 0)),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn deployment() -> Deployment {
    let environment = BTreeMap::from([
        ("SHOP_DB".to_owned(), "postgres://x".to_owned()),
        ("SEARCH_KEY".to_owned(), "k".to_owned()),
    ]);
    match load(
        Path::new("flusso.toml"),
        &Page,
        &environment,
        &Overrides::default(),
    ) {
        Ok((deployment, _)) => deployment,
        Err(findings) => panic!("{}", findings.render_human(false)),
    }
}

/// A database with the tables of the page.
async fn database(test: &str) -> Database {
    let database = Database::create(test).await;
    database.run(&block("sql", 0)).await;
    database
}

async fn compiled(client: &Client, deployment: &Deployment) -> (Catalog, CompiledIndex) {
    let index = deployment.index("shows").expect("the index of the page");
    let names = compile::tables(&index.definition);
    let schemas: Vec<&str> = names.iter().map(|table| table.schema.as_str()).collect();
    let tables: Vec<&str> = names.iter().map(|table| table.name.as_str()).collect();
    let rows = client
        .query(CATALOG_SQL, &[&schemas, &tables])
        .await
        .expect("the catalog answers");
    let texts: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let catalog =
        Catalog::from_rows(texts.iter().map(String::as_str)).expect("the catalog is read");
    let compiled = compile(&index.definition, &catalog)
        .unwrap_or_else(|findings| panic!("{}", findings.render_human(false)));
    (catalog, compiled)
}

/// What the statement gives for some keys: requested id, row id, document.
async fn build(
    client: &Client,
    compiled: &CompiledIndex,
    keys: &[&str],
) -> Vec<(String, Option<String>, Option<String>)> {
    let rows = client
        .query(&compiled.build_sql, &[&keys])
        .await
        .unwrap_or_else(|error| panic!("{error:?}\n{}", compiled.build_sql));
    rows.iter()
        .map(|row| {
            (
                row.get("requested_id"),
                row.get("row_id"),
                row.get("document"),
            )
        })
        .collect()
}

fn document_3() -> Value {
    json!({"id": 3, "title": {"en": "Prelude"}, "status": "done", "startsAt": "2025-03-01T18:30:00+00:00", "doors": null, "priceFrom": 0,
        "extra": null, "kind": "show", "hall": null, "follows": null, "artists": [], "orders": [], "reviewCount": 0, "stars": null,
        "lastPaidAt": null, "artistIds": []})
}

#[tokio::test]
async fn the_documents_of_the_page_are_built() {
    let database = database("documents").await;
    let client = &database.client;
    let (_, compiled) = compiled(client, &deployment()).await;
    // WHEN both rows and one that does not exist are asked for.
    let built = build(client, &compiled, &["7", "3", "99"]).await;
    // THEN the documents are those of the page, members in the order of the file.
    let ids: Vec<_> = built
        .iter()
        .map(|(requested, row, _)| (requested.as_str(), row.as_deref()))
        .collect();
    assert_eq!(ids, [("7", Some("7")), ("3", Some("3")), ("99", None)]);
    let document = |at: usize| {
        built[at]
            .2
            .as_deref()
            .map(|text| serde_json::from_str::<Value>(text).expect("JSON"))
    };
    let page: Value = serde_json::from_str(&block("json", 0)).expect("the page's document");
    assert_eq!(document(0), Some(page.clone()));
    assert_eq!(
        document(0).unwrap().to_string(),
        page.to_string(),
        "the order of members"
    );
    assert_eq!(document(1), Some(document_3()));
    assert_eq!(document(2), None);
    // Exact digits, and one line.
    let text = built[0].2.as_deref().unwrap();
    assert!(
        text.contains("\"priceFrom\":29.50") && !text.contains('\n'),
        "{text}"
    );
    // The same documents come from the blocks of the table.
    let rows = client
        .query(&compiled.chunk_sql(&compiled.root), &[&0_i64, &None::<i64>])
        .await
        .expect("a chunk");
    let chunk: BTreeMap<String, Option<String>> = rows
        .iter()
        .map(|row| (row.get("row_id"), row.get("document")))
        .collect();
    assert_eq!(chunk.get("7"), Some(&built[0].2));
    assert_eq!(chunk.get("3"), Some(&built[1].2));
    assert_eq!(chunk.len(), 2);
    database.remove().await;
}

#[tokio::test]
async fn the_routes_of_the_page_lead_to_the_document() {
    let database = database("routes").await;
    let client = &database.client;
    let (_, compiled) = compiled(client, &deployment()).await;
    // The table of section 4.2: table, columns of the changed row, their values, found by SQL or not.
    let cases: [(&str, &str, &[&str], bool); 9] = [
        ("public.shows", "id", &["7"], false),
        ("public.shows", "id", &["3"], true),
        ("public.halls", "venue_code,hall_no", &["elb", "1"], true),
        ("public.venues", "code", &["elb"], true),
        ("public.artists", "id", &["1"], true),
        ("public.show_artists", "show_id", &["7"], false),
        ("public.orders", "show_id", &["7"], false),
        ("public.tickets", "order_id", &["70"], true),
        ("crm.\"Reviews\"", "show_id", &["7"], false),
    ];
    for (table, columns, values, by_sql) in cases {
        let routes = compiled
            .routes
            .get(&table.parse().expect("a table"))
            .unwrap_or_else(|| panic!("no route from {table}"));
        let route = routes
            .iter()
            .find(|route| {
                let names: Vec<_> = route
                    .columns
                    .iter()
                    .map(model::ColumnName::as_str)
                    .collect();
                names.join(",") == columns && matches!(route.how, compile::How::Query(_)) == by_sql
            })
            .unwrap_or_else(|| {
                panic!("{table} has no route over {columns} (by SQL: {by_sql}): {routes:?}")
            });
        if let compile::How::Query(sql) = &route.how {
            let arrays: Vec<Vec<&str>> = values.iter().map(|value| vec![*value]).collect();
            let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = arrays
                .iter()
                .map(|array| {
                    let array: &(dyn tokio_postgres::types::ToSql + Sync) = array;
                    array
                })
                .collect();
            let rows = client
                .query(sql, &parameters)
                .await
                .unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
            let keys: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            assert_eq!(keys, ["7"], "{table}: {sql}");
        }
    }
    // What the stream must carry, and what it may leave out.
    let orders = compiled
        .needs
        .table(&"public.orders".parse().unwrap())
        .unwrap();
    let names = |columns: &std::collections::BTreeSet<model::ColumnName>| {
        columns
            .iter()
            .map(|column| column.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&orders.routing), ["show_id"]);
    assert_eq!(names(&orders.used), ["id", "paid_at", "show_id", "state"]);
    database.remove().await;
}

#[tokio::test]
async fn the_statements_of_the_page_are_these() {
    let database = database("statements").await;
    let client = &database.client;
    let (_, compiled) = compiled(client, &deployment()).await;
    let mut text = format!(
        "-- lock\n{}\n-- build\n{}\n-- chunk\n{}\n",
        compiled.lock_sql,
        compiled.build_sql,
        compiled.chunk_sql(&compiled.root)
    );
    for (table, routes) in &compiled.routes {
        for route in routes {
            let _infallible = writeln!(text, "-- {table}: {route}");
            if let compile::How::Query(sql) = &route.how {
                text.push_str(sql);
                text.push('\n');
            }
        }
    }
    // Broken into lines at clauses, so that a difference can be read.
    let lines = text
        .replace(" FROM ", "\nFROM ")
        .replace(" LEFT JOIN ", "\nLEFT JOIN ")
        .replace("(SELECT ", "\n(SELECT ");
    insta::assert_snapshot!(lines);
    database.remove().await;
}

#[tokio::test]
async fn the_needs_of_the_page_are_those_of_its_table() {
    let database = database("needs").await;
    let client = &database.client;
    let (_, compiled) = compiled(client, &deployment()).await;
    let needs: Vec<String> = compiled
        .needs
        .tables()
        .iter()
        .map(|(table, needs)| {
            let list = |columns: &std::collections::BTreeSet<model::ColumnName>| {
                let names: Vec<&str> = columns.iter().map(model::ColumnName::as_str).collect();
                names.join(" ")
            };
            format!("{table}: {} | {}", list(&needs.routing), list(&needs.used))
        })
        .collect();
    assert_eq!(
        needs,
        [
            "crm.\"Reviews\": show_id | show_id stars",
            "public.artists:  | id name",
            "public.halls:  | hall_no seats venue_code",
            "public.orders: show_id | id paid_at show_id state",
            "public.show_artists: show_id | artist_id show_id",
            "public.shows:  | doors extra follows_id hall_no id price_from starts_at status title venue_code withdrawn_at",
            "public.tickets: order_id | line order_id price seat",
            "public.venues:  | code lat lon name",
        ]
    );
    database.remove().await;
}
