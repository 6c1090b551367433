//! From the inbox to a job.
//! In: arrivals. Out: a batch or a chunk, with its tickets. Must hold: W1, R2: every
//! record is registered; one that cannot be read stops the feed or makes it wait.

use std::time::Instant;

use model::{Change, Chunk, Offset, RecordPosition, WireError};

use super::slots::Kind;
use super::status::Hindrance;
use super::work::Job;
use super::{Feed, FeedEnd};
use crate::Definite;
use crate::assignment::{Lane, Part};
use crate::batch::{Filling, SourcedChange, take_chunk};
use crate::consume::{Arrival, Body};

/// A record as far as it could be read.
enum Read<T> {
    Record(T),
    /// Its writer's schema is not known yet: it is looked at again.
    NotYet,
}

impl Feed {
    /// Takes what has arrived into one batch. `false` when no job came of it.
    pub(super) fn start_batch(&mut self) -> Result<bool, FeedEnd> {
        let most = self.parts.limits.batch_max_changes;
        let mut filling = Filling::new(most);
        let mut arrivals = self
            .consuming
            .inbox()
            .take_many(Lane::Changes, most)
            .into_iter();
        let mut taken = 0_u64;
        let mut left = Vec::new();
        for arrival in arrivals.by_ref() {
            match self.take_arrival(&mut filling, &arrival)? {
                Read::Record(()) => taken = taken.saturating_add(1),
                Read::NotYet => {
                    left.push(arrival);
                    break;
                }
            }
            if filling.is_full() {
                break;
            }
        }
        left.extend(arrivals);
        self.consuming.inbox().put_back(Lane::Changes, left);
        self.parts.metrics.consumed(Lane::Changes.name(), taken);
        let closed = filling.close(&mut self.progress);
        let Some(batch) = closed.map_err(|violation| self.violated(violation))? else {
            return Ok(false);
        };
        self.parts
            .metrics
            .batch(u32::try_from(batch.changes.len()).unwrap_or(u32::MAX));
        self.run_job(Kind::Live, Job::Live(batch));
        Ok(true)
    }

    fn take_arrival(
        &mut self,
        filling: &mut Filling,
        arrival: &Arrival,
    ) -> Result<Read<()>, FeedEnd> {
        let (part, number) = (arrival.part, arrival.number);
        let topic = part.lane.topic(&self.parts.topics);
        let taken = match &arrival.body {
            Body::Passed(range) => filling.pass(&mut self.progress, part, number, *range),
            Body::Record { offset, bytes } => {
                let Read::Record(change) = self.decode::<Change>(part, *offset, bytes)? else {
                    return Ok(Read::NotYet);
                };
                let judged = self
                    .parts
                    .scope
                    .judge(&change)
                    .map_err(|reason| self.stopped(reason))?;
                self.freshness.saw(&change);
                let source = RecordPosition {
                    topic: topic.clone(),
                    partition: part.partition,
                    offset: *offset,
                };
                let record = SourcedChange { change, source };
                filling.take(&mut self.progress, part, number, record, judged)
            }
        };
        taken.map_err(|gap| FeedEnd::Stopped(gap.into_definite(topic)))?;
        Ok(Read::Record(()))
    }

    /// A new epoch is named with capture's own reason, as far as it has arrived.
    fn stopped(&self, reason: Definite) -> FeedEnd {
        let Definite::NewEpoch { was, is, .. } = reason else {
            return FeedEnd::Stopped(reason);
        };
        let known = self.parts.worker.builder.cause_of(is);
        FeedEnd::Stopped(known.map_or(reason, |(cause, reason)| Definite::NewEpoch {
            was,
            is,
            cause,
            reason,
        }))
    }

    /// Takes one chunk: of a fan-out before one of a plan. `false` when none was started.
    pub(super) fn start_chunk(&mut self) -> Result<bool, FeedEnd> {
        for lane in [Lane::Fanout, Lane::Backfill] {
            while self.consuming.inbox().has(lane) {
                let permit = match lane {
                    Lane::Backfill => match self.parts.chunks.take(Instant::now()) {
                        Some(permit) => Some(permit),
                        None => break,
                    },
                    Lane::Fanout | Lane::Changes => None,
                };
                let Some(arrival) = self.consuming.inbox().take(lane) else {
                    break;
                };
                match self.chunk_of(arrival)? {
                    Read::NotYet => return Ok(false),
                    Read::Record(None) => {}
                    Read::Record(Some(job)) => {
                        self.run_job(Kind::Chunk(permit), job);
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// `None`: records that concern nobody here, or that were here before.
    fn chunk_of(&mut self, arrival: Arrival) -> Result<Read<Option<Job>>, FeedEnd> {
        let (part, number) = (arrival.part, arrival.number);
        let topic = part.lane.topic(&self.parts.topics);
        let (offset, bytes) = match &arrival.body {
            Body::Passed(range) => {
                let mut filling = Filling::new(1);
                let passed = filling.pass(&mut self.progress, part, number, *range);
                passed.map_err(|gap| FeedEnd::Stopped(gap.into_definite(topic)))?;
                let closed = filling.close(&mut self.progress);
                closed.map_err(|violation| self.violated(violation))?;
                return Ok(Read::Record(None));
            }
            Body::Record { offset, bytes } => (*offset, bytes),
        };
        let Read::Record(chunk) = self.decode::<Chunk>(part, offset, bytes)? else {
            self.consuming.inbox().put_back(part.lane, vec![arrival]);
            return Ok(Read::NotYet);
        };
        if !chunk.settles.is_empty() {
            return Err(FeedEnd::Stopped(Definite::Unreadable {
                topic,
                partition: part.partition,
                offset,
                reason: String::from("it settles dead letters, which this version cannot"),
            }));
        }
        self.parts.metrics.consumed(part.lane.name(), 1);
        let ticket = take_chunk(&mut self.progress, part, number, offset)
            .map_err(|gap| FeedEnd::Stopped(gap.into_definite(topic.clone())))?
            .map_err(|violation| self.violated(violation))?;
        let source = RecordPosition {
            topic,
            partition: part.partition,
            offset,
        };
        Ok(Read::Record(ticket.map(|ticket| Job::Chunk {
            chunk: Box::new(chunk),
            source,
            ticket,
        })))
    }

    fn decode<T: model::wire::Record>(
        &self,
        part: Part,
        offset: Offset,
        bytes: &[u8],
    ) -> Result<Read<T>, FeedEnd> {
        match self.parts.schemas.decode::<T>(bytes) {
            Ok(record) => Ok(Read::Record(record)),
            Err(error @ (WireError::UnknownFingerprint(_) | WireError::UnknownId(_))) => {
                self.status
                    .consumer(Hindrance::Waiting(format!("{part}: {error}")));
                Ok(Read::NotYet)
            }
            Err(error) => Err(FeedEnd::Stopped(Definite::Unreadable {
                topic: part.lane.topic(&self.parts.topics),
                partition: part.partition,
                offset,
                reason: error.to_string(),
            })),
        }
    }
}
