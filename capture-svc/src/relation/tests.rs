use super::*;

fn columns(names: &[&str]) -> Vec<ColumnName> {
    names.iter().map(|name| ColumnName::new(*name)).collect()
}

fn covers(names: &[&str]) -> Coverage {
    Coverage::Columns(names.iter().map(|name| ColumnName::new(*name)).collect())
}

fn table(name: &str, oid: u32, kind: TableKind, key: &[&str], leaves: &[(u32, &str)]) -> Table {
    let leaf = |(oid, name): &(u32, &str)| LeafTable {
        name: TableName::new("public", *name),
        oid: *oid,
        file_node: 1,
        identity: Identity::Full,
        owned: true,
        attached: false,
        has_pages: false,
    };
    Table {
        name: TableName::new("public", name),
        oid,
        kind,
        permanent: true,
        columns: columns(&["id", "show_id", "note"]),
        generated: BTreeSet::new(),
        primary_key: columns(key),
        owned: true,
        leaves: leaves.iter().map(leaf).collect(),
    }
}

fn orders() -> Table {
    table("orders", 10, TableKind::Plain, &["id"], &[(10, "orders")])
}

fn events() -> Table {
    table(
        "events",
        20,
        TableKind::Partitioned,
        &["id"],
        &[(21, "events_1"), (22, "events_2")],
    )
}

fn message(oid: u32, name: &str, identity: ReplicaIdentity, flagged: &[&str]) -> Relation {
    let column = |name: &str| RelationColumn {
        in_identity: identity == ReplicaIdentity::Full || flagged.contains(&name),
        name: name.to_owned(),
        type_oid: 25,
        type_modifier: -1,
    };
    Relation {
        oid: RelationOid::new(oid),
        schema: "public".to_owned(),
        name: name.to_owned(),
        identity,
        columns: ["id", "show_id", "note"].map(column).to_vec(),
    }
}

fn coverage(relations: &Relations, oid: u32) -> Coverage {
    relations
        .table(RelationOid::new(oid))
        .unwrap()
        .coverage
        .clone()
}

#[test]
fn c3_the_key_is_the_catalogs_primary_key_whatever_full_flags() {
    let mut relations = Relations::new(vec![orders()]);
    let noticed = relations.note(&message(10, "orders", ReplicaIdentity::Full, &[]));
    assert!(!noticed.reload);
    let orders = relations.table(RelationOid::new(10)).unwrap();
    assert_eq!(orders.primary_key, columns(&["id"]));
    assert_eq!(orders.coverage, Coverage::All);
}

#[test]
fn a_plain_table_covers_what_its_own_identity_carries() {
    let mut relations = Relations::new(vec![orders()]);
    relations.note(&message(10, "orders", ReplicaIdentity::Default, &["id"]));
    assert_eq!(coverage(&relations, 10), covers(&["id"]));
    let noticed = relations.note(&message(
        10,
        "orders",
        ReplicaIdentity::Index,
        &["id", "show_id"],
    ));
    assert!(noticed.reload, "the identity changed");
    assert_eq!(coverage(&relations, 10), covers(&["id", "show_id"]));
    relations.note(&message(10, "orders", ReplicaIdentity::Nothing, &[]));
    assert_eq!(coverage(&relations, 10), covers(&[]));
}

#[test]
fn w4_a_root_covers_only_what_the_least_of_its_leaves_does() {
    // GIVEN a root that says FULL
    let mut relations = Relations::new(vec![events()]);
    relations.note(&message(20, "events", ReplicaIdentity::Full, &[]));
    // WHEN one leaf says FULL, and another DEFAULT
    relations.note(&message(21, "events_1", ReplicaIdentity::Full, &[]));
    assert_eq!(coverage(&relations, 20), Coverage::All);
    relations.row_passed(RelationOid::new(20));
    relations.note(&message(20, "events", ReplicaIdentity::Full, &[]));
    let noticed = relations.note(&message(22, "events_2", ReplicaIdentity::Default, &["id"]));
    // THEN the root is trusted for the key alone
    assert_eq!(coverage(&relations, 20), covers(&["id"]));
    assert_eq!(noticed.leaf, Some(TableName::new("public", "events_2")));
    assert_eq!(noticed.table, TableName::new("public", "events"));
    // and fully again once that leaf is mended
    relations.note(&message(20, "events", ReplicaIdentity::Full, &[]));
    relations.note(&message(22, "events_2", ReplicaIdentity::Full, &[]));
    assert_eq!(coverage(&relations, 20), Coverage::All);
}

#[test]
fn w4_a_root_with_a_small_identity_is_trusted_as_far_as_its_leaves() {
    let mut relations = Relations::new(vec![events()]);
    relations.note(&message(20, "events", ReplicaIdentity::Default, &["id"]));
    relations.note(&message(21, "events_1", ReplicaIdentity::Full, &[]));
    assert_eq!(coverage(&relations, 20), Coverage::All);
}

#[test]
fn a_leaf_the_catalog_does_not_know_is_told_by_the_order_of_messages() {
    // GIVEN a leaf made after the catalog was read
    let mut relations = Relations::new(vec![events()]);
    relations.note(&message(20, "events", ReplicaIdentity::Full, &[]));
    // WHEN its message follows the root's
    let noticed = relations.note(&message(99, "events_9", ReplicaIdentity::Default, &["id"]));
    // THEN
    assert_eq!(noticed.leaf, Some(TableName::new("public", "events_9")));
    assert!(noticed.reload);
    assert_eq!(coverage(&relations, 20), covers(&["id"]));
}

#[test]
fn what_has_rows_of_its_own_was_no_leaf() {
    // GIVEN TRUNCATE events, other: two messages, no leaf among them
    let mut relations = Relations::new(vec![events()]);
    relations.note(&message(20, "events", ReplicaIdentity::Full, &[]));
    relations.note(&message(99, "other", ReplicaIdentity::Default, &["id"]));
    // WHEN the other one turns out to have rows
    relations.row_passed(RelationOid::new(99));
    // THEN it is a table, and the root is trusted as before
    assert!(relations.table(RelationOid::new(99)).is_some());
    assert_eq!(coverage(&relations, 20), Coverage::All);
}

#[test]
fn a_table_that_comes_after_a_row_of_a_root_is_no_leaf_of_it() {
    let mut relations = Relations::new(vec![events()]);
    relations.note(&message(20, "events", ReplicaIdentity::Full, &[]));
    relations.row_passed(RelationOid::new(20));
    let noticed = relations.note(&message(99, "other", ReplicaIdentity::Default, &["id"]));
    assert_eq!(noticed.leaf, None);
    assert_eq!(coverage(&relations, 20), Coverage::All);
}

#[test]
fn rows_of_a_table_that_the_catalog_lacks_are_keyed_by_their_default_identity() {
    let mut relations = Relations::new(vec![]);
    let noticed = relations.note(&message(10, "orders", ReplicaIdentity::Default, &["id"]));
    assert!(noticed.reload);
    assert_eq!(
        relations.table(RelationOid::new(10)).unwrap().primary_key,
        columns(&["id"])
    );
    relations.note(&message(10, "orders", ReplicaIdentity::Full, &[]));
    assert_eq!(
        relations.table(RelationOid::new(10)).unwrap().primary_key,
        columns(&[])
    );
}

#[test]
fn a_newly_read_catalog_changes_the_key_of_tables_already_announced() {
    let mut relations = Relations::new(vec![orders()]);
    relations.note(&message(10, "orders", ReplicaIdentity::Full, &[]));
    let altered = Table {
        primary_key: columns(&["show_id", "id"]),
        ..orders()
    };
    relations.load(vec![altered]);
    let table = relations.table(RelationOid::new(10)).unwrap();
    assert_eq!(table.primary_key, columns(&["show_id", "id"]));
    // A key the rows do not carry yet is not taken.
    relations.load(vec![Table {
        primary_key: columns(&["uuid"]),
        ..orders()
    }]);
    let table = relations.table(RelationOid::new(10)).unwrap();
    assert_eq!(table.primary_key, columns(&["show_id", "id"]));
}

#[test]
fn a_new_session_announces_its_relations_anew() {
    let mut relations = Relations::new(vec![events()]);
    relations.note(&message(20, "events", ReplicaIdentity::Full, &[]));
    relations.note(&message(21, "events_1", ReplicaIdentity::Default, &["id"]));
    relations.reset();
    assert_eq!(relations.table(RelationOid::new(20)), None);
    relations.note(&message(20, "events", ReplicaIdentity::Full, &[]));
    assert_eq!(coverage(&relations, 20), Coverage::All);
}
