-- A small shop. The search document is the order: its customer, its lines with
-- their products, its tags, and two figures over the lines.
CREATE TABLE customers (
  id      bigint PRIMARY KEY,
  name    text NOT NULL,
  country text NOT NULL
);
CREATE TABLE products (
  sku   text PRIMARY KEY,
  title text NOT NULL,
  price numeric(10,2) NOT NULL
);
CREATE TABLE tags (
  id    int PRIMARY KEY,
  label text NOT NULL
);
CREATE TABLE orders (
  id          bigint PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES customers,
  state       text NOT NULL,
  placed_at   timestamptz NOT NULL,
  note        text
);
CREATE TABLE lines (
  order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
  line     int NOT NULL,
  sku      text NOT NULL REFERENCES products,
  quantity int NOT NULL,
  PRIMARY KEY (order_id, line)
);
CREATE TABLE order_tags (
  order_id bigint REFERENCES orders ON DELETE CASCADE,
  tag_id   int REFERENCES tags,
  PRIMARY KEY (order_id, tag_id)
);
-- The way back from a changed row to its orders.
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON lines (sku);
CREATE INDEX ON order_tags (tag_id);

INSERT INTO customers
SELECT i, 'Customer ' || i, (ARRAY['DE', 'FR', 'IT', 'PL'])[1 + i % 4] FROM generate_series(1, 500) i;
INSERT INTO products
SELECT 'SKU-' || i, 'Product ' || i, (i % 90) + 9.99 FROM generate_series(1, 200) i;
INSERT INTO tags VALUES (1, 'gift'), (2, 'express'), (3, 'wholesale');
INSERT INTO orders
SELECT i, 1 + i % 500, (ARRAY['open', 'paid', 'sent'])[1 + i % 3],
       timestamptz '2026-01-01 08:00+01' + i * interval '7 minutes', NULL
FROM generate_series(1, 5000) i;
INSERT INTO lines
SELECT o, l, 'SKU-' || (1 + (o * 7 + l * 13) % 200), 1 + (o + l) % 5
FROM generate_series(1, 5000) o, generate_series(1, 3) l;
-- One line that the demo moves to and fro between orders 10 and 11.
INSERT INTO lines VALUES (10, 9, 'SKU-5', 1);
INSERT INTO order_tags SELECT o, 1 + o % 3 FROM generate_series(1, 5000, 2) o;
ANALYZE;
