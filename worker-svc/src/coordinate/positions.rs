//! Positions of a group: read from the topics, committed into it, followed later.
//! Must hold: W1, C1: the metadata of a first position claims only what the seed will
//! hold, because it was in the topic, and so committed, before X0 was taken.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use model::{Change, Epoch, Lsn, Offset, OffsetMetadata, Partition, Schemas, Topics};
use runtime::kafka::{Committed, Kafka, Record, StoredPosition, TopicPartition};

use super::control::kafka_error;
use crate::error::{Definite, Transient};
use crate::registry::{PartitionPosition, ServedRecord, TopicPositions};

/// Longest time for reading the last records of all partitions.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Clients for one group, made once.
#[derive(Debug, Clone)]
pub struct Places {
    topics: runtime::kafka::Topics,
    group: runtime::kafka::GroupOffsets,
}

impl Places {
    /// Clients for the positions of `group`.
    ///
    /// # Errors
    /// The settings are refused.
    pub fn new(kafka: &Kafka, group: &str) -> Result<Self, Transient> {
        const DOING: &str = "making a Kafka client";
        Ok(Places {
            topics: kafka.topics().map_err(kafka_error(DOING))?,
            group: kafka.group_offsets(group).map_err(kafka_error(DOING))?,
        })
    }

    /// The partitions of a topic, from 0.
    ///
    /// # Errors
    /// Kafka does not answer, or the topic is not there yet.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<Partition>, Transient> {
        let count = self
            .topics
            .partitions(topic)
            .await
            .map_err(kafka_error("counting partitions"))?;
        let Some(count) = count else {
            return Err(Transient::Waiting(format!(
                "topic {topic} (capture-svc makes it)"
            )));
        };
        Ok((0..i32::try_from(count).unwrap_or(i32::MAX))
            .map(Partition::new)
            .collect())
    }

    /// The ends of a topic's partitions.
    ///
    /// # Errors
    /// Kafka does not answer, or the topic is not there yet.
    pub async fn ends(&self, topic: &str) -> Result<Vec<(Partition, Offset)>, Transient> {
        let partitions = self.partitions(topic).await?;
        let marks = self
            .topics
            .watermarks(topic, &partitions)
            .await
            .map_err(kafka_error("reading the ends of a topic"))?;
        Ok(marks
            .into_iter()
            .map(|mark| (mark.partition, mark.high))
            .collect())
    }

    /// The ends of the three topics with the metadata to commit.
    ///
    /// # Errors
    /// Kafka does not answer; inside: a last record that cannot be read.
    pub async fn take(
        &self,
        schemas: &Schemas,
        topics: &Topics,
        served: &ServedRecord,
    ) -> Result<Result<Vec<TopicPositions>, Definite>, Transient> {
        let changes = match self
            .ends_of_changes(schemas, &topics.changes(), served)
            .await?
        {
            Ok(changes) => changes,
            Err(definite) => return Ok(Err(definite)),
        };
        let mut all = vec![changes];
        for topic in [topics.fanout(), topics.backfill()] {
            let ends = self.ends(&topic).await?;
            let partitions = ends
                .into_iter()
                .map(|(partition, offset)| PartitionPosition {
                    partition,
                    offset,
                    metadata: String::new(),
                })
                .collect();
            all.push(TopicPositions { topic, partitions });
        }
        Ok(Ok(all))
    }

    async fn ends_of_changes(
        &self,
        schemas: &Schemas,
        topic: &str,
        served: &ServedRecord,
    ) -> Result<Result<TopicPositions, Definite>, Transient> {
        // The ends first: what comes between the two readings is consumed again, and the
        // metadata of a later record would claim too much.
        let ends = self.ends(topic).await?;
        let partitions: Vec<Partition> = ends.iter().map(|(partition, _)| *partition).collect();
        let last = self
            .topics
            .last_records(topic, &partitions, READ_TIMEOUT)
            .await
            .map_err(kafka_error("reading the last changes"))?;
        let mut positions = Vec::with_capacity(ends.len());
        let mut last = last.into_iter();
        for (partition, offset) in ends {
            let record = last.next().flatten();
            let metadata = match first_metadata(schemas, served, offset, record.as_ref()) {
                Ok(metadata) => metadata.to_string(),
                Err(definite) => return Ok(Err(definite)),
            };
            positions.push(PartitionPosition {
                partition,
                offset,
                metadata,
            });
        }
        Ok(Ok(TopicPositions {
            topic: topic.to_owned(),
            partitions: positions,
        }))
    }

    /// Commits noted positions into the group, which has no members yet.
    ///
    /// # Errors
    /// Kafka does not answer, or the group has members: somebody has gone on already.
    pub async fn commit(&self, positions: &[TopicPositions]) -> Result<(), Transient> {
        let stored: Vec<StoredPosition> = positions
            .iter()
            .flat_map(|topic| {
                topic.partitions.iter().map(|position| StoredPosition {
                    at: TopicPartition::new(topic.topic.clone(), position.partition),
                    offset: position.offset,
                    metadata: position.metadata.clone(),
                })
            })
            .collect();
        self.group
            .commit(&stored)
            .await
            .map_err(kafka_error("committing the first positions"))
    }

    /// What the group has committed in a topic, partition by partition.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub async fn committed(&self, topic: &str) -> Result<Vec<Committed>, Transient> {
        let at: Vec<TopicPartition> = self
            .partitions(topic)
            .await?
            .into_iter()
            .map(|partition| TopicPartition::new(topic, partition))
            .collect();
        self.group
            .committed(&at)
            .await
            .map_err(kafka_error("reading committed offsets"))
    }
}

/// What may be claimed of a partition that is joined at `end`: everything below the
/// position of the record before it. Where there is none, or the record is of an older
/// epoch, or came after `end`: everything below the LSN since which capture serves us,
/// for all of that was committed before the seed is read.
fn first_metadata(
    schemas: &Schemas,
    served: &ServedRecord,
    end: Offset,
    last: Option<&Record>,
) -> Result<OffsetMetadata, Definite> {
    let since = OffsetMetadata::new(served.epoch, served.since_lsn);
    let Some(record) = last.filter(|record| record.offset < end) else {
        return Ok(since);
    };
    let Some(payload) = &record.payload else {
        return Ok(since);
    };
    let change: Change = schemas
        .decode(payload)
        .map_err(|error| Definite::Unreadable {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            reason: error.to_string(),
        })?;
    let position = change.position();
    if position.epoch == served.epoch && position.lsn > served.since_lsn {
        return Ok(OffsetMetadata::new(position.epoch, position.lsn));
    }
    Ok(since)
}

/// Offsets of commits that are there.
#[must_use]
pub fn offsets(committed: &[Committed]) -> Vec<(Partition, Offset)> {
    committed
        .iter()
        .filter_map(|entry| entry.offset.map(|offset| (entry.at.partition, offset)))
        .collect()
}

/// The lowest (epoch, LSN) a group has reached over the partitions of `changes`; `None`
/// when a partition has none.
#[must_use]
pub fn lowest(committed: &[Committed]) -> Option<(Epoch, Lsn)> {
    let each: Option<Vec<(Epoch, Lsn)>> = committed
        .iter()
        .map(|entry| {
            let metadata: OffsetMetadata = entry.metadata.parse().ok()?;
            entry.offset.map(|_| (metadata.epoch, metadata.lsn))
        })
        .collect();
    each?.into_iter().min()
}

/// Tells whether a feed's delay is small: it has passed ends that were seen not long ago.
/// Time in the records would have to be trusted; this only counts.
#[derive(Debug, Default)]
pub struct Delay {
    seen: VecDeque<(Instant, Vec<(Partition, Offset)>)>,
}

impl Delay {
    /// Notes the ends of `changes` now, and drops those that the group has passed. Returns
    /// how old the oldest ends are that it has not passed: its delay is at least that.
    pub fn observe(
        &mut self,
        now: Instant,
        ends: Vec<(Partition, Offset)>,
        committed: &[(Partition, Offset)],
    ) -> Duration {
        self.seen.push_back((now, ends));
        while let Some((_, oldest)) = self.seen.front() {
            if !crate::generation::has_passed(committed, oldest) {
                break;
            }
            self.seen.pop_front();
        }
        // A feed far behind need not remember every second: thin out, keep the oldest.
        while self.seen.len() > Self::MOST {
            self.seen.remove(1);
        }
        self.seen
            .front()
            .map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at))
    }

    /// One a second, a minute of them: `freshness` is seconds.
    const MOST: usize = 60;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets_of(numbers: &[i64]) -> Vec<(Partition, Offset)> {
        numbers
            .iter()
            .enumerate()
            .map(|(n, offset)| {
                (
                    Partition::new(i32::try_from(n).unwrap()),
                    Offset::new(*offset),
                )
            })
            .collect()
    }

    fn committed(metadata: &str, offset: Option<i64>) -> Committed {
        Committed {
            at: TopicPartition::new("p.changes", Partition::new(0)),
            offset: offset.map(Offset::new),
            metadata: metadata.to_owned(),
        }
    }

    #[test]
    fn the_delay_is_the_age_of_the_oldest_ends_not_passed() {
        let mut delay = Delay::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(
            delay.observe(at(0), offsets_of(&[10, 10]), &offsets_of(&[10, 10])),
            Duration::ZERO
        );
        assert_eq!(
            delay.observe(at(1), offsets_of(&[12, 10]), &offsets_of(&[10, 10])),
            Duration::ZERO
        );
        assert_eq!(
            delay.observe(at(4), offsets_of(&[20, 30]), &offsets_of(&[11, 30])),
            Duration::from_secs(3)
        );
        // It has passed the ends of second 1, not yet those of second 4.
        assert_eq!(
            delay.observe(at(5), offsets_of(&[20, 30]), &offsets_of(&[12, 30])),
            Duration::from_secs(1)
        );
        assert_eq!(
            delay.observe(at(6), offsets_of(&[20, 30]), &offsets_of(&[20, 30])),
            Duration::ZERO
        );
    }

    #[test]
    fn a_feed_far_behind_remembers_how_far_with_bounded_memory() {
        let mut delay = Delay::default();
        let start = Instant::now();
        for second in 0..1000 {
            let end = i64::try_from(second).unwrap() + 1;
            let age = delay.observe(
                start + Duration::from_secs(second),
                offsets_of(&[end]),
                &offsets_of(&[0]),
            );
            assert_eq!(age, Duration::from_secs(second));
        }
        assert!(delay.seen.len() <= Delay::MOST);
    }

    #[test]
    fn r2_a_partition_without_readable_metadata_has_no_lowest_position() {
        let good = committed("epoch=2 lsn=0/10", Some(4));
        let lower = committed("epoch=2 lsn=0/8", Some(9));
        assert_eq!(
            lowest(&[good.clone(), lower]),
            Some((Epoch::new(2), Lsn::new(8)))
        );
        assert_eq!(lowest(&[good.clone(), committed("", Some(9))]), None);
        assert_eq!(lowest(&[good, committed("epoch=2 lsn=0/8", None)]), None);
    }

    #[test]
    fn c1_a_first_position_claims_no_more_than_the_record_before_it() {
        let schemas = Schemas::new().unwrap();
        let served = ServedRecord {
            revision: 1,
            needs_hash: String::new(),
            epoch: Epoch::new(2),
            since_lsn: Lsn::new(100),
        };
        let since = OffsetMetadata::new(Epoch::new(2), Lsn::new(100));
        let record = |epoch, lsn, offset| {
            let position = model::Position::before(Epoch::new(epoch), Lsn::new(lsn));
            let change = Change::heartbeat(
                position,
                model::Heartbeat {
                    clock_us: 0,
                    last: None,
                },
            );
            let bytes = schemas
                .encode(&change, model::Framing::SingleObject)
                .unwrap();
            Record {
                topic: "p.changes".into(),
                partition: Partition::new(0),
                offset: Offset::new(offset),
                key: None,
                payload: Some(bytes.into()),
                timestamp_ms: None,
            }
        };
        let end = Offset::new(8);
        assert_eq!(first_metadata(&schemas, &served, end, None).unwrap(), since);
        let before = record(2, 200, 7);
        assert_eq!(
            first_metadata(&schemas, &served, end, Some(&before)).unwrap(),
            OffsetMetadata::new(Epoch::new(2), Lsn::new(200))
        );
        // Came after the end was read; of an older epoch; below what is served.
        for other in [record(2, 300, 8), record(1, 900, 7), record(2, 50, 7)] {
            assert_eq!(
                first_metadata(&schemas, &served, end, Some(&other)).unwrap(),
                since
            );
        }
    }
}
