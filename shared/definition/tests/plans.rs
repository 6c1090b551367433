//! No statement of an index reads a large table whole: each finds its rows by an index, or by the
//! blocks it was given. Tables are large for their rows (pages are nearly empty) and analysed, so
//! that Postgres plans as it does on a database in use.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "helpers fail the test that calls them"
)]

#[path = "support/database.rs"]
mod database;

use database::{Database, Schema};
use definition::CompiledIndex;
use definition::compile::How;
use model::{ColumnName, TableName};
use serde_json::Value;

/// Values asked for at a time; a batch of an idle feed is as small.
const ASKED: usize = 5;
/// Rows of each table, a few to a page.
const ROWS: &str = "generate_series(1, 8000) AS i";

struct Case {
    name: &'static str,
    /// Tables and indexes; `ROWS` stands for many numbers `i`.
    tables: &'static str,
    schema: &'static str,
}

/// One statement with the plan that reads a table whole.
#[derive(Debug)]
struct Whole {
    statement: String,
    nodes: Vec<String>,
    plan: String,
}

/// Makes the tables anew, of almost empty pages.
async fn make(database: &Database, tables: &str) {
    database
        .run("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION citext")
        .await;
    let (create, fill) = tables.split_once("-- rows").expect("tables, then rows");
    database.run(create).await;
    database
        .run(
            "DO $$ DECLARE t regclass; BEGIN
               FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN (
                 SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_' OR nspname = 'information_schema') LOOP
                 EXECUTE format('ALTER TABLE %s SET (fillfactor = 10)', t);
               END LOOP;
             END $$",
        )
        .await;
    database.run(&fill.replace("ROWS", ROWS)).await;
    database.run("ANALYZE").await;
}

/// Some values of columns, each as a literal of a text array.
async fn values(database: &Database, table: &TableName, columns: &[ColumnName]) -> Vec<String> {
    let arrays: Vec<String> = columns
        .iter()
        .map(|column| format!("quote_literal(array_agg({}::text)::text)", column.sql()))
        .collect();
    let not_null: Vec<String> = columns
        .iter()
        .map(|column| format!("{} IS NOT NULL", column.sql()))
        .collect();
    let sql = format!(
        "SELECT {} FROM (SELECT * FROM {} WHERE {} LIMIT {ASKED}) AS rows",
        arrays.join(", "),
        table.sql(),
        not_null.join(" AND ")
    );
    let row = database.client.query_one(&sql, &[]).await;
    let row = row.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    (0..columns.len())
        .map(|at| {
            row.get::<_, Option<String>>(at)
                .unwrap_or_else(|| panic!("{table} has no rows"))
        })
        .collect()
}

/// Plans a statement as a worker's connection does, at first with the values and later without.
async fn plans(database: &Database, sql: &str, kinds: &str, arguments: &[String]) -> Vec<Value> {
    let mut plans = Vec::new();
    database
        .run(&format!("PREPARE asked ({kinds}) AS {sql}"))
        .await;
    for mode in ["force_custom_plan", "force_generic_plan"] {
        database.run(&format!("SET plan_cache_mode = {mode}")).await;
        let explain = format!(
            "EXPLAIN (FORMAT JSON) EXECUTE asked ({})",
            arguments.join(", ")
        );
        let row = database.client.query_one(&explain, &[]).await;
        let row = row.unwrap_or_else(|error| panic!("{error:?}\n{explain}\n{sql}"));
        plans.push(row.get(0));
    }
    database.run("DEALLOCATE asked").await;
    plans
}

/// Nodes that read a table whole: all its rows, or all entries of an index.
fn whole(plan: &Value, found: &mut Vec<String>) {
    match plan {
        Value::Array(plans) => plans.iter().for_each(|plan| whole(plan, found)),
        Value::Object(node) => {
            let text = |name: &str| node.get(name).and_then(Value::as_str).unwrap_or_default();
            let is_whole = match text("Node Type") {
                "Seq Scan" => true,
                "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => {
                    !node.contains_key("Index Cond")
                }
                _ => false,
            };
            if is_whole {
                let table = [text("Relation Name"), text("Index Name")].join(" ");
                found.push(format!("{} on {table}", text("Node Type")));
            }
            for inner in ["Plan", "Plans"] {
                if let Some(inner) = node.get(inner) {
                    whole(inner, found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The tables that hold the rows of a root.
async fn leaves(database: &Database, root: &TableName) -> Vec<TableName> {
    let sql = "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
               WHERE c.relkind = 'r' AND (c.oid = $1::text::regclass \
                 OR c.oid IN (SELECT relid FROM pg_partition_tree($1::text::regclass)))";
    let rows = database.client.query(sql, &[&root.sql()]).await;
    let rows = rows.expect("the leaves of the root");
    rows.iter()
        .map(|row| TableName::new(row.get::<_, String>(0), row.get::<_, String>(1)))
        .collect()
}

/// Every statement of an index that reads a table whole, and how many statements there are.
async fn read_whole(database: &Database, compiled: &CompiledIndex) -> (Vec<Whole>, usize) {
    let kinds = |count: usize| vec!["text[]"; count].join(", ");
    let key: Vec<ColumnName> = compiled.key.iter().map(|key| key.name.clone()).collect();
    let keys = values(database, &compiled.root, &key).await;
    let mut statements = vec![(
        "build".to_owned(),
        compiled.build_sql.clone(),
        kinds(key.len()),
        keys,
    )];
    for leaf in leaves(database, &compiled.root).await {
        statements.push((
            format!("blocks of {leaf}"),
            compiled.chunk_sql(&leaf),
            "int8, int8".to_owned(),
            vec!["3".to_owned(), "6".to_owned()],
        ));
    }
    for (table, routes) in &compiled.routes {
        for route in routes {
            if let How::Query(sql) = &route.how {
                // As the worker bounds it.
                let sql = format!("SELECT * FROM ({sql}) AS found LIMIT 10001");
                let asked = values(database, table, &route.columns).await;
                statements.push((format!("{table}: {route}"), sql, kinds(asked.len()), asked));
            }
        }
    }
    let count = statements.len();
    let mut wholes = Vec::new();
    for (name, sql, kinds, arguments) in statements {
        for plan in plans(database, &sql, &kinds, &arguments).await {
            let mut nodes = Vec::new();
            whole(&plan, &mut nodes);
            if !nodes.is_empty() {
                wholes.push(Whole {
                    statement: format!("{name}\n{sql}"),
                    nodes,
                    plan: format!("{plan:#}"),
                });
            }
        }
    }
    (wholes, count)
}

const CASES: [Case; 6] = [
    Case {
        name: "a shop: joins in joins, a junction, figures, a self-join",
        tables: r#"
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, country text, referred_by bigint);
CREATE TABLE products (sku varchar(20) PRIMARY KEY, title text NOT NULL);
CREATE TABLE labels (id int PRIMARY KEY, label text NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, state text NOT NULL, gone boolean);
CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint, sku varchar(20), quantity int NOT NULL);
CREATE TABLE parcels (line_id bigint, no int, weight float8, PRIMARY KEY (line_id, no));
CREATE TABLE order_labels (order_id bigint, label_id int, PRIMARY KEY (order_id, label_id));
CREATE TABLE "Ratings" ("ratingId" int PRIMARY KEY, order_id bigint NOT NULL, stars smallint NOT NULL);
CREATE INDEX ON customers (country); CREATE INDEX ON customers (referred_by); CREATE INDEX ON orders (customer_id);
CREATE INDEX ON lines (order_id); CREATE INDEX ON lines (sku); CREATE INDEX ON order_labels (label_id);
CREATE INDEX ON "Ratings" (order_id);
-- rows
INSERT INTO countries SELECT 'c' || i, 'Country ' || i FROM ROWS;
INSERT INTO customers SELECT i, 'n' || i, 'c' || i, i / 2 FROM ROWS;
INSERT INTO products SELECT 's' || i, 't' FROM ROWS;
INSERT INTO labels SELECT i, 'l' FROM ROWS;
INSERT INTO orders SELECT i, i / 2, 'open', i % 9 = 0 FROM ROWS;
INSERT INTO lines SELECT i, i / 2, 's' || i / 2, i FROM ROWS;
INSERT INTO parcels SELECT i / 2, i % 2, i FROM ROWS;
INSERT INTO order_labels SELECT i / 2, 1 + i FROM ROWS;
INSERT INTO "Ratings" SELECT i, i / 2, i % 5 FROM ROWS"#,
        schema: r#"
version: 1
table: orders
soft_delete: { column: gone }
filters: [ { column: state, op: neq, value: draft } ]
fields:
  - long: id
  - belongs_to: customer
    table: customers
    column: customer_id
    fields:
      - text: name
      - { belongs_to: country, table: countries, column: country, fields: [ { text: name } ] }
      - { belongs_to: referredBy, table: customers, column: referred_by, fields: [ { long: id } ] }
      - { has_many: friends, table: customers, foreign_key: referred_by, limit: 3, order_by: [ { column: name } ], fields: [ { long: id }, { count: orders, table: orders, foreign_key: customer_id } ] }
  - has_many: lines
    table: lines
    foreign_key: order_id
    fields:
      - { belongs_to: product, table: products, column: sku, fields: [ { text: title } ] }
      - { has_many: parcels, table: parcels, foreign_key: line_id, fields: [ { double: weight } ] }
      - { has_one: first, table: parcels, foreign_key: line_id, order_by: [ { column: weight } ], fields: [ { double: weight } ] }
  - { many_to_many: labels, table: labels, through: { table: order_labels, left_key: order_id, right_key: label_id }, fields: [ { keyword: label } ] }
  - { count: labelCount, table: labels, through: { table: order_labels, left_key: order_id, right_key: label_id } }
  - { ids: labelIds, table: labels, element_type: integer, through: { table: order_labels, left_key: order_id, right_key: label_id } }
  - { sum: pieces, table: lines, column: quantity, value_type: long, foreign_key: order_id }
  - { avg: stars, table: '"Ratings"', column: stars, foreign_key: order_id }
"#,
    },
    Case {
        name: "composite keys, up and down",
        tables: "
CREATE TABLE halls (venue text, hall int, seats int, PRIMARY KEY (venue, hall));
CREATE TABLE shows (venue text, no int, hall int, title text, PRIMARY KEY (no, venue));
CREATE TABLE seats (id int PRIMARY KEY, show_venue text, show_no int, price numeric(8,2));
CREATE TABLE tags (a int, b text, label text, PRIMARY KEY (a, b));
CREATE TABLE show_tags (no int, venue text, a int, b text, PRIMARY KEY (venue, no, a, b));
CREATE INDEX ON shows (venue, hall); CREATE INDEX ON seats (show_no, show_venue); CREATE INDEX ON show_tags (b, a);
-- rows
INSERT INTO halls SELECT 'v' || i, i, i FROM ROWS;
INSERT INTO shows SELECT 'v' || i, i, i, 't' FROM ROWS;
INSERT INTO seats SELECT i, 'v' || i, i, i FROM ROWS;
INSERT INTO tags SELECT i, 'b' || i, 'l' FROM ROWS;
INSERT INTO show_tags SELECT i, 'v' || i, i, 'b' || i FROM ROWS",
        schema: "
version: 1
table: shows
primary_key: [venue, no]
fields:
  - integer: no
  - { belongs_to: hall, table: halls, column: [venue, hall], fields: [ { integer: seats } ] }
  - { has_many: seats, table: seats, foreign_key: [show_venue, show_no], fields: [ { decimal: price } ] }
  - { many_to_many: tags, table: tags, through: { table: show_tags, left_key: [venue, no], right_key: [a, b] }, fields: [ { keyword: label } ] }
  - { ids: tagIds, table: tags, element_type: keyword, through: { table: show_tags, left_key: [venue, no], right_key: [a, b] } }
",
    },
    Case {
        name: "keys of uuid, numeric, text under a domain; a document key that is not the primary key",
        tables: "
CREATE DOMAIN code AS varchar(12);
CREATE TABLE owners (id numeric PRIMARY KEY, mail text UNIQUE);
CREATE TABLE docs (pk bigserial PRIMARY KEY, id uuid NOT NULL UNIQUE, code code NOT NULL UNIQUE, owner numeric, mail text, day date);
CREATE TABLE pages (id uuid PRIMARY KEY, doc uuid, doc_code code, no smallint);
CREATE TABLE words (page uuid, word citext, PRIMARY KEY (page, word));
CREATE INDEX ON docs (owner); CREATE INDEX ON docs (mail); CREATE INDEX ON pages (doc); CREATE INDEX ON pages (doc_code);
-- rows
INSERT INTO owners SELECT i, 'm' || i FROM ROWS;
INSERT INTO docs (id, code, owner, mail, day) SELECT md5('d' || i)::uuid, 'c' || i, i, 'm' || i, '2020-01-01' FROM ROWS;
INSERT INTO pages SELECT md5('p' || i)::uuid, md5('d' || i)::uuid, 'c' || i, i % 9 FROM ROWS;
INSERT INTO words SELECT md5('p' || i)::uuid, 'w' || i FROM ROWS",
        schema: "
version: 1
table: docs
primary_key: id
fields:
  - uuid: id
  - { belongs_to: owner, table: owners, column: owner, fields: [ { keyword: mail } ] }
  - { belongs_to: mailed, table: owners, column: mail, references: mail, fields: [ { decimal: id } ] }
  - has_many: pages
    table: pages
    foreign_key: doc
    fields: [ { short: no }, { has_many: words, table: words, foreign_key: page, fields: [ { text: word } ] } ]
  - { count: coded, table: pages, foreign_key: doc_code, references: code }
",
    },
    Case {
        name: "partitioned tables as root and as child",
        tables: "
CREATE TABLE days (day date, no int, note text, PRIMARY KEY (day, no)) PARTITION BY RANGE (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2020-01-01') TO ('2025-01-01');
CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2025-01-01') TO ('2100-01-01');
CREATE TABLE visits (id bigint, day date, no int, guest int, PRIMARY KEY (id)) PARTITION BY HASH (id);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE guests (id int PRIMARY KEY, name text);
CREATE INDEX ON visits (day, no); CREATE INDEX ON visits (guest);
-- rows
INSERT INTO days SELECT date '2020-01-01' + i, i % 3, 'n' FROM ROWS;
INSERT INTO visits SELECT i, date '2020-01-01' + i, i % 3, i FROM ROWS;
INSERT INTO guests SELECT i, 'g' FROM ROWS",
        schema: "
version: 1
table: days
fields:
  - date: day
  - text: note
  - has_many: visits
    table: visits
    foreign_key: [day, no]
    fields: [ { long: id }, { belongs_to: guest, table: guests, column: guest, fields: [ { text: name } ] } ]
",
    },
    Case {
        name: "five joins deep, by text and integer keys of other widths",
        tables: "
CREATE TABLE a (id int PRIMARY KEY, n text);
CREATE TABLE b (id bigint PRIMARY KEY, a int); CREATE TABLE c (id bigint PRIMARY KEY, b bigint);
CREATE TABLE d (id smallint PRIMARY KEY, c int); CREATE TABLE e (id int PRIMARY KEY, d smallint);
CREATE TABLE f (id int PRIMARY KEY, e int, label text);
CREATE INDEX ON b (a); CREATE INDEX ON c (b); CREATE INDEX ON d (c); CREATE INDEX ON e (d); CREATE INDEX ON f (e);
-- rows
INSERT INTO a SELECT i, 'n' FROM ROWS; INSERT INTO b SELECT i, i FROM ROWS; INSERT INTO c SELECT i, i FROM ROWS;
INSERT INTO d SELECT i, i FROM ROWS; INSERT INTO e SELECT i, i FROM ROWS; INSERT INTO f SELECT i, i, 'l' FROM ROWS",
        schema: "
version: 1
table: a
fields:
  - has_many: b
    table: b
    foreign_key: a
    fields:
      - has_many: c
        table: c
        foreign_key: b
        fields:
          - has_many: d
            table: d
            foreign_key: c
            fields:
              - { has_many: e, table: e, foreign_key: d, fields: [ { has_one: f, table: f, foreign_key: e, fields: [ { text: label } ] } ] }
",
    },
    Case {
        name: "a table without a primary key, and junctions by unique columns",
        tables: "
CREATE TABLE people (id int PRIMARY KEY, nick text UNIQUE NOT NULL);
CREATE TABLE knows (a text, b text);
CREATE TABLE clicks (person int, at timestamptz);
CREATE INDEX ON knows (a); CREATE INDEX ON knows (b); CREATE INDEX ON clicks (person);
-- rows
INSERT INTO people SELECT i, 'n' || i FROM ROWS;
INSERT INTO knows SELECT 'n' || i, 'n' || i + 1 FROM ROWS;
INSERT INTO clicks SELECT i, now() FROM ROWS",
        schema: "
version: 1
table: people
fields:
  - text: nick
  - { many_to_many: known, table: people, through: { table: knows, left_key: a, right_key: b, left_references: nick, right_references: nick }, fields: [ { text: nick } ] }
  - { count: clicks, table: clicks, foreign_key: person }
  - { max: lastClick, table: clicks, column: at, value_type: timestamp, foreign_key: person }
",
    },
];

#[tokio::test]
async fn no_statement_reads_a_large_table_whole() {
    let database = Database::create("plans").await;
    let mut bad = Vec::new();
    for case in &CASES {
        make(&database, case.tables).await;
        let compiled = database.compile(&Schema::new(case.schema)).await;
        let (wholes, count) = read_whole(&database, &compiled).await;
        assert!(count > 2, "{}: build, blocks and routes", case.name);
        for whole in wholes {
            bad.push(format!(
                "{}: {}\n{}\n{}",
                case.name,
                whole.nodes.join(", "),
                whole.statement,
                whole.plan
            ));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
    database.remove().await;
}

#[tokio::test]
async fn a_missing_or_unusable_index_is_found_in_the_plans() {
    let database = Database::create("bad_plans").await;
    // GIVEN a child without an index on its foreign key, and one whose foreign key has a type
    // for which the parent's index is of no use.
    make(
        &database,
        "CREATE TABLE p (id int8 PRIMARY KEY); CREATE TABLE a (id int PRIMARY KEY, p int8);
         CREATE TABLE b (id int PRIMARY KEY, p numeric); CREATE INDEX ON b (p);
         -- rows
         INSERT INTO p SELECT i FROM ROWS; INSERT INTO a SELECT i, i FROM ROWS; INSERT INTO b SELECT i, i FROM ROWS",
    )
    .await;
    let schema = Schema::new(
        "version: 1\ntable: p\nfields:\n  - { count: a, table: a, foreign_key: p }\n  - { count: b, table: b, foreign_key: p }\n",
    );
    let compiled = database.compile(&schema).await;
    // WHEN the plans are looked at.
    let (wholes, _) = read_whole(&database, &compiled).await;
    // THEN both are seen, with the statement.
    let seen = |start: &str, table: &str| {
        wholes.iter().any(|whole| {
            let of_table = |node: &String| node.contains(&format!(" on {table} "));
            whole.statement.starts_with(start) && whole.nodes.iter().any(of_table)
        })
    };
    let list: Vec<_> = wholes
        .iter()
        .map(|whole| (whole.statement.lines().next(), &whole.nodes))
        .collect();
    assert!(seen("build", "a"), "{list:?}");
    assert!(seen("blocks", "a"), "{list:?}");
    assert!(seen("public.b", "p"), "{list:?}");
    database.remove().await;
}
