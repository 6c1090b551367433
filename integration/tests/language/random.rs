//! Random cases through the product's code in this process.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::language::Size;
use integration::language::harness::{Report, Seeds, soak};
use integration::stack::Stack;

/// Cases of a run.
const CASES: u64 = 300;
/// Databases at a time: two cores are busy with four, because half of the time is waiting.
const SLOTS: usize = 4;

/// A number of the environment.
pub(super) fn number(name: &str) -> Result<Option<u64>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no main that could pass it in"
    )]
    let value = std::env::var(name).ok();
    Ok(value.map(|value| value.parse()).transpose()?)
}

/// `LANGUAGE_SEED` plays that seed alone; `LANGUAGE_SEEDS` plays so many.
fn seeds() -> Result<Seeds> {
    let only = number("LANGUAGE_SEED")?;
    let count = number("LANGUAGE_SEEDS")?;
    Ok(Seeds {
        first: only.unwrap_or(1),
        count: count.unwrap_or(if only.is_some() { 1 } else { CASES }),
        size: Size::Small,
        slots: SLOTS,
        most_failures: 3,
        shrink_for: Duration::from_secs(30),
    })
}

/// Failing cases as text, each with the command that plays it again.
fn described(report: &Report) -> String {
    let mut text = String::new();
    for (seed, found) in &report.failures {
        writeln!(
            text,
            "\nseed {seed} fails: {}\nas small as it became:\n{}\nagain: LANGUAGE_SEED={seed} cargo test --package integration --test main w5_random_schemas_equal_the_oracle\n",
            found.failure,
            found.case.to_text()
        )
        .ok();
    }
    text
}

#[test]
fn w5_random_schemas_equal_the_oracle() -> Result<()> {
    // GIVEN random databases with indexes over them.
    let seeds = seeds()?;
    // WHEN their rows change, step by step.
    let report = soak(&Stack::from_env()?, &seeds)?;
    println!(
        "{} cases in {:?}: {:?}",
        report.cases, report.took, report.figures
    );
    // THEN after each step every document equals an independent build from whole tables.
    ensure!(report.failures.is_empty(), "{}", described(&report));
    ensure!(
        report.cases == seeds.count,
        "{} cases were played",
        report.cases
    );
    if seeds.count >= CASES {
        // And the cases are not empty: a generator that makes nothing would find nothing.
        let figures = report.figures;
        ensure!(figures.steps > 5 * seeds.count, "{figures:?}");
        ensure!(figures.published > 5 * seeds.count, "{figures:?}");
        ensure!(figures.suppressed > 0, "{figures:?}");
        ensure!(figures.compared > 50 * seeds.count, "{figures:?}");
        ensure!(figures.refused * 3 < figures.rows, "{figures:?}");
    }
    Ok(())
}
