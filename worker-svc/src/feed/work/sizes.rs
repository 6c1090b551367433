//! How many blocks of the root table fit into a batch, learned from the last ones.
//! Why: a chunk is planned by rows, a batch is bounded in bytes of documents.

use std::sync::atomic::Ordering;

use super::Worker;
use super::bisect::Step;

impl Worker {
    /// Cuts a range of blocks that would not fit into a batch, as far as is known.
    pub(super) fn presplit(&self, step: Step) -> Result<Step, Vec<Step>> {
        let bytes = self.block_bytes.load(Ordering::Relaxed);
        let limit = self.builder.limits().batch_bytes;
        match limit
            .checked_div(bytes)
            .and_then(|blocks| u32::try_from(blocks.max(1)).ok())
        {
            None => Ok(step),
            Some(blocks) => step.cut(blocks),
        }
    }

    pub(super) fn learn_blocks(&self, step: &Step, bytes: usize) {
        if let Some(blocks) = step.blocks().filter(|blocks| *blocks > 0)
            && let Some(per_block) = bytes.checked_div(blocks)
        {
            // A little more, so that chunks like the last one fit.
            let per_block = per_block.saturating_add(per_block / 4).max(1);
            self.block_bytes.store(per_block, Ordering::Relaxed);
        }
    }

    pub(super) fn learn_too_large(&self, step: &Step) {
        if let Some(per_block) = step
            .blocks()
            .and_then(|blocks| self.builder.limits().batch_bytes.checked_div(blocks))
        {
            self.block_bytes
                .store(per_block.saturating_mul(2).max(1), Ordering::Relaxed);
        }
    }
}
