//! Progress over work that finishes in any order.
//! In: values registered in order, and the tickets that finished. Out: the
//! value up to which everything is finished. Must hold: W1 and C1 rest on
//! it: an unfinished entry holds back all behind it.

/// Names one registered entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Entries in the order of their registration, each with parts to finish.
#[derive(Debug)]
pub struct Watermark<T> {
    capacity: usize,
    entries: std::collections::VecDeque<Entry<T>>,
    /// The ticket of the first entry.
    first: u64,
    /// The last value registered, to keep the order.
    last: Option<T>,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    open: u32,
}

/// What a watermark refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatermarkError {
    /// As many entries are open as it may hold: take in no more until it
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
        let _ = capacity;
        todo!()
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
        let _ = (value, parts);
        todo!()
    }

    /// One part of `ticket` is finished.
    ///
    /// # Errors
    /// When the ticket is not open.
    pub fn finish(&mut self, ticket: Ticket) -> Result<(), WatermarkError> {
        let _ = ticket;
        todo!()
    }

    /// Drops the complete prefix; its last value, or `None` when nothing
    /// became complete since the last call.
    pub fn advance(&mut self) -> Option<T> {
        todo!()
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

    /// The oldest entry that is not finished or not yet advanced over.
    #[must_use]
    pub fn oldest(&self) -> Option<&T> {
        self.entries.front().map(|entry| &entry.value)
    }
}
