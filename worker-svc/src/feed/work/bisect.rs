//! What is left of a job, cut smaller when it is too much or when a row spoils it.
//! In: a step that did not work. Out: smaller ones, down to a single row. Pure.
//! Must hold: W1, W4: the parts of a step are all of it.

use std::ops::Range;
use std::time::Duration;

use model::Work as ChunkWork;

use super::Job;
use crate::Definite;
use crate::resolve::DocumentKey;

/// A part of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Changes of the batch, by their places.
    Changes(Range<usize>),
    /// Documents by key.
    Keys { keys: Vec<DocumentKey>, why: Why },
    /// A range of blocks of the chunk's table.
    Blocks {
        from: u32,
        to: Option<u32>,
        /// Read the keys only, to build them one by one.
        only_keys: bool,
    },
}

/// Why documents are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// They are asked for.
    Asked,
    /// A single one that failed before: if it fails again it is the row's fault.
    Suspect,
    /// They were created by a slow request: only those without a row any more are
    /// written, as deletes.
    Check,
}

/// What came of looking for a row that cannot be built.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bisected {
    /// Smaller steps were added.
    Smaller,
    /// It is this one, or one whose key is not known.
    Found(Option<DocumentKey>),
}

/// An open-ended range is cut here: about a chunk of small rows.
const OPEN_ENDED_BLOCKS: u32 = 128;

impl Step {
    pub(super) fn keys(keys: Vec<DocumentKey>) -> Self {
        Step::Keys {
            keys,
            why: Why::Asked,
        }
    }

    pub(super) fn check(keys: Vec<DocumentKey>) -> Self {
        Step::Keys {
            keys,
            why: Why::Check,
        }
    }

    /// The keys that did not fit, for the same reason.
    pub(super) fn rest(&self, keys: Vec<DocumentKey>) -> Self {
        if self.is_check() {
            Step::check(keys)
        } else {
            Step::keys(keys)
        }
    }

    pub(super) fn is_check(&self) -> bool {
        matches!(
            self,
            Step::Keys {
                why: Why::Check,
                ..
            }
        )
    }

    /// All of a job.
    pub(super) fn of(job: &Job) -> Vec<Step> {
        match job {
            Job::Live(batch) => vec![Step::Changes(0..batch.changes.len())],
            Job::Chunk { chunk, .. } => match &chunk.work {
                ChunkWork::Blocks { from, to, .. } => {
                    vec![Step::Blocks {
                        from: *from,
                        to: *to,
                        only_keys: false,
                    }]
                }
                ChunkWork::Keys(keys) => {
                    vec![Step::keys(keys.iter().cloned().map(DocumentKey).collect())]
                }
            },
        }
    }

    /// How many blocks it spans; `None` when it is open-ended or no range.
    pub(super) fn blocks(&self) -> Option<usize> {
        match self {
            Step::Blocks {
                from,
                to: Some(to),
                only_keys: false,
            } => usize::try_from(to.saturating_sub(*from)).ok(),
            Step::Blocks { .. } | Step::Changes(_) | Step::Keys { .. } => None,
        }
    }

    /// Cuts a range of more than `blocks` blocks into ranges of that many, the first one
    /// last, as it is taken first.
    pub(super) fn cut(self, blocks: u32) -> Result<Step, Vec<Step>> {
        match self {
            Step::Blocks {
                from,
                to: Some(to),
                only_keys: false,
            } if to.saturating_sub(from) > blocks.max(1) => {
                let middle = from.saturating_add(blocks.max(1));
                Err(vec![
                    Step::Blocks {
                        from: middle,
                        to: Some(to),
                        only_keys: false,
                    },
                    Step::Blocks {
                        from,
                        to: Some(middle),
                        only_keys: false,
                    },
                ])
            }
            Step::Blocks { .. } | Step::Changes(_) | Step::Keys { .. } => Ok(self),
        }
    }

    /// A row of this step cannot be built.
    pub(super) fn bisect(self, keys: Option<Vec<DocumentKey>>, steps: &mut Vec<Step>) -> Bisected {
        match (self, keys) {
            (
                Step::Keys {
                    mut keys,
                    why: Why::Suspect,
                },
                _,
            ) => return Bisected::Found(keys.pop()),
            (Step::Keys { keys, .. }, _) | (Step::Changes(_), Some(keys)) => {
                halve_keys(keys, steps);
            }
            (Step::Changes(range), None) => {
                if range.len() <= 1 {
                    return Bisected::Found(None);
                }
                halve_changes(range, steps);
            }
            (
                Step::Blocks {
                    only_keys: true, ..
                },
                _,
            ) => return Bisected::Found(None),
            (blocks @ Step::Blocks { .. }, _) => blocks.halve_blocks(steps),
        }
        Bisected::Smaller
    }

    /// The step takes too long.
    pub(super) fn halve(
        self,
        keys: Option<Vec<DocumentKey>>,
        steps: &mut Vec<Step>,
        limit: Duration,
    ) -> Result<(), Definite> {
        let too_slow = Definite::TooSlow {
            limit_s: limit.as_secs(),
        };
        match (self, keys) {
            (Step::Keys { keys, .. }, _) | (Step::Changes(_), Some(keys)) => {
                if keys.len() <= 1 {
                    return Err(too_slow);
                }
                halve_keys(keys, steps);
            }
            (Step::Changes(range), None) => {
                if range.len() <= 1 {
                    return Err(too_slow);
                }
                halve_changes(range, steps);
            }
            (
                Step::Blocks {
                    only_keys: true, ..
                },
                _,
            ) => return Err(too_slow),
            (blocks @ Step::Blocks { .. }, _) => blocks.halve_blocks(steps),
        }
        Ok(())
    }

    /// Two halves of a range of blocks; of a single block, its keys.
    pub(super) fn halve_blocks(self, steps: &mut Vec<Step>) {
        let Step::Blocks { from, to, .. } = self else {
            steps.push(self);
            return;
        };
        let middle = match to {
            Some(to) => from.saturating_add(to.saturating_sub(from) / 2),
            None => from.saturating_add(OPEN_ENDED_BLOCKS),
        };
        if middle == from {
            steps.push(Step::Blocks {
                from,
                to,
                only_keys: true,
            });
            return;
        }
        steps.push(Step::Blocks {
            from: middle,
            to,
            only_keys: false,
        });
        steps.push(Step::Blocks {
            from,
            to: Some(middle),
            only_keys: false,
        });
    }
}

fn halve_keys(mut keys: Vec<DocumentKey>, steps: &mut Vec<Step>) {
    if keys.len() <= 1 {
        // Once more, in a fresh transaction.
        steps.push(Step::Keys {
            keys,
            why: Why::Suspect,
        });
        return;
    }
    let second = keys.split_off(keys.len() / 2);
    steps.push(Step::keys(second));
    steps.push(Step::keys(keys));
}

fn halve_changes(range: Range<usize>, steps: &mut Vec<Step>) {
    let middle = range.start.midpoint(range.end);
    steps.push(Step::Changes(middle..range.end));
    steps.push(Step::Changes(range.start..middle));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> Vec<DocumentKey> {
        names
            .iter()
            .map(|name| DocumentKey(vec![(*name).to_owned()]))
            .collect()
    }

    /// Bisects until the rows that spoil are found; `bad` says which do.
    fn find(
        first: Step,
        all: &[DocumentKey],
        bad: &[DocumentKey],
    ) -> (Vec<DocumentKey>, Vec<DocumentKey>) {
        let (mut steps, mut built, mut found) = (vec![first], Vec::new(), Vec::new());
        while let Some(step) = steps.pop() {
            let asked = match &step {
                Step::Changes(range) => all.get(range.clone()).unwrap_or_default().to_vec(),
                Step::Keys { keys, .. } => keys.clone(),
                Step::Blocks { .. } => panic!("no blocks here"),
            };
            if asked.iter().any(|key| bad.contains(key)) {
                if let Bisected::Found(key) = step.bisect(Some(asked), &mut steps) {
                    found.push(key.expect("its key is known"));
                }
            } else {
                built.extend(asked);
            }
        }
        (built, found)
    }

    #[test]
    fn w1_bisecting_finds_exactly_the_rows_that_spoil_and_builds_all_others() {
        let all = keys(&["a", "b", "c", "d", "e", "f", "g"]);
        let bad = keys(&["c", "g"]);
        let (mut built, mut found) = find(Step::Changes(0..7), &all, &bad);
        built.sort();
        found.sort();
        assert_eq!(found, bad);
        assert_eq!(built, keys(&["a", "b", "d", "e", "f"]));
    }

    #[test]
    fn a_single_row_is_blamed_only_after_it_failed_twice() {
        let mut steps = Vec::new();
        assert_eq!(
            Step::keys(keys(&["a"])).bisect(None, &mut steps),
            Bisected::Smaller
        );
        let again = steps.pop().expect("it is tried again");
        assert_eq!(
            again.bisect(None, &mut steps),
            Bisected::Found(Some(keys(&["a"]).remove(0)))
        );
    }

    #[test]
    fn w4_halves_of_blocks_join_up_and_a_single_block_is_built_by_keys() {
        let blocks = |from, to, only_keys| Step::Blocks {
            from,
            to,
            only_keys,
        };
        let halves = |step: Step| {
            let mut steps = Vec::new();
            step.halve_blocks(&mut steps);
            steps
        };
        assert_eq!(
            halves(blocks(4, Some(9), false)),
            [blocks(6, Some(9), false), blocks(4, Some(6), false)]
        );
        assert_eq!(
            halves(blocks(4, Some(5), false)),
            [blocks(4, Some(5), true)]
        );
        assert_eq!(
            halves(blocks(4, None, false)),
            [blocks(132, None, false), blocks(4, Some(132), false)]
        );
        assert_eq!(
            blocks(0, Some(5), false).cut(2),
            Err(vec![blocks(2, Some(5), false), blocks(0, Some(2), false)])
        );
        assert_eq!(
            blocks(0, Some(2), false).cut(2),
            Ok(blocks(0, Some(2), false))
        );
    }

    #[test]
    fn a_single_document_that_takes_too_long_stops_the_feed() {
        let mut steps = Vec::new();
        let halved = Step::keys(keys(&["a"])).halve(None, &mut steps, Duration::from_secs(30));
        assert_eq!(halved, Err(Definite::TooSlow { limit_s: 30 }));
    }
}
