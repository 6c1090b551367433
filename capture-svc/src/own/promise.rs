//! The word in the control topic that keeps the own file's tables served.
//! In: what was announced, the file's needs. Out: announcements.
//! Must hold: C4 for whoever reads the topic, so a capture that starts again goes on for the file's
//! tables where the last one ended.
//!
//! Why the file is announced like a feed: only what was promised before a start is routed from the
//! slot's first row on (see [`crate::serve`]). Without a word in the control topic the tables of a
//! file that no worker feeds yet would be routed from the start's own LSN on, and the changes since
//! the slot's position would be missing. The needs are part of the name: the former ones stay served
//! until these have their answer.

use model::{Announcement, Epoch, FeedId, FeedState, Generation, Needs};

use crate::control::ControlState;

/// What there is to announce of the own file's `needs`, where topics begin with `topic_prefix`:
/// they, when nobody did yet; once they are served, that former ones are needed no longer.
#[must_use]
pub fn announcements(
    state: &ControlState,
    topic_prefix: &str,
    needs: &Needs,
    epoch: Epoch,
) -> Vec<Announcement> {
    let names = format!("{topic_prefix}.capture.");
    let own = format!("{names}{}", needs.hash());
    let announcement = |group: &str, state, needs: &Needs| Announcement::Feed {
        feed: FeedId::new("", "", Generation::default()),
        group: group.to_owned(),
        state,
        definition: String::new(),
        needs: needs.clone(),
        scanning: Vec::new(),
        revision: 1,
        at_us: jiff::Timestamp::now().as_microsecond(),
    };
    if needs.tables().is_empty() {
        return Vec::new();
    }
    if !state.living().any(|(group, _)| group == own) {
        // It never holds the slot back: nobody consumes under this name.
        return vec![announcement(&own, FeedState::Disabled, needs)];
    }
    if state.unanswered(epoch).any(|(group, _)| group == own) {
        return Vec::new();
    }
    state
        .living()
        .filter(|(group, _)| group.starts_with(&names) && *group != own)
        .map(|(group, feed)| announcement(group, FeedState::Retired, &feed.needs))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ColumnName, Lsn, TableName, TableNeeds};

    const EPOCH: Epoch = Epoch::FIRST;

    fn needs(column: &str) -> Needs {
        let of_table = TableNeeds {
            routing: [ColumnName::new(column)].into(),
            ..TableNeeds::default()
        };
        [(TableName::new("public", "orders"), of_table)]
            .into_iter()
            .collect()
    }

    fn said(state: &ControlState, needs: &Needs) -> Vec<(String, FeedState)> {
        announcements(state, "p", needs, EPOCH)
            .into_iter()
            .map(|word| {
                let Announcement::Feed { group, state, .. } = word else {
                    panic!("{word:?}")
                };
                (group, state)
            })
            .collect()
    }

    fn announce(state: &mut ControlState, needs: &Needs) {
        for word in announcements(state, "p", needs, EPOCH) {
            state.apply(word);
        }
    }

    fn answer(state: &mut ControlState, needs: &Needs) {
        state.apply(Announcement::Served {
            group: group(needs),
            revision: 1,
            needs_hash: needs.hash(),
            tables: Vec::new(),
            scanning: Vec::new(),
            epoch: EPOCH,
            since_lsn: Some(Lsn::new(7)),
            waiting_for: Vec::new(),
            at_us: 0,
        });
    }

    fn group(needs: &Needs) -> String {
        format!("p.capture.{}", needs.hash())
    }

    #[test]
    fn c4_the_own_file_is_promised_like_a_feed_and_holds_nothing_back() {
        let mut state = ControlState::default();
        let file = needs("a");
        // GIVEN a file that was announced and answered
        assert_eq!(said(&state, &file), [(group(&file), FeedState::Disabled)]);
        announce(&mut state, &file);
        answer(&mut state, &file);
        // WHEN capture starts again THEN its tables are served from the first row on
        assert_eq!(said(&state, &file), []);
        assert_eq!(state.served_needs(EPOCH).0, file);
        assert_eq!(state.gating().count(), 0);
    }

    #[test]
    fn c4_a_former_file_is_served_until_the_new_one_is() {
        let mut state = ControlState::default();
        let (former, file) = (needs("a"), needs("b"));
        announce(&mut state, &former);
        answer(&mut state, &former);
        // WHEN the file has changed
        announce(&mut state, &file);
        // THEN nothing of the former one ends before the new one has its answer
        assert_eq!(said(&state, &file), []);
        assert_eq!(state.served_needs(EPOCH).0, former);
        answer(&mut state, &file);
        assert_eq!(said(&state, &file), [(group(&former), FeedState::Retired)]);
        announce(&mut state, &file);
        assert_eq!(state.served_needs(EPOCH).0, file);
    }

    #[test]
    fn a_file_without_indexes_is_not_announced() {
        assert_eq!(said(&ControlState::default(), &Needs::new()), []);
    }
}
