//! The shop that documents are built from: orders with a customer, a parcel, three lines of
//! products, and figures over the lines.

/// Tables and rows; `orders` is at least 1.
pub(crate) fn tables(orders: u32) -> String {
    let customers = (orders / 10).max(1);
    let products = 5_000;
    format!(
        "CREATE TYPE order_state AS ENUM ('open', 'paid', 'sent', 'done');
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, email text, city text NOT NULL, country char(2) NOT NULL);
CREATE TABLE products (id int PRIMARY KEY, sku text NOT NULL UNIQUE, name text NOT NULL, weight float8);
CREATE TABLE orders (id bigint PRIMARY KEY, number text NOT NULL, customer_id bigint REFERENCES customers,
  state order_state NOT NULL, placed_at timestamptz NOT NULL, shipped_on date, note text, discount numeric(8,2));
CREATE TABLE lines (order_id bigint NOT NULL, line int NOT NULL, product_id int NOT NULL,
  quantity int NOT NULL, price numeric(10,2) NOT NULL, PRIMARY KEY (order_id, line));
CREATE TABLE parcels (id bigint PRIMARY KEY, order_number text NOT NULL, carrier text NOT NULL, weight real);
INSERT INTO customers SELECT i, 'Customer ' || i, CASE WHEN i % 5 > 0 THEN 'c' || i || '@example.org' END,
  (ARRAY['Hamburg', 'Lyon', 'Oslo', 'Turin'])[1 + i % 4], (ARRAY['DE', 'FR', 'NO', 'IT'])[1 + i % 4]
  FROM generate_series(1, {customers}) i;
INSERT INTO products SELECT i, 'SKU-' || lpad(i::text, 6, '0'), 'Product number ' || i, i / 7.0 FROM generate_series(1, {products}) i;
INSERT INTO orders SELECT i, 'O-' || i, 1 + (i::bigint * 7919) % {customers}, (enum_range(NULL::order_state))[1 + i % 4],
  timestamptz '2024-01-01 00:00+00' + i * interval '97 seconds', CASE WHEN i % 4 > 1 THEN date '2024-01-02' + i / 900 END,
  CASE WHEN i % 3 = 0 THEN 'note \"' || i || E'\"\\n second line' END, CASE WHEN i % 10 = 0 THEN (i % 50) / 3.0 END
  FROM generate_series(1, {orders}) i;
INSERT INTO lines SELECT i, n, 1 + (i::bigint * 93 + n * 31) % {products}, 1 + (i + n) % 9, ((i * 7 + n) % 10000) / 100.0
  FROM generate_series(1, {orders}) i, generate_series(1, 3) n;
INSERT INTO parcels SELECT i, 'O-' || i, (ARRAY['post', 'bike', 'ship'])[1 + i % 3], (i % 300) / 10.0
  FROM generate_series(1, {orders}) i WHERE i % 4 > 1;
ALTER TABLE orders ADD UNIQUE (number);
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON lines (product_id);
CREATE INDEX ON parcels (order_number)"
    )
}

/// The index.
pub(crate) const SCHEMA: &str = "
version: 1
table: orders
fields:
  - long: id
  - keyword: number
  - enum: state
  - { timestamp: placedAt, column: placed_at }
  - { date: shippedOn, column: shipped_on }
  - text: note
  - decimal: discount
  - belongs_to: customer
    column: customer_id
    table: customers
    fields: [ { long: id }, { text: name }, { keyword: email }, { keyword: city }, { keyword: country } ]
  - has_many: lines
    table: lines
    foreign_key: order_id
    fields:
      - integer: line
      - integer: quantity
      - decimal: price
      - belongs_to: product
        column: product_id
        table: products
        fields: [ { keyword: sku }, { text: name }, { double: weight } ]
  - { count: lineCount, table: lines, foreign_key: order_id }
  - { sum: pieces, table: lines, column: quantity, value_type: long, foreign_key: order_id }
  - { max: dearest, table: lines, column: price, value_type: decimal, foreign_key: order_id }
  - has_one: parcel
    table: parcels
    foreign_key: order_number
    references: number
    fields: [ { keyword: carrier }, { float: weight } ]
";
