//! What the surfaces say: `/status`, and the private routes.
//! In: what the feeds report, and the registries. Out: JSON.
//! Must not: carry row values. Must hold: `/status` never waits for a dependency.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use model::FeedId;
use runtime::http::ApiError;
use serde_json::{Value, json};

use crate::error::{Definite, Transient, chain};
use crate::registry::{GenerationRecord, Registry, State};

/// One feed of this process, as `/status` shows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeedLine {
    /// Its state: a word of the configuration language, section 8.
    pub state: &'static str,
    /// Why, when there is something to say.
    pub reason: Option<String>,
    /// Records of `changes` behind the end.
    pub lag_records: Option<u64>,
    /// WAL bytes behind the newest position seen.
    pub lag_bytes: Option<u64>,
    /// From commit to durable.
    pub delay_seconds: Option<f64>,
    /// Everything below it is durable in the index.
    pub watermark_lsn: Option<String>,
    /// 0 to 100.
    pub seeded_percent: f64,
    /// Dead letters this process wrote.
    pub dead_letters: u64,
}

/// What the whole process shows. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct Board {
    inner: Arc<Mutex<Shown>>,
    started: Instant,
}

#[derive(Debug, Default)]
struct Shown {
    feeds: BTreeMap<FeedId, FeedLine>,
    /// What a dependency or definition lacks, by its name.
    troubles: BTreeMap<String, String>,
    last_error: Option<String>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    /// Nothing to show yet.
    #[must_use]
    pub fn new() -> Self {
        Board {
            inner: Arc::new(Mutex::new(Shown::default())),
            started: Instant::now(),
        }
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a feed as it is now.
    pub fn feed(&self, feed: &FeedId, line: FeedLine) {
        let mut shown = self.shown();
        if let Some(reason) = line
            .reason
            .as_ref()
            .filter(|_| matches!(line.state, "stopped" | "retrying"))
        {
            shown.last_error = Some(format!("{feed}: {reason}"));
        }
        shown.feeds.insert(feed.clone(), line);
    }

    /// This process does not run the feed any more.
    pub fn forget(&self, feed: &FeedId) {
        self.shown().feeds.remove(feed);
    }

    /// Something does not work; says so until [`Board::mended`].
    pub fn trouble(&self, of: &str, reason: impl Into<String>) {
        let reason = reason.into();
        let mut shown = self.shown();
        shown.last_error = Some(format!("{of}: {reason}"));
        shown.troubles.insert(of.to_owned(), reason);
    }

    /// It works (again).
    pub fn mended(&self, of: &str) {
        self.shown().troubles.remove(of);
    }

    /// The body of `/status`.
    #[must_use]
    pub fn status(&self) -> Value {
        let shown = self.shown();
        let state = if shown.troubles.is_empty() {
            "running"
        } else {
            "waiting"
        };
        let feeds: Vec<Value> = shown
            .feeds
            .iter()
            .map(|(feed, line)| feed_json(feed, line))
            .collect();
        json!({
            "service": "worker-svc",
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "state": state,
            "last_error": shown.last_error,
            "waiting_for": shown.troubles,
            "feeds": feeds,
        })
    }
}

fn feed_json(feed: &FeedId, line: &FeedLine) -> Value {
    json!({
        "sink": feed.sink,
        "index": feed.index,
        "generation": feed.generation,
        "state": line.state,
        "reason": line.reason,
        "lag_records": line.lag_records,
        "lag_bytes": line.lag_bytes,
        "delay_seconds": line.delay_seconds,
        "watermark_lsn": line.watermark_lsn,
        "seeded_percent": line.seeded_percent,
        "dead_letters": line.dead_letters,
    })
}

/// A generation, for commands and the private surface.
#[must_use]
pub fn generation_json(record: &GenerationRecord) -> Value {
    let created_at = jiff::Timestamp::from_microsecond(record.created_at_us)
        .map(|at| at.to_string())
        .ok();
    let feed = match &record.control.stop {
        Some(stop) => {
            json!({"state": "stopped", "reason": stop.reason, "code": stop.code, "advice": stop.advice})
        }
        None if record.control.paused => json!({"state": "paused"}),
        None if record.state.is_fed() => json!({"state": "fed"}),
        None => json!({"state": record.state.word()}),
    };
    json!({
        "sink": record.sink,
        "index": record.index,
        "number": record.number,
        "name": record.index_name,
        "state": record.state.word(),
        "definition": record.definition_hash,
        "created_at": created_at,
        "progress": {"seeded_percent": record.seeded_percent},
        "feed": feed,
    })
}

/// What the private routes ask.
#[derive(Debug, Clone)]
pub struct Registries(pub Arc<Vec<Registry>>);

/// The routes of the private surface.
pub fn private(registries: Registries) -> Router {
    Router::new()
        .route("/v1/indexes", get(all))
        .route("/v1/indexes/{index}", get(one))
        .route("/v1/indexes/{index}/resume", post(resume))
        .with_state(registries)
}

async fn all(Shared(registries): Shared<Registries>) -> Result<Json<Value>, ApiError> {
    let records = records(&registries).await?;
    let mut by_index: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for record in &records {
        by_index
            .entry(&record.index)
            .or_default()
            .push(generation_json(record));
    }
    Ok(Json(json!({ "indexes": by_index })))
}

async fn one(
    Shared(registries): Shared<Registries>,
    Path(index): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let records = records(&registries).await?;
    let generations: Vec<Value> = records
        .iter()
        .filter(|record| record.index == index)
        .map(generation_json)
        .collect();
    if generations.is_empty() {
        return Err(unknown(&index));
    }
    Ok(Json(json!({ "index": index, "generations": generations })))
}

async fn resume(
    Shared(registries): Shared<Registries>,
    Path(index): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let mut found = false;
    for registry in registries.0.iter() {
        for record in listed(registry).await? {
            if record.index != index || record.state == State::Retired {
                continue;
            }
            found = true;
            let changed = registry
                .resume(&index, record.number)
                .await
                .map_err(|error| unavailable(&error))?;
            drop(changed.map_err(|error| conflict(&error))?);
        }
    }
    if !found {
        return Err(unknown(&index));
    }
    Ok(Json(json!({ "state": "running" })))
}

async fn records(registries: &Registries) -> Result<Vec<GenerationRecord>, ApiError> {
    let mut records = Vec::new();
    for registry in registries.0.iter() {
        records.extend(listed(registry).await?);
    }
    Ok(records)
}

async fn listed(registry: &Registry) -> Result<Vec<GenerationRecord>, ApiError> {
    let entries = registry
        .list::<GenerationRecord>()
        .await
        .map_err(|error| unavailable(&error))?;
    let entries = entries.map_err(|error| conflict(&error))?;
    Ok(entries.into_iter().map(|entry| entry.record).collect())
}

fn unknown(index: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "unknown_index",
        format!("index {index} has no generation"),
    )
}

fn unavailable(error: &Transient) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", chain(error))
}

fn conflict(error: &Definite) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, error.rule().code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Stop;
    use crate::registry::tests::generation;
    use model::Generation;

    #[test]
    fn status_shows_every_feed_with_its_reason() {
        let board = Board::new();
        let feed = FeedId::new("main", "users", Generation::FIRST);
        let line = FeedLine {
            state: "stopped",
            reason: Some("public.users was truncated".into()),
            seeded_percent: 100.0,
            ..FeedLine::default()
        };
        board.feed(&feed, line);
        let status = board.status();
        assert_eq!(status["feeds"][0]["state"], "stopped");
        assert_eq!(
            status["last_error"],
            "main/users-g1: public.users was truncated"
        );
        assert_eq!(status["state"], "running");
        board.trouble("kafka", "no broker answers");
        assert_eq!(board.status()["state"], "waiting");
        board.mended("kafka");
        board.forget(&feed);
        assert_eq!(board.status()["feeds"], json!([]));
    }

    #[test]
    fn a_generation_shows_why_its_feed_halted() {
        let mut record = generation();
        record.state = State::Active;
        assert_eq!(generation_json(&record)["feed"]["state"], "fed");
        record.control.stop = Some(Stop {
            code: "refused".into(),
            reason: "r".into(),
            advice: "a".into(),
            at_us: 0,
        });
        let shown = generation_json(&record);
        assert_eq!(shown["feed"]["code"], "refused");
        assert_eq!(shown["number"], 3);
        assert_eq!(shown["state"], "active");
    }
}
