//! Which record caused a document: for the dead-letter topic.

use model::{Change, RecordPosition};

use super::Job;

/// The record that caused a document, as far as it is known: a chunk, a batch's only
/// change, or the change of a row with just this key.
pub(super) fn cause_of<'j>(
    job: &'j Job,
    key: &[String],
) -> (Option<RecordPosition>, Option<&'j Change>) {
    match job {
        Job::Chunk { source, chunk, .. } => (
            Some(chunk.source.clone().unwrap_or_else(|| source.clone())),
            None,
        ),
        Job::Live(batch) => {
            let named = |change: &Change| {
                change
                    .key
                    .iter()
                    .map(|column| column.value.as_deref())
                    .eq(key.iter().map(|part| Some(part.as_str())))
            };
            let found = match batch.changes.as_slice() {
                [only] => Some(only),
                several => several.iter().find(|sourced| named(&sourced.change)),
            };
            (
                found.map(|sourced| sourced.source.clone()),
                found.map(|sourced| &sourced.change),
            )
        }
    }
}
