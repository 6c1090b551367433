//! What consumes: one generation of one index in one sink.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a generation of an index. The first is 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(u32);

impl Generation {
    /// The first generation of an index.
    pub const FIRST: Generation = Generation(1);

    /// The generation numbered `number`.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Generation(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The generation after this one; `None` when the numbers are used up.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Generation)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A feed: the unit that consumes, with one Kafka consumer group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FeedId {
    /// The sink's name in the configuration.
    pub sink: String,
    /// The index's logical name, without prefix.
    pub index: String,
    /// The generation it fills.
    pub generation: Generation,
}

impl FeedId {
    /// The feed that fills `generation` of `index` in `sink`.
    #[must_use]
    pub fn new(sink: impl Into<String>, index: impl Into<String>, generation: Generation) -> Self {
        FeedId {
            sink: sink.into(),
            index: index.into(),
            generation,
        }
    }

    /// The name of its consumer group:
    /// `{topic_prefix}.{sink}.{index_prefix}{index}.g{generation}`.
    #[must_use]
    pub fn group(&self, topic_prefix: &str, index_prefix: &str) -> String {
        let FeedId {
            sink,
            index,
            generation,
        } = self;
        format!("{topic_prefix}.{sink}.{index_prefix}{index}.g{generation}")
    }
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}-g{}", self.sink, self.index, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_prefixes_sink_index_and_generation() {
        let feed = FeedId::new("main", "shows", Generation::new(3));
        assert_eq!(feed.group("shop", "prod_"), "shop.main.prod_shows.g3");
        assert_eq!(feed.group("shop", ""), "shop.main.shows.g3");
    }
}
