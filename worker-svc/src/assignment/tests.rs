use std::collections::BTreeMap;

use model::Partition;
use proptest::prelude::*;

use super::*;

fn part(number: i32) -> Part {
    Part::new(Lane::Changes, Partition::new(number))
}

#[test]
fn w1_a_completion_of_an_earlier_assignment_does_not_count() {
    // GIVEN a partition that left and came back
    let mut assignments = Assignments::new();
    let first = assignments.assign(part(0));
    assignments.revoke(part(0));
    assert_eq!(assignments.standing(part(0), first), Standing::Gone);
    let second = assignments.assign(part(0));

    // THEN only the later assignment counts
    assert!(!assignments.counts(part(0), first));
    assert!(assignments.counts(part(0), second));
}

#[test]
fn w1_assigning_again_without_a_revoke_ends_the_former_assignment() {
    let mut assignments = Assignments::new();
    let first = assignments.assign(part(0));
    let second = assignments.assign(part(0));
    assert!(!assignments.counts(part(0), first));
    assert!(assignments.counts(part(0), second));
}

#[test]
fn draining_takes_no_records_but_completions_still_count() {
    // GIVEN one partition held, and one that comes while draining
    let mut assignments = Assignments::new();
    let held = assignments.assign(part(0));
    assignments.begin_drain();
    let late = assignments.assign(part(1));

    // THEN both are drained
    for (part, number) in [(part(0), held), (part(1), late)] {
        assert_eq!(assignments.standing(part, number), Standing::Draining);
        assert_eq!(assignments.intake(part), None);
        assert!(assignments.counts(part, number));
    }
}

#[test]
fn the_same_partition_of_two_topics_is_two_parts() {
    let mut assignments = Assignments::new();
    let changes = Part::new(Lane::Changes, Partition::new(3));
    let fanout = Part::new(Lane::Fanout, Partition::new(3));
    let number = assignments.assign(changes);
    assignments.assign(fanout);
    assignments.revoke(fanout);
    assert!(assignments.counts(changes, number));
}

#[derive(Debug, Clone)]
enum Step {
    Assign(i32),
    Revoke(i32),
    Drain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4).prop_map(Step::Assign),
        4 => (0..4).prop_map(Step::Revoke),
        1 => Just(Step::Drain),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn w1_exactly_the_latest_assignment_of_what_is_held_counts(steps in steps()) {
        let mut assignments = Assignments::new();
        // The naive model: the last number of each partition that is held, and all ever given.
        let mut held = BTreeMap::new();
        let mut given = Vec::new();
        let mut draining = false;
        for step in steps {
            match step {
                Step::Assign(n) => {
                    let number = assignments.assign(part(n));
                    prop_assert!(given.iter().all(|(_, earlier)| *earlier < number));
                    given.push((n, number));
                    held.insert(n, number);
                }
                Step::Revoke(n) => {
                    assignments.revoke(part(n));
                    held.remove(&n);
                }
                Step::Drain => {
                    assignments.begin_drain();
                    draining = true;
                }
            }
            for (n, number) in &given {
                prop_assert_eq!(assignments.counts(part(*n), *number), held.get(n) == Some(number));
            }
            for n in 0..4 {
                let intake = if draining { None } else { held.get(&n).copied() };
                prop_assert_eq!(assignments.intake(part(n)), intake);
            }
        }
    }
}
