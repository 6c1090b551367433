//! Looks at the gating groups again and again, beside the pump.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Epoch, Lsn, OffsetMetadata, Partition};
use runtime::kafka::{GroupOffsets, Kafka, TopicPartition};
use runtime::postgres::Postgres;
use runtime::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::{Committed, Durable, GroupOffsets as Offsets, minimum};
use crate::control::failure;
use crate::error::{Failure, Transient};

/// How often. WAL is freed in steps of segments, so more often would free nothing earlier; an idle
/// database's WAL end is confirmed one round after the heartbeat that carried it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the gate has seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// What the groups have made durable.
    pub durable: Durable,
    /// Where the server's WAL ends.
    pub end_of_wal: Lsn,
}

/// Which partitions, of which epoch.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The full name of `{p}.changes`.
    pub topic: String,
    /// Its partition count.
    pub partitions: u32,
    /// The epoch that metadata must be of.
    pub epoch: Epoch,
}

/// Looks at the groups until stop is asked for. A group that cannot be read keeps what it said
/// before: an old answer is too low, never too high.
///
/// # Errors
/// When Postgres does not answer.
pub async fn watch(
    kafka: Kafka,
    postgres: Postgres,
    scope: Scope,
    groups: watch::Receiver<Vec<String>>,
    observed: watch::Sender<Observed>,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let session = postgres
        .connect("flusso-capture")
        .await
        .map_err(|error| Transient::Postgres(error.to_string()))?;
    let mut readers: BTreeMap<String, GroupOffsets> = BTreeMap::new();
    let mut known: BTreeMap<String, Offsets> = BTreeMap::new();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.or_stop(ticks.tick()).await.is_some() {
        let wanted = groups.borrow().clone();
        readers.retain(|group, _| wanted.contains(group));
        known.retain(|group, _| wanted.contains(group));
        for group in wanted {
            let reader = match readers.entry(group.clone()) {
                std::collections::btree_map::Entry::Occupied(reader) => reader.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(kafka.group_offsets(&group).map_err(failure)?)
                }
            };
            match read(reader, &scope).await {
                Ok(offsets) => {
                    known.insert(group, offsets);
                }
                Err(error) => {
                    tracing::warn!(group, %error, "the offsets of a group cannot be read; what it said before counts");
                    // One that never said anything holds everything back.
                    known.entry(group).or_default();
                }
            }
        }
        let end_of_wal = end_of_wal(&session).await?;
        let durable = minimum(&known, scope.partitions, scope.epoch);
        observed.send_replace(Observed {
            durable,
            end_of_wal,
        });
    }
    Ok(())
}

async fn read(reader: &GroupOffsets, scope: &Scope) -> Result<Offsets, runtime::kafka::Error> {
    let partition = |number| i32::try_from(number).ok().map(Partition::new);
    let at: Vec<TopicPartition> = (0..scope.partitions)
        .filter_map(partition)
        .map(|partition| TopicPartition::new(&scope.topic, partition))
        .collect();
    let committed = reader.committed(&at).await?;
    let take = |committed: runtime::kafka::Committed| {
        let offset = committed.offset?;
        let metadata = committed.metadata.parse::<OffsetMetadata>().ok();
        Some((committed.at.partition, Committed { offset, metadata }))
    };
    Ok(committed.into_iter().filter_map(take).collect())
}

async fn end_of_wal(session: &tokio_postgres::Client) -> Result<Lsn, Failure> {
    let row = session
        .query_one("SELECT pg_current_wal_lsn()::text", &[])
        .await;
    let text: String = row
        .and_then(|row| row.try_get(0))
        .map_err(|error| Transient::Postgres(format!("cannot read the end of the WAL: {error}")))?;
    text.parse()
        .map_err(|_| Transient::Postgres(format!("{text} is not an LSN")).into())
}
