use model::{Incarnation, TableName, Xid};

use super::*;
use crate::registry::{Birth, FeedControl, Replan, Stop, VisibleFrom};

fn record(state: State) -> GenerationRecord {
    let scanning = vec![TableName::new("public", "users")];
    GenerationRecord {
        state,
        scanning,
        ..crate::registry::tests::generation()
    }
}

fn offsets(numbers: &[i64]) -> Vec<(Partition, Offset)> {
    numbers
        .iter()
        .enumerate()
        .map(|(n, offset)| {
            (
                Partition::new(i32::try_from(n).unwrap()),
                Offset::new(*offset),
            )
        })
        .collect()
}

fn plan(starts: &[i64], ends: Option<&[i64]>) -> PlanRecord {
    PlanRecord {
        id: "seed-1".into(),
        attempt: 0,
        chunk_rows: 1,
        leaves: vec![],
        chunks: 4,
        partitions: 2,
        starts: offsets(starts),
        ends: ends.map(offsets),
        at_us: 0,
        replan: vec![],
    }
}

fn served() -> ServedRecord {
    ServedRecord {
        revision: 1,
        needs_hash: "h".into(),
        epoch: Epoch::FIRST,
        since_lsn: Lsn::new(5),
    }
}

fn facts() -> Facts {
    Facts {
        index: IndexFact::Ours,
        announced: true,
        served: ServedFact::Since(served()),
        progress: None,
    }
}

fn birth(committed: bool) -> Birth {
    Birth {
        epoch: Epoch::FIRST,
        control_end: Offset::new(1),
        topics: vec![],
        at_us: 0,
        committed,
    }
}

fn progress(backfill: &[i64], caught_up: bool) -> Facts {
    Facts {
        progress: Some(Progress {
            backfill: offsets(backfill),
            caught_up,
        }),
        ..facts()
    }
}

fn seeding(ends: Option<&[i64]>) -> GenerationRecord {
    GenerationRecord {
        birth: Some(birth(true)),
        visible_from: Some(VisibleFrom {
            xid: Xid::new(7),
            incarnation: Incarnation::FIRST,
        }),
        plan: Some(plan(&[10, 20], ends)),
        ..record(State::Building)
    }
}

#[test]
fn a_planned_generation_gets_index_announcement_positions_in_this_order() {
    let mut record = record(State::Planned);
    let mut facts = Facts {
        index: IndexFact::Absent,
        announced: false,
        served: ServedFact::None,
        progress: None,
    };
    assert_eq!(next(&record, &facts), Step::MakeIndex);
    facts.index = IndexFact::Ours;
    assert_eq!(next(&record, &facts), Step::Announce);
    facts.announced = true;
    assert_eq!(next(&record, &facts), Step::AwaitCapture(vec![]));
    facts.served = ServedFact::Waiting(vec!["identity of orders".into()]);
    assert_eq!(
        next(&record, &facts),
        Step::AwaitCapture(vec!["identity of orders".into()])
    );
    facts.served = ServedFact::Since(served());
    assert_eq!(next(&record, &facts), Step::TakePositions(served()));
    record.birth = Some(birth(false));
    assert_eq!(next(&record, &facts), Step::CommitPositions);
    record.birth = Some(birth(true));
    assert_eq!(next(&record, &facts), Step::BeginBuilding);
}

#[test]
fn r2_an_index_made_for_something_else_is_never_written() {
    let facts = Facts {
        index: IndexFact::Foreign,
        ..facts()
    };
    assert_eq!(next(&record(State::Planned), &facts), Step::IndexTaken);
    assert_eq!(next(&record(State::Building), &facts), Step::IndexTaken);
}

#[test]
fn x0_comes_after_the_positions_and_before_the_plan() {
    let mut record = record(State::Building);
    record.birth = Some(birth(true));
    assert_eq!(next(&record, &facts()), Step::TakeVisibleFrom);
    record.visible_from = Some(VisibleFrom {
        xid: Xid::new(7),
        incarnation: Incarnation::FIRST,
    });
    assert_eq!(next(&record, &facts()), Step::MakePlan);
    record.plan = Some(plan(&[10, 20], None));
    assert_eq!(next(&record, &facts()), Step::WritePlan);
}

#[test]
fn r1_an_alias_moves_only_when_every_partition_is_past_the_plan_and_the_feed_has_caught_up() {
    let record = seeding(Some(&[12, 22]));
    assert_eq!(
        next(&record, &progress(&[10, 20], true)),
        Step::Watch {
            percent: 0.0,
            seeded: false
        }
    );
    assert_eq!(
        next(&record, &progress(&[12, 21], true)),
        Step::Watch {
            percent: 75.0,
            seeded: false
        }
    );
    assert_eq!(
        next(&record, &progress(&[12, 22], false)),
        Step::Watch {
            percent: 100.0,
            seeded: true
        }
    );
    assert_eq!(next(&record, &progress(&[12, 22], true)), Step::Finish);
    // A partition that nobody committed has reached nothing.
    assert_eq!(
        next(&record, &progress(&[12], true)),
        Step::Watch {
            percent: 50.0,
            seeded: false
        }
    );
    assert_eq!(
        next(&record, &facts()),
        Step::Watch {
            percent: 0.0,
            seeded: false
        }
    );
}

#[test]
fn r1_a_rewrite_that_a_chunk_noticed_asks_for_a_new_plan_even_when_all_is_read() {
    let mut record = seeding(Some(&[12, 22]));
    record.plan.as_mut().unwrap().replan.push(Replan {
        table: TableName::new("public", "users"),
        oid: 1,
        file_node: 2,
        found: Some(3),
        at_us: 0,
    });
    assert_eq!(next(&record, &progress(&[12, 22], true)), Step::MakePlan);
}

#[test]
fn a_halted_generation_is_not_driven_on() {
    for state in [State::Planned, State::Building] {
        let mut halted = record(state);
        halted.control.paused = true;
        assert_eq!(next(&halted, &facts()), Step::Halted);
        halted.control = FeedControl {
            stop: Some(Stop {
                code: "refused".into(),
                reason: "r".into(),
                advice: "a".into(),
                at_us: 0,
            }),
            ..FeedControl::default()
        };
        assert_eq!(next(&halted, &facts()), Step::Halted);
    }
}

#[test]
fn an_active_generation_tells_capture_that_the_scan_is_over() {
    let mut active = record(State::Active);
    assert_eq!(next(&active, &facts()), Step::EndScan);
    active.scanning.clear();
    assert_eq!(
        next(
            &active,
            &Facts {
                announced: false,
                ..facts()
            }
        ),
        Step::Announce
    );
    assert_eq!(next(&active, &facts()), Step::Rest);
}

#[test]
fn r2_an_index_that_was_made_again_by_a_write_stops_the_generation() {
    let active = record(State::Active);
    let facts = |index| Facts { index, ..facts() };
    assert_eq!(next(&active, &facts(IndexFact::Foreign)), Step::IndexTaken);
    assert_eq!(next(&active, &facts(IndexFact::Absent)), Step::IndexMissing);
}

#[test]
fn r2_a_feed_resumes_only_from_where_its_needs_were_served() {
    let (one, two) = (Epoch::new(1), Epoch::new(2));
    assert!(may_resume((one, Lsn::new(10)), (one, Lsn::new(10))));
    assert!(may_resume((one, Lsn::new(11)), (one, Lsn::new(10))));
    assert!(!may_resume((one, Lsn::new(9)), (one, Lsn::new(10))));
    assert!(may_resume((one, Lsn::new(9)), (two, Lsn::new(10))));
}

#[test]
fn a_plan_is_never_called_whole_before_it_is() {
    let plan = plan(&[0, 0], Some(&[100_000, 100_000]));
    let nearly = percent(&plan, &offsets(&[100_000, 99_999]));
    assert!((nearly - 99.9).abs() < f64::EPSILON, "{nearly}");
    assert!(percent(&plan, &[]).abs() < f64::EPSILON);
}
