//! Plays random cases of the configuration language, as many as are asked for.
//! In: `STACK_*` of the environment (`deploy/up`), how many seeds, and from which on. Out: figures as
//! JSON on standard output; failing cases, shrunk, in a folder, and a summary on standard error.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "standard output is what this program is for"
)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use integration::language::Size;
use integration::language::harness::{Seeds, soak};
use integration::stack::Stack;
use serde_json::json;

#[derive(Parser)]
#[command(about = "Plays random cases of the configuration language against an independent oracle")]
struct Arguments {
    /// How many seeds.
    #[arg(default_value_t = 3000)]
    count: u64,
    /// The first seed; another one each time when it is left out.
    #[arg(long)]
    first: Option<u64>,
    /// Larger cases.
    #[arg(long)]
    large: bool,
    /// Databases at a time.
    #[arg(long, default_value_t = 4)]
    slots: usize,
    /// Stop after so many failures.
    #[arg(long, default_value_t = 20)]
    most_failures: usize,
    /// Seconds to shrink one failing case.
    #[arg(long, default_value_t = 60)]
    shrink_seconds: u64,
    /// Where failing cases are written.
    #[arg(long, default_value = "target/language")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seeds = Seeds {
        first: arguments
            .first
            .unwrap_or_else(|| u64::from(rand::random::<u32>()) << 8),
        count: arguments.count,
        size: if arguments.large {
            Size::Large
        } else {
            Size::Small
        },
        slots: arguments.slots,
        most_failures: arguments.most_failures,
        shrink_for: Duration::from_secs(arguments.shrink_seconds),
    };
    eprintln!(
        "seeds {} to {}",
        seeds.first,
        seeds.first.wrapping_add(seeds.count)
    );
    let report = soak(&Stack::from_env()?, &seeds)?;
    std::fs::create_dir_all(&arguments.out)?;
    for (seed, found) in &report.failures {
        let path = arguments.out.join(format!("{seed}.txt"));
        std::fs::write(
            &path,
            format!("{}\n\n{}\n", found.failure, found.case.to_text()),
        )?;
        let detail: String = found.failure.to_string().chars().take(600).collect();
        eprintln!("seed {seed}: {detail}\n  in {}", path.display());
    }
    let figures = report.figures;
    let seconds = report.took.as_secs_f64();
    let played = report.cases + u64::try_from(report.failures.len())?;
    println!(
        "{}",
        json!({
            "first": seeds.first, "seeds": played, "well": report.cases, "failed": report.failures.len(),
            "kinds": report.kinds().iter().map(|(kind, count)| (format!("{kind:?}"), *count)).collect::<std::collections::BTreeMap<_, _>>(),
            "seconds": seconds, "steps": figures.steps, "rows": figures.rows, "refused_statements": figures.refused,
            "published": figures.published, "suppressed": figures.suppressed,
            "documents_compared": figures.compared, "documents_built": figures.built,
        })
    );
    ensure!(
        report.failures.is_empty(),
        "{} seeds failed",
        report.failures.len()
    );
    Ok(())
}
