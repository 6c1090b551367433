//! What a failed statement means.
//! In: an error of Postgres. Out: try again, stop, or look for the row that spoils it.
//! Must hold: nothing is taken for a row's fault but SQLSTATE class 22 and P0001.

use tokio_postgres::error::SqlState;

use super::Attempt;
use crate::resolve::DocumentKey;
use crate::{Definite, Transient};

/// What a statement's failure means.
pub(super) enum Failed {
    /// Boxed: what was built is large, and failing is rare.
    Attempt(Box<Attempt>),
    Definite(Definite),
    Transient(Transient),
}

pub(super) type Tried<T> = Result<T, Failed>;

impl Failed {
    /// Says which documents were being built, so that they can be bisected.
    pub(super) fn with(self, asked: Vec<DocumentKey>) -> Self {
        let Failed::Attempt(mut attempt) = self else {
            return self;
        };
        if let Attempt::RowFault { keys, .. } | Attempt::TooSlow { keys } = &mut *attempt {
            *keys = Some(asked);
        }
        Failed::Attempt(attempt)
    }
}

impl From<Attempt> for Failed {
    fn from(attempt: Attempt) -> Self {
        Failed::Attempt(Box::new(attempt))
    }
}

impl From<Transient> for Failed {
    fn from(error: Transient) -> Self {
        Failed::Transient(error)
    }
}

impl From<Definite> for Failed {
    fn from(error: Definite) -> Self {
        Failed::Definite(error)
    }
}

/// What a failed statement means. Only class 22 and P0001 can be a row's fault; whether
/// they are, a single row in a fresh transaction tells.
pub(super) fn failed(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Failed {
    move |error| classify(doing, error)
}

fn classify(doing: &'static str, error: tokio_postgres::Error) -> Failed {
    let Some(state) = error.code().cloned() else {
        return Failed::Transient(Transient::Postgres {
            doing,
            source: Box::new(error),
        });
    };
    let message = || {
        error
            .as_db_error()
            .map_or_else(String::new, |db| db.message().to_owned())
    };
    let class = state.code().get(..2).unwrap_or_default();
    match class {
        "22" => row_fault(&state, message()),
        "P0" if state == SqlState::RAISE_EXCEPTION => row_fault(&state, message()),
        _ if state == SqlState::QUERY_CANCELED => Attempt::TooSlow { keys: None }.into(),
        // A table or column that is gone, a missing right: waiting does not bring it back.
        // The message names objects, not values.
        "42" => Failed::Definite(Definite::Definition(format!(
            "{doing}: {} ({})",
            message(),
            state.code()
        ))),
        _ => Failed::Transient(Transient::Postgres {
            doing,
            source: Box::new(error),
        }),
    }
}

fn row_fault(state: &SqlState, message: String) -> Failed {
    Attempt::RowFault {
        sqlstate: state.code().to_owned(),
        message,
        keys: None,
    }
    .into()
}
