//! Smaller cases than one that fails.
//! In: a case. Out: cases with something left out, large cuts first; each is valid again, because
//! cuts are made in the typed form and what they leave without use goes with them.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most cuts concern one kind of field"
)]

mod cut;
mod uses;

use std::sync::Arc;

use self::cut::Cut;
use super::case::Case;

/// Smaller cases to try when `case` fails, most promising first. After one that fails too, go on
/// with the smaller cases of that one: they begin where these stopped, and come round to what was
/// tried before. A case written by hand has none.
pub fn shrink(case: &Case) -> impl Iterator<Item = Case> + use<> {
    let plan = case.plan.clone();
    let mut cuts: Vec<(usize, Cut)> = plan
        .as_deref()
        .map(cut::all)
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .collect();
    let begin = plan.as_ref().map_or(0, |plan| plan.cuts_tried);
    if begin < cuts.len() {
        cuts.rotate_left(begin);
    }
    cuts.into_iter().filter_map(move |(number, cut)| {
        let mut smaller = plan.as_ref().map(Arc::clone)?.as_ref().clone();
        smaller.cuts_tried = number;
        cut.make(&mut smaller).then(|| smaller.render())
    })
}

impl Cut {
    /// Whether the cut took something away, and left a valid case.
    fn make(self, plan: &mut super::generate::Plan) -> bool {
        self.apply(plan) && uses::tidy(plan)
    }
}
