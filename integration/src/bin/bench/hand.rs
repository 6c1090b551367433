//! The same documents by hand-written SQL, in several ways: the fastest of a run counts.
//! In: which orders. Out: one `COPY … TO STDOUT`, read to its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, pin_mut};
use serde_json::Value;
use tokio_postgres::Client;

use super::product::Counted;

/// A way to write it.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) name: &'static str,
    pub(crate) sql: String,
}

const PARCEL: &str = "(SELECT row_to_json(x) FROM (SELECT carrier, weight FROM parcels WHERE order_number = o.number ORDER BY id LIMIT 1) x)";

/// Rows as JSON; everything that belongs to an order looked up for it.
const LOOKED_UP: &str = "SELECT row_to_json(d) FROM (
 SELECT o.id, o.number, o.state, o.placed_at AS \"placedAt\", o.shipped_on AS \"shippedOn\", o.note, o.discount,
  (SELECT row_to_json(x) FROM (SELECT id, name, email, city, country FROM customers WHERE id = o.customer_id) x) AS customer,
  coalesce(l.list, '[]') AS lines, l.\"lineCount\", l.pieces, l.dearest, {parcel} AS parcel
 FROM orders o CROSS JOIN LATERAL (
  SELECT json_agg(x) AS list, count(*) AS \"lineCount\", sum(x.quantity) AS pieces, max(x.price) AS dearest FROM (
   SELECT line, quantity, price, (SELECT row_to_json(y) FROM (SELECT sku, name, weight FROM products WHERE id = product_id) y) AS product
   FROM lines WHERE order_id = o.id ORDER BY line) x) l
 WHERE {orders}) d";

/// Customers and products joined, so that the planner may hash them.
const JOINED: &str = "SELECT row_to_json(d) FROM (
 SELECT o.id, o.number, o.state, o.placed_at AS \"placedAt\", o.shipped_on AS \"shippedOn\", o.note, o.discount,
  CASE WHEN c.id IS NOT NULL THEN row_to_json(c) END AS customer,
  coalesce(l.list, '[]') AS lines, l.\"lineCount\", l.pieces, l.dearest, {parcel} AS parcel
 FROM orders o LEFT JOIN (SELECT id, name, email, city, country FROM customers) c ON c.id = o.customer_id CROSS JOIN LATERAL (
  SELECT json_agg(x) AS list, count(*) AS \"lineCount\", sum(x.quantity) AS pieces, max(x.price) AS dearest FROM (
   SELECT l.line, l.quantity, l.price, p.product FROM lines l
   LEFT JOIN (SELECT id, row_to_json(y) AS product FROM products, LATERAL (SELECT sku, name, weight) y) p ON p.id = l.product_id
   WHERE l.order_id = o.id ORDER BY l.line) x) l
 WHERE {orders}) d";

/// As most people write it.
const OBJECTS: &str = "SELECT json_build_object('id', o.id, 'number', o.number, 'state', o.state, 'placedAt', o.placed_at, 'shippedOn', o.shipped_on,
  'note', o.note, 'discount', o.discount, 'customer', c.customer, 'lines', coalesce(l.list, '[]'),
  'lineCount', l.count, 'pieces', l.pieces, 'dearest', l.dearest, 'parcel', {parcel})
 FROM orders o
 LEFT JOIN LATERAL (SELECT json_build_object('id', id, 'name', name, 'email', email, 'city', city, 'country', country) AS customer
  FROM customers WHERE id = o.customer_id) c ON true
 CROSS JOIN LATERAL (SELECT json_agg(json_build_object('line', l.line, 'quantity', l.quantity, 'price', l.price,
   'product', json_build_object('sku', p.sku, 'name', p.name, 'weight', p.weight)) ORDER BY l.line) AS list,
  count(*) AS count, sum(quantity) AS pieces, max(price) AS dearest
  FROM lines l LEFT JOIN products p ON p.id = l.product_id WHERE l.order_id = o.id) l
 WHERE {orders}";

/// Lines of all orders joined and aggregated at once.
const AGGREGATED: &str = "WITH chosen AS MATERIALIZED (SELECT o.* FROM orders o WHERE {orders}), l AS (
  SELECT order_id, json_agg(x ORDER BY x.line) AS list, count(*) AS \"lineCount\", sum(x.quantity) AS pieces, max(x.price) AS dearest
  FROM (SELECT id FROM chosen) c JOIN lines l ON l.order_id = c.id
  LEFT JOIN (SELECT id, row_to_json(y) AS product FROM products, LATERAL (SELECT sku, name, weight) y) p ON p.id = l.product_id,
  LATERAL (SELECT l.line, l.quantity, l.price, p.product) x GROUP BY order_id)
 SELECT row_to_json(d) FROM (
 SELECT o.id, o.number, o.state, o.placed_at AS \"placedAt\", o.shipped_on AS \"shippedOn\", o.note, o.discount,
  CASE WHEN c.id IS NOT NULL THEN row_to_json(c) END AS customer,
  coalesce(l.list, '[]') AS lines, coalesce(l.\"lineCount\", 0) AS \"lineCount\", l.pieces, l.dearest, {parcel} AS parcel
 FROM chosen o LEFT JOIN (SELECT id, name, email, city, country FROM customers) c ON c.id = o.customer_id LEFT JOIN l ON l.order_id = o.id) d";

/// The text put together piece by piece.
const PIECES: &str = "SELECT concat('{\"id\":', o.id, ',\"number\":', to_json(o.number), ',\"state\":\"', o.state, '\",\"placedAt\":', to_json(o.placed_at),
  ',\"shippedOn\":', coalesce(to_json(o.shipped_on), 'null'), ',\"note\":', coalesce(to_json(o.note), 'null'), ',\"discount\":', coalesce(o.discount::text, 'null'),
  ',\"customer\":', coalesce(c.customer, 'null'), ',\"lines\":[', l.list, '],\"lineCount\":', l.count,
  ',\"pieces\":', coalesce(l.pieces::text, 'null'), ',\"dearest\":', coalesce(l.dearest::text, 'null'), ',\"parcel\":', coalesce({parcel}, 'null'), '}')
 FROM orders o
 LEFT JOIN LATERAL (SELECT concat('{\"id\":', id, ',\"name\":', to_json(name), ',\"email\":', coalesce(to_json(email), 'null'),
  ',\"city\":', to_json(city), ',\"country\":', to_json(country), '}') AS customer FROM customers WHERE id = o.customer_id) c ON true
 CROSS JOIN LATERAL (SELECT string_agg(concat('{\"line\":', l.line, ',\"quantity\":', l.quantity, ',\"price\":', l.price, ',\"product\":{\"sku\":',
   to_json(p.sku), ',\"name\":', to_json(p.name), ',\"weight\":', coalesce(p.weight::text, 'null'), '}}'), ',' ORDER BY l.line) AS list,
  count(*) AS count, sum(quantity) AS pieces, max(price) AS dearest
  FROM lines l LEFT JOIN products p ON p.id = l.product_id WHERE l.order_id = o.id) l
 WHERE {orders}";

/// All ways for the orders that meet each of some conditions on `o`, a statement for each.
pub(crate) fn ways(conditions: &[String]) -> Vec<Vec<Written>> {
    let ways = [
        ("rows, looked up", LOOKED_UP),
        ("rows, joined", JOINED),
        ("objects", OBJECTS),
        ("rows, aggregated at once", AGGREGATED),
        ("pieces of text", PIECES),
    ];
    let written = |(name, sql): (&'static str, &str)| {
        let sql = sql.replace("{parcel}", PARCEL);
        let statements = conditions.iter().map(|orders| Written {
            name,
            sql: format!("COPY ({}) TO STDOUT", sql.replace("{orders}", orders)),
        });
        statements.collect()
    };
    ways.into_iter().map(written).collect()
}

/// Reads all of it, statement by statement.
pub(crate) async fn read(client: &Client, way: &[Written]) -> Result<Counted> {
    let mut counted = Counted::default();
    for written in way {
        let stream = client
            .copy_out(&written.sql)
            .await
            .with_context(|| written.name.to_owned())?;
        pin_mut!(stream);
        while let Some(row) = stream.next().await {
            counted.documents += 1;
            counted.bytes += row?.len();
        }
    }
    Ok(counted)
}

/// The way that is fastest here.
pub(crate) async fn fastest(client: &Client, ways: Vec<Vec<Written>>) -> Result<Vec<Written>> {
    let mut best: Option<(Duration, Vec<Written>)> = None;
    for way in ways {
        let mut least = Duration::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            read(client, &way).await?;
            least = least.min(began.elapsed());
        }
        let name = way.first().map_or("", |written| written.name);
        eprintln!("  by hand, {name}: {least:.0?}");
        if best.as_ref().is_none_or(|(time, _)| least < *time) {
            best = Some((least, way));
        }
    }
    best.map(|(_, way)| way).context("a way")
}

/// The documents by their ids, to be compared.
pub(crate) async fn documents(client: &Client, way: &Written) -> Result<BTreeMap<String, Value>> {
    let sql = way
        .sql
        .strip_prefix("COPY (")
        .and_then(|sql| sql.strip_suffix(") TO STDOUT"))
        .context("a COPY statement")?;
    let rows = client
        .query(&format!("SELECT d::text FROM ({sql}) AS x(d)"), &[])
        .await?;
    let mut documents = BTreeMap::new();
    for row in rows {
        let document: Value = serde_json::from_str(row.try_get(0)?)?;
        let id = document.get("id").context("no id")?.to_string();
        documents.insert(id, document);
    }
    Ok(documents)
}
