//! What can go wrong with a session, by whether trying again can help.

use std::io;
use std::time::Duration;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;
use tokio_postgres::error::SqlState;

/// A session, or an attempt at one, has ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// About the set-up: trying again cannot help.
    #[error(transparent)]
    Definite(#[from] Definite),
    /// About the world just now: reconnect and try again.
    #[error(transparent)]
    Transient(#[from] Transient),
}

/// About the set-up: trying again cannot help until somebody mends it.
#[derive(Debug, thiserror::Error)]
pub enum Definite {
    /// There is no such slot, or no such publication (42704).
    #[error("something that replication needs does not exist: {0}")]
    Missing(ServerError),
    /// The slot is of no use any more, or the server is not set up for logical
    /// decoding (55000), or the WAL it needs is gone (58P01).
    #[error("the slot or the server is not in a state to stream: {0}")]
    NotInState(ServerError),
    /// The server refuses user, password, database or right. A password file
    /// may have been rotated: read it again once before giving up.
    #[error("the server refuses the session: {0}")]
    Refused(ServerError),
    /// No connection as the configuration wants it.
    #[error(transparent)]
    Connect(runtime::postgres::Error),
    /// The server wants a way of authentication that is not known here.
    #[error("cannot authenticate: {0}")]
    Authentication(String),
}

/// About the world just now.
#[derive(Debug, thiserror::Error)]
pub enum Transient {
    /// The server cannot be reached.
    #[error(transparent)]
    Connect(runtime::postgres::Error),
    /// Another session holds the slot (55006).
    #[error("the slot is in use: {0}")]
    SlotBusy(ServerError),
    /// The server ended the session for a reason of its own.
    #[error("the server ended the session: {0}")]
    Server(ServerError),
    /// Reading or writing failed.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The server closed the connection.
    #[error("the server closed the connection while {doing}")]
    Closed {
        /// What was being done.
        doing: &'static str,
    },
    /// The server gave no sign of life.
    #[error("no sign of life from the server for {after:?} while {doing}")]
    Silent {
        /// What was being done.
        doing: &'static str,
        /// How long.
        after: Duration,
    },
    /// The server ended the stream in order, as it does when it shuts down.
    #[error("the server ended the stream")]
    Ended,
    /// Bytes that are not the protocol, or not in their place.
    #[error("not the replication protocol: {0}")]
    Protocol(String),
}

/// An `ErrorResponse`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// Its SQLSTATE.
    pub code: SqlState,
    /// The server's primary message. Detail and context are left out: they
    /// may quote rows.
    pub message: String,
    /// What the server advises.
    pub hint: Option<String>,
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code.code())
    }
}

impl ServerError {
    pub(super) fn read(mut fields: ErrorFields<'_>) -> Self {
        let mut error = ServerError {
            // What the server sends when it does not know either.
            code: SqlState::INTERNAL_ERROR,
            message: "an error without a message".to_owned(),
            hint: None,
        };
        // A field that cannot be read ends the list; what is there serves.
        while let Ok(Some(field)) = fields.next() {
            let text = String::from_utf8_lossy(field.value_bytes());
            match field.type_() {
                b'C' => error.code = SqlState::from_code(&text),
                b'M' => error.message = text.into_owned(),
                b'H' => error.hint = Some(text.into_owned()),
                _ => {}
            }
        }
        error
    }
}

impl From<ServerError> for Error {
    /// Sorts by SQLSTATE. An unknown one is tried again: nothing is confirmed
    /// by trying, and it stays in sight.
    fn from(error: ServerError) -> Self {
        let code = &error.code;
        let one_of = |codes: &[SqlState]| codes.contains(code);
        if one_of(&[SqlState::OBJECT_IN_USE]) {
            return Transient::SlotBusy(error).into();
        }
        if one_of(&[SqlState::UNDEFINED_OBJECT]) {
            return Definite::Missing(error).into();
        }
        if one_of(&[
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            SqlState::UNDEFINED_FILE,
        ]) {
            return Definite::NotInState(error).into();
        }
        if one_of(&[
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            SqlState::INVALID_CATALOG_NAME,
            SqlState::INSUFFICIENT_PRIVILEGE,
        ]) {
            return Definite::Refused(error).into();
        }
        Transient::Server(error).into()
    }
}
