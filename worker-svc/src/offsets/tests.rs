use model::Seq;
use proptest::prelude::*;

use super::*;

const EPOCH: Epoch = Epoch::new(1);

fn at(number: i64) -> Offset {
    Offset::new(number)
}

fn one(number: i64) -> OffsetRange {
    OffsetRange::new(at(number), at(number + 1)).unwrap()
}

fn lsn(number: u64) -> Reached {
    Reached {
        epoch: EPOCH,
        lsn: Lsn::new(number),
    }
}

fn changes() -> Part {
    Part::new(Lane::Changes, Partition::new(0))
}

/// A partition of `changes` that stands at offset 10, with everything below 0/64 durable.
fn held() -> (Progress, AssignmentNumber) {
    let number = Assignments::new().assign(changes());
    let mut progress = Progress::new();
    let metadata = OffsetMetadata::new(EPOCH, Lsn::new(100));
    progress.assigned(changes(), number, at(10), Some(&metadata));
    (progress, number)
}

fn only(commits: Vec<Commit>) -> (Offset, OffsetMetadata) {
    let [commit] = commits.try_into().expect("one partition moved");
    (
        commit.offset,
        commit.metadata.parse().expect("metadata is readable"),
    )
}

#[test]
fn w1_an_offset_never_passes_a_range_that_is_open() {
    // GIVEN three ranges
    let (mut progress, number) = held();
    let mut register = |end, top| {
        progress
            .register(changes(), number, at(end), Some(lsn(top)))
            .unwrap()
            .unwrap()
    };
    let (first, second, third) = (register(12, 200), register(15, 300), register(16, 400));

    // WHEN the later two finish
    assert!(progress.finish(third).unwrap());
    assert!(progress.finish(second).unwrap());
    // THEN the offset stands
    assert_eq!(
        only(progress.take_commits()),
        (at(10), OffsetMetadata::new(EPOCH, Lsn::new(100)))
    );

    // WHEN the first finishes THEN it passes all three
    assert!(progress.finish(first).unwrap());
    assert_eq!(
        only(progress.take_commits()),
        (at(16), OffsetMetadata::new(EPOCH, Lsn::new(400)))
    );
    assert_eq!(progress.take_commits(), []);
}

#[test]
fn w1_a_ticket_of_an_earlier_assignment_moves_nothing() {
    // GIVEN a range of a first assignment, and a second assignment
    let mut assignments = Assignments::new();
    let mut progress = Progress::new();
    let first = assignments.assign(changes());
    progress.assigned(changes(), first, at(0), None);
    let ticket = progress
        .register(changes(), first, at(5), None)
        .unwrap()
        .unwrap();
    progress.revoked(changes());
    let second = assignments.assign(changes());
    progress.assigned(changes(), second, at(0), None);
    let _own = progress
        .register(changes(), second, at(5), None)
        .unwrap()
        .unwrap();

    // WHEN the first one's work completes THEN it does not count
    assert!(!progress.finish(ticket).unwrap());
    assert_eq!(progress.offset(changes()), Some(at(0)));
    assert_eq!(
        progress.register(changes(), first, at(9), None).unwrap(),
        None
    );
}

#[test]
#[should_panic(expected = "W1")]
fn w1_finishing_twice_is_found() {
    let (mut progress, number) = held();
    let _open = progress
        .register(changes(), number, at(12), None)
        .unwrap()
        .unwrap();
    let ticket = progress
        .register(changes(), number, at(13), None)
        .unwrap()
        .unwrap();
    let _first = progress.finish(ticket);
    let _second = progress.finish(ticket);
}

#[test]
fn the_lsn_is_the_highest_passed_in_order_not_that_of_the_last_record() {
    // GIVEN a heartbeat at 500, and a repeated change at 300 behind it
    let (mut progress, number) = held();
    let heartbeat = progress
        .register(changes(), number, at(11), Some(lsn(500)))
        .unwrap()
        .unwrap();
    let repeated = progress
        .register(changes(), number, at(12), Some(lsn(300)))
        .unwrap()
        .unwrap();
    progress.finish(heartbeat).unwrap();
    progress.finish(repeated).unwrap();
    assert_eq!(only(progress.take_commits()).1.lsn, Lsn::new(500));

    // AND a new epoch's lower LSN is above
    let next = Reached {
        epoch: Epoch::new(2),
        lsn: Lsn::new(7),
    };
    let ticket = progress
        .register(changes(), number, at(13), Some(next))
        .unwrap()
        .unwrap();
    progress.finish(ticket).unwrap();
    assert_eq!(
        only(progress.take_commits()).1,
        OffsetMetadata::new(Epoch::new(2), Lsn::new(7))
    );
}

#[test]
fn w1_a_split_holds_the_offset_until_the_group_has_passed_its_chunks() {
    // GIVEN a range that was shared, and one behind it that is done
    let (mut progress, number) = held();
    let split = progress
        .register(changes(), number, at(12), Some(lsn(200)))
        .unwrap()
        .unwrap();
    let behind = progress
        .register(changes(), number, at(14), Some(lsn(300)))
        .unwrap()
        .unwrap();
    let ends = vec![(Partition::new(0), at(7)), (Partition::new(3), at(9))];
    progress.share(split, ends.clone()).unwrap();
    progress.finish(behind).unwrap();

    // THEN the offset stands, and the metadata names the split
    let (offset, metadata) = only(progress.take_commits());
    assert_eq!(offset, at(10));
    assert_eq!(metadata.lsn, Lsn::new(100));
    assert_eq!(
        metadata.splits,
        [PendingSplit {
            offset: at(11),
            ends
        }]
    );

    // WHEN the group has passed one partition only THEN it still stands
    progress.group_passed(&BTreeMap::from([
        (Partition::new(0), at(7)),
        (Partition::new(3), at(8)),
    ]));
    assert_eq!(progress.offset(changes()), Some(at(10)));

    // WHEN it has passed both THEN the offset passes both ranges
    progress.group_passed(&BTreeMap::from([
        (Partition::new(0), at(8)),
        (Partition::new(3), at(9)),
    ]));
    assert_eq!(progress.offset(changes()), Some(at(14)));
    assert_eq!(progress.splits(), 0);
}

#[test]
fn w1_a_split_behind_an_open_range_is_not_named() {
    let (mut progress, number) = held();
    let _open = progress
        .register(changes(), number, at(12), None)
        .unwrap()
        .unwrap();
    let split = progress
        .register(changes(), number, at(13), None)
        .unwrap()
        .unwrap();
    progress
        .share(split, vec![(Partition::new(0), at(7))])
        .unwrap();
    // A next owner would skip the open range's records if it were.
    assert_eq!(only(progress.take_commits()).1.splits, []);
}

#[test]
fn w1_a_next_owner_waits_for_the_splits_and_skips_their_records() {
    // GIVEN the metadata of a former owner
    let number = Assignments::new().assign(changes());
    let mut progress = Progress::new();
    let split = PendingSplit {
        offset: at(11),
        ends: vec![(Partition::new(0), at(7))],
    };
    let metadata = OffsetMetadata {
        epoch: EPOCH,
        lsn: Lsn::new(100),
        splits: vec![split.clone()],
    };
    progress.assigned(changes(), number, at(10), Some(&metadata));

    // THEN its records are covered, the next is not
    assert_eq!(
        progress.arrive(changes(), number, one(10)),
        Some(Arrived::Covered)
    );
    assert_eq!(
        progress.arrive(changes(), number, one(11)),
        Some(Arrived::Covered)
    );
    assert_eq!(
        progress.arrive(changes(), number, one(12)),
        Some(Arrived::Next)
    );
    let ticket = progress
        .register(changes(), number, at(13), Some(lsn(300)))
        .unwrap()
        .unwrap();
    progress.finish(ticket).unwrap();
    assert_eq!(only(progress.take_commits()), (at(10), metadata));

    // AND the offset moves when the group has passed
    progress.group_passed(&BTreeMap::from([(Partition::new(0), at(7))]));
    assert_eq!(
        only(progress.take_commits()),
        (at(13), OffsetMetadata::new(EPOCH, Lsn::new(300)))
    );
}

#[test]
fn splits_that_do_not_fit_into_the_metadata_are_left_out_from_the_end() {
    // GIVEN more splits than 4096 bytes can name
    let (mut progress, number) = held();
    for n in 0..40 {
        let ticket = progress
            .register(changes(), number, at(11 + n), None)
            .unwrap()
            .unwrap();
        let ends = (0..24)
            .map(|p| (Partition::new(p), at(1_000_000)))
            .collect();
        progress.share(ticket, ends).unwrap();
    }
    // THEN the first ones are named
    let (_, metadata) = only(progress.take_commits());
    assert!(
        (1..40).contains(&metadata.splits.len()),
        "{} splits",
        metadata.splits.len()
    );
    assert_eq!(
        metadata.splits.first().map(|split| split.offset),
        Some(at(10))
    );
}

#[test]
fn r2_a_gap_in_the_offsets_is_seen_and_a_repeat_is_not_one() {
    let (mut progress, number) = held();
    assert_eq!(
        progress.arrive(changes(), number, one(10)),
        Some(Arrived::Next)
    );
    assert_eq!(
        progress.arrive(changes(), number, one(10)),
        Some(Arrived::Repeated)
    );
    assert_eq!(
        progress.arrive(changes(), number, one(12)),
        Some(Arrived::Gap { expected: at(11) })
    );
}

#[test]
fn a_failed_commit_is_given_out_again() {
    let (mut progress, _) = held();
    let first = progress.take_commits();
    assert_eq!(progress.take_commits(), []);
    progress.commit_failed();
    assert_eq!(progress.take_commits(), first);
}

#[test]
fn a_position_becomes_reached_without_its_row() {
    let position = Position::new(EPOCH, Lsn::new(9), Seq::new(4));
    assert_eq!(Reached::from(position), lsn(9));
}

#[derive(Debug, Clone)]
enum Step {
    Register { records: i64, top: u64 },
    Finish(usize),
    Share(usize, i64),
    Passed(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..5i64, 0..1000u64).prop_map(|(records, top)| Step::Register { records, top }),
        4 => (0..20usize).prop_map(Step::Finish),
        1 => (0..20usize, 0..50i64).prop_map(|(n, end)| Step::Share(n, end)),
        1 => (0..50i64).prop_map(Step::Passed),
    ];
    prop::collection::vec(step, 0..120)
}

/// The naive model: every range in a list, looked through from the start.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Naive {
    Open,
    Shared(i64),
    Done,
}

proptest! {
    #[test]
    fn w1_the_offset_is_that_of_a_naive_model(steps in steps()) {
        let (mut progress, number) = held();
        let mut ranges: Vec<(i64, u64, Naive, Ticket)> = Vec::new();
        for step in steps {
            match step {
                Step::Register { records, top } => {
                    let end = ranges.last().map_or(10, |range| range.0) + records;
                    let ticket = progress.register(changes(), number, at(end), Some(lsn(top))).unwrap().unwrap();
                    ranges.push((end, top, Naive::Open, ticket));
                }
                Step::Finish(n) => {
                    let mut open: Vec<_> = ranges.iter_mut().filter(|range| range.2 == Naive::Open).collect();
                    if !open.is_empty() {
                        let n = n % open.len();
                        open[n].2 = Naive::Done;
                        progress.finish(open[n].3).unwrap();
                    }
                }
                Step::Share(n, end) => {
                    let mut open: Vec<_> = ranges.iter_mut().filter(|range| range.2 == Naive::Open).collect();
                    if !open.is_empty() {
                        let n = n % open.len();
                        open[n].2 = Naive::Shared(end);
                        progress.share(open[n].3, vec![(Partition::new(0), at(end))]).unwrap();
                    }
                }
                Step::Passed(to) => {
                    for range in &mut ranges {
                        if matches!(range.2, Naive::Shared(end) if end <= to) {
                            range.2 = Naive::Done;
                        }
                    }
                    progress.group_passed(&BTreeMap::from([(Partition::new(0), at(to))]));
                }
            }
            let done: Vec<_> = ranges.iter().take_while(|range| range.2 == Naive::Done).collect();
            let offset = done.last().map_or(10, |range| range.0);
            let top = done.iter().map(|range| range.1).chain([100]).max();
            prop_assert_eq!(progress.offset(changes()), Some(at(offset)));
            prop_assert_eq!(progress.watermark().map(|reached| reached.lsn.as_u64()), top);
            let splits = ranges.iter().filter(|range| matches!(range.2, Naive::Shared(_))).count();
            prop_assert_eq!(progress.splits(), splits);
        }
    }
}
