//! Every kind of change, at every place of a document.

use anyhow::Result;

use crate::shop;

/// Title and statements. After each, both indexes are compared in full with the oracle.
const STEPS: [(&str, &str); 25] = [
    (
        "insert a root row",
        "INSERT INTO orders VALUES (100, 1, 'open', '2026-02-03 04:05:06.789+00', 'new', false)",
    ),
    (
        "update a root row",
        "UPDATE orders SET state = 'paid', note = E'quotes \" and \\\\ and\\nlines' WHERE id = 1",
    ),
    (
        "set a root column to NULL",
        "UPDATE orders SET note = NULL, customer_id = NULL WHERE id = 2",
    ),
    (
        "insert a child",
        "INSERT INTO lines VALUES (1001, 100, 'A', 4), (1002, 100, NULL, 1)",
    ),
    (
        "insert a grandchild",
        "INSERT INTO parcels VALUES (1001, 1, 2.5), (1001, 2, 1e-7)",
    ),
    (
        "update a child",
        "UPDATE lines SET quantity = quantity + 10 WHERE order_id = 3",
    ),
    (
        "update a grandchild",
        "UPDATE parcels SET weight = -1.25 WHERE line_id = 32",
    ),
    (
        "move a child: both parents follow",
        "UPDATE lines SET order_id = 5 WHERE id = 41",
    ),
    (
        "move a child that has grandchildren",
        "UPDATE lines SET order_id = 7 WHERE id = 62",
    ),
    (
        "move a grandchild: both ancestors follow",
        "UPDATE parcels SET line_id = 81, no = 7 WHERE line_id = 82 AND no = 1",
    ),
    (
        "move a child to nowhere",
        "UPDATE lines SET order_id = NULL WHERE id = 91",
    ),
    (
        "delete a grandchild",
        "DELETE FROM parcels WHERE line_id = 102 AND no = 2",
    ),
    (
        "delete a child with its grandchildren",
        "DELETE FROM parcels WHERE line_id = 112; DELETE FROM lines WHERE id = 112",
    ),
    (
        "change the key of a child",
        "UPDATE lines SET id = 9999 WHERE id = 121",
    ),
    (
        "change the key of a root row",
        "UPDATE orders SET id = 300 WHERE id = 100 RETURNING id",
    ),
    (
        "update a parent",
        "UPDATE customers SET name = 'Ada L.' WHERE id = 1",
    ),
    (
        "update a parent of a parent",
        "UPDATE countries SET name = 'Deutschland' WHERE code = 'de'",
    ),
    (
        "update a row that a self-join shows",
        "UPDATE customers SET name = 'Bob' WHERE id = 2",
    ),
    (
        "update what a grandchild's sibling shows",
        "UPDATE products SET price = 99.95, title = 'Käse' WHERE sku = 'C'",
    ),
    (
        "link and unlink",
        "INSERT INTO order_labels VALUES (12, 2), (13, 1) ON CONFLICT DO NOTHING; DELETE FROM order_labels WHERE order_id = 14",
    ),
    (
        "move a link",
        "UPDATE order_labels SET order_id = 14 WHERE order_id = 15",
    ),
    (
        "update a far row",
        "UPDATE labels SET label = 'present' WHERE id = 1",
    ),
    (
        "insert, update and delete over a quoted name",
        "INSERT INTO \"Ratings\" VALUES (900, 30, 5); UPDATE \"Ratings\" SET order_id = 31, stars = 1 WHERE \"ratingId\" = 16; DELETE FROM \"Ratings\" WHERE \"ratingId\" = 17",
    ),
    (
        "all at once, and some of it undone",
        "BEGIN; UPDATE orders SET state = 'x'; SAVEPOINT s; DELETE FROM order_labels; ROLLBACK TO s; UPDATE lines SET quantity = 0 WHERE id % 3 = 0; INSERT INTO orders VALUES (500, 3, 'born', now()); DELETE FROM orders WHERE id = 500; COMMIT",
    ),
    (
        "delete root rows",
        "DELETE FROM order_labels WHERE order_id = 40; DELETE FROM parcels WHERE line_id / 10 = 40; DELETE FROM lines WHERE order_id = 40; DELETE FROM orders WHERE id = 40",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn w5_every_kind_of_change_ends_equal_to_an_independent_build() -> Result<()> {
    // GIVEN both services on a shop. The key of an order with children changes, so its lines follow.
    let mut sandbox = shop::sandbox("changes").await?;
    sandbox
        .sql("ALTER TABLE lines DROP CONSTRAINT lines_order_id_fkey, ADD FOREIGN KEY (order_id) REFERENCES orders ON UPDATE CASCADE;
              ALTER TABLE parcels DROP CONSTRAINT parcels_line_id_fkey, ADD FOREIGN KEY (line_id) REFERENCES lines ON UPDATE CASCADE")
        .await?;
    let capture = sandbox.capture().await?;
    let worker = sandbox.worker("worker").await?;
    sandbox.expect_equal(&worker, "orders").await?;
    sandbox.expect_equal(&worker, "parcels").await?;
    for (title, sql) in STEPS {
        // WHEN rows change.
        sandbox.sql(sql).await?;
        // THEN every document equals a fresh build.
        for index in ["orders", "parcels"] {
            sandbox
                .expect_equal(&worker, index)
                .await
                .map_err(|error| error.context(title))?;
        }
    }
    assert!(worker.stop().await?.success());
    assert!(capture.stop().await?.success());
    sandbox.remove().await
}
