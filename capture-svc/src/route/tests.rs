use bytes::{BufMut, Bytes, BytesMut};
use model::{ColumnValue, OldValues, TableNeeds};
use proptest::prelude::*;

use super::*;
use crate::pgoutput::{Relation, RelationColumn, ReplicaIdentity, decode};
use crate::relation::{Identity, LeafTable, TableKind};

const ORDERS: u32 = 10;
const COLUMNS: [&str; 4] = ["id", "show_id", "state", "email"];

/// A value as a test writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum V {
    /// A text.
    T(&'static str),
    /// NULL, or not sent in an old row.
    N,
    /// Unchanged and not sent.
    U,
}
use V::{N, T, U};

fn put(frame: &mut BytesMut, row: &[V]) {
    frame.put_u16(u16::try_from(row.len()).unwrap());
    for value in row {
        match value {
            N => frame.put_u8(b'n'),
            U => frame.put_u8(b'u'),
            T(text) => {
                frame.put_u8(b't');
                frame.put_u32(u32::try_from(text.len()).unwrap());
                frame.put_slice(text.as_bytes());
            }
        }
    }
}

fn frame(tag: u8, rows: &[(u8, &[V])]) -> Message {
    let mut frame = BytesMut::new();
    frame.put_u8(tag);
    frame.put_u32(ORDERS);
    for (tag, row) in rows {
        frame.put_u8(*tag);
        put(&mut frame, row);
    }
    decode(frame.freeze()).unwrap()
}

fn insert(new: &[V]) -> Message {
    frame(b'I', &[(b'N', new)])
}

fn update(new: &[V]) -> Message {
    frame(b'U', &[(b'N', new)])
}

fn update_from(tag: u8, old: &[V], new: &[V]) -> Message {
    frame(b'U', &[(tag, old), (b'N', new)])
}

fn delete(tag: u8, old: &[V]) -> Message {
    frame(b'D', &[(tag, old)])
}

fn columns<C: FromIterator<ColumnName>>(names: &[&str]) -> C {
    names.iter().map(|name| ColumnName::new(*name)).collect()
}

fn orders() -> TableName {
    TableName::new("public", "orders")
}

fn catalog(key: &[&str]) -> Vec<Table> {
    let leaf = LeafTable {
        name: orders(),
        oid: ORDERS,
        file_node: 1,
        identity: Identity::Full,
        owned: true,
        attached: false,
        has_pages: false,
    };
    vec![Table {
        name: orders(),
        oid: ORDERS,
        kind: TableKind::Plain,
        permanent: true,
        columns: columns(&COLUMNS),
        generated: BTreeSet::new(),
        primary_key: columns(key),
        owned: true,
        leaves: vec![leaf],
    }]
}

fn relation(identity: ReplicaIdentity, flagged: &[&str]) -> Message {
    let column = |name: &str| RelationColumn {
        in_identity: identity == ReplicaIdentity::Full || flagged.contains(&name),
        name: name.to_owned(),
        type_oid: 25,
        type_modifier: -1,
    };
    Message::Relation(Relation {
        oid: RelationOid::new(ORDERS),
        schema: "public".to_owned(),
        name: "orders".to_owned(),
        identity,
        columns: COLUMNS.map(column).to_vec(),
    })
}

fn needs(routing: &[&str], used: &[&str]) -> Needs {
    let table = TableNeeds {
        routing: columns(routing),
        used: columns(used),
        all_used: false,
    };
    [(orders(), table)].into_iter().collect()
}

fn begin() -> Message {
    Message::Begin(Begin {
        commit_lsn: Lsn::new(100),
        commit_ts_us: 7,
        xid: 742,
    })
}

/// A router inside a transaction, for `orders` with this key and identity,
/// whose documents hang on `show_id` and show `state`.
fn router(key: &[&str], identity: ReplicaIdentity, flagged: &[&str]) -> Router {
    let mut router = Router::new(Epoch::new(3), catalog(key), Xid::new((5 << 32) + 700));
    router.set_needs(
        needs(&["show_id"], &["id", "show_id", "state"]),
        BTreeSet::new(),
    );
    router.take(begin()).unwrap();
    router.take(relation(identity, flagged)).unwrap();
    router
}

fn full() -> Router {
    router(&["id"], ReplicaIdentity::Full, &[])
}

fn default() -> Router {
    router(&["id"], ReplicaIdentity::Default, &["id"])
}

fn published(router: &mut Router, message: Message) -> Change {
    match router.take(message).unwrap() {
        Step::Publish(change) => *change,
        other @ (Step::Begun(_)
        | Step::Committed { .. }
        | Step::PublishAll(_)
        | Step::Skip(_)
        | Step::Noticed(_)
        | Step::Nothing) => panic!("{other:?}"),
    }
}

fn values(pairs: &[(&str, Option<&str>)]) -> Vec<ColumnValue> {
    pairs
        .iter()
        .map(|(name, value)| ColumnValue::new(*name, value.map(str::to_owned)))
        .collect()
}

fn id(value: &str) -> Vec<ColumnValue> {
    values(&[("id", Some(value))])
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "compared with fields that are optional"
)]
fn show(value: &str) -> Option<Vec<ColumnValue>> {
    Some(values(&[("show_id", Some(value))]))
}

const ROW: [V; 4] = [T("1"), T("7"), T("open"), T("a@x")];
const MOVED: [V; 4] = [T("1"), T("8"), T("open"), T("a@x")];
const EMAIL: [V; 4] = [T("1"), T("7"), T("open"), T("b@x")];
const PAID: [V; 4] = [T("1"), T("7"), T("paid"), T("a@x")];

#[test]
fn an_insert_carries_key_routing_and_place() {
    let change = published(&mut full(), insert(&ROW));
    let expected = Change {
        table: orders(),
        op: Operation::Insert,
        key: id("1"),
        old_key: None,
        old_values: OldValues::Absent,
        before: None,
        after: show("7"),
        epoch: Epoch::new(3),
        commit_lsn: Lsn::new(100),
        seq: Seq::new(0),
        xid: Xid::new((5 << 32) + 742),
        commit_ts_us: 7,
        heartbeat: None,
    };
    assert_eq!(change, expected);
}

#[test]
fn w4_a_moved_child_names_both_parents() {
    let change = published(&mut full(), update_from(b'O', &ROW, &MOVED));
    assert_eq!((change.before, change.after), (show("7"), show("8")));
    assert_eq!(change.old_values, OldValues::Sent);
    assert_eq!(change.old_key, None);
}

#[test]
fn w4_a_deleted_child_names_its_former_parent() {
    let change = published(&mut full(), delete(b'O', &ROW));
    assert_eq!(
        (change.key, change.before, change.after),
        (id("1"), show("7"), None)
    );
    assert_eq!(change.old_values, OldValues::Sent);
}

#[test]
fn w4_what_the_identity_does_not_carry_is_unknown_and_not_null() {
    // GIVEN identity DEFAULT, which does not carry show_id
    let mut router = default();
    // THEN an update without an old row may have moved the child
    let change = published(&mut router, update(&MOVED));
    assert_eq!(
        (change.old_values, change.before),
        (OldValues::Unknown, None)
    );
    assert_eq!(change.after, show("8"));
    // and the NULL of a deleted row's show_id means "not sent"
    let change = published(&mut router, delete(b'K', &[T("1"), N, N, N]));
    assert_eq!(
        (change.old_values, change.before),
        (OldValues::Unknown, Some(vec![]))
    );
    assert_eq!(change.key, id("1"));
}

#[test]
fn w4_nulls_under_the_tag_of_a_whole_row_are_not_trusted_beyond_the_leafs_identity() {
    // GIVEN a root FULL with a leaf DEFAULT: tag O, NULLs for what was not sent
    let mut router = default();
    let change = published(&mut router, delete(b'O', &[T("1"), N, N, N]));
    assert_eq!(
        (change.old_values, change.before),
        (OldValues::Unknown, Some(vec![]))
    );
}

#[test]
fn w4_a_known_null_is_null() {
    let change = published(&mut full(), update_from(b'O', &[T("1"), N, N, N], &ROW));
    assert_eq!(change.before, Some(values(&[("show_id", None)])));
    assert_eq!(change.old_values, OldValues::Sent);
}

#[test]
fn an_identity_of_an_index_that_covers_key_and_routing_is_enough() {
    let mut router = router(&["id"], ReplicaIdentity::Index, &["id", "show_id"]);
    // No old row: nothing of the identity changed.
    let change = published(&mut router, update(&PAID));
    assert_eq!(
        (change.old_values, change.before),
        (OldValues::Unchanged, None)
    );
    let change = published(
        &mut router,
        update_from(b'K', &[T("1"), T("7"), N, N], &MOVED),
    );
    assert_eq!(
        (change.old_values, change.before),
        (OldValues::Sent, show("7"))
    );
}

#[test]
fn routing_columns_within_the_key_need_no_more_than_default() {
    // GIVEN a junction keyed by both of its sides
    let mut router = router(
        &["id", "show_id"],
        ReplicaIdentity::Default,
        &["id", "show_id"],
    );
    let change = published(&mut router, update(&PAID));
    assert_eq!(
        (change.old_values, change.before),
        (OldValues::Unchanged, None)
    );
    let change = published(&mut router, delete(b'K', &[T("1"), T("7"), N, N]));
    assert_eq!(
        (change.old_values, change.before),
        (OldValues::Sent, show("7"))
    );
}

#[test]
fn c3_a_changed_key_is_published_under_both_keys() {
    for (mut router, tag, old) in [(full(), b'O', ROW), (default(), b'K', [T("1"), N, N, N])] {
        let change = published(
            &mut router,
            update_from(tag, &old, &[T("2"), T("7"), T("open"), T("a@x")]),
        );
        assert_eq!((&change.key, &change.old_key), (&id("2"), &Some(id("1"))));
        assert_ne!(change.old_record_key().unwrap(), change.record_key());
    }
}

#[test]
fn c3_full_does_not_make_every_column_a_key() {
    let change = published(&mut full(), update_from(b'O', &ROW, &PAID));
    assert_eq!((change.key, change.old_key), (id("1"), None));
}

#[test]
fn c3_a_table_without_a_key_is_keyed_by_its_routing_columns() {
    let mut router = router(&[], ReplicaIdentity::Full, &[]);
    let change = published(&mut router, update_from(b'O', &ROW, &MOVED));
    let parent = |value| values(&[("show_id", Some(value))]);
    assert_eq!(
        (change.key, change.old_key),
        (parent("8"), Some(parent("7")))
    );
}

#[test]
fn a_composite_key_stands_in_the_order_of_the_key() {
    let mut router = router(&["show_id", "id"], ReplicaIdentity::Full, &[]);
    let change = published(&mut router, insert(&ROW));
    assert_eq!(
        change.key,
        values(&[("show_id", Some("7")), ("id", Some("1"))])
    );
}

#[test]
fn an_update_that_touches_no_used_column_is_not_published() {
    let mut router = full();
    let step = router.take(update_from(b'O', &ROW, &EMAIL)).unwrap();
    assert_eq!(step, Step::Skip(Skipped::NoUsedColumn));
    // One that does is.
    published(&mut router, update_from(b'O', &ROW, &PAID));
}

#[test]
fn an_update_whose_old_values_are_not_known_is_always_published() {
    published(&mut default(), update(&ROW));
}

#[test]
fn an_update_of_a_row_whose_used_columns_are_all_in_its_identity_can_be_suppressed() {
    let mut router = default();
    router.set_needs(needs(&[], &["id"]), BTreeSet::new());
    assert_eq!(
        router.take(update(&PAID)).unwrap(),
        Step::Skip(Skipped::NoUsedColumn)
    );
}

#[test]
fn while_a_table_is_scanned_nothing_of_it_is_suppressed() {
    let mut router = full();
    let needs = needs(&["show_id"], &["show_id", "state"]);
    router.set_needs(needs.clone(), BTreeSet::from([orders()]));
    published(&mut router, update_from(b'O', &ROW, &EMAIL));
    // Not even what changed nothing: it moved the row.
    published(&mut router, update_from(b'O', &ROW, &ROW));
    router.set_needs(needs, BTreeSet::new());
    let step = router.take(update_from(b'O', &ROW, &EMAIL)).unwrap();
    assert_eq!(step, Step::Skip(Skipped::NoUsedColumn));
}

#[test]
fn a_used_column_that_the_rows_do_not_carry_makes_all_columns_used() {
    let mut router = full();
    router.set_needs(needs(&["show_id"], &["show_id", "total"]), BTreeSet::new());
    published(&mut router, update_from(b'O', &ROW, &EMAIL));
}

#[test]
fn an_unchanged_large_value_is_unchanged_and_is_taken_from_the_old_row() {
    // GIVEN a show_id too large to be sent again
    let unchanged = |state| [T("1"), U, T(state), T("a@x")];
    let mut router = full();
    // THEN it is known by the old row
    let change = published(&mut router, update_from(b'O', &ROW, &unchanged("paid")));
    assert_eq!((change.before, change.after), (show("7"), show("7")));
    assert_eq!(change.old_values, OldValues::Sent);
    // and counts as unchanged
    let step = router
        .take(update_from(b'O', &ROW, &[T("1"), U, U, T("b@x")]))
        .unwrap();
    assert_eq!(step, Step::Skip(Skipped::NoUsedColumn));
    // but without an old row it is not known
    let change = published(&mut default(), update(&unchanged("paid")));
    assert_eq!(
        (change.old_values, change.after),
        (OldValues::Unknown, Some(vec![]))
    );
}

#[test]
fn a_table_nobody_needs_is_counted_and_numbered() {
    let mut router = full();
    router.set_needs(Needs::new(), BTreeSet::new());
    assert_eq!(
        router.take(insert(&ROW)).unwrap(),
        Step::Skip(Skipped::UnneededTable)
    );
    router.set_needs(needs(&[], &[]), BTreeSet::new());
    assert_eq!(published(&mut router, insert(&ROW)).seq, Seq::new(1));
}

#[test]
fn c4_rows_are_numbered_as_received_whatever_is_suppressed() {
    // GIVEN the same transaction under needs that publish all, and few
    let rows = || {
        [
            insert(&ROW),
            update_from(b'O', &ROW, &EMAIL),
            delete(b'O', &EMAIL),
        ]
    };
    let seqs = |mut router: Router| {
        let mut seqs = Vec::new();
        for row in rows() {
            if let Step::Publish(change) = router.take(row).unwrap() {
                seqs.push(change.seq.get());
            }
        }
        assert_eq!(router.last_row().unwrap().seq, Seq::new(2));
        seqs
    };
    let mut all = full();
    all.set_needs(needs(&["show_id", "email"], &["email"]), BTreeSet::new());
    // THEN a row has one number in both
    assert_eq!(seqs(all), [0, 1, 2]);
    assert_eq!(seqs(full()), [0, 2]);
}

#[test]
fn a_truncate_is_one_record_and_one_number_for_each_relation() {
    // GIVEN TRUNCATE other, orders, where nobody needs the other table
    let mut router = full();
    let other = Relation {
        oid: RelationOid::new(11),
        schema: "public".to_owned(),
        name: "other".to_owned(),
        identity: ReplicaIdentity::Default,
        columns: vec![],
    };
    router.take(Message::Relation(other)).unwrap();
    let truncate = |oids: &[u32]| {
        Message::Truncate(Truncate {
            relations: oids.iter().map(|oid| RelationOid::new(*oid)).collect(),
            cascade: false,
            restart_identity: false,
        })
    };
    let change = published(&mut router, truncate(&[11, ORDERS]));
    assert_eq!((change.op, change.seq), (Operation::Truncate, Seq::new(1)));
    assert_eq!((change.key, change.old_values), (vec![], OldValues::Absent));
    let step = router.take(truncate(&[ORDERS, ORDERS])).unwrap();
    let Step::PublishAll(changes) = step else {
        panic!("{step:?}")
    };
    let seqs: Vec<_> = changes.iter().map(|change| change.seq.get()).collect();
    assert_eq!(seqs, [2, 3]);
    assert_eq!(
        router.take(truncate(&[11])).unwrap(),
        Step::Skip(Skipped::UnneededTable)
    );
}

#[test]
fn a_transaction_is_begun_and_committed_around_its_rows() {
    let mut router = full();
    assert_eq!(router.last_row(), None);
    router.take(insert(&ROW)).unwrap();
    let last = Position::new(Epoch::new(3), Lsn::new(100), Seq::new(0));
    assert_eq!(router.last_row(), Some(last));
    let end = Commit {
        commit_lsn: Lsn::new(100),
        end_lsn: Lsn::new(140),
        commit_ts_us: 7,
    };
    let transaction = Transaction {
        commit_lsn: Lsn::new(100),
        xid: Xid::new((5 << 32) + 742),
        commit_ts_us: 7,
    };
    let step = router.take(Message::Commit(end)).unwrap();
    assert_eq!(
        step,
        Step::Committed {
            transaction,
            end_lsn: Lsn::new(140)
        }
    );
    assert!(!router.is_inside_transaction());
}

#[test]
fn what_stands_in_the_wrong_place_is_an_error() {
    let mut router = full();
    assert_eq!(router.take(begin()), Err(RouteError::OutOfPlace("a start")));
    let end = |lsn| {
        let commit_lsn = Lsn::new(lsn);
        Message::Commit(Commit {
            commit_lsn,
            end_lsn: commit_lsn,
            commit_ts_us: 7,
        })
    };
    let other = RouteError::OtherCommit {
        began: Lsn::new(100),
        ended: Lsn::new(99),
    };
    assert_eq!(router.take(end(99)), Err(other));
    assert_eq!(router.take(end(99)), Err(RouteError::OutOfPlace("an end")));
    assert_eq!(
        router.take(insert(&ROW)),
        Err(RouteError::OutOfPlace("an insert"))
    );
}

#[test]
fn rows_that_do_not_fit_their_relation_are_errors() {
    let mut router = full();
    let short = router.take(insert(&[T("1")]));
    let expected = RouteError::ColumnCount {
        table: orders(),
        found: 1,
        expected: 4,
    };
    assert_eq!(short, Err(expected));
    router.restart(Epoch::new(3), Xid::new(0));
    router.take(begin()).unwrap();
    let unannounced = RouteError::Unannounced(RelationOid::new(ORDERS));
    assert_eq!(router.take(insert(&ROW)), Err(unannounced));
    let mut frame = BytesMut::from(&b"I\0\0\0\x0aN\0\x04t\0\0\0\x01\xFFnnn"[..]);
    let bad = decode(frame.split().freeze()).unwrap();
    router.take(relation(ReplicaIdentity::Full, &[])).unwrap();
    assert_eq!(
        router.take(bad),
        Err(RouteError::NotUtf8 { table: orders() })
    );
}

#[test]
fn rows_under_a_leafs_own_name_are_refused_and_never_lost() {
    let mut tables = catalog(&["id"]);
    for table in &mut tables {
        table.kind = TableKind::Partitioned;
        table.oid = 9;
    }
    let mut router = Router::new(Epoch::new(1), tables, Xid::new(700));
    router.set_needs(needs(&[], &[]), BTreeSet::new());
    router.take(begin()).unwrap();
    router.take(relation(ReplicaIdentity::Full, &[])).unwrap();
    assert_eq!(
        router.take(insert(&ROW)),
        Err(RouteError::LeafRow(RelationOid::new(ORDERS)))
    );
}

#[test]
fn tables_whose_former_rows_cannot_be_told_are_listed() {
    let lacking = (orders(), columns::<Vec<_>>(&["show_id"]));
    assert_eq!(default().stale_tables(), [lacking]);
    assert_eq!(full().stale_tables(), []);
}

/// A row of texts drawn from few values, so that equal ones are common.
fn any_row() -> impl Strategy<Value = [Option<u8>; 4]> {
    prop::array::uniform4(prop::option::of(0u8..2))
}

fn any_identity() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![0, 1, 2, 3]),
        Just(vec![0]),
        Just(vec![0, 1]),
        Just(vec![0, 2])
    ]
}

/// What a server sends for one update under an identity of these columns.
fn update_as_sent(identity: &[usize], old: [Option<u8>; 4], new: [Option<u8>; 4]) -> Message {
    const DIGITS: [&str; 2] = ["0", "1"];
    let is_full = identity.len() == 4;
    let value = |value: Option<u8>| value.map_or(N, |digit| T(DIGITS[usize::from(digit)]));
    let new_row = new.map(value);
    if !is_full && identity.iter().all(|column| old[*column] == new[*column]) {
        return update(&new_row);
    }
    let mut old_row = [N; 4];
    for column in identity {
        old_row[*column] = value(old[*column]);
    }
    update_from(if is_full { b'O' } else { b'K' }, &old_row, &new_row)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Against the rows themselves: what is claimed as known is true, and what
    /// is suppressed changed nothing that counts.
    #[test]
    fn w4_nothing_false_is_claimed_of_a_former_row(
        identity in any_identity(),
        old in any_row(),
        new in any_row(),
        id in 0u8..2,
    ) {
        // GIVEN rows whose key is never NULL
        let (mut old, mut new) = (old, new);
        old[0] = old[0].or(Some(id));
        new[0] = new[0].or(Some(id));
        let flagged: Vec<&str> = identity.iter().map(|column| COLUMNS[*column]).collect();
        let kind = match identity.len() {
            4 => ReplicaIdentity::Full,
            1 => ReplicaIdentity::Default,
            _ => ReplicaIdentity::Index,
        };
        let mut router = router(&["id"], kind, &flagged);
        // WHEN
        let step = router.take(update_as_sent(&identity, old, new)).unwrap();
        // THEN
        let text = |value: Option<u8>| value.map(|digit| digit.to_string());
        match step {
            Step::Skip(Skipped::NoUsedColumn) => prop_assert_eq!(&old[..3], &new[..3]),
            Step::Publish(change) => {
                prop_assert_eq!(&change.key[0].value, &text(new[0]));
                let after = change.after.unwrap();
                prop_assert_eq!(&after[0].value, &text(new[1]));
                match change.old_values {
                    OldValues::Unchanged => prop_assert_eq!(old[1], new[1]),
                    OldValues::Sent => {
                        let before = change.before.unwrap();
                        prop_assert_eq!(&before[0].value, &text(old[1]));
                    }
                    OldValues::Unknown => prop_assert!(!identity.contains(&1)),
                    OldValues::Absent => prop_assert!(false),
                }
                let old_key = change.old_key.map(|key| key[0].value.clone());
                prop_assert_eq!(old_key, (old[0] != new[0]).then(|| text(old[0])));
            }
            other @ (Step::Begun(_)
            | Step::Committed { .. }
            | Step::PublishAll(_)
            | Step::Skip(_)
            | Step::Noticed(_)
            | Step::Nothing) => prop_assert!(false, "{:?}", other),
        }
    }
}

#[test]
fn bytes_that_are_a_row_of_something_else_never_panic() {
    let mut router = full();
    for message in [
        &b"I\0\0\0\x0aN\0\0"[..],
        b"D\0\0\0\x0aO\0\x01n",
        b"T\0\0\0\x01\0\0\0\0\x63",
    ] {
        assert!(
            router
                .take(decode(Bytes::from_static(message)).unwrap())
                .is_err()
        );
    }
}
