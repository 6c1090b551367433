use model::{Snapshot, Xid};

use super::*;

fn snapshot(text: &str) -> Snapshot {
    text.parse().unwrap()
}

const NEWEST: Epoch = Epoch::new(2);
const RUN: Incarnation = Incarnation::new(5);

fn caused_by(epoch: u32, xid: u64) -> Gate {
    Gate {
        transactions: vec![(Epoch::new(epoch), Xid::new(xid))],
        ..Gate::default()
    }
}

#[test]
fn w3_a_transaction_at_or_above_xmax_or_in_progress_holds_the_build() {
    let snapshot = snapshot("10:20:12,15");
    for (xid, seen) in [
        (9, true),
        (10, true),
        (12, false),
        (15, false),
        (19, true),
        (20, false),
        (30, false),
    ] {
        let unseen = caused_by(2, xid).unseen(&snapshot, NEWEST, RUN);
        assert_eq!(unseen.is_none(), seen, "transaction {xid}");
    }
}

#[test]
fn w3_every_transaction_of_the_batch_is_asked_for() {
    // The highest one is visible, a lower one is not.
    let gate = Gate {
        transactions: vec![(NEWEST, Xid::new(19)), (NEWEST, Xid::new(12))],
        ..Gate::default()
    };
    let unseen = gate.unseen(&snapshot("10:20:12"), NEWEST, RUN);
    assert_eq!(unseen, Some(Unseen::Transaction(Xid::new(12))));
}

#[test]
fn w3_changes_of_an_older_epoch_are_exempt() {
    assert_eq!(
        caused_by(1, 30).unseen(&snapshot("10:20:"), NEWEST, RUN),
        None
    );
}

#[test]
fn w3_a_chunk_waits_until_all_through_visible_from_have_ended() {
    let gate = |incarnation| Gate {
        visible_from: Some(VisibleFrom {
            incarnation: Incarnation::new(incarnation),
            xid: Xid::new(15),
        }),
        ..Gate::default()
    };
    // An older transaction still runs, although 15 itself is visible.
    let unseen = gate(5).unseen(&snapshot("12:20:12"), NEWEST, RUN);
    assert_eq!(
        unseen,
        Some(Unseen::OlderThan {
            visible_from: Xid::new(15),
            oldest: Xid::new(12)
        })
    );
    assert!(gate(5).unseen(&snapshot("15:20:15"), NEWEST, RUN).is_some());
    assert_eq!(gate(5).unseen(&snapshot("16:20:"), NEWEST, RUN), None);
    // In a later run all of an earlier one's transactions have ended.
    assert_eq!(gate(4).unseen(&snapshot("12:20:12"), NEWEST, RUN), None);
}

#[test]
fn documents_are_bytes_in_one_arena_and_marked_nulls_are_counted() {
    let version = DocumentVersion::new(RUN, model::Ordinal::new(7)).unwrap();
    let mut built = Built::new(version, Instant::now());
    built.push(
        String::from("a"),
        Vec::new(),
        Some(b"{\"x\":\tnull,\"y\":null,\"z\":\t1.5}"),
    );
    built.push(String::from("b"), Vec::new(), None);
    built.push(String::from("c"), Vec::new(), Some(b"{}"));
    assert_eq!((built.nulled(), built.nulled_in()), (2, Some("a")));
    let bodies: Vec<_> = built
        .documents
        .iter()
        .map(|document| built.body(document))
        .collect();
    assert_eq!(bodies.get(1), Some(&None));
    assert_eq!(bodies.get(2), Some(&Some(&b"{}"[..])));
    let action = built.action(&built.documents[0]);
    assert_eq!((action.id, action.version), ("a", version));
}

#[test]
fn a_write_is_fresh_for_less_than_a_minute() {
    let read_at = Instant::now();
    assert!(is_fresh(read_at, read_at + Duration::from_secs(59)));
    assert!(!is_fresh(read_at, read_at + OLDEST_WRITE));
}
