//! Built documents → OpenSearch, until each has ended.
//! In: [`Built`]. Out: [`Written`]: which were refused, which must be built again; all
//! others are durable. Must hold: W1 (nothing counts as done that may not be), W2 (what
//! is too old, or whose reply cannot be trusted, is built again instead of sent again).
//! Must not: decide about refused documents.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::Incarnation;
use runtime::retry::{Backoff, Waited};
use runtime::shutdown::Shutdown;

use super::room::Room;
use super::status::{Hindrance, Line};
use super::work::Halt;
use crate::Definite;
use crate::build::{Built, is_fresh};
use crate::bulk::{self, Body, Bounds, IdRefused};
use crate::metrics::FeedMetrics;
use crate::outcome::{self, Answer, Applied, Outcome, Refusal, StaleVerdict, Verdict};
use crate::resolve::DocumentKey;
use crate::sink::{Failure, Reply, Sink};

/// An upsert answered `created` by a request that took longer is checked: a delete may
/// have come and been forgotten meanwhile (design 5).
const SLOW_CREATE: Duration = Duration::from_secs(1);

/// Writes the documents of one feed.
#[derive(Debug)]
pub struct Writer {
    sink: Sink,
    index: String,
    pipeline: Option<String>,
    bounds: Bounds,
    room: Room,
    metrics: FeedMetrics,
}

/// How the documents of a build ended, apart from those that are durable.
#[derive(Debug, Default)]
pub struct Written {
    /// By their place in [`Built::documents`].
    pub refused: Vec<(usize, Refusal)>,
    /// To be built again from a new snapshot.
    pub again: Vec<DocumentKey>,
    /// Created by a slow request: does the row still exist?
    pub check: Vec<DocumentKey>,
    /// The index holds versions of this incarnation, which is higher than ours.
    pub higher: Option<Incarnation>,
    /// All of a request, more than a few, were refused for this one reason.
    pub whole_request_refused: Option<String>,
}

/// One round's result for a body.
enum Sending {
    Verdict(Verdict, Duration),
    Failed(Failure),
}

/// What is left to do after a round.
#[derive(Default)]
struct Round {
    pending: Vec<usize>,
    after: Option<Duration>,
    hindrance: Option<Hindrance>,
    halve: Option<Bounds>,
}

impl Writer {
    /// Writes to `index`, at most `most` requests at once.
    #[must_use]
    pub fn new(
        sink: Sink,
        index: String,
        pipeline: Option<String>,
        bounds: Bounds,
        most: usize,
        metrics: FeedMetrics,
    ) -> Self {
        metrics.bulk_allowed(most.max(1));
        Writer {
            sink,
            index,
            pipeline,
            bounds,
            room: Room::new(most),
            metrics,
        }
    }

    /// Writes until every document has ended.
    ///
    /// # Errors
    /// Stop was asked for, or OpenSearch takes a request for malformed.
    pub async fn write(
        &self,
        built: &Built,
        line: &Line,
        shutdown: &Shutdown,
    ) -> Result<Written, Halt> {
        let mut written = Written::default();
        let mut pending = self.check_ids(built, &mut written);
        let mut bounds = self.bounds;
        let mut backoff = Backoff::default();
        while !pending.is_empty() {
            if !is_fresh(built.read_at, Instant::now()) {
                self.metrics.dropped("too_old");
                again(built, pending, &mut written);
                // What hinders it stays in the status.
                return Ok(written);
            }
            let round = self.round(built, &pending, bounds, &mut written).await?;
            if round.pending.len() < pending.len() {
                backoff.reset();
            }
            pending = round.pending;
            bounds = round.halve.unwrap_or(bounds);
            match round.hindrance {
                Some(hindrance) => line.set(hindrance),
                None => line.clear(),
            }
            if pending.is_empty() || round.halve.is_some() {
                continue;
            }
            self.metrics.documents("retry", count(pending.len()));
            if backoff.wait(shutdown, round.after).await == Waited::Stopping {
                return Err(Halt::Stopping);
            }
        }
        line.clear();
        Ok(written)
    }

    /// Ids that no request can carry would make OpenSearch refuse the whole request.
    fn check_ids(&self, built: &Built, written: &mut Written) -> Vec<usize> {
        let mut pending = Vec::with_capacity(built.documents.len());
        for (n, document) in built.documents.iter().enumerate() {
            match bulk::check_id(&document.id) {
                Ok(()) => pending.push(n),
                Err(error) => {
                    self.metrics.documents("refused", 1);
                    written
                        .refused
                        .push((n, never_sent("id_not_usable", error.to_string())));
                }
            }
        }
        pending
    }

    async fn round(
        &self,
        built: &Built,
        pending: &[usize],
        bounds: Bounds,
        written: &mut Written,
    ) -> Result<Round, Halt> {
        let mut round = Round::default();
        let mut start = 0_usize;
        let mut under_way = FuturesUnordered::new();
        loop {
            // As many bodies are made as may be sent: memory does not grow with the batch.
            while under_way.len() < self.room.most()
                && let Some(body) = next_body(built, pending, start, bounds)
            {
                let body = body.map_err(|error| Definite::Malformed(error.to_string()))?;
                let range = start..start.saturating_add(body.items);
                start = range.end;
                under_way.push(self.send_range(body, range));
            }
            let Some((body, range, sent)) = under_way.next().await else {
                break;
            };
            let places = pending.get(range).unwrap_or_default();
            self.take(built, places, &body, bounds, sent, &mut round, written)?;
        }
        Ok(round)
    }

    async fn send_range(&self, body: Body, range: Range<usize>) -> (Body, Range<usize>, Sending) {
        let sent = self.send(body.clone()).await;
        (body, range, sent)
    }

    async fn send(&self, body: Body) -> Sending {
        let permit = self.room.enter().await;
        let (items, bytes) = (body.items, body.bytes.len());
        let reply = self
            .sink
            .bulk(&self.index, self.pipeline.as_deref(), body.bytes)
            .await;
        match reply {
            Ok(Reply {
                status,
                retry_after,
                body,
                took,
            }) => {
                let answer = Answer {
                    status,
                    retry_after,
                    body: &body,
                };
                let verdict = outcome::of_request(&answer, items);
                self.metrics.bulk(word(&verdict), bytes, took);
                if is_overload(&verdict) {
                    permit.overloaded();
                } else {
                    permit.succeeded();
                }
                self.metrics.bulk_allowed(self.room.allowed());
                Sending::Verdict(verdict, took)
            }
            Err(failure) => {
                let word = if matches!(failure, Failure::NotSent { .. }) {
                    "not_sent"
                } else {
                    "lost"
                };
                self.metrics.bulk(word, bytes, Duration::ZERO);
                Sending::Failed(failure)
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call, all of it this round's state"
    )]
    fn take(
        &self,
        built: &Built,
        places: &[usize],
        body: &Body,
        bounds: Bounds,
        sent: Sending,
        round: &mut Round,
        written: &mut Written,
    ) -> Result<(), Halt> {
        match sent {
            // Nothing got there: the same body may be sent again.
            Sending::Failed(failure @ Failure::NotSent { .. }) => {
                round.pending.extend(places);
                round.hindrance = Some(Hindrance::Retrying(failure.to_string()));
            }
            // It may have been carried out, and the versions of its deletes forgotten
            // before it is repeated.
            Sending::Failed(failure) => {
                self.metrics.dropped("reply_lost");
                round.hindrance = Some(Hindrance::Retrying(failure.to_string()));
                again(built, places.iter().copied(), written);
            }
            Sending::Verdict(Verdict::RetryAll { after, reason, .. }, _) => {
                round.pending.extend(places);
                round.after = round.after.max(after);
                round.hindrance = Some(Hindrance::Retrying(reason));
            }
            Sending::Verdict(Verdict::Halve, _) if body.items > 1 => {
                round.pending.extend(places);
                round.halve = Some(bounds.halved(body));
            }
            Sending::Verdict(Verdict::Halve, _) => {
                self.metrics.documents("refused", 1);
                let refusal = |place: &usize| {
                    (
                        *place,
                        never_sent(
                            "request_too_large",
                            String::from("larger than http.max_content_length"),
                        ),
                    )
                };
                written.refused.extend(places.iter().map(refusal));
            }
            Sending::Verdict(Verdict::Rebuild { reason }, _) => {
                self.metrics.dropped("reply_unknown");
                round.hindrance = Some(Hindrance::Retrying(reason));
                again(built, places.iter().copied(), written);
            }
            Sending::Verdict(Verdict::Blocked { reason }, _) => {
                round.pending.extend(places);
                round.hindrance = Some(Hindrance::Waiting(reason));
            }
            Sending::Verdict(Verdict::Malformed { reason }, _) => {
                return Err(Definite::Malformed(reason).into());
            }
            Sending::Verdict(Verdict::Items(outcomes), took) => {
                self.take_items(built, places, outcomes, took, round, written);
            }
        }
        Ok(())
    }

    fn take_items(
        &self,
        built: &Built,
        places: &[usize],
        outcomes: Vec<Outcome>,
        took: Duration,
        round: &mut Round,
        written: &mut Written,
    ) {
        // `outcome` has compared the count with the request; a shorter side ends both.
        let is_late = !is_fresh(built.read_at, Instant::now());
        let (mut applied, mut stale) = (0_u64, 0_u64);
        let mut refused: Vec<(usize, Refusal)> = Vec::new();
        for (n, outcome) in outcomes.into_iter().enumerate() {
            let Some(place) = places.get(n).copied() else {
                break;
            };
            match outcome {
                // Whatever came this late may have met a tombstone that was forgotten.
                Outcome::Applied(_) | Outcome::Stale { .. } if is_late => {
                    again(built, [place], written);
                }
                Outcome::Applied(Applied::Created) if took > SLOW_CREATE => {
                    self.metrics.dropped("slow_create");
                    written.check.extend(key_of(built, place));
                }
                Outcome::Applied(_) => applied = applied.saturating_add(1),
                Outcome::Stale { current } => {
                    match outcome::stale_verdict(built.version, current) {
                        StaleVerdict::Done => stale = stale.saturating_add(1),
                        StaleVerdict::Higher(incarnation) => {
                            written.higher = written.higher.max(Some(incarnation));
                            again(built, [place], written);
                        }
                        StaleVerdict::Unknown => again(built, [place], written),
                    }
                }
                Outcome::Retry { reason } => {
                    round.pending.push(place);
                    round.hindrance = Some(Hindrance::Retrying(reason));
                }
                Outcome::Blocked { reason } => {
                    round.pending.push(place);
                    round.hindrance = Some(Hindrance::Waiting(reason));
                }
                Outcome::Refused(refusal) => refused.push((place, refusal)),
            }
        }
        self.metrics.documents("applied", applied);
        self.metrics.documents("stale", stale);
        self.metrics.documents("refused", count(refused.len()));
        if let Some(reason) = one_reason(places.len(), &refused) {
            written.whole_request_refused = Some(reason);
        }
        written.refused.append(&mut refused);
    }
}

/// The next body from `pending`, beginning at its place `start`.
fn next_body(
    built: &Built,
    pending: &[usize],
    start: usize,
    bounds: Bounds,
) -> Option<Result<Body, IdRefused>> {
    let actions = pending
        .get(start..)?
        .iter()
        .filter_map(|place| built.documents.get(*place))
        .map(|document| built.action(document));
    bulk::bodies(actions, bounds).next()
}

/// The reason, if all of a request, more than a few, were refused for the same one: then
/// it is the index or a pipeline, not the documents.
fn one_reason(sent: usize, refused: &[(usize, Refusal)]) -> Option<String> {
    /// Fewer may well be alike by themselves: an idle feed's requests hold one document.
    const FEW: usize = 10;
    if sent < FEW || refused.len() != sent {
        return None;
    }
    let (_, first) = refused.first()?;
    refused
        .iter()
        .all(|(_, refusal)| refusal.error_type == first.error_type)
        .then(|| first.without_values())
}

fn key_of(built: &Built, place: usize) -> Option<DocumentKey> {
    built
        .documents
        .get(place)
        .map(|document| DocumentKey(document.key.clone()))
}

fn again(built: &Built, places: impl IntoIterator<Item = usize>, written: &mut Written) {
    let keys = places.into_iter().filter_map(|place| key_of(built, place));
    written.again.extend(keys);
}

fn never_sent(error_type: &str, reason: String) -> Refusal {
    Refusal {
        status: None,
        error_type: error_type.to_owned(),
        reason,
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Items(_) => "items",
        Verdict::RetryAll { .. } => "retry",
        Verdict::Halve => "halve",
        Verdict::Rebuild { .. } => "rebuild",
        Verdict::Blocked { .. } => "blocked",
        Verdict::Malformed { .. } => "malformed",
    }
}

fn is_overload(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::RetryAll { overloaded, .. } => *overloaded,
        Verdict::Items(outcomes) => outcomes
            .iter()
            .any(|outcome| matches!(outcome, Outcome::Retry { .. })),
        Verdict::Halve
        | Verdict::Rebuild { .. }
        | Verdict::Blocked { .. }
        | Verdict::Malformed { .. } => false,
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
