//! A chunk that meets another table than the one that was planned.

use model::Work as ChunkWork;

use super::{Doing, Halt, Job, impossible};
use crate::Definite;
use crate::build::now_us;
use crate::registry::{Changed, GenerationRecord, Replan};

impl Doing<'_> {
    /// The chunk's table is not the one that was planned: the whole of it is planned anew,
    /// durably asked for before the chunk's offset may move.
    pub(super) async fn replan(&mut self, found: Option<u32>) -> Result<(), Halt> {
        let Job::Chunk { chunk, .. } = self.job else {
            return Err(impossible().into());
        };
        let ChunkWork::Blocks {
            table,
            oid,
            file_node,
            ..
        } = &chunk.work
        else {
            return Err(impossible().into());
        };
        let noticed = Replan {
            table: table.clone(),
            oid: *oid,
            file_node: *file_node,
            found,
            at_us: now_us(),
        };
        let feed = &chunk.feed;
        loop {
            let registry = &self.worker.registry;
            let asked =
                registry.request_replan(&feed.index, feed.generation, &chunk.plan, &noticed);
            match asked.await {
                Ok(changed) => {
                    if let Changed::Missing = changed? {
                        return Err(Definite::Registry {
                            id: GenerationRecord::id_of(&feed.index, feed.generation),
                            reason: String::from("it is gone, and a new plan cannot be noted"),
                        }
                        .into());
                    }
                    tracing::info!(%feed, %table, "the table was rewritten or is gone; it is planned anew");
                    return Ok(());
                }
                Err(transient) => self.trouble(&transient).await?,
            }
        }
    }
}
