//! Progress over work that finishes in any order.
//! In: values registered in rising order, and the tickets that finished. Out:
//! the value up to which everything is finished.
//! Must hold: W1 and C1 rest on it. An unfinished entry holds back all that
//! stand behind it, also when one entry finishes in many parts.

use std::collections::VecDeque;

/// Names one registered entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Entries in the order of their registration, each with parts to finish.
#[derive(Debug)]
pub struct Watermark<T> {
    /// Bound on `entries`: what an entry refers to is held in memory.
    capacity: usize,
    entries: VecDeque<Entry<T>>,
    /// The ticket of the first entry.
    first: u64,
    /// The last value registered, to keep the order after it was dropped.
    last: Option<T>,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    /// The parts that are not finished.
    open: u32,
}

/// What a watermark refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatermarkError {
    /// As many entries are held as it may hold: take in no more until it
    /// advances.
    #[error("the watermark is full")]
    Full,
    /// The value does not lie above the last registered one.
    #[error("registered out of order")]
    OutOfOrder,
    /// The ticket was never given out, or all of its parts are finished.
    #[error("finished what is not open")]
    NotOpen,
}

impl<T: Ord + Clone> Watermark<T> {
    /// A watermark that holds at most `capacity` entries.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Watermark {
            capacity,
            entries: VecDeque::new(),
            first: 0,
            last: None,
        }
    }

    /// Registers `value`, which must lie above every earlier one.
    ///
    /// # Errors
    /// When it is full, or the value does not rise.
    pub fn register(&mut self, value: T) -> Result<Ticket, WatermarkError> {
        self.register_parts(value, 1)
    }

    /// Registers `value`, which is finished once `parts` parts of it are.
    /// Without parts it is finished at once.
    ///
    /// # Errors
    /// When it is full, or the value does not rise.
    pub fn register_parts(&mut self, value: T, parts: u32) -> Result<Ticket, WatermarkError> {
        if self.is_full() {
            return Err(WatermarkError::Full);
        }
        if self.last.as_ref().is_some_and(|last| *last >= value) {
            return Err(WatermarkError::OutOfOrder);
        }
        let ticket = Ticket(self.first.saturating_add(count(self.entries.len())));
        self.last = Some(value.clone());
        self.entries.push_back(Entry { value, open: parts });
        Ok(ticket)
    }

    /// One part of `ticket` is finished.
    ///
    /// # Errors
    /// When the ticket is not open.
    pub fn finish(&mut self, ticket: Ticket) -> Result<(), WatermarkError> {
        let entry = ticket
            .0
            .checked_sub(self.first)
            .and_then(|place| usize::try_from(place).ok())
            .and_then(|place| self.entries.get_mut(place))
            .ok_or(WatermarkError::NotOpen)?;
        entry.open = entry.open.checked_sub(1).ok_or(WatermarkError::NotOpen)?;
        Ok(())
    }

    /// Drops the complete prefix. Its last value, or `None` when nothing
    /// became complete since the last call.
    pub fn advance(&mut self) -> Option<T> {
        let mut passed = None;
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.open == 0) {
            self.first = self.first.saturating_add(1);
            passed = Some(entry.value);
        }
        passed
    }

    /// How many entries are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// `true` when nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// `true` when it takes no more entries.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.entries.len() >= self.capacity
    }

    /// The oldest entry held: what progress waits for, once it has advanced.
    #[must_use]
    pub fn oldest(&self) -> Option<&T> {
        self.entries.front().map(|entry| &entry.value)
    }
}

fn count(entries: usize) -> u64 {
    u64::try_from(entries).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn w1_an_unfinished_entry_holds_back_all_behind_it() {
        // GIVEN three entries
        let mut watermark = Watermark::new(10);
        let tickets: Vec<_> = [10, 20, 30].map(|n| watermark.register(n).unwrap()).into();
        // WHEN the later two finish
        watermark.finish(tickets[2]).unwrap();
        watermark.finish(tickets[1]).unwrap();
        // THEN nothing advances until the first does
        assert_eq!(watermark.advance(), None);
        watermark.finish(tickets[0]).unwrap();
        assert_eq!(watermark.advance(), Some(30));
        assert_eq!(watermark.advance(), None);
        assert!(watermark.is_empty());
    }

    #[test]
    fn w1_an_entry_is_finished_when_its_last_part_is() {
        let mut watermark = Watermark::new(10);
        let ticket = watermark.register_parts(1, 2).unwrap();
        watermark.finish(ticket).unwrap();
        assert_eq!(watermark.advance(), None);
        watermark.finish(ticket).unwrap();
        assert_eq!(watermark.finish(ticket), Err(WatermarkError::NotOpen));
        assert_eq!(watermark.advance(), Some(1));
        assert_eq!(watermark.finish(ticket), Err(WatermarkError::NotOpen));
    }

    #[test]
    fn an_entry_without_parts_passes_in_its_turn() {
        let mut watermark = Watermark::new(10);
        let ticket = watermark.register(1).unwrap();
        watermark.register_parts(2, 0).unwrap();
        assert_eq!(watermark.advance(), None);
        watermark.finish(ticket).unwrap();
        assert_eq!(watermark.advance(), Some(2));
    }

    #[test]
    fn it_is_bounded_and_keeps_the_order() {
        let mut watermark = Watermark::new(1);
        let ticket = watermark.register(5).unwrap();
        assert_eq!(watermark.register(6), Err(WatermarkError::Full));
        watermark.finish(ticket).unwrap();
        assert_eq!(watermark.advance(), Some(5));
        // The order holds although the entry is gone.
        assert_eq!(watermark.register(5), Err(WatermarkError::OutOfOrder));
        assert!(watermark.register(6).is_ok());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Register { rise: u64, parts: u32 },
        Finish(prop::sample::Index),
        Advance,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (1..4u64, 0..4u32).prop_map(|(rise, parts)| Step::Register { rise, parts }),
            6 => any::<prop::sample::Index>().prop_map(Step::Finish),
            2 => Just(Step::Advance),
        ]
    }

    proptest! {
        /// The model keeps every entry for ever and looks at all of them.
        #[test]
        fn w1_it_agrees_with_a_naive_model(steps in vec(step(), 0..200)) {
            let mut watermark = Watermark::new(8);
            let mut model: Vec<(Ticket, u64, u32)> = Vec::new();
            let (mut value, mut reported) = (0, None);
            for step in steps {
                match step {
                    Step::Register { rise, parts } => {
                        value += rise;
                        match watermark.register_parts(value, parts) {
                            Ok(ticket) => model.push((ticket, value, parts)),
                            Err(error) => {
                                prop_assert_eq!(error, WatermarkError::Full);
                                prop_assert_eq!(watermark.len(), 8);
                            }
                        }
                    }
                    Step::Finish(which) if !model.is_empty() => {
                        let entry = which.index(model.len());
                        let result = watermark.finish(model[entry].0);
                        prop_assert_eq!(result.is_ok(), model[entry].2 > 0);
                        model[entry].2 = model[entry].2.saturating_sub(1);
                    }
                    Step::Finish(_) => {}
                    Step::Advance => {
                        let done = model.iter().take_while(|entry| entry.2 == 0);
                        let expected = done.last().map(|entry| entry.1);
                        let passed = watermark.advance();
                        prop_assert_eq!(passed, expected.filter(|_| expected != reported));
                        reported = expected.or(reported);
                    }
                }
            }
        }
    }
}
