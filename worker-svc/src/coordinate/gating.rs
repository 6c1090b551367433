//! Whether a feed holds the slot back, as its announcement says.
//! In: a generation's record, whether the files enable its index, the last announcement. Out:
//! another announcement when that one is not right any more.
//! Must hold: C1, so only a disabled or retired feed is let go; a paused or stopped one gates.
//! Why not left to the coordinator: a disabled index has none, and neither has one that is
//! enabled again while it is stopped.

use model::{Announcement, FeedState};

use super::drive::Context;
use super::now_us;
use crate::error::Transient;
use crate::registry::{GenerationRecord, State};

/// What the announcement of a feed says while its index is enabled.
pub(super) fn feed_state(record: &GenerationRecord) -> FeedState {
    match record.state {
        State::Planned | State::Building | State::Active | State::Standby => FeedState::Gating,
        State::Retired => FeedState::Retired,
    }
}

/// The announcement of a feed in this state.
pub(super) fn announcement(record: &GenerationRecord, state: FeedState) -> Announcement {
    Announcement::Feed {
        feed: record.feed(),
        group: record.group.clone(),
        state,
        definition: record.definition_hash.clone(),
        needs: record.needs.clone(),
        scanning: record.scanning.clone(),
        revision: record.revision,
        at_us: now_us(),
    }
}

/// Announces what a changed `enabled` means for the slot; whether there was anything to say.
/// A feed that was never announced holds nothing back, and its coordinator announces it.
///
/// # Errors
/// The announcement cannot be written.
pub async fn announce_enabled(
    context: &Context,
    record: &GenerationRecord,
    is_enabled: bool,
) -> Result<bool, Transient> {
    let said = {
        let view = context.control.view();
        view.feed(&record.group).map(|word| word.state)
    };
    let Some(due) = due(feed_state(record), is_enabled, said) else {
        return Ok(false);
    };
    context.control.announce(&announcement(record, due)).await?;
    Ok(true)
}

/// The state to announce; `None` when what was said last is right, or not ours to change.
fn due(when_enabled: FeedState, is_enabled: bool, said: Option<FeedState>) -> Option<FeedState> {
    match (when_enabled, is_enabled, said?) {
        (FeedState::Gating, false, FeedState::Gating) => Some(FeedState::Disabled),
        (FeedState::Gating, true, FeedState::Disabled) => Some(FeedState::Gating),
        (_, _, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::generation;

    #[test]
    fn c1_a_paused_or_stopped_generation_gates_a_retired_one_does_not() {
        let mut record = generation();
        record.control.paused = true;
        assert_eq!(feed_state(&record), FeedState::Gating);
        record.state = State::Retired;
        assert_eq!(feed_state(&record), FeedState::Retired);
    }

    #[test]
    fn c1_only_a_disabled_index_is_let_go_and_it_gates_again_when_enabled() {
        use FeedState::{Disabled, Gating, Retired};
        for (when_enabled, is_enabled, said, expected) in [
            (Gating, false, Some(Gating), Some(Disabled)),
            (Gating, false, Some(Disabled), None),
            (Gating, true, Some(Disabled), Some(Gating)),
            (Gating, true, Some(Gating), None),
            // Not announced yet: its coordinator does that.
            (Gating, false, None, None),
            (Gating, true, None, None),
            // Retired for good.
            (Retired, false, Some(Gating), None),
            (Gating, true, Some(Retired), None),
        ] {
            assert_eq!(
                due(when_enabled, is_enabled, said),
                expected,
                "{when_enabled:?} {is_enabled} {said:?}"
            );
        }
    }

    #[test]
    fn a_disabled_feed_still_says_what_it_needs() {
        let record = generation();
        let Announcement::Feed {
            needs,
            state,
            revision,
            ..
        } = announcement(&record, FeedState::Disabled)
        else {
            panic!("no announcement of a feed")
        };
        assert_eq!(
            (needs, state, revision),
            (record.needs, FeedState::Disabled, record.revision)
        );
    }
}
