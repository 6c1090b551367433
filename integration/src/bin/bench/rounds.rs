//! Two sides of one measurement in turns, and what is said of them.
//! Why in turns: a machine is never quiet for long, and a disturbance of one round is the other
//! side's too. Why processor time is shown: it is what is left of the comparison on a busy one.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::product::Counted;

/// What one side took in one round.
#[derive(Debug, Clone, Copy)]
struct Took {
    wall: Duration,
    /// Of this process and of the server's.
    processor: Duration,
    documents: usize,
}

/// Both sides of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    product: Vec<Took>,
    by_hand: Vec<Took>,
}

impl Rounds {
    /// One more round; `product` and `by_hand` take turns in being first.
    pub(crate) async fn round(
        &mut self,
        backends: [i32; 2],
        product: impl Future<Output = Result<Counted>>,
        by_hand: impl Future<Output = Result<Counted>>,
    ) -> Result<()> {
        let [worker, other] = backends;
        let (product, by_hand) = if self.product.len().is_multiple_of(2) {
            let product = timed(worker, product).await?;
            (product, timed(other, by_hand).await?)
        } else {
            let by_hand = timed(other, by_hand).await?;
            (timed(worker, product).await?, by_hand)
        };
        ensure!(
            product.documents == by_hand.documents,
            "the product built {} documents, the other side {}",
            product.documents,
            by_hand.documents
        );
        self.product.push(product);
        self.by_hand.push(by_hand);
        Ok(())
    }

    /// One line of the table.
    pub(crate) fn line(&self, what: &str, target: f64) -> String {
        let ratios =
            self.each(|product, by_hand| by_hand.wall.as_secs_f64() / product.wall.as_secs_f64());
        let processor = self.each(|product, by_hand| {
            by_hand.processor.as_secs_f64() / product.processor.as_secs_f64()
        });
        let rate = |took: &[Took]| {
            median(&sorted(took.iter().map(|took| {
                f64::from(u32::try_from(took.documents).unwrap_or(u32::MAX))
                    / took.wall.as_secs_f64()
            })))
        };
        let ratio = median(&ratios);
        format!(
            "{what:<34} {:>9.0} {:>9.0} {ratio:>7.2} {:>6.2}–{:<5.2} {:>9.2} {target:>7.2} {}",
            rate(&self.product),
            rate(&self.by_hand),
            ratios.first().copied().unwrap_or_default(),
            ratios.last().copied().unwrap_or_default(),
            median(&processor),
            if ratio >= target { "met" } else { "MISSED" },
        )
    }

    fn each(&self, ratio: impl Fn(&Took, &Took) -> f64) -> Vec<f64> {
        let rounds = self.product.iter().enumerate();
        sorted(rounds.filter_map(|(n, product)| Some(ratio(product, self.by_hand.get(n)?))))
    }
}

/// What the columns of [`Rounds::line`] mean.
pub(crate) const HEADING: &str =
    "documents per second                 product   by hand   ratio   spread    processor  target";

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: &[f64]) -> f64 {
    values.get(values.len() / 2).copied().unwrap_or_default()
}

async fn timed(backend: i32, work: impl Future<Output = Result<Counted>>) -> Result<Took> {
    let before = processor(backend);
    let began = Instant::now();
    let counted = work.await?;
    let wall = began.elapsed();
    Ok(Took {
        wall,
        processor: processor(backend).saturating_sub(before),
        documents: counted.documents,
    })
}

/// Processor time of this process and of a server process on this machine; zero where it cannot
/// be read.
fn processor(backend: i32) -> Duration {
    let of = |process: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name of the program may hold anything; what follows its last bracket is numbers.
        let (_, numbers) = stat.rsplit_once(')')?;
        let mut ticks = numbers.split_whitespace().skip(11);
        let user: u64 = ticks.next()?.parse().ok()?;
        let system: u64 = ticks.next()?.parse().ok()?;
        // Linux counts hundredths of a second here.
        Some(Duration::from_millis((user + system) * 10))
    };
    of("self").unwrap_or_default() + of(&backend.to_string()).unwrap_or_default()
}
