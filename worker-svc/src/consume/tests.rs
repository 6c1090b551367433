use model::{Offset, OffsetRange, Partition, TableName};

use super::*;
use crate::assignment::{AssignmentNumber, Assignments, Part};
use crate::offsets::Commit;

fn part(lane: Lane, number: i32) -> Part {
    Part::new(lane, Partition::new(number))
}

fn number() -> AssignmentNumber {
    Assignments::new().assign(part(Lane::Changes, 0))
}

fn record(part: Part, offset: i64, bytes: usize) -> Arrival {
    let body = Body::Record {
        offset: Offset::new(offset),
        bytes: vec![0; bytes],
    };
    Arrival {
        part,
        number: number(),
        body,
    }
}

fn passed(part: Part, offset: i64) -> Arrival {
    let range = OffsetRange::new(Offset::new(offset), Offset::new(offset + 1)).unwrap();
    Arrival {
        part,
        number: number(),
        body: Body::Passed(range),
    }
}

fn interest() -> Interest {
    let tables = BTreeSet::from([TableName::new("public", "orders").to_string()]);
    Interest {
        group: String::from("p.search.users.g1"),
        tables,
    }
}

#[test]
fn records_of_other_tables_and_feeds_are_dropped_by_their_key() {
    let key = |schema: &str, name: &str| model::key::row_key(&TableName::new(schema, name), &[]);
    let wants = |lane, key: &[u8]| interest().wants(lane, Some(key));
    assert!(wants(Lane::Changes, &key("public", "orders")));
    assert!(!wants(Lane::Changes, &key("public", "logins")));
    assert!(wants(Lane::Changes, HEARTBEAT_KEY));
    assert!(wants(Lane::Backfill, b"p.search.users.g1/seed/4"));
    assert!(!wants(Lane::Backfill, b"p.search.users.g10/seed/4"));
    assert!(interest().wants(Lane::Changes, None));
}

#[test]
fn a_full_lane_pauses_its_partitions_until_it_is_half_empty() {
    // GIVEN a lane filled to its bound
    let inbox = Inbox::new();
    let (changes, backfill) = (part(Lane::Changes, 0), part(Lane::Backfill, 0));
    let bound = LaneBound::of(Lane::Changes).entries;
    let held = [changes, backfill];
    inbox.push(
        (0..)
            .take(bound - 1)
            .map(|offset| record(changes, offset, 1))
            .collect(),
    );
    assert_eq!(inbox.to_pause(held.into_iter()), BTreeSet::new());
    inbox.push(vec![record(changes, 9_999, 1)]);

    // THEN it is paused, and no other lane
    assert_eq!(inbox.to_pause(held.into_iter()), BTreeSet::from([changes]));
    // WHEN it has been emptied by half THEN it is resumed
    assert_eq!(
        inbox.take_many(Lane::Changes, bound / 2 - 1).len(),
        bound / 2 - 1
    );
    assert_eq!(inbox.to_pause(held.into_iter()), BTreeSet::from([changes]));
    assert!(inbox.take(Lane::Changes).is_some());
    assert_eq!(inbox.to_pause(held.into_iter()), BTreeSet::new());
}

#[test]
fn a_lane_is_bounded_in_bytes_too() {
    let inbox = Inbox::new();
    let changes = part(Lane::Changes, 0);
    inbox.push(vec![record(changes, 0, LaneBound::of(Lane::Changes).bytes)]);
    assert_eq!(
        inbox.to_pause([changes].into_iter()),
        BTreeSet::from([changes])
    );
    assert!(inbox.take(Lane::Changes).is_some());
    assert_eq!(inbox.to_pause([changes].into_iter()), BTreeSet::new());
}

#[test]
fn records_that_concern_nobody_here_take_one_entry() {
    let inbox = Inbox::new();
    let (one, two) = (part(Lane::Changes, 0), part(Lane::Changes, 1));
    inbox.push(vec![
        passed(one, 5),
        passed(one, 6),
        passed(two, 7),
        passed(two, 8),
    ]);
    let range = |arrival: Option<Arrival>| match arrival.unwrap().body {
        Body::Passed(range) => (range.start().get(), range.end().get()),
        Body::Record { .. } => panic!("a record"),
    };
    assert_eq!(range(inbox.take(Lane::Changes)), (5, 7));
    assert_eq!(range(inbox.take(Lane::Changes)), (7, 9));
    assert!(!inbox.has(Lane::Changes));
}

#[test]
fn w1_a_revoke_takes_its_records_and_its_assignment_out_again() {
    // GIVEN two partitions with records, one newly assigned
    let inbox = Inbox::new();
    let (one, two) = (part(Lane::Changes, 0), part(Lane::Changes, 1));
    inbox.push(vec![
        record(one, 0, 10),
        record(two, 0, 10),
        record(one, 1, 10),
    ]);
    inbox.assigned(
        one,
        Assigned {
            number: number(),
            committed: None,
            metadata: None,
        },
    );

    // WHEN that one is revoked
    inbox.revoked(one);

    // THEN only the other's record is left
    let news = inbox.news();
    assert_eq!(news.revoked, BTreeSet::from([one]));
    assert!(news.assigned.is_empty());
    assert_eq!(
        inbox.take(Lane::Changes).map(|arrival| arrival.part),
        Some(two)
    );
    assert!(!inbox.has(Lane::Changes));
}

#[test]
fn what_did_not_fit_into_a_batch_comes_first_next_time() {
    let inbox = Inbox::new();
    let changes = part(Lane::Changes, 0);
    inbox.push(vec![
        record(changes, 0, 1),
        record(changes, 1, 1),
        record(changes, 2, 1),
    ]);
    let mut taken = inbox.take_many(Lane::Changes, 2);
    inbox.put_back(Lane::Changes, taken.split_off(1));
    let offsets: Vec<_> = std::iter::from_fn(|| inbox.take(Lane::Changes))
        .map(|arrival| arrival.body)
        .collect();
    assert_eq!(
        offsets,
        [record(changes, 1, 1).body, record(changes, 2, 1).body]
    );
}

#[test]
fn trouble_that_stops_is_not_hidden_by_trouble_that_passes() {
    let inbox = Inbox::new();
    inbox.trouble(Trouble::Broken(String::from("fatal")));
    inbox.trouble(Trouble::Waiting(String::from("no broker")));
    assert_eq!(
        inbox.news().trouble,
        Some(Trouble::Broken(String::from("fatal")))
    );
}

#[test]
fn a_later_commit_replaces_one_that_was_not_carried_out() {
    let inbox = Inbox::new();
    let commit = |offset| Commit {
        part: part(Lane::Changes, 0),
        number: number(),
        offset: Offset::new(offset),
        metadata: String::new(),
    };
    inbox.order_commits(vec![commit(1)]);
    inbox.order_commits(vec![commit(2)]);
    let orders = inbox.turn();
    assert_eq!(
        orders
            .commits
            .into_values()
            .map(|commit| commit.offset.get())
            .collect::<Vec<_>>(),
        [2]
    );
}
