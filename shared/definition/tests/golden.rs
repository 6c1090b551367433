//! Rules of the language, each with tables, a file, and what comes of them: what the stream has to
//! carry, the ways from a changed row to its documents, the documents on a real Postgres, and the
//! SQL (`snapshots/`). All but the SQL is written by hand from the language reference.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "helpers fail the test that calls them"
)]

#[path = "support/database.rs"]
mod database;
#[path = "golden/joins.rs"]
mod joins;
#[path = "golden/figures.rs"]
mod figures;
#[path = "golden/tables.rs"]
mod tables;

use std::fmt::Write as _;

use database::{Database, Schema};
use definition::CompiledIndex;
use definition::compile::How;
use model::ColumnName;

/// One rule.
pub(crate) struct Golden {
    /// Names the snapshot.
    pub(crate) name: &'static str,
    /// Tables and rows.
    pub(crate) tables: &'static str,
    /// The file.
    pub(crate) schema: &'static str,
    /// `table: routing columns | used columns | replica identity` (4.1, 4.3).
    pub(crate) needs: &'static [&'static str],
    /// `table: place (columns): how`, in the order of the places (4.1).
    pub(crate) ways: &'static [&'static str],
    /// Key, parts separated by `,`; the document, or none.
    pub(crate) documents: &'static [(&'static str, Option<&'static str>)],
}

/// JSON without the white space around its tokens: members keep their order, numbers their digits.
fn without_blanks(json: &str) -> String {
    let (mut text, mut in_string, mut escaped) = (String::new(), false, false);
    for one in json.chars() {
        if in_string || !one.is_ascii_whitespace() {
            text.push(one);
        }
        in_string ^= one == '"' && !escaped;
        escaped = in_string && one == '\\' && !escaped;
    }
    text
}

/// Makes the tables of a rule in an emptied database.
async fn make(database: &Database, tables: &str) {
    database
        .run("DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA public; CREATE SCHEMA other")
        .await;
    database.run(tables).await;
}

fn names<'a>(columns: impl IntoIterator<Item = &'a ColumnName>) -> String {
    let names: Vec<&str> = columns.into_iter().map(ColumnName::as_str).collect();
    names.join(" ")
}

/// What is needed of each table; the identity by the table of 4.3.
async fn needs(database: &Database, compiled: &CompiledIndex) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, needed) in compiled.needs.tables() {
        let sql = "SELECT a.attname::text FROM pg_index AS i JOIN pg_attribute AS a \
                   ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
                   WHERE i.indisprimary AND i.indrelid = $1::text::regclass";
        let rows = database.client.query(sql, &[&table.sql()]).await;
        let key: Vec<String> = rows
            .expect("the primary key")
            .iter()
            .map(|row| row.get(0))
            .collect();
        let in_key = |column: &ColumnName| key.iter().any(|name| name == column.as_str());
        let identity = if !key.is_empty() && needed.routing.iter().all(in_key) {
            "DEFAULT"
        } else {
            "FULL"
        };
        let used = if needed.all_used {
            "everything".to_owned()
        } else {
            names(&needed.used)
        };
        lines.push(format!(
            "{table}: {} | {used} | {identity}",
            names(&needed.routing)
        ));
    }
    lines
}

fn ways(compiled: &CompiledIndex) -> Vec<String> {
    let routes = compiled.routes.iter();
    routes
        .flat_map(|(table, routes)| routes.iter().map(move |route| format!("{table}: {route}")))
        .collect()
}

/// The statements by key and by way, broken into lines at clauses, so that a difference can be read.
fn statements(compiled: &CompiledIndex) -> String {
    // The blocks of a table have the same expression.
    let mut text = format!("-- build\n{}\n", compiled.build_sql);
    for (table, routes) in &compiled.routes {
        for route in routes {
            if let How::Query(sql) = &route.how {
                let _infallible = writeln!(text, "-- {table}: {}\n{sql}", route.path);
            }
        }
    }
    text.replace(" FROM ", "\nFROM ")
        .replace(" LEFT JOIN ", "\nLEFT JOIN ")
        .replace(" CROSS JOIN ", "\nCROSS JOIN ")
        .replace("(SELECT ", "\n(SELECT ")
}

async fn hold(database: &Database, golden: &Golden) {
    let name = golden.name;
    make(database, golden.tables).await;
    let compiled = database.compile(&Schema::new(golden.schema)).await;
    assert_eq!(
        needs(database, &compiled).await,
        golden.needs,
        "{name}: needs"
    );
    assert_eq!(ways(&compiled), golden.ways, "{name}: ways");
    // A partitioned root has no blocks of its own.
    let sql = compiled.chunk_sql(&compiled.root);
    let chunk = database.client.query(&sql, &[&0_i64, &None::<i64>]).await;
    let chunk = chunk.expect("a chunk");
    for (key, document) in golden.documents {
        let parts: Vec<&str> = key.split(',').collect();
        let (_, id, built) = database.build(&compiled, &parts).await;
        let built = built.as_deref();
        assert_eq!(
            built.map(without_blanks).as_deref(),
            *document,
            "{name}: document {key}"
        );
        assert!(
            !built.is_some_and(|text| text.contains('\n')),
            "{name}: a document is one line"
        );
        let of_blocks = chunk
            .iter()
            .find(|row| row.get::<_, Option<String>>("row_id") == id);
        if let (Some(row), true) = (of_blocks, id.is_some()) {
            let of_blocks: Option<String> = row.get("document");
            assert_eq!(of_blocks.as_deref(), built, "{name}: {key} from its block");
        }
    }
    insta::assert_snapshot!(name, statements(&compiled));
}

async fn all(test: &str, goldens: &[Golden]) {
    let database = Database::create(test).await;
    for golden in goldens {
        hold(&database, golden).await;
    }
    database.remove().await;
}

#[tokio::test]
async fn joins_follow_their_rules() {
    all("golden_joins", joins::GOLDENS).await;
}

#[tokio::test]
async fn figures_follow_their_rules() {
    all("golden_figures", figures::GOLDENS).await;
}

#[tokio::test]
async fn tables_and_names_follow_their_rules() {
    all("golden_tables", tables::GOLDENS).await;
}
