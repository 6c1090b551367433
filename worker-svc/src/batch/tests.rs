use std::collections::BTreeSet;

use model::{ColumnValue, Heartbeat, Lsn, OldValues, Operation, Partition, Seq, TableName};

use super::*;
use crate::assignment::Assignments;

fn part(number: i32) -> Part {
    Part::new(Lane::Changes, Partition::new(number))
}

fn orders() -> TableName {
    TableName::new("public", "orders")
}

fn scope() -> Scope {
    Scope {
        tables: BTreeSet::from([orders()]),
        epoch: Epoch::new(2),
        allow_stale_parents: false,
    }
}

fn update(lsn: u64) -> Change {
    let key = vec![ColumnValue::new("id", Some(String::from("7")))];
    Change {
        table: orders(),
        op: Operation::Update,
        key,
        old_key: None,
        old_values: OldValues::Unchanged,
        before: None,
        after: Some(Vec::new()),
        epoch: Epoch::new(2),
        commit_lsn: Lsn::new(lsn),
        seq: Seq::new(0),
        xid: Xid::new(lsn),
        commit_ts_us: 5,
        heartbeat: None,
    }
}

fn at(partition: i32, offset: i64, change: Change) -> SourcedChange {
    let source = RecordPosition {
        topic: String::from("p.changes"),
        partition: Partition::new(partition),
        offset: Offset::new(offset),
    };
    SourcedChange { change, source }
}

fn held(parts: &[i32]) -> (Progress, BTreeMap<i32, AssignmentNumber>) {
    let mut assignments = Assignments::new();
    let mut progress = Progress::new();
    let mut numbers = BTreeMap::new();
    for n in parts {
        let number = assignments.assign(part(*n));
        progress.assigned(part(*n), number, Offset::new(0), None);
        numbers.insert(*n, number);
    }
    (progress, numbers)
}

#[test]
fn w1_records_without_work_move_the_offset_and_those_with_work_wait() {
    // GIVEN a partition with a heartbeat and other tables' records, and one with a change
    let (mut progress, numbers) = held(&[0, 1]);
    let heartbeat = Change::heartbeat(
        Position::before(Epoch::new(2), Lsn::new(900)),
        Heartbeat {
            clock_us: 1,
            last: None,
        },
    );
    let mut filling = Filling::new(10);
    let passed = OffsetRange::new(Offset::new(0), Offset::new(4)).unwrap();
    filling
        .pass(&mut progress, part(0), numbers[&0], passed)
        .unwrap();
    filling
        .take(
            &mut progress,
            part(0),
            numbers[&0],
            at(0, 4, heartbeat),
            Judged::Position,
        )
        .unwrap();
    filling
        .take(
            &mut progress,
            part(1),
            numbers[&1],
            at(1, 0, update(800)),
            Judged::Build,
        )
        .unwrap();

    // WHEN it closes
    let batch = filling
        .close(&mut progress)
        .unwrap()
        .expect("it holds a change");

    // THEN the first partition's offset moved, the second's waits for its ticket
    assert_eq!(progress.offset(part(0)), Some(Offset::new(5)));
    assert_eq!(progress.offset(part(1)), Some(Offset::new(0)));
    let [ticket] = batch.tickets.try_into().expect("one ticket");
    progress.finish(ticket).unwrap();
    assert_eq!(progress.offset(part(1)), Some(Offset::new(1)));
    assert_eq!(
        progress.watermark().map(|reached| reached.lsn),
        Some(Lsn::new(800))
    );
}

#[test]
fn a_batch_of_positions_only_is_no_batch() {
    let (mut progress, numbers) = held(&[0]);
    let mut filling = Filling::new(10);
    let passed = OffsetRange::new(Offset::new(0), Offset::new(9)).unwrap();
    filling
        .pass(&mut progress, part(0), numbers[&0], passed)
        .unwrap();
    assert!(filling.close(&mut progress).unwrap().is_none());
    assert_eq!(progress.offset(part(0)), Some(Offset::new(9)));
}

#[test]
fn r2_missing_records_are_a_gap() {
    let (mut progress, numbers) = held(&[0]);
    let mut filling = Filling::new(10);
    let record = at(0, 3, update(1));
    let gap = filling.take(&mut progress, part(0), numbers[&0], record, Judged::Build);
    assert_eq!(
        gap,
        Err(Gap {
            part: part(0),
            expected: Offset::new(0),
            came: Offset::new(3)
        })
    );
}

#[test]
fn records_of_an_assignment_that_is_gone_are_dropped() {
    // GIVEN a record of an assignment that was revoked before it was taken
    let (mut progress, numbers) = held(&[0]);
    progress.revoked(part(0));
    let mut filling = Filling::new(10);
    filling
        .take(
            &mut progress,
            part(0),
            numbers[&0],
            at(0, 0, update(1)),
            Judged::Build,
        )
        .unwrap();
    assert!(filling.close(&mut progress).unwrap().is_none());
}

#[test]
fn it_closes_by_count() {
    let (mut progress, numbers) = held(&[0]);
    let mut filling = Filling::new(2);
    for offset in 0..2 {
        assert!(!filling.is_full());
        filling
            .take(
                &mut progress,
                part(0),
                numbers[&0],
                at(0, offset, update(1)),
                Judged::Build,
            )
            .unwrap();
    }
    assert!(filling.is_full());
}

#[test]
fn w3_each_transaction_is_asked_for_once() {
    let changes = vec![
        at(0, 0, update(9)),
        at(0, 1, update(3)),
        at(0, 2, update(9)),
    ];
    let batch = Batch {
        changes,
        tickets: Vec::new(),
    };
    let epoch = Epoch::new(2);
    assert_eq!(
        batch.transactions(),
        [(epoch, Xid::new(3)), (epoch, Xid::new(9))]
    );
}

#[test]
fn r2_what_cannot_be_followed_stops_the_feed() {
    let judge = |change: &Change| scope().judge(change).map_err(|error| error.rule().code);
    let with = |edit: fn(&mut Change)| {
        let mut change = update(1);
        edit(&mut change);
        change
    };
    assert_eq!(judge(&update(1)), Ok(Judged::Build));
    assert_eq!(
        judge(&with(|c| c.op = Operation::Truncate)),
        Err("truncated")
    );
    assert_eq!(judge(&with(|c| c.epoch = Epoch::new(3))), Err("new_epoch"));
    assert_eq!(
        judge(&with(|c| c.old_values = OldValues::Unknown)),
        Err("repair_needed")
    );
    // Changes of an older epoch are still followed.
    assert_eq!(judge(&with(|c| c.epoch = Epoch::new(1))), Ok(Judged::Build));

    // A table that the index does not read is no reason.
    let other = |op| {
        let mut change = update(1);
        change.table = TableName::new("public", "logins");
        change.op = op;
        change
    };
    assert_eq!(judge(&other(Operation::Truncate)), Ok(Judged::Position));

    // A heartbeat of a newer epoch is.
    let heartbeat = Change::heartbeat(
        Position::before(Epoch::new(3), Lsn::new(1)),
        Heartbeat {
            clock_us: 1,
            last: None,
        },
    );
    assert_eq!(judge(&heartbeat), Err("new_epoch"));
}

#[test]
fn unknown_old_values_are_taken_where_stale_parents_are_allowed() {
    let scope = Scope {
        allow_stale_parents: true,
        ..scope()
    };
    let mut change = update(1);
    change.old_values = OldValues::Unknown;
    assert_eq!(scope.judge(&change).ok(), Some(Judged::Build));
}
