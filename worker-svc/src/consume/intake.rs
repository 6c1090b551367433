//! The thread's loop.
//! In: polled records, the feed's orders. Out: arrivals in the inbox.
//! Must hold: the loop turns several times a second whatever the feed does.
//! Must not: hold a `TopicPartitionList` beyond a function: one that outlives the
//! consumer hangs its drop for ever (librdkafka#3796).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::{Offset, OffsetRange, Partition, Topics};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::Interest;
use super::context::Callbacks;
use super::inbox::{Arrival, Assigned, Body, Inbox, Trouble};
use crate::assignment::{Fence, Lane, Part};
use crate::offsets::commit::commit;

/// Longest wait for a record; orders are looked at as often.
const POLL: Duration = Duration::from_millis(50);
/// Records taken before orders and pauses are looked at again: a lane may be exceeded by
/// as many.
const RECORDS_PER_TURN: usize = 256;
/// For the calls that ask a broker and block the thread; a group waits longer for a
/// member (`max.poll.interval.ms`, 5 minutes).
const ASK: Duration = Duration::from_secs(10);

pub(super) struct Intake {
    consumer: BaseConsumer<Callbacks>,
    topics: Topics,
    /// The topics' names, made once.
    lanes: [(Lane, String); 3],
    inbox: Arc<Inbox>,
    fence: Fence,
    interest: Interest,
    paused: BTreeSet<Part>,
}

impl Intake {
    pub(super) fn new(
        consumer: BaseConsumer<Callbacks>,
        topics: &Topics,
        inbox: Arc<Inbox>,
        fence: Fence,
        interest: Interest,
    ) -> Self {
        let lanes = Lane::ALL.map(|lane| (lane, lane.topic(topics)));
        Intake {
            consumer,
            topics: topics.clone(),
            lanes,
            inbox,
            fence,
            interest,
            paused: BTreeSet::new(),
        }
    }

    /// Until the feed orders the stop, or the client is of no use any more.
    pub(super) fn run(mut self) {
        let names: Vec<&str> = self.lanes.iter().map(|(_, name)| name.as_str()).collect();
        if let Err(error) = self.consumer.subscribe(&names) {
            self.inbox
                .trouble(Trouble::Broken(format!("cannot subscribe: {error}")));
            return;
        }
        loop {
            let orders = self.inbox.turn();
            if !orders.commits.is_empty() {
                let commits: Vec<_> = orders.commits.into_values().collect();
                let mode = if orders.stop {
                    CommitMode::Sync
                } else {
                    CommitMode::Async
                };
                if let Err(error) =
                    commit(&self.consumer, &self.topics, &self.fence, &commits, mode)
                {
                    self.inbox.commit_failed(error.to_string());
                }
            }
            if orders.stop {
                self.consumer.unsubscribe();
                return;
            }
            if let Err(error) = self.pause_and_resume() {
                self.inbox
                    .trouble(Trouble::Broken(format!("cannot pause or resume: {error}")));
                return;
            }
            self.take_records();
            self.settle_fresh();
        }
    }

    fn take_records(&self) {
        let mut arrivals = Vec::new();
        let mut wait = POLL;
        for _ in 0..RECORDS_PER_TURN {
            let Some(polled) = self.consumer.poll(wait) else {
                break;
            };
            wait = Duration::ZERO;
            match polled {
                Ok(message) => arrivals.extend(self.arrival(&message)),
                Err(error) => self.report(&error),
            }
        }
        self.inbox.push(arrivals);
    }

    fn arrival(&self, message: &BorrowedMessage<'_>) -> Option<Arrival> {
        let (lane, _) = self
            .lanes
            .iter()
            .find(|(_, name)| name == message.topic())?;
        let part = Part::new(*lane, Partition::new(message.partition()));
        let number = self.fence.lock().intake(part)?;
        let offset = Offset::new(message.offset());
        let body = if self.interest.wants(*lane, message.key()) {
            Body::Record {
                offset,
                bytes: message.payload().unwrap_or_default().to_vec(),
            }
        } else {
            let end = offset.next()?;
            Body::Passed(OffsetRange::new(offset, end).ok()?)
        };
        Some(Arrival { part, number, body })
    }

    /// Newly assigned partitions are paused until their committed offsets are known.
    fn settle_fresh(&mut self) {
        let fresh = self.consumer.context().fresh();
        if fresh.is_empty() {
            return;
        }
        let committed = self
            .list(&fresh)
            .and_then(|list| self.consumer.committed_offsets(list, ASK));
        let committed = match committed {
            Ok(committed) => committed,
            Err(error) => {
                self.inbox.trouble(Trouble::Waiting(format!(
                    "reading committed offsets: {error}"
                )));
                return;
            }
        };
        for part in fresh {
            let found =
                committed.find_partition(&part.lane.topic(&self.topics), part.partition.get());
            let Some(element) = found else { continue };
            if element.error().is_err() {
                continue;
            }
            let offset = match element.offset() {
                KafkaOffset::Offset(offset) => Some(Offset::new(offset)),
                _ => None,
            };
            let metadata = element.metadata().parse().ok();
            let number = self.fence.lock().assign(part);
            self.consumer.context().no_longer_fresh(part);
            self.paused.insert(part);
            self.inbox.assigned(
                part,
                Assigned {
                    number,
                    committed: offset,
                    metadata,
                },
            );
        }
    }

    fn pause_and_resume(&mut self) -> KafkaResult<()> {
        let held: BTreeSet<Part> = self.fence.lock().held().map(|(part, _)| part).collect();
        self.paused.retain(|part| held.contains(part));
        let wanted = self.inbox.to_pause(held.iter().copied());
        let pause: BTreeSet<Part> = wanted.difference(&self.paused).copied().collect();
        let resume: BTreeSet<Part> = self.paused.difference(&wanted).copied().collect();
        if !pause.is_empty() {
            self.consumer.pause(&self.list(&pause)?)?;
        }
        if !resume.is_empty() {
            self.consumer.resume(&self.list(&resume)?)?;
        }
        self.paused = wanted;
        Ok(())
    }

    fn list(&self, parts: &BTreeSet<Part>) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(parts.len());
        for part in parts {
            list.add_partition(&part.lane.topic(&self.topics), part.partition.get());
        }
        Ok(list)
    }

    fn report(&self, error: &KafkaError) {
        match error {
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => {
                self.find_out_of_range()
            }
            KafkaError::MessageConsumptionFatal(code) => {
                self.inbox
                    .trouble(Trouble::Broken(format!("fatal: {code}")));
            }
            other => self
                .inbox
                .trouble(Trouble::Waiting(format!("Kafka: {other}"))),
        }
    }

    /// The error does not name its partition in a form to rely on, so all are looked at.
    fn find_out_of_range(&self) {
        let held: Vec<Part> = self.fence.lock().held().map(|(part, _)| part).collect();
        let Ok(positions) = self.consumer.position() else {
            return;
        };
        for part in held {
            let topic = part.lane.topic(&self.topics);
            let Ok((low, high)) = self
                .consumer
                .fetch_watermarks(&topic, part.partition.get(), ASK)
            else {
                continue;
            };
            let at = positions
                .find_partition(&topic, part.partition.get())
                .map(|element| element.offset());
            let at = match at {
                Some(KafkaOffset::Offset(at)) => Some(at),
                _ => self.committed(part),
            };
            if let Some(at) = at.filter(|at| *at < low || *at > high) {
                self.inbox.trouble(Trouble::OutOfRange {
                    part,
                    committed: Offset::new(at),
                    low: Offset::new(low),
                    high: Offset::new(high),
                });
                return;
            }
        }
    }

    fn committed(&self, part: Part) -> Option<i64> {
        let list = self.list(&BTreeSet::from([part])).ok()?;
        let committed = self.consumer.committed_offsets(list, ASK).ok()?;
        let element =
            committed.find_partition(&part.lane.topic(&self.topics), part.partition.get())?;
        match element.offset() {
            KafkaOffset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}
