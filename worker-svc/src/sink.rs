//! The only maker of OpenSearch clients: bulk requests, indexes, aliases, documents.
//! In: requests. Out: what the server answered, or a [`Failure`] that says whether the
//! request may have got there. Must hold: a lost reply and an answered error are never
//! taken for each other (W1). Must not: interpret items (`outcome`), retry, or decide.
//! Why several addresses are taken in turn, and a failed one is tried by itself first:
//! the client has no time-out of its own for connecting, and a host that swallows
//! packets would hold every request for the whole time-out.

mod admin;
mod client;
mod documents;
mod options;

use std::time::Duration;

use bytes::Bytes;

pub use admin::{AliasChange, ClusterInfo, IndexInfo, Made};
pub use client::Sink;
pub use documents::{Found, Revision, Written};
pub use options::{Authorization, Options, Tls};

/// What a server answered, success or not.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, read; `None` when absent or unreadable.
    pub retry_after: Option<Duration>,
    /// The whole body.
    pub body: Bytes,
    /// From sending to the last byte of the reply.
    pub took: Duration,
}

/// A request without the answer that was hoped for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection: nothing got there, the same request may be sent again.
    #[error("{to} cannot be reached: {reason}")]
    NotSent {
        /// Scheme, host and port.
        to: String,
        /// What the system said.
        reason: String,
    },
    /// It was sent, and the reply did not come: it may have been carried out.
    #[error("the reply of {to} was lost: {reason}")]
    Lost {
        /// Scheme, host and port.
        to: String,
        /// What the system said.
        reason: String,
    },
    /// The server answered with an error.
    #[error("{to} answered {status} {error_type}: {reason}")]
    Answered {
        /// Scheme, host and port.
        to: String,
        /// The HTTP status.
        status: u16,
        /// OpenSearch's type.
        error_type: String,
        /// OpenSearch's words. Requests of this kind carry no rows.
        reason: String,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The server answered something that is not its API.
    #[error("{to} answered what OpenSearch does not: {reason}")]
    Strange {
        /// Scheme, host and port.
        to: String,
        /// What was wrong with it.
        reason: String,
    },
}

impl Failure {
    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Failure::Answered { status, .. } => Some(*status),
            Failure::NotSent { .. } | Failure::Lost { .. } | Failure::Strange { .. } => None,
        }
    }

    /// The server's error type, if there was an answer.
    #[must_use]
    pub fn error_type(&self) -> Option<&str> {
        match self {
            Failure::Answered { error_type, .. } => Some(error_type),
            Failure::NotSent { .. } | Failure::Lost { .. } | Failure::Strange { .. } => None,
        }
    }

    /// Wrong or missing credentials: files may have been rotated, read them again.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(401)
    }

    /// Trying again may help: no answer, overload, or the server's own trouble. Missing
    /// rights count too: they may be granted.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Failure::NotSent { .. } | Failure::Lost { .. } | Failure::Strange { .. } => true,
            Failure::Answered { status, .. } => matches!(status, 401 | 403 | 408 | 429 | 500..=599),
        }
    }
}

#[cfg(test)]
mod tests;
