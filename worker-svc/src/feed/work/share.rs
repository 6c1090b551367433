//! A batch that affects too many documents is handed to all workers of the feed.

use super::bisect::Step;
use super::{Doing, Halt, Job, changes, impossible};
use crate::Definite;
use crate::build::Attempt;
use crate::fanout::{Ends, Split};

impl Doing<'_> {
    /// Shares the documents of all changes of the step.
    pub(super) async fn share(&mut self, step: Step, steps: &mut Vec<Step>) -> Result<(), Halt> {
        let (Step::Changes(range), Job::Live(batch)) = (&step, self.job) else {
            return Err(impossible().into());
        };
        let changes = changes(batch, range.clone());
        let source = batch
            .changes
            .get(range.start)
            .map(|sourced| sourced.source.clone());
        let worker = self.worker;
        let split = worker
            .fanout
            .share(&worker.builder, &changes, &self.gate, source)
            .await;
        let why_not = match split {
            Ok(split) => match split? {
                Split::Shared(ends) => {
                    worker
                        .metrics
                        .fanned_out(u64::try_from(ends.len()).unwrap_or(0));
                    self.add_ends(ends);
                    return Ok(());
                }
                Split::Not(attempt) => attempt,
            },
            Err(transient) => {
                self.trouble(&transient).await?;
                steps.push(step);
                return Ok(());
            }
        };
        match why_not {
            Attempt::Unseen(unseen) => self.not_seen(&unseen).await?,
            Attempt::TooSlow { .. } if range.len() > 1 => {
                step.halve(None, steps, worker.builder.limits().statement_timeout)?;
                return Ok(());
            }
            Attempt::RowFault { sqlstate, .. } => {
                return Err(Definite::Unbuildable { sqlstate }.into());
            }
            Attempt::Built { .. }
            | Attempt::RunChanged
            | Attempt::TooMany
            | Attempt::TooSlow { .. }
            | Attempt::TooLarge
            | Attempt::Replan { .. } => self.pause().await?,
        }
        steps.push(step);
        Ok(())
    }

    fn add_ends(&mut self, ends: Ends) {
        let mut all: std::collections::BTreeMap<_, _> =
            self.shared.take().unwrap_or_default().into_iter().collect();
        for (partition, end) in ends {
            let known = all.entry(partition).or_insert(end);
            *known = end.max(*known);
        }
        self.shared = Some(all.into_iter().collect());
    }
}
