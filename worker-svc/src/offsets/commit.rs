//! Hands offsets to Kafka. The only place that commits.
//! In: [`Commit`]s, the fence. Out: stored offsets, committed as the consumer's state.
//! Must hold: W1. Only storing is fenced by the client; the broker takes any commit,
//! also for a partition that another member owns by now.
//! Must not: run anywhere but on the consumer's thread: there a revoke cannot come
//! between the look at the fence and the store.

use model::Topics;
use runtime::kafka::{Error, ErrorKind, GroupConsumer, GroupEvents, StoredPosition};

use super::Commit;
use crate::assignment::Fence;

/// Stores what still counts and commits it. With `and_wait` it waits for the broker.
///
/// # Errors
/// Kafka's. Everything may be given out and committed again.
pub fn commit<E: GroupEvents>(
    consumer: &GroupConsumer<E>,
    topics: &Topics,
    fence: &Fence,
    commits: &[Commit],
    and_wait: bool,
) -> Result<(), Error> {
    let mut stored = false;
    for commit in commits {
        if !fence.lock().counts(commit.part, commit.number) {
            continue;
        }
        let position = StoredPosition {
            at: commit.part.at(topics),
            offset: commit.offset,
            metadata: commit.metadata.clone(),
        };
        // One by one: a partition that is gone must not keep the others from being stored.
        match consumer.store(&[position]) {
            Ok(()) => stored = true,
            // The client's own fence: revoked, and the callback has not run yet.
            Err(error) if error.kind() == ErrorKind::NotOwned => {}
            Err(error) => return Err(error),
        }
    }
    if and_wait {
        consumer.commit()?;
    } else if stored {
        consumer.begin_commit()?;
    }
    Ok(())
}
