//! What the language has and the compiler does not build yet: refused here, in
//! one place, by name.

use crate::diagnostic::{Diagnostic, Spans};
use crate::index::IndexDefinition;

/// A finding for each element that is not supported yet.
pub(crate) fn refuse_unsupported(definition: &IndexDefinition, spans: &Spans) -> Vec<Diagnostic> {
    let _ = (definition, spans);
    Vec::new()
}
