//! Kafka → the feed's inbox: one consumer on a thread of its own.
//! In: the three topics, what the feed orders ([`Inbox::order_commits`] and the like).
//! Out: records of this feed by lane, assignments with their committed positions, trouble.
//! Must hold: W1 (the fence falls inside the revoke callback, before it is answered),
//! R2 (a position out of range is reported, never jumped over).
//! Must not: decode records, block in a callback, or commit by itself.
//! Why pausing and not waiting: a consumer that is not polled for five minutes is thrown
//! out of its group. So the thread polls always, and a lane that is full has its
//! partitions paused; what librdkafka had fetched for them is fetched again later.
//!
//! ```text
//!  librdkafka ─▶ [8 MiB] ─▶ thread ─▶ inbox: changes  [10,000 entries, 4 MiB]
//!                                     inbox: fanout   [1,000 entries, 1 MiB]
//!                                     inbox: backfill [1,000 entries, 1 MiB] ─▶ feed
//! ```

mod context;
mod inbox;
mod intake;

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Chunk, HEARTBEAT_KEY, Topics, record_table};
use runtime::kafka::{self, Kafka};
use runtime::task::{TaskError, Thread, thread};

pub use context::Callbacks;
pub use inbox::{Arrival, Assigned, Body, Inbox, LaneBound, News, Trouble};

use crate::Transient;
use crate::assignment::{Fence, Lane};

/// What of the topics concerns the feed, told by the record key alone.
#[derive(Debug, Clone)]
pub struct Interest {
    /// The feed's consumer group.
    pub group: String,
    /// The tables it reads, as they stand in record keys.
    pub tables: BTreeSet<String>,
}

impl Interest {
    /// Whether a record has to be looked at. One without a key is: better to stop on it
    /// than to pass over it.
    #[must_use]
    pub fn wants(&self, lane: Lane, key: Option<&[u8]>) -> bool {
        let Some(key) = key else { return true };
        match lane {
            Lane::Changes => {
                key == HEARTBEAT_KEY
                    || record_table(key).is_none_or(|table| self.tables.contains(table))
            }
            Lane::Fanout | Lane::Backfill => Chunk::key_is_of(key, &self.group),
        }
    }
}

/// A running consumer.
#[derive(Debug)]
pub struct Consuming {
    inbox: Arc<Inbox>,
    fence: Fence,
    thread: Thread<()>,
}

impl Consuming {
    /// Joins the group, on a thread of its own.
    ///
    /// # Errors
    /// The client cannot be made, or the system gives no more threads.
    pub fn start(kafka: &Kafka, topics: &Topics, interest: Interest) -> Result<Self, Transient> {
        let inbox = Arc::new(Inbox::new());
        let fence = Fence::new();
        let callbacks = Callbacks::new(Arc::clone(&inbox), fence.clone(), topics.clone());
        let consumer = kafka
            .group_consumer(&interest.group, callbacks)
            .map_err(failed("making a consumer"))?;
        let name = format!("consume {}", interest.group);
        let intake = intake::Intake::new(
            consumer,
            topics,
            Arc::clone(&inbox),
            fence.clone(),
            interest,
        );
        let thread = thread(name, move || intake.run()).map_err(|error| Transient::Kafka {
            doing: "starting a thread",
            source: Box::new(error),
        })?;
        Ok(Consuming {
            inbox,
            fence,
            thread,
        })
    }

    /// Where arrivals and news are.
    #[must_use]
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// The assignments.
    #[must_use]
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// No more records come in; completions still count. Returns at once.
    pub fn begin_drain(&self) {
        self.fence.lock().begin_drain();
        self.inbox.clear();
    }

    /// Commits what was ordered, leaves the group and waits for the thread's end.
    ///
    /// # Errors
    /// The thread panicked.
    pub async fn stop(mut self) -> Result<(), TaskError> {
        self.inbox.order_stop();
        self.thread.join().await
    }
}

impl Drop for Consuming {
    /// A feed that ends early must not leave its consumer in the group.
    fn drop(&mut self) {
        self.inbox.order_stop();
    }
}

fn failed(doing: &'static str) -> impl Fn(kafka::Error) -> Transient {
    move |error| Transient::Kafka {
        doing,
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests;
