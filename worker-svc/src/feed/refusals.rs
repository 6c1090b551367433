//! Refusals in a row for one reason: then it is the index or a pipeline, not the
//! documents, and nothing must go to the dead-letter topic any more.
//! In: refusals and successes. Out: a reason to stop. Shared by the batches of a feed.

use std::sync::{Mutex, PoisonError};

use crate::Definite;

/// More in a row for one reason are no accident.
const MOST: usize = 100;

/// Counts them.
#[derive(Debug, Default)]
pub struct Refusals {
    row: Mutex<Option<(String, usize)>>,
}

impl Refusals {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A document was refused.
    ///
    /// # Errors
    /// It is one too many.
    pub fn refused(&self, reason: &str) -> Result<(), Definite> {
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match row.as_mut() {
            Some((known, count)) if known == reason => {
                *count = count.saturating_add(1);
                *count
            }
            _ => {
                *row = Some((reason.to_owned(), 1));
                1
            }
        };
        if count >= MOST {
            return Err(Definite::RefusalRun {
                count,
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }

    /// A document was written.
    pub fn interrupted(&self) {
        *self.row.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_refusals_for_one_reason_in_a_row_stop_the_feed() {
        let refusals = Refusals::new();
        for _ in 0..99 {
            assert!(refusals.refused("mapper_parsing_exception").is_ok());
        }
        assert!(refusals.refused("mapper_parsing_exception").is_err());
    }

    #[test]
    fn another_reason_or_a_success_begins_a_new_row() {
        let refusals = Refusals::new();
        for _ in 0..99 {
            assert!(refusals.refused("a").is_ok());
        }
        assert!(refusals.refused("b").is_ok());
        for _ in 0..99 {
            assert!(refusals.refused("a").is_ok());
        }
        refusals.interrupted();
        assert!(refusals.refused("a").is_ok());
    }
}
