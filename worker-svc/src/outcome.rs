//! What an answer of OpenSearch means for a document, and for a whole request.
//! In: one [`Item`] of a bulk reply, or a request's status and body. Out: [`Outcome`],
//! [`Verdict`]. Must hold: W1, so nothing counts as done that may not be durable;
//! nothing is refused that is not the document's own fault.
//! Must not: see documents, wait, or retry.
//! Why type before status: one status has several meanings (400 is a closed index as
//! well as a bad document), one error type has a single one.

use std::time::Duration;

use model::{DocumentVersion, Incarnation};
use serde::Deserialize;

use crate::bulk::{self, ErrorBody, Item};

/// How one action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done: it is in the index.
    Applied(Applied),
    /// The index has a version as high or higher. Done, unless that version comes from
    /// a higher incarnation: see [`stale_verdict`].
    Stale {
        /// The version that is there; `None` when the answer does not tell.
        current: Option<DocumentVersion>,
    },
    /// Overload or a passing failure: send it again, with fewer in flight.
    Retry {
        /// Type and reason, fit for a log line.
        reason: String,
    },
    /// The document's own fault; `on_error` decides.
    Refused(Refusal),
    /// The index is missing, closed, blocked, or not ours to write: the feed waits.
    Blocked {
        /// Type and reason, fit for a log line and the status.
        reason: String,
    },
}

/// What an applied action did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// No document was there. After a slow request this may be one whose deletion was
    /// forgotten: design 5 has it checked.
    Created,
    /// A document was replaced.
    Updated,
    /// A document was deleted.
    Deleted,
    /// A delete found nothing; its version is remembered.
    NothingThere,
}

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The item's status; `None` when it was never sent.
    pub status: Option<u16>,
    /// OpenSearch's error type. Says nothing about the row.
    pub error_type: String,
    /// The reason in words, values included: for the dead-letter topic only.
    pub reason: String,
}

impl Refusal {
    /// Type and the part of the reason that holds no row values: for logs, the status
    /// and the registry.
    #[must_use]
    pub fn without_values(&self) -> String {
        without_values(&self.error_type, Some(&self.reason))
    }
}

/// What a conflict means for a document that was built at `own`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleVerdict {
    /// Something as new or newer is there: done.
    Done,
    /// What is there was built in a run that holds a higher number: register above it
    /// and build again (R3).
    Higher(Incarnation),
    /// The answer does not name the version: read it, or build again.
    Unknown,
}

/// Judges a conflict.
#[must_use]
pub fn stale_verdict(own: DocumentVersion, current: Option<DocumentVersion>) -> StaleVerdict {
    match current {
        None => StaleVerdict::Unknown,
        Some(current) if current.incarnation() > own.incarnation() => {
            StaleVerdict::Higher(current.incarnation())
        }
        Some(_) => StaleVerdict::Done,
    }
}

/// Judges one item.
#[must_use]
pub fn of_item(item: &Item) -> Outcome {
    match &item.error {
        None => without_error(item),
        Some(error) => with_error(item.status, error),
    }
}

fn without_error(item: &Item) -> Outcome {
    match (item.status, item.result.as_str()) {
        (200 | 201, "created") => Outcome::Applied(Applied::Created),
        (200 | 201, "updated") => Outcome::Applied(Applied::Updated),
        (200, "deleted") => Outcome::Applied(Applied::Deleted),
        (404, "not_found") => Outcome::Applied(Applied::NothingThere),
        // Nothing is done that does not say so.
        (status, result) => Outcome::Retry {
            reason: format!("status {status}, result {result:?}"),
        },
    }
}

fn with_error(status: u16, error: &ErrorBody) -> Outcome {
    let reason = error.reason.as_deref();
    let public = || without_values(&error.error_type, reason);
    match error.error_type.as_str() {
        "version_conflict_engine_exception" => Outcome::Stale {
            current: current_version(reason),
        },
        kind if is_about_the_index(kind) => Outcome::Blocked { reason: public() },
        kind if kind.ends_with("rejected_execution_exception") => {
            Outcome::Retry { reason: public() }
        }
        "illegal_argument_exception" if is_about_the_set_up(reason) => {
            Outcome::Blocked { reason: public() }
        }
        _ => by_status(status, error, public()),
    }
}

fn by_status(status: u16, error: &ErrorBody, public: String) -> Outcome {
    match status {
        429 | 500..=599 => Outcome::Retry { reason: public },
        400 => Outcome::Refused(Refusal {
            status: Some(status),
            error_type: error.error_type.clone(),
            reason: error.full_reason(),
        }),
        // Missing rights and everything unknown: no document is given up for it.
        _ => Outcome::Blocked { reason: public },
    }
}

/// Types that are never about a document, whatever their status.
fn is_about_the_index(error_type: &str) -> bool {
    matches!(
        error_type,
        "index_not_found_exception"
            | "index_closed_exception"
            | "cluster_block_exception"
            | "security_exception"
            | "validation_exception"
            | "invalid_index_name_exception"
            | "index_create_block_exception"
    )
}

/// `illegal_argument_exception` is mostly a bad document, but also a pipeline that is
/// not there, a full shard, or an alias without a write index.
fn is_about_the_set_up(reason: Option<&str>) -> bool {
    const STARTS: [&str; 4] = [
        "pipeline with id",
        "number of documents in the index cannot exceed",
        "no write index is defined",
        "Validation Failed",
    ];
    reason.is_some_and(|reason| STARTS.iter().any(|start| reason.starts_with(start)))
}

/// From `…: version conflict, current version [7] is higher or equal to the one provided [7]`.
fn current_version(reason: Option<&str>) -> Option<DocumentVersion> {
    let (_, rest) = reason?.rsplit_once("current version [")?;
    let (number, _) = rest.split_once(']')?;
    DocumentVersion::from_i64(number.parse().ok()?).ok()
}

/// Cuts what may quote a row: everything from the first quotation mark or the words
/// that introduce a value; and a long rest.
fn without_values(error_type: &str, reason: Option<&str>) -> String {
    const MOST_CHARS: usize = 200;
    let reason = reason.unwrap_or_default();
    let end = [
        "'",
        "\"",
        "Preview of",
        "; caused by",
        "in document with id",
    ]
    .iter()
    .filter_map(|mark| reason.find(mark))
    .min()
    .unwrap_or(reason.len());
    let kept: String = reason
        .get(..end)
        .unwrap_or_default()
        .chars()
        .take(MOST_CHARS)
        .collect();
    let kept = kept.trim_end();
    if kept.is_empty() {
        error_type.to_owned()
    } else {
        format!("{error_type}: {kept}")
    }
}

/// How a whole bulk request ended.
#[derive(Debug)]
pub enum Verdict {
    /// One outcome per action, in order.
    Items(Vec<Outcome>),
    /// Nothing was applied, and the same body may be sent again later.
    RetryAll {
        /// The wait that the server asked for.
        after: Option<Duration>,
        /// Fit for a log line.
        reason: String,
        /// It is overload: fewer in flight.
        overloaded: bool,
    },
    /// Too large: nothing was applied; send it in halves.
    Halve,
    /// Whether something was applied is unknown: build the documents again (design 5).
    Rebuild {
        /// Fit for a log line.
        reason: String,
    },
    /// The cluster does not let us in, or the index is not there: the feed waits.
    Blocked {
        /// Fit for a log line.
        reason: String,
    },
    /// Nothing was applied, and the same body will fare no better: a bug, or an action
    /// that should not have been sent. The feed stops.
    Malformed {
        /// Fit for a log line.
        reason: String,
    },
}

/// An answered request, as `sink` hands it on.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, read.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: &'a [u8],
}

/// Judges an answered bulk request that held `sent` actions.
#[must_use]
pub fn of_request(answer: &Answer<'_>, sent: usize) -> Verdict {
    if answer.status == 200 {
        return match bulk::parse_reply(answer.body, sent) {
            Ok(items) => Verdict::Items(items.iter().map(of_item).collect()),
            Err(error) => Verdict::Rebuild {
                reason: error.to_string(),
            },
        };
    }
    let error = request_error(answer.body);
    let reason = format!(
        "status {}: {}",
        answer.status,
        without_values(&error.error_type, error.reason.as_deref())
    );
    let after = answer.retry_after;
    match (answer.status, error.error_type.as_str()) {
        (413, _) => Verdict::Halve,
        (_, kind) if is_about_the_index(kind) => Verdict::Blocked { reason },
        (429 | 503, _) => Verdict::RetryAll {
            after,
            reason,
            overloaded: true,
        },
        (401 | 403 | 404 | 405, _) => Verdict::Blocked { reason },
        (400, "illegal_argument_exception") if is_about_the_set_up(error.reason.as_deref()) => {
            Verdict::Blocked { reason }
        }
        (400..=499, _) => Verdict::Malformed { reason },
        // A proxy gave up on the server (502, 504), it failed half-way, or it is no
        // answer of OpenSearch's.
        _ => Verdict::Rebuild { reason },
    }
}

/// The error of a whole request: `{"error": {…}, "status": n}`, or `{"error": "text"}`.
#[must_use]
pub fn request_error(body: &[u8]) -> ErrorBody {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Error {
        Full(ErrorBody),
        Text(String),
    }
    #[derive(Deserialize)]
    struct Whole {
        error: Error,
    }
    match serde_json::from_slice::<Whole>(body) {
        Ok(Whole {
            error: Error::Full(error),
        }) => error,
        Ok(Whole {
            error: Error::Text(text),
        }) => ErrorBody {
            error_type: String::from("error"),
            reason: Some(text),
            caused_by: None,
        },
        // A proxy's page, or nothing.
        Err(_) => ErrorBody {
            error_type: String::from("no OpenSearch error"),
            ..ErrorBody::default()
        },
    }
}

#[cfg(test)]
mod tests;
