//! The shop that most tests change: parents, children, grandchildren, junctions, a self-join,
//! composite keys and a quoted name.

use anyhow::Result;
use integration::sandbox::{IndexFile, Sandbox};
use integration::stack::Stack;

/// Tables with a few rows.
pub(crate) const TABLES: &str = r#"
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, country text REFERENCES countries, referred_by bigint REFERENCES customers);
CREATE TABLE products (sku text PRIMARY KEY, title text NOT NULL, price numeric(10,2) NOT NULL);
CREATE TABLE labels (id int PRIMARY KEY, label text NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers, state text NOT NULL, placed_at timestamptz NOT NULL, note text, rush boolean NOT NULL DEFAULT false);
CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint REFERENCES orders, sku text REFERENCES products, quantity int NOT NULL);
CREATE TABLE parcels (line_id bigint REFERENCES lines, no int, weight double precision, PRIMARY KEY (line_id, no));
CREATE TABLE order_labels (order_id bigint REFERENCES orders, label_id int REFERENCES labels, PRIMARY KEY (order_id, label_id));
CREATE TABLE "Ratings" ("ratingId" int PRIMARY KEY, order_id bigint NOT NULL, stars smallint NOT NULL);
CREATE INDEX ON customers (country);
CREATE INDEX ON customers (referred_by);
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON lines (order_id);
CREATE INDEX ON lines (sku);
CREATE INDEX ON order_labels (label_id);
CREATE INDEX ON "Ratings" (order_id);
INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France');
INSERT INTO customers VALUES (1, 'Ada', 'de', NULL), (2, 'Bo', 'fr', 1), (3, 'Cy', NULL, 2);
INSERT INTO products VALUES ('A', 'Apple', 1.50), ('B', 'Bread', 2.25), ('C', 'Cheese', 13.00);
INSERT INTO labels VALUES (1, 'gift'), (2, 'express');
INSERT INTO orders SELECT i, 1 + i % 3, 'open', timestamptz '2026-01-01 08:00:00.25+01' + i * interval '1 hour', NULL, i % 2 = 0 FROM generate_series(1, 40) i;
INSERT INTO lines SELECT o * 10 + l, o, chr(64 + l), o % 7 + l FROM generate_series(1, 40) o, generate_series(1, 3) l;
INSERT INTO parcels SELECT l.id, n, 0.1 * n + l.id FROM lines l, generate_series(1, 2) n WHERE l.id % 2 = 0;
INSERT INTO order_labels SELECT o, 1 + o % 2 FROM generate_series(1, 40) o;
INSERT INTO "Ratings" SELECT i, i, 1 + i % 5 FROM generate_series(1, 20) i;
"#;

/// Root `orders`: both directions, three levels, junction, figures.
pub(crate) const ORDERS: &str = r#"
version: 1
table: orders
fields:
  - long: id
  - keyword: state
  - { timestamp: placedAt, column: placed_at }
  - text: note
  - { boolean: rush, required: true }
  - belongs_to: customer
    table: customers
    column: customer_id
    fields:
      - text: name
      - belongs_to: country
        table: countries
        column: country
        fields: [ { text: name } ]
      - { belongs_to: referredBy, table: customers, column: referred_by, fields: [ { long: id }, { text: name } ] }
  - has_many: lines
    table: lines
    foreign_key: order_id
    fields:
      - long: id
      - integer: quantity
      - belongs_to: product
        table: products
        column: sku
        fields: [ { keyword: sku }, { text: title }, { decimal: price } ]
      - has_many: parcels
        table: parcels
        foreign_key: line_id
        fields: [ { integer: no }, { double: weight } ]
      - { count: parcelCount, table: parcels, foreign_key: line_id }
  - many_to_many: labels
    table: labels
    through: { table: order_labels, left_key: order_id, right_key: label_id }
    fields: [ { keyword: label } ]
  - { has_one: rating, table: '"Ratings"', foreign_key: order_id, fields: [ { short: stars } ] }
  - { count: lineCount, table: lines, foreign_key: order_id }
  - { sum: pieces, table: lines, column: quantity, value_type: long, foreign_key: order_id }
  - { count: labelCount, table: labels, through: { table: order_labels, left_key: order_id, right_key: label_id } }
"#;

/// Root `parcels`: a composite document key, and parents all the way up.
pub(crate) const PARCELS: &str = r"
version: 1
table: parcels
fields:
  - { long: line, column: line_id }
  - integer: no
  - double: weight
  - belongs_to: of
    table: lines
    column: line_id
    fields:
      - keyword: sku
      - { belongs_to: order, table: orders, column: order_id, fields: [ { long: id }, { keyword: state } ] }
";

/// A sandbox with the shop and its two indexes.
pub(crate) async fn sandbox(test: &str) -> Result<Sandbox> {
    sandbox_with(test, "").await
}

/// The same with more text for `flusso.toml`.
pub(crate) async fn sandbox_with(test: &str, settings: &str) -> Result<Sandbox> {
    Sandbox::new(
        &Stack::from_env()?,
        test,
        TABLES,
        vec![
            IndexFile::new("orders", ORDERS),
            IndexFile::new("parcels", PARCELS),
        ],
        settings,
    )
    .await
}
