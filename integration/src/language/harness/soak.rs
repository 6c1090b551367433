//! Many seeds, on several databases at a time; what fails is shrunk.
//! In: seeds. Out: figures, and the failing cases, small. Must hold: a seed is played the same way
//! whichever slot plays it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::play::{Ended, Failure, Figures, Kind};
use super::stage::Stage;
use crate::language::{Case, Size, shrink};
use crate::stack::Stack;

/// Which seeds are played, and how.
#[derive(Debug, Clone, Copy)]
pub struct Seeds {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// How large the cases are.
    pub size: Size,
    /// Databases at a time.
    pub slots: usize,
    /// After so many failures no further seed is begun.
    pub most_failures: usize,
    /// How long one failing case may be shrunk.
    pub shrink_for: Duration,
}

/// A case that failed.
#[derive(Debug, Clone)]
pub struct Found {
    /// As small as it became.
    pub case: Case,
    /// How it fails.
    pub failure: Failure,
}

/// What came of all seeds.
#[derive(Debug, Default)]
pub struct Report {
    /// Sums over the cases that went well.
    pub figures: Figures,
    /// Cases played to their end.
    pub cases: u64,
    /// By seed.
    pub failures: BTreeMap<u64, Found>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// How often each kind of failure came.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<Kind, usize> {
        let mut kinds = BTreeMap::new();
        for found in self.failures.values() {
            *kinds.entry(found.failure.kind).or_insert(0) += 1;
        }
        kinds
    }
}

/// Plays all seeds.
///
/// # Errors
/// The servers fail.
pub fn soak(stack: &Stack, seeds: &Seeds) -> Result<Report> {
    let began = Instant::now();
    let next = AtomicU64::new(0);
    let report = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        let slots: Vec<_> = (0..seeds.slots.max(1))
            .map(|_| scope.spawn(|| slot(stack, seeds, &next, &report)))
            .collect();
        let mut ended = Ok(());
        for slot in slots {
            let slot = slot.join().map_err(|_| anyhow!("a slot panicked"));
            ended = ended.and(slot.flatten());
        }
        ended
    })?;
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.took = began.elapsed();
    Ok(report)
}

/// One database plays seeds until none is left.
fn slot(stack: &Stack, seeds: &Seeds, next: &AtomicU64, report: &Mutex<Report>) -> Result<()> {
    let lock = || report.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut stage = Stage::open(stack).await?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= seeds.count || lock().failures.len() >= seeds.most_failures {
                return stage.close().await;
            }
            let seed = seeds.first.wrapping_add(number);
            let case = Case::generate(seed, seeds.size);
            match play(&mut stage, stack, &case).await? {
                Ended::Well(figures) => {
                    let mut report = lock();
                    report.cases += 1;
                    report.figures.add(&figures);
                }
                Ended::Failed(failure) => {
                    tracing::warn!(seed, %failure, "a case fails");
                    let found = smaller(&mut stage, stack, case, failure, seeds.shrink_for).await?;
                    lock().failures.insert(seed, found);
                }
                Ended::NotApplicable => {}
            }
        }
    })
}

/// Plays a case; when that breaks the stage, on a new one from then on.
async fn play(stage: &mut Stage, stack: &Stack, case: &Case) -> Result<Ended> {
    let error = match stage.play(case, None).await {
        Ok(ended) => return Ok(ended),
        Err(error) => error,
    };
    let broken = std::mem::replace(stage, Stage::open(stack).await?);
    broken.close().await?;
    Ok(Ended::Failed(Failure {
        kind: Kind::Broken,
        step: None,
        detail: format!("{error:#}"),
    }))
}

/// The smallest case found in the time that fails in the same way.
async fn smaller(
    stage: &mut Stage,
    stack: &Stack,
    case: Case,
    failure: Failure,
    within: Duration,
) -> Result<Found> {
    let deadline = Instant::now() + within;
    let mut found = Found { case, failure };
    'smaller: loop {
        for candidate in shrink(&found.case) {
            if Instant::now() > deadline {
                return Ok(found);
            }
            if let Ended::Failed(failure) = play(stage, stack, &candidate).await?
                && failure.kind == found.failure.kind
            {
                found = Found {
                    case: candidate,
                    failure,
                };
                continue 'smaller;
            }
        }
        return Ok(found);
    }
}

impl Figures {
    /// Adds those of another case.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.rows += other.rows;
        self.refused += other.refused;
        self.published += other.published;
        self.suppressed += other.suppressed;
        self.compared += other.compared;
        self.built += other.built;
    }
}
