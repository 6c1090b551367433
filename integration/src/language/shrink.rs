//! Smaller cases than one that fails.
//! In: a case. Out: cases with something left out, large cuts first; each is valid again, because
//! cuts are made in the typed form and what they leave without use goes with them.

mod cut;
mod uses;

use std::sync::Arc;

use self::cut::Cut;
use super::case::Case;

/// Smaller cases to try when `case` fails, most promising first. After one that fails too, begin
/// anew with it. A case written by hand has none.
pub fn shrink(case: &Case) -> impl Iterator<Item = Case> + use<> {
    let plan = case.plan.clone();
    let cuts = plan.as_deref().map(cut::all).unwrap_or_default();
    cuts.into_iter().filter_map(move |cut| {
        let mut smaller = plan.as_ref().map(Arc::clone)?.as_ref().clone();
        cut.make(&mut smaller).then(|| smaller.render())
    })
}

impl Cut {
    /// Whether the cut took something away, and left a valid case.
    fn make(self, plan: &mut super::generate::Plan) -> bool {
        self.apply(plan) && uses::tidy(plan)
    }
}
