//! The thread's loop.
//! In: polled records, the feed's orders. Out: arrivals in the inbox.
//! Must hold: the loop turns several times a second whatever the feed does.
//! Must not: block for longer than a broker takes to answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::{OffsetRange, Topics};
use runtime::kafka::{Error, ErrorKind, GroupConsumer, Message, TopicPartition};

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
    consumer: GroupConsumer<Callbacks>,
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
        consumer: GroupConsumer<Callbacks>,
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
            self.inbox.trouble(Trouble::Broken(error.to_string()));
            return;
        }
        loop {
            let orders = self.inbox.turn();
            let commits: Vec<_> = orders.commits.into_values().collect();
            if let Err(error) = commit(
                &self.consumer,
                &self.topics,
                &self.fence,
                &commits,
                orders.stop,
            ) {
                self.inbox.commit_failed(error.to_string());
            }
            if orders.stop {
                // The drop leaves the group.
                return;
            }
            if let Err(error) = self.pause_and_resume() {
                self.inbox.trouble(Trouble::Waiting(error.to_string()));
            }
            self.take_records();
            if let Err(error) = self.settle_fresh() {
                self.inbox.trouble(Trouble::Waiting(error.to_string()));
            }
        }
    }

    fn take_records(&self) {
        let mut arrivals = Vec::new();
        let mut wait = POLL;
        for _ in 0..RECORDS_PER_TURN {
            // Also `None` when a callback ran: new partitions are settled before more is read.
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

    fn arrival(&self, message: &Message<'_>) -> Option<Arrival> {
        let (lane, _) = self
            .lanes
            .iter()
            .find(|(_, name)| name == message.topic())?;
        let part = Part::new(*lane, message.partition());
        let number = self.fence.lock().intake(part)?;
        let offset = message.offset();
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

    /// Newly assigned partitions are paused until it is known where they stand: nothing
    /// may arrive that the feed cannot place.
    fn settle_fresh(&mut self) -> Result<(), Error> {
        let fresh = self.consumer.events().fresh();
        if fresh.is_empty() {
            return Ok(());
        }
        let partitions = self.at(&fresh);
        self.consumer.pause(&partitions)?;
        for committed in self.consumer.committed(&partitions, ASK)? {
            let Some(part) = Part::of(&committed.at, &self.topics) else {
                continue;
            };
            let metadata = committed.metadata.parse().ok();
            let number = self.fence.lock().assign(part);
            self.consumer.events().no_longer_fresh(part);
            self.paused.insert(part);
            self.inbox.assigned(
                part,
                Assigned {
                    number,
                    committed: committed.offset,
                    metadata,
                },
            );
        }
        Ok(())
    }

    fn pause_and_resume(&mut self) -> Result<(), Error> {
        let held: BTreeSet<Part> = self.fence.lock().held().map(|(part, _)| part).collect();
        self.paused.retain(|part| held.contains(part));
        let wanted = self.inbox.to_pause(held.iter().copied());
        let pause: BTreeSet<Part> = wanted.difference(&self.paused).copied().collect();
        let resume: BTreeSet<Part> = self.paused.difference(&wanted).copied().collect();
        if !pause.is_empty() {
            self.consumer.pause(&self.at(&pause))?;
            self.paused.extend(pause);
        }
        if !resume.is_empty() {
            self.consumer.resume(&self.at(&resume))?;
            self.paused.retain(|part| wanted.contains(part));
        }
        Ok(())
    }

    fn at(&self, parts: &BTreeSet<Part>) -> Vec<TopicPartition> {
        parts.iter().map(|part| part.at(&self.topics)).collect()
    }

    fn report(&self, error: &Error) {
        if error.kind() == ErrorKind::OffsetOutOfRange {
            self.find_out_of_range();
        } else if error.kind() == ErrorKind::Fatal {
            self.inbox.trouble(Trouble::Broken(error.to_string()));
        } else {
            self.inbox.trouble(Trouble::Waiting(error.to_string()));
        }
    }

    /// The error does not name its partition, so all are looked at.
    fn find_out_of_range(&self) {
        let held: Vec<Part> = self.fence.lock().held().map(|(part, _)| part).collect();
        for part in held {
            let at = part.at(&self.topics);
            let Ok(marks) = self.consumer.watermarks(&at, ASK) else {
                continue;
            };
            let Ok(committed) = self.consumer.committed(std::slice::from_ref(&at), ASK) else {
                continue;
            };
            // Without a committed offset the assignment has said so already.
            let Some(stands) = committed.first().and_then(|committed| committed.offset) else {
                continue;
            };
            if stands < marks.low || stands > marks.high {
                self.inbox.trouble(Trouble::OutOfRange {
                    part,
                    committed: stands,
                    low: marks.low,
                    high: marks.high,
                });
                return;
            }
        }
    }
}
