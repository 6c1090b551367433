//! What is read of tables, slots and transactions.

use capture_svc::needs::{Barrier, Ended};
use capture_svc::relation::{
    Identity, LeafChange, Table, TableKind, changed_leaves, leaves_of, read_tables,
};
use capture_svc::slot;
use model::{ColumnName, RepairCause, TableName};

use crate::support::{PATIENCE, with_database};

const TABLES: &str = r#"
CREATE TABLE plain ("Key" int, b int, c int GENERATED ALWAYS AS (b + 1) STORED, dropped int,
                    PRIMARY KEY (b, "Key"));
ALTER TABLE plain DROP COLUMN dropped;
CREATE TABLE indexed (id int PRIMARY KEY, email text NOT NULL UNIQUE);
ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_email_key;
CREATE TABLE keyless (id int);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
CREATE VIEW seen AS SELECT 1 AS id;
CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (id);
CREATE TABLE parts_2a PARTITION OF parts_2 FOR VALUES FROM (10) TO (20);
ALTER TABLE parts_1 REPLICA IDENTITY FULL;
ALTER TABLE parts_2a REPLICA IDENTITY NOTHING;
"#;

async fn read(client: &tokio_postgres::Client, name: &str) -> Table {
    let name = TableName::new("public", name);
    let mut tables = read_tables(client, [&name]).await.unwrap();
    assert_eq!(tables.len(), 1, "{name}");
    tables.remove(0)
}

fn columns<C: FromIterator<ColumnName>>(names: &[&str]) -> C {
    names.iter().map(|name| ColumnName::new(*name)).collect()
}

#[test]
fn keys_columns_kinds_and_identities_are_read() {
    with_database(TABLES, |database| async move {
        let client = database.connect().await;
        let plain = read(&client, "plain").await;
        assert_eq!((plain.kind, plain.permanent), (TableKind::Plain, true));
        assert_eq!(plain.primary_key, columns::<Vec<_>>(&["b", "Key"]));
        assert_eq!(plain.columns, columns::<Vec<_>>(&["Key", "b", "c"]));
        assert_eq!(plain.generated, columns(&["c"]));
        assert_eq!(plain.leaves.len(), 1);
        assert_eq!(plain.leaves[0].oid, plain.oid);
        assert_eq!(
            plain.leaves[0].identity,
            Identity::Default(columns(&["Key", "b"]))
        );
        let indexed = read(&client, "indexed").await;
        assert_eq!(
            indexed.leaves[0].identity,
            Identity::Index(columns(&["email"]))
        );
        let keyless = read(&client, "keyless").await;
        assert_eq!(keyless.leaves[0].identity, Identity::Default(columns(&[])));
        assert!(!read(&client, "unlogged").await.is_streamable());
        assert_eq!(read(&client, "seen").await.kind, TableKind::Other);
        assert_eq!(read(&client, "parts_1").await.kind, TableKind::Partition);
        let parts = read(&client, "parts").await;
        assert_eq!(parts.kind, TableKind::Partitioned);
        let leaves: Vec<_> = parts
            .leaves
            .iter()
            .map(|leaf| (leaf.name.name.as_str(), leaf.identity.word()))
            .collect();
        assert_eq!(leaves, [("parts_1", "FULL"), ("parts_2a", "NOTHING")]);
        let missing = TableName::new("public", "missing");
        assert_eq!(read_tables(&client, [&missing]).await.unwrap(), []);
    });
}

#[test]
fn r2_what_happens_to_leaves_behind_the_streams_back_is_told_apart() {
    with_database(TABLES, |database| async move {
        // GIVEN
        let client = database.connect().await;
        let before = leaves_of(&read(&client, "parts").await);
        // WHEN partitions are made, attached with rows, attached empty, at two depths; one is truncated, one goes
        let statements = "
            CREATE TABLE born PARTITION OF parts FOR VALUES FROM (100) TO (110);
            INSERT INTO born VALUES (100);
            CREATE TABLE full_one (id int PRIMARY KEY); INSERT INTO full_one VALUES (110);
            CREATE TABLE empty_one (id int PRIMARY KEY);
            CREATE TABLE sub (id int PRIMARY KEY) PARTITION BY RANGE (id);
            CREATE TABLE sub_1 PARTITION OF sub FOR VALUES FROM (130) TO (140);
            INSERT INTO sub VALUES (130);
            TRUNCATE parts_1;
            ALTER TABLE parts_2 DETACH PARTITION parts_2a";
        for statement in statements.split(';') {
            client.batch_execute(statement).await.unwrap();
        }
        for attach in [
            "ALTER TABLE parts ATTACH PARTITION full_one FOR VALUES FROM (110) TO (120)",
            "ALTER TABLE parts ATTACH PARTITION empty_one FOR VALUES FROM (120) TO (130)",
            "ALTER TABLE parts ATTACH PARTITION sub FOR VALUES FROM (130) TO (140)",
        ] {
            client.batch_execute(attach).await.unwrap();
        }
        // THEN
        let now = read(&client, "parts").await;
        let mut changes = changed_leaves(&before, &now.leaves, true);
        changes.sort_by(|one, other| one.leaf.cmp(&other.leaf));
        let expected = [
            (RepairCause::LeafAttached, "public.full_one"),
            (RepairCause::LeafTruncated, "public.parts_1"),
            (RepairCause::LeafDetached, "public.parts_2a"),
            (RepairCause::LeafAttached, "public.sub_1"),
        ]
        .map(|(cause, leaf)| LeafChange {
            cause,
            leaf: leaf.to_owned(),
        });
        assert_eq!(changes, expected);
    });
}

#[test]
fn a_slot_is_made_read_and_dropped() {
    with_database("", |database| async move {
        let client = database.connect().await;
        assert_eq!(slot::read(&client, &database.name).await.unwrap(), None);
        let start = slot::create(&client, &database.name, false).await.unwrap();
        let slot = slot::read(&client, &database.name).await.unwrap().unwrap();
        assert_eq!(slot.confirmed, Some(start));
        assert_eq!(slot.fitness(&database.name), slot::Fitness::Fit);
        assert!(matches!(
            slot.fitness("other"),
            slot::Fitness::Foreign { .. }
        ));
        let end = slot::log_end(&client).await.unwrap();
        assert!(start <= end.flushed && end.flushed <= end.inserted);
        slot::drop(&client, &database.name).await.unwrap();
        assert_eq!(slot::read(&client, &database.name).await.unwrap(), None);
    });
}

#[test]
fn r2_needs_are_served_only_when_every_older_transaction_has_ended() {
    with_database("CREATE TABLE orders (id int)", |database| async move {
        // GIVEN a transaction that has written, and one that was prepared
        let client = database.connect().await;
        let mut older = database.connect().await;
        let writing = older.transaction().await.unwrap();
        writing
            .batch_execute("INSERT INTO orders VALUES (1)")
            .await
            .unwrap();
        let prepared = format!(
            "BEGIN; INSERT INTO orders VALUES (2); PREPARE TRANSACTION '{}'",
            database.name
        );
        database
            .connect()
            .await
            .batch_execute(&prepared)
            .await
            .unwrap();
        // WHEN
        let barrier = Barrier::raise(&client).await.unwrap();
        // THEN both are waited for by name
        let Ended::Waiting(older) = barrier.look(&client).await.unwrap() else {
            panic!("an older transaction runs");
        };
        assert!(
            older.iter().any(|what| what.contains("flusso-test")),
            "{older:?}"
        );
        assert!(
            older.iter().any(|what| what.contains(&database.name)),
            "{older:?}"
        );
        // and a younger one is not
        let mut younger = database.connect().await;
        let young = younger.transaction().await.unwrap();
        young
            .batch_execute("INSERT INTO orders VALUES (3)")
            .await
            .unwrap();
        writing.commit().await.unwrap();
        let roll_back = format!("ROLLBACK PREPARED '{}'", database.name);
        client.batch_execute(&roll_back).await.unwrap();
        let committed = slot::log_end(&client).await.unwrap().inserted;
        // Other databases of the server have transactions too.
        let since = testkit::eventually(PATIENCE, "older transactions end", || async {
            match barrier.look(&client).await.unwrap() {
                Ended::Since(since) => Ok(since),
                Ended::Waiting(older) => Err(older),
            }
        })
        .await;
        assert!(since >= committed);
        young.commit().await.unwrap();
    });
}
