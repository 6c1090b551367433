//! Every random decision of a case, in one order: equal seeds decide alike.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// A source of decisions.
pub(super) struct Dice(StdRng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// True in so many of a hundred throws.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    /// A number below `end`, or 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            0
        } else {
            self.0.random_range(0..end)
        }
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        self.0.random_range(low..=high)
    }

    /// One of a list; nothing of an empty one.
    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len());
        from.get(at).cloned()
    }

    /// One of a fixed list.
    pub(super) fn one_of<T, const N: usize>(&mut self, from: [T; N]) -> T {
        const { assert!(N > 0, "nothing to choose from") }
        let at = self.below(N);
        let mut items = from.into_iter();
        let Some(item) = items.nth(at) else {
            unreachable!("below N");
        };
        item
    }

    /// One of a fixed list of words.
    pub(super) fn word<const N: usize>(&mut self, from: [&'static str; N]) -> &'static str {
        self.one_of(from)
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.0);
    }

    /// Up to `count` different items, in random order.
    pub(super) fn some<T: Clone>(&mut self, from: &[T], count: usize) -> Vec<T> {
        let mut items = from.to_vec();
        self.shuffle(&mut items);
        items.truncate(count);
        items
    }

    /// A throw with weights: the position of the one that was hit.
    pub(super) fn weighted<T: Copy, const N: usize>(&mut self, from: [(u32, T); N]) -> T {
        const { assert!(N > 0, "nothing to choose from") }
        let total: u32 = from.iter().map(|(weight, _)| weight).sum();
        let mut left = self.0.random_range(0..total.max(1));
        for (weight, item) in from {
            if left < weight {
                return item;
            }
            left -= weight;
        }
        unreachable!("the throw is below the sum of the weights");
    }
}
