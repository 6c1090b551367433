//! The plan of a seed: made from the size of the root table, and written chunk by chunk.
//! In: the generation's record. Out: its plan in the registry, its chunks in `{p}.backfill`.
//! Must hold: W5, so the chunks that were written are those of the plan that was noted.

use std::collections::{BTreeMap, VecDeque};

use model::{Chunk, Epoch, Framing, Offset, Partition, Violation};
use runtime::kafka::{Pending, TopicPartition};

use super::control::kafka_error;
use super::drive::{Coordinator, Done, definite, postgres};
use super::{now_us, source};
use crate::error::Transient;
use crate::plan::{self, Header};
use crate::registry::{GenerationRecord, PlanRecord, VisibleFrom};

/// Chunks of a plan that are under way to Kafka at once: enough for its batches, little
/// memory (a chunk is some hundred bytes).
const CHUNKS_UNDER_WAY: usize = 500;

impl Coordinator {
    pub(super) async fn make_plan(&mut self, record: &GenerationRecord) -> Done<()> {
        let before = record.plan.as_ref().map(|plan| plan.id.clone());
        let attempt = record
            .plan
            .as_ref()
            .map_or(0, |plan| plan.attempt.saturating_add(1));
        let session = self
            .context
            .postgres
            .connect("worker-svc coordinate")
            .await
            .map_err(postgres("planning the seed"))?;
        let sizes = definite!(source::leaves(&session, &record.root).await?);
        let leaves = plan::cut(&sizes, self.context.seed_chunk_rows);
        let starts = self
            .places(record)?
            .ends(&self.context.topics.backfill())
            .await?;
        let new = PlanRecord {
            id: format!("seed-{attempt}"),
            attempt,
            chunk_rows: self.context.seed_chunk_rows,
            chunks: definite!(plan::count(&leaves)),
            leaves,
            partitions: u32::try_from(starts.len()).unwrap_or(u32::MAX),
            starts,
            ends: None,
            at_us: now_us(),
            replan: Vec::new(),
        };
        self.change(|record| {
            if record.plan.as_ref().map(|plan| &plan.id) != before.as_ref() {
                return Ok(false);
            }
            record.plan = Some(new.clone());
            record.seeded_percent = 0.0;
            Ok(true)
        })
        .await
    }

    pub(super) async fn write_plan(&self, record: &GenerationRecord) -> Done<()> {
        let (Some(plan), Some(visible_from)) = (&record.plan, record.visible_from) else {
            return Ok(Ok(()));
        };
        let epoch = self.epoch()?.epoch;
        let ends = definite!(self.write_chunks(record, plan, visible_from, epoch).await?);
        self.change(|record| match &mut record.plan {
            Some(noted) if noted.id == plan.id && noted.ends.is_none() => {
                noted.ends = Some(ends.clone());
                Ok(true)
            }
            _ => Ok(false),
        })
        .await
    }

    async fn write_chunks(
        &self,
        record: &GenerationRecord,
        plan: &PlanRecord,
        visible_from: VisibleFrom,
        epoch: Epoch,
    ) -> Done<Vec<(Partition, Offset)>> {
        const DOING: &str = "writing the chunk plan";
        let feed = record.feed();
        let header = Header {
            feed: &feed,
            group: &record.group,
            epoch,
            visible_from,
        };
        let topic = self.context.topics.backfill();
        let writer = self
            .context
            .kafka
            .acknowledged()
            .map_err(kafka_error(DOING))?;
        let mut under_way = VecDeque::new();
        let mut ends = BTreeMap::new();
        let mut written: u32 = 0;
        for (partition, chunk) in plan::chunks(plan, &header) {
            if under_way.len() >= CHUNKS_UNDER_WAY
                && let Some(first) = under_way.pop_front()
            {
                delivered(first, &mut ends).await?;
            }
            let bytes = self.encode(&chunk)?;
            let at = TopicPartition::new(topic.clone(), partition);
            let pending = writer
                .begin(&at, chunk.record_key().as_bytes(), Some(&bytes))
                .map_err(kafka_error(DOING))?;
            under_way.push_back(pending);
            written = written.saturating_add(1);
        }
        for pending in under_way {
            delivered(pending, &mut ends).await?;
        }
        if written != plan.chunks {
            let detail = format!(
                "plan {} has {} chunks, {written} were written",
                plan.id, plan.chunks
            );
            return Ok(Err(Violation::new(model::Guarantee::W5, detail)
                .found()
                .into()));
        }
        Ok(Ok(ends.into_iter().collect()))
    }

    fn encode(&self, chunk: &Chunk) -> Result<Vec<u8>, Transient> {
        self.context
            .control
            .schemas()
            .encode(chunk, Framing::SingleObject)
            .map_err(|error| Transient::Kafka {
                doing: "writing the chunk plan",
                source: Box::new(error),
            })
    }
}

async fn delivered(
    pending: Pending,
    ends: &mut BTreeMap<Partition, Offset>,
) -> Result<(), Transient> {
    let delivered = pending
        .wait()
        .await
        .map_err(kafka_error("writing the chunk plan"))?;
    if let Some(end) = delivered.offset.next() {
        let known = ends.entry(delivered.partition).or_insert(end);
        *known = end.max(*known);
    }
    Ok(())
}
