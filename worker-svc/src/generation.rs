//! What a generation needs next.
//! In: its record, and facts about index, topics and capture. Out: one [`Step`].
//! Must hold: R1, so *finish* comes only when every chunk is done and the feed has
//! caught up. Must not: do anything; `coordinate` does. Pure.
//! Why every step can be repeated: whoever does it may be killed at any moment, and two
//! may do it at once; each ends in a compare-and-set.

use model::{Epoch, Lsn, Offset, Partition};

use crate::registry::{GenerationRecord, PlanRecord, ServedRecord, State};

/// What is there of the generation's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexFact {
    /// Nothing of that name.
    Absent,
    /// The index that was made for this generation.
    Ours,
    /// An index of that name, made for something else.
    Foreign,
}

/// Capture's answer to the announcement, as it stands in `{p}.control`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServedFact {
    /// None for the revision that was announced.
    None,
    /// Not yet; what capture waits for, in its words.
    Waiting(Vec<String>),
    /// Since then, without interruption.
    Since(ServedRecord),
}

/// How far the group has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The committed offsets in `{p}.backfill`.
    pub backfill: Vec<(Partition, Offset)>,
    /// The live delay is at most `freshness`.
    pub caught_up: bool,
}

/// What is known besides the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The index.
    pub index: IndexFact,
    /// The announcement in `{p}.control` is the one that the record asks for.
    pub announced: bool,
    /// Capture's answer.
    pub served: ServedFact,
    /// How far the group has come; `None` when it was not read.
    pub progress: Option<Progress>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Make the index.
    MakeIndex,
    /// Another index has its name: stop.
    IndexTaken,
    /// Put the feed into `{p}.control`.
    Announce,
    /// Wait for capture's answer; what it waits for.
    AwaitCapture(Vec<String>),
    /// Note the answer, read the ends of the topics, note them.
    TakePositions(ServedRecord),
    /// Commit the noted positions into the group.
    CommitPositions,
    /// Set `building`: workers join.
    BeginBuilding,
    /// Take X0.
    TakeVisibleFrom,
    /// Cut the root table into chunks and note the plan.
    MakePlan,
    /// Write the noted plan's chunks, note their ends.
    WritePlan,
    /// Wait for the workers.
    Watch {
        /// 0 to 100.
        percent: f64,
        /// Every chunk is done; the live lag is what is left.
        seeded: bool,
    },
    /// Refresh, restore settings, move the alias, set `active`.
    Finish,
    /// Tell capture that the table is no longer scanned.
    EndScan,
    /// A person or an error halted it.
    Halted,
    /// The index is not there any more: the feed waits.
    IndexMissing,
    /// Nothing to do.
    Rest,
}

/// The next step.
#[must_use]
pub fn next(record: &GenerationRecord, facts: &Facts) -> Step {
    match record.state {
        State::Planned => planned(record, facts),
        State::Building => building(record, facts),
        State::Active | State::Standby => serving(record, facts),
        State::Retired => announce_or_rest(facts),
    }
}

/// An index that vanished may have been made again by the first write, without our
/// mapping: that one is not ours.
fn serving(record: &GenerationRecord, facts: &Facts) -> Step {
    match facts.index {
        _ if record.control.stop.is_some() => {}
        IndexFact::Absent => return Step::IndexMissing,
        IndexFact::Foreign => return Step::IndexTaken,
        IndexFact::Ours => {}
    }
    if record.scanning.is_empty() {
        announce_or_rest(facts)
    } else {
        Step::EndScan
    }
}

fn announce_or_rest(facts: &Facts) -> Step {
    if facts.announced {
        Step::Rest
    } else {
        Step::Announce
    }
}

fn planned(record: &GenerationRecord, facts: &Facts) -> Step {
    if record.control.paused || record.control.stop.is_some() {
        return Step::Halted;
    }
    match facts.index {
        IndexFact::Absent => return Step::MakeIndex,
        IndexFact::Foreign => return Step::IndexTaken,
        IndexFact::Ours => {}
    }
    if !facts.announced {
        return Step::Announce;
    }
    match (&record.birth, &facts.served) {
        // Noted positions rest on the answer that was there then.
        (Some(birth), _) if birth.committed => Step::BeginBuilding,
        (Some(_), _) => Step::CommitPositions,
        (None, ServedFact::Since(served)) => Step::TakePositions(served.clone()),
        (None, ServedFact::Waiting(what)) => Step::AwaitCapture(what.clone()),
        (None, ServedFact::None) => Step::AwaitCapture(Vec::new()),
    }
}

fn building(record: &GenerationRecord, facts: &Facts) -> Step {
    if record.control.paused || record.control.stop.is_some() {
        return Step::Halted;
    }
    match facts.index {
        IndexFact::Absent => return Step::IndexMissing,
        IndexFact::Foreign => return Step::IndexTaken,
        IndexFact::Ours => {}
    }
    if !facts.announced {
        return Step::Announce;
    }
    if record.visible_from.is_none() {
        return Step::TakeVisibleFrom;
    }
    let Some(plan) = record.plan.as_ref().filter(|plan| plan.replan.is_empty()) else {
        return Step::MakePlan;
    };
    let Some(ends) = &plan.ends else {
        return Step::WritePlan;
    };
    let Some(progress) = &facts.progress else {
        return Step::Watch {
            percent: record.seeded_percent,
            seeded: false,
        };
    };
    let seeded = has_passed(&progress.backfill, ends);
    if seeded && progress.caught_up {
        return Step::Finish;
    }
    Step::Watch {
        percent: if seeded {
            100.0
        } else {
            percent(plan, &progress.backfill)
        },
        seeded,
    }
}

/// Every end is reached. A partition without a committed offset has reached nothing.
#[must_use]
pub fn has_passed(committed: &[(Partition, Offset)], ends: &[(Partition, Offset)]) -> bool {
    ends.iter()
        .all(|(partition, end)| at(committed, *partition).is_some_and(|offset| offset >= *end))
}

fn at(offsets: &[(Partition, Offset)], partition: Partition) -> Option<Offset> {
    offsets
        .iter()
        .find(|(candidate, _)| *candidate == partition)
        .map(|(_, offset)| *offset)
}

/// How much of a written plan is done, 0 to 99.9: 100 is said only of a whole plan.
/// Other feeds' chunks between ours count too, evenly enough for a figure.
#[must_use]
pub fn percent(plan: &PlanRecord, committed: &[(Partition, Offset)]) -> f64 {
    let Some(ends) = &plan.ends else { return 0.0 };
    let (mut done, mut all) = (0_u64, 0_u64);
    for (partition, end) in ends {
        let start = at(&plan.starts, *partition).unwrap_or_default();
        let reached = at(committed, *partition)
            .unwrap_or(start)
            .clamp(start, (*end).max(start));
        done = done.saturating_add(start.get().abs_diff(reached.get()));
        all = all.saturating_add(start.get().abs_diff(end.get()));
    }
    if all == 0 {
        return 0.0;
    }
    let thousandths = done.saturating_mul(1000) / all;
    f64::from(u32::try_from(thousandths.min(999)).unwrap_or(999)) / 10.0
}

/// Whether a feed may go on from its committed positions: capture has served its needs
/// without interruption since `since`, so nothing is missing behind the lowest of them
/// (R2). Positions of an older epoch are judged by the epoch's announcement instead.
#[must_use]
pub fn may_resume(lowest: (Epoch, Lsn), served: (Epoch, Lsn)) -> bool {
    lowest.0 != served.0 || lowest.1 >= served.1
}

#[cfg(test)]
mod tests;
