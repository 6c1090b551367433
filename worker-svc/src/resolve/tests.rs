use model::{Epoch, Lsn, Seq, Xid};

use super::*;

fn value(name: &str, text: &str) -> ColumnValue {
    ColumnValue::new(name, Some(text.to_owned()))
}

fn change(op: Operation, id: &str) -> Change {
    Change {
        table: TableName::new("public", "orders"),
        op,
        key: vec![value("id", id)],
        old_key: None,
        old_values: OldValues::Absent,
        before: None,
        after: Some(Vec::new()),
        epoch: Epoch::new(1),
        commit_lsn: Lsn::new(1),
        seq: Seq::new(0),
        xid: Xid::new(1),
        commit_ts_us: 0,
        heartbeat: None,
    }
}

fn paths(list: &[(&[&str], How)]) -> Paths {
    let list = list
        .iter()
        .map(|(columns, how)| Path {
            columns: columns.iter().map(|name| ColumnName::new(*name)).collect(),
            how: how.clone(),
        })
        .collect();
    Paths::new(BTreeMap::from([(TableName::new("public", "orders"), list)]))
}

fn query(sql: &str) -> How {
    How::Query(sql.to_owned())
}

fn keys(resolution: &Resolution<'_>) -> Vec<String> {
    resolution.keys.iter().map(|key| key.0.join("/")).collect()
}

#[test]
fn w4_a_moved_child_leads_to_both_parents() {
    // GIVEN an order that moved from user 1 to user 2, twice
    let mut moved = change(Operation::Update, "7");
    moved.old_values = OldValues::Sent;
    moved.before = Some(vec![value("user_id", "1")]);
    moved.after = Some(vec![value("user_id", "2")]);
    let mut back = moved.clone();
    std::mem::swap(&mut back.before, &mut back.after);

    // WHEN the parent is the root, and when it is not
    let paths = paths(&[
        (&["user_id"], How::Direct),
        (&["user_id"], query("select …")),
    ]);
    let resolution = paths.resolve([&moved, &back]).unwrap();

    // THEN each is asked for once
    assert_eq!(keys(&resolution), ["1", "2"]);
    let arrays = vec![vec![String::from("1"), String::from("2")]];
    assert_eq!(
        resolution.hops,
        [Hop {
            sql: "select …",
            arrays
        }]
    );
}

#[test]
fn w4_a_deleted_child_leads_to_its_former_parent() {
    let mut deleted = change(Operation::Delete, "7");
    deleted.after = None;
    deleted.old_values = OldValues::Sent;
    deleted.before = Some(vec![value("user_id", "1")]);
    let paths = paths(&[(&["user_id"], How::Direct)]);
    assert_eq!(keys(&paths.resolve([&deleted]).unwrap()), ["1"]);
}

#[test]
fn w4_a_changed_key_leads_to_the_old_and_the_new_document() {
    let mut renamed = change(Operation::Update, "8");
    renamed.old_key = Some(vec![value("id", "7")]);
    renamed.old_values = OldValues::Sent;
    renamed.before = Some(Vec::new());
    let paths = paths(&[(&["id"], How::Direct)]);
    assert_eq!(keys(&paths.resolve([&renamed]).unwrap()), ["7", "8"]);
}

#[test]
fn w4_unchanged_old_values_are_the_new_ones() {
    // GIVEN an update that sent no old row
    let mut updated = change(Operation::Update, "7");
    updated.old_values = OldValues::Unchanged;
    updated.after = Some(vec![value("user_id", "1")]);
    let paths = paths(&[(&["user_id"], How::Direct)]);
    assert_eq!(keys(&paths.resolve([&updated]).unwrap()), ["1"]);
}

#[test]
fn null_leads_nowhere_on_its_own_side_only() {
    let mut adopted = change(Operation::Update, "7");
    adopted.old_values = OldValues::Sent;
    adopted.before = Some(vec![ColumnValue::new("user_id", None)]);
    adopted.after = Some(vec![value("user_id", "2")]);
    let paths = paths(&[(&["user_id"], How::Direct)]);
    assert_eq!(keys(&paths.resolve([&adopted]).unwrap()), ["2"]);
}

#[test]
fn every_path_of_a_table_is_followed_with_composite_tuples_kept_together() {
    let mut first = change(Operation::Insert, "7");
    first.after = Some(vec![value("venue", "a"), value("hall", "1")]);
    let mut second = change(Operation::Insert, "8");
    second.after = Some(vec![value("venue", "b"), value("hall", "0")]);
    let paths = paths(&[(&["id"], How::Direct), (&["venue", "hall"], query("q"))]);

    let resolution = paths.resolve([&second, &first]).unwrap();

    assert_eq!(keys(&resolution), ["7", "8"]);
    let arrays = vec![
        vec![String::from("a"), String::from("b")],
        vec![String::from("1"), String::from("0")],
    ];
    assert_eq!(resolution.hops, [Hop { sql: "q", arrays }]);
}

#[test]
fn w4_a_change_that_lacks_a_routing_column_is_not_passed_over() {
    let paths = paths(&[(&["user_id"], How::Direct)]);
    let error = paths
        .resolve([&change(Operation::Insert, "7")])
        .unwrap_err();
    assert_eq!(error.rule().code, "repair_needed");
}
