//! A generator that finds nothing proves nothing: faults that are built in must be found.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, anyhow, ensure};
use integration::language::harness::{Ended, Fault, FaultKind, Kind, Stage};
use integration::language::{Case, Size};
use integration::stack::Stack;

/// A fault that is not found in so many cases, of those that it applies to, counts as not found.
const MOST_CASES: u64 = 60;
/// Cases that are looked at for one that the fault applies to.
const MOST_SEEDS: u64 = 400;
/// Databases at a time.
const SLOTS: usize = 3;

/// How a fault was found.
#[derive(Debug)]
struct Found {
    seed: u64,
    cases: u64,
    done: Vec<String>,
    how: String,
}

/// Plays cases until one shows the fault.
async fn find(stage: &mut Stage, kind: FaultKind) -> Result<Option<Found>> {
    let mut cases = 0;
    for seed in 1..=MOST_SEEDS {
        let case = Case::generate(seed, Size::Small);
        let fault = Fault::new(kind);
        let ended = stage.play(&case, Some(&fault)).await;
        match ended.with_context(|| format!("{kind:?}, seed {seed}"))? {
            Ended::NotApplicable => continue,
            Ended::Well(_) => {}
            Ended::Failed(failure) => {
                let done = fault.done();
                ensure!(
                    !done.is_empty(),
                    "{kind:?} did nothing, but seed {seed}: {failure}"
                );
                if failure.kind == Kind::Documents {
                    return Ok(Some(Found {
                        seed,
                        cases: cases + 1,
                        done,
                        how: failure.to_string(),
                    }));
                }
            }
        }
        cases += 1;
        if cases == MOST_CASES {
            break;
        }
    }
    Ok(None)
}

#[test]
fn the_generator_finds_seeded_faults() -> Result<()> {
    let stack = Stack::from_env()?;
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    // GIVEN each kind of fault, built into what the product made of a case.
    std::thread::scope(|scope| {
        let slots: Vec<_> = (0..SLOTS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()?;
                    runtime.block_on(async {
                        let mut stage = Stage::open(&stack).await?;
                        while let Some(kind) =
                            FaultKind::ALL.get(next.fetch_add(1, Ordering::Relaxed))
                        {
                            // WHEN cases are played.
                            let result = find(&mut stage, *kind).await?;
                            found
                                .lock()
                                .map_err(|_| anyhow!("another slot panicked"))?
                                .insert(*kind, result);
                        }
                        stage.close().await
                    })
                })
            })
            .collect();
        slots
            .into_iter()
            .try_for_each(|slot| slot.join().map_err(|_| anyhow!("a slot panicked"))?)
    })?;
    // THEN one of them shows it.
    let found = found.into_inner()?;
    for kind in FaultKind::ALL {
        let result = found.get(&kind).context("a kind was left out")?;
        let result = result
            .as_ref()
            .with_context(|| format!("{kind:?} was not found in {MOST_CASES} cases"))?;
        println!(
            "{kind:?}: case {} (seed {}): {}",
            result.cases,
            result.seed,
            result.done.join("; ")
        );
        ensure!(!result.how.is_empty(), "{result:?}");
    }
    Ok(())
}
