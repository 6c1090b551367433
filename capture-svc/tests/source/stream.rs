//! From SQL statements to records.

use capture_svc::replication::ReplicationStream;
use capture_svc::route::Skipped;
use capture_svc::slot;
use model::{ColumnValue, Lsn, OldValues, Operation, TableName};

use crate::support::{confirm, need, slot_is_free, union, with_database};

const SHOP: &str = r#"
CREATE TABLE orders (id int PRIMARY KEY, show_id int, state text, email text);
CREATE TABLE tags (show_id int, label text, PRIMARY KEY (show_id, label));
CREATE TABLE log (line text);
CREATE SCHEMA "Größe";
CREATE TABLE "Größe"."Re""views" ("reviewId" int PRIMARY KEY, show_id int);
CREATE TABLE unneeded (id int PRIMARY KEY);
"#;

fn values(pairs: &[(&str, Option<&str>)]) -> Vec<ColumnValue> {
    pairs
        .iter()
        .map(|(name, value)| ColumnValue::new(*name, value.map(str::to_owned)))
        .collect()
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "compared with fields that are optional"
)]
fn show(id: &str) -> Option<Vec<ColumnValue>> {
    Some(values(&[("show_id", Some(id))]))
}

#[test]
fn w4_every_kind_of_change_comes_with_both_parents() {
    use OldValues::{Absent, Sent};
    use Operation::{Delete, Insert, Truncate, Update};
    with_database(SHOP, |database| async move {
        // GIVEN
        let needed = union(
            need("public.orders", &["show_id"], &["state"])
                .union(need("public.tags", &["show_id"], &["label"]))
                .union(need("\"Größe\".\"Re\"\"views\"", &["show_id"], &[])),
        );
        let mut capture = database.capture(&needed).await;
        let client = database.connect().await;
        // WHEN
        let statements = r#"
            INSERT INTO orders VALUES (1, 7, 'open', 'a@x');
            UPDATE orders SET show_id = 8 WHERE id = 1;
            UPDATE orders SET email = 'b@x' WHERE id = 1;
            UPDATE orders SET id = 2 WHERE id = 1;
            DELETE FROM orders WHERE id = 2;
            INSERT INTO tags VALUES (7, 'new');
            UPDATE tags SET show_id = 8;
            DELETE FROM tags;
            INSERT INTO "Größe"."Re""views" VALUES (1, 7);
            INSERT INTO log VALUES ('not published');
            TRUNCATE orders, tags"#;
        client.batch_execute(statements).await.unwrap();
        // THEN
        let received = capture.transaction().await;
        let short: Vec<_> = received
            .changes
            .iter()
            .map(|change| {
                let seq = change.seq.get();
                (
                    seq,
                    change.table.name.as_str(),
                    change.op,
                    change.old_values,
                    &change.before,
                    &change.after,
                )
            })
            .collect();
        let (seven, eight, none) = (show("7"), show("8"), None);
        let expected = [
            (0, "orders", Insert, Absent, &none, &seven),
            (1, "orders", Update, Sent, &seven, &eight),
            (3, "orders", Update, Sent, &eight, &eight),
            (4, "orders", Delete, Sent, &eight, &none),
            (5, "tags", Insert, Absent, &none, &seven),
            (6, "tags", Update, Sent, &seven, &eight),
            (7, "tags", Delete, Sent, &eight, &none),
            (8, "Re\"views", Insert, Absent, &none, &seven),
            (9, "orders", Truncate, Absent, &none, &none),
            (10, "tags", Truncate, Absent, &none, &none),
        ];
        assert_eq!(short, expected);
        assert_eq!(received.skipped, [Skipped::NoUsedColumn]);
        let renamed = &received.changes[2];
        assert_eq!(renamed.key, values(&[("id", Some("2"))]));
        assert_eq!(renamed.old_key, Some(values(&[("id", Some("1"))])));
        let moved = &received.changes[5];
        assert_eq!(
            moved.key,
            values(&[("show_id", Some("8")), ("label", Some("new"))])
        );
    });
}

#[test]
fn the_transaction_id_is_the_64_bit_one_and_the_time_is_that_of_the_commit() {
    with_database(SHOP, |database| async move {
        let mut capture = database
            .capture(&union(need("public.orders", &[], &[])))
            .await;
        let mut client = database.connect().await;
        let transaction = client.transaction().await.unwrap();
        let statement = "INSERT INTO orders VALUES (1) RETURNING pg_current_xact_id()::text";
        let row = transaction.query_one(statement, &[]).await.unwrap();
        transaction.commit().await.unwrap();
        let change = capture.transaction().await.changes.remove(0);
        assert_eq!(change.xid.to_string(), row.get::<_, String>(0));
        let row = client
            .query_one(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8",
                &[],
            )
            .await
            .unwrap();
        let age_us = row.get::<_, i64>(0) - change.commit_ts_us;
        assert!((0..60_000_000).contains(&age_us), "{age_us}");
    });
}

#[test]
fn a_large_value_that_an_update_leaves_alone_is_known_by_the_old_row() {
    let schema = "CREATE TABLE notes (id int PRIMARY KEY, topic text, state text);
        ALTER TABLE notes ALTER topic SET STORAGE EXTERNAL;
        INSERT INTO notes VALUES (1, repeat('x', 10000), 'open')";
    with_database(schema, |database| async move {
        let mut capture = database
            .capture(&union(need("public.notes", &["topic"], &["state"])))
            .await;
        let client = database.connect().await;
        client
            .batch_execute("UPDATE notes SET state = 'done'")
            .await
            .unwrap();
        let change = capture.transaction().await.changes.remove(0);
        let large = Some(values(&[("topic", Some(&"x".repeat(10_000)))]));
        assert_eq!(
            (change.old_values, &change.before),
            (OldValues::Sent, &large)
        );
        assert_eq!(change.after, large);
    });
}

const EVENTS: &str = "
CREATE TABLE events (id int, show_id int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE events_2 (show_id int, id int NOT NULL);
ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM (10) TO (20);
";

#[test]
fn w4_rows_of_partitions_come_under_their_root_and_are_trusted_as_far_as_the_least_leaf() {
    with_database(EVENTS, |database| async move {
        // GIVEN leaves with FULL, one with its columns in another order
        let mut capture = database
            .capture(&union(need("public.events", &["show_id"], &[])))
            .await;
        let client = database.connect().await;
        client
            .batch_execute("INSERT INTO events VALUES (1, 7), (11, 7)")
            .await
            .unwrap();
        client
            .batch_execute("UPDATE events SET show_id = 8")
            .await
            .unwrap();
        let root = TableName::new("public", "events");
        for _ in 0..2 {
            let received = capture.transaction().await;
            assert_eq!(received.changes.len(), 2);
            assert!(received.changes.iter().all(|change| change.table == root));
            assert!(
                received
                    .changes
                    .iter()
                    .all(|change| change.old_values != OldValues::Unknown)
            );
        }
        // WHEN a leaf is made that does not inherit the identity
        client
            .batch_execute(
                "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM (20) TO (30);
                 INSERT INTO events VALUES (21, 7)",
            )
            .await
            .unwrap();
        client
            .batch_execute("DELETE FROM events WHERE id = 21")
            .await
            .unwrap();
        // THEN what it did not write is not taken for NULL
        capture.transaction().await;
        let change = capture.transaction().await.changes.remove(0);
        assert_eq!(
            (change.old_values, &change.before),
            (OldValues::Unknown, &Some(vec![]))
        );
        assert_eq!(change.key, values(&[("id", Some("21"))]));
        // and it is mended by preparing again, without a new session
        let needed = union(need("public.events", &["show_id"], &[]));
        let prepared = capture_svc::preflight::Preparer::new(database.settings())
            .prepare(&client, &needed)
            .await
            .unwrap();
        assert_eq!(prepared.unmet, []);
        client
            .batch_execute("INSERT INTO events VALUES (22, 7)")
            .await
            .unwrap();
        client
            .batch_execute("DELETE FROM events WHERE id = 22")
            .await
            .unwrap();
        capture.transaction().await;
        let change = capture.transaction().await.changes.remove(0);
        assert_eq!(
            (change.old_values, &change.before),
            (OldValues::Sent, &show("7"))
        );
        assert_eq!(capture.router.stale_tables(), []);
    });
}

#[test]
fn a_row_that_moves_between_partitions_leaves_one_and_enters_the_other() {
    with_database(EVENTS, |database| async move {
        let mut capture = database
            .capture(&union(need("public.events", &["show_id"], &[])))
            .await;
        let client = database.connect().await;
        client
            .batch_execute("INSERT INTO events VALUES (1, 7)")
            .await
            .unwrap();
        client
            .batch_execute("UPDATE events SET id = 11")
            .await
            .unwrap();
        capture.transaction().await;
        let moved: Vec<_> = capture
            .transaction()
            .await
            .changes
            .into_iter()
            .map(|change| change.op)
            .collect();
        assert_eq!(moved, [Operation::Delete, Operation::Insert]);
    });
}

#[test]
fn truncating_a_root_is_one_record_and_what_follows_is_no_leaf_of_it() {
    with_database(&format!("{SHOP}{EVENTS}"), |database| async move {
        // GIVEN a table that is published, but needed by nobody
        let needed = union(need("public.events", &["show_id"], &[]));
        let mut capture = database.capture(&needed).await;
        let client = database.connect().await;
        client
            .batch_execute(
                "ALTER PUBLICATION \"Flusso's\" ADD TABLE unneeded; TRUNCATE events, unneeded",
            )
            .await
            .unwrap();
        client
            .batch_execute("INSERT INTO unneeded VALUES (1)")
            .await
            .unwrap();
        client
            .batch_execute("INSERT INTO events VALUES (1, 7); DELETE FROM events")
            .await
            .unwrap();
        // THEN
        let truncated = capture.transaction().await;
        assert_eq!(truncated.changes.len(), 1);
        assert_eq!(truncated.changes[0].op, Operation::Truncate);
        assert_eq!(
            capture.transaction().await.skipped,
            [Skipped::UnneededTable]
        );
        let received = capture.transaction().await;
        assert_eq!(received.changes[1].old_values, OldValues::Sent);
    });
}

#[test]
fn a_changed_primary_key_is_the_key_from_the_next_catalog_on() {
    with_database(SHOP, |database| async move {
        let needed = union(need("public.orders", &["show_id"], &["state"]));
        let mut capture = database.capture(&needed).await;
        let client = database.connect().await;
        client
            .batch_execute("INSERT INTO orders VALUES (1, 7, 'open', 'a@x')")
            .await
            .unwrap();
        capture.transaction().await;
        client
            .batch_execute(
                "ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD COLUMN note text, ADD PRIMARY KEY (email);
                 INSERT INTO orders VALUES (2, 7, 'open', 'b@x', 'n')",
            )
            .await
            .unwrap();
        let tables = capture_svc::relation::read_tables(&client, needed.tables())
            .await
            .unwrap();
        capture.router.load(tables);
        let change = capture.transaction().await.changes.remove(0);
        assert_eq!(change.key, values(&[("email", Some("b@x"))]));
    });
}

#[test]
fn c1_what_was_not_confirmed_comes_again_and_what_was_does_not() {
    with_database(SHOP, |database| async move {
        // GIVEN two transactions, of which the first is confirmed by its end
        let needed = union(need("public.orders", &[], &[]));
        let mut capture = database.capture(&needed).await;
        let client = database.connect().await;
        client
            .batch_execute("INSERT INTO orders VALUES (1)")
            .await
            .unwrap();
        client
            .batch_execute("INSERT INTO orders VALUES (2)")
            .await
            .unwrap();
        let first = capture.transaction().await;
        let second = capture.transaction().await;
        let written = confirm(second.end_lsn).written;
        let status = capture_svc::replication::Status {
            written,
            ..confirm(first.end_lsn)
        };
        capture
            .stream
            .finish(status, crate::support::PATIENCE)
            .await
            .unwrap();
        // THEN the last report reached the slot
        slot_is_free(&database).await;
        let slot = slot::read(&client, &database.name).await.unwrap().unwrap();
        assert_eq!(slot.confirmed, Some(first.end_lsn));
        // and the stream begins with the second again
        capture.stream = database.stream(Lsn::INVALID).await.unwrap();
        capture
            .router
            .restart(model::Epoch::new(1), model::Xid::new(0));
        let again = capture.transaction().await;
        assert_eq!(again.commit_lsn, second.commit_lsn);
        // that it began later than asked can be seen
        let later = slot::started_later(&client, &database.name, Lsn::INVALID)
            .await
            .unwrap();
        assert_eq!(later, Some(first.end_lsn));
        let later = slot::started_later(&client, &database.name, first.end_lsn)
            .await
            .unwrap();
        assert_eq!(later, None);
    });
}

#[test]
fn c4_rows_have_the_same_numbers_when_they_are_read_again_under_other_needs() {
    with_database(SHOP, |database| async move {
        let few = union(need("public.orders", &["show_id"], &["state"]));
        let mut capture = database.capture(&few).await;
        let client = database.connect().await;
        let statements = "INSERT INTO orders VALUES (1, 7, 'open', 'a@x');
            UPDATE orders SET email = 'b@x'; UPDATE orders SET email = 'c@x'; DELETE FROM orders";
        client.batch_execute(statements).await.unwrap();
        let seqs = |received: &crate::support::Received| -> Vec<i64> {
            received
                .changes
                .iter()
                .map(|change| change.seq.get())
                .collect()
        };
        assert_eq!(seqs(&capture.transaction().await), [0, 3]);
        // WHEN the session ends without a confirmation, and more is needed
        drop(capture.stream);
        slot_is_free(&database).await;
        capture.stream = database.stream(Lsn::INVALID).await.unwrap();
        capture
            .router
            .restart(model::Epoch::new(1), model::Xid::new(0));
        let more = need("public.orders", &["show_id"], &["state", "email"]);
        capture
            .router
            .set_needs(more, std::collections::BTreeSet::new());
        // THEN
        assert_eq!(seqs(&capture.transaction().await), [0, 1, 2, 3]);
    });
}
