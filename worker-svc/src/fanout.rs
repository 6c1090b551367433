//! A batch that affects more documents than one worker builds: shared with all of them.
//! In: its changes. Out: pages of keys as chunks of `{p}.fanout`, acknowledged, and where
//! they end in each partition.
//! Must hold: W1 (the change counts as finished only when the group has passed these
//! ends), W3 (pages are read from a snapshot that sees the whole batch). Memory does not
//! grow with the fan-out: two pages wait at most.
//! Must not: build. Why a repeated split is harmless: documents are rebuilt from rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Change, Chunk, ChunkCause, Epoch, FeedId, Framing, Offset, Partition, RecordPosition, Schemas,
    Topics, Work, Xid,
};
use runtime::kafka::TopicPartition;
use tokio::sync::mpsc;

use crate::build::{Attempt, Builder, Gate, Paged, now_us};
use crate::feed::Broker;
use crate::resolve::DocumentKey;
use crate::{Definite, Transient};

/// Where the chunks of a split end, by partition of `{p}.fanout`.
pub type Ends = Vec<(Partition, Offset)>;

/// Pages that wait to be published: the query goes on while one is being acknowledged.
const WAITING_PAGES: usize = 2;

/// Shares the documents of one feed's batches.
#[derive(Debug, Clone)]
pub struct Fanout {
    /// The edge to Kafka.
    pub broker: Arc<dyn Broker>,
    /// The deployment's topics.
    pub topics: Topics,
    /// How records are written.
    pub schemas: Arc<Schemas>,
    /// The framing in use.
    pub framing: Framing,
    /// The feed.
    pub feed: FeedId,
    /// Its group.
    pub group: String,
}

/// How a split ended.
#[derive(Debug)]
pub enum Split {
    /// All pages are durable; they end here.
    Shared(Ends),
    /// Nothing counts: see why, and try again.
    Not(Attempt),
}

impl Fanout {
    /// Streams the keys of all documents that `changes` affect into chunks.
    ///
    /// # Errors
    /// Postgres or Kafka failed: try again, under a new plan; inside: it cannot be done.
    pub async fn share(
        &self,
        builder: &Builder,
        changes: &[&Change],
        gate: &Gate,
        source: Option<RecordPosition>,
    ) -> Result<Result<Split, Definite>, Transient> {
        let topic = self.topics.fanout();
        let partitions = self.broker.partitions(&topic).await?;
        let (pages, taken) = mpsc::channel(WAITING_PAGES);
        let mut plan = Plan {
            fanout: self,
            topic,
            partitions,
            name: format!("fanout-{}-{:08x}", now_us(), rand::random::<u32>()),
            next: 0,
            xid: gate.transactions.iter().map(|(_, xid)| *xid).max(),
            source,
            ends: BTreeMap::new(),
        };
        // The query ends when the publisher is gone, and the other way round.
        let (found, published) =
            tokio::join!(builder.pages(changes, gate, pages), plan.publish(taken));
        published?;
        match found? {
            Err(definite) => Ok(Err(definite)),
            Ok(Paged::Not(attempt)) => Ok(Ok(Split::Not(attempt))),
            Ok(Paged::All) => Ok(Ok(Split::Shared(plan.ends.into_iter().collect()))),
        }
    }
}

struct Plan<'a> {
    fanout: &'a Fanout,
    topic: String,
    partitions: u32,
    name: String,
    next: u32,
    xid: Option<Xid>,
    source: Option<RecordPosition>,
    ends: BTreeMap<Partition, Offset>,
}

impl Plan<'_> {
    async fn publish(&mut self, mut pages: mpsc::Receiver<Page>) -> Result<(), Transient> {
        while let Some(page) = pages.recv().await {
            // Spread in turn: the pages of one change keep every worker busy.
            let partition = i32::try_from(self.next % self.partitions.max(1)).unwrap_or(0);
            let at = TopicPartition::new(self.topic.clone(), Partition::new(partition));
            let chunk = self.chunk(page);
            let key = chunk.record_key();
            let bytes = self.fanout.schemas.encode(&chunk, self.fanout.framing);
            let bytes = bytes.map_err(|error| Transient::Kafka {
                doing: "writing a chunk",
                source: Box::new(error),
            })?;
            let offset = self
                .fanout
                .broker
                .publish(&at, key.as_bytes(), &bytes)
                .await?;
            if let Some(end) = offset.next() {
                self.ends.insert(at.partition, end);
            }
            self.next = self.next.wrapping_add(1);
        }
        Ok(())
    }

    fn chunk(&self, page: Page) -> Chunk {
        Chunk {
            feed: self.fanout.feed.clone(),
            group: self.fanout.group.clone(),
            plan: self.name.clone(),
            number: self.next,
            epoch: page.epoch,
            incarnation: page.incarnation,
            visible_from: None,
            xid: self.xid,
            cause: ChunkCause::Fanout,
            work: Work::Keys(page.keys.into_iter().map(|DocumentKey(key)| key).collect()),
            source: self.source.clone(),
            settles: Vec::new(),
        }
    }
}

/// Keys of one chunk, and the run that they were found in.
#[derive(Debug)]
pub struct Page {
    /// The keys.
    pub keys: Vec<DocumentKey>,
    /// The epoch of the source.
    pub epoch: Epoch,
    /// The run's number.
    pub incarnation: model::Incarnation,
}
