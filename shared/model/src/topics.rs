//! The names of the topics, and the partition of a key.
//! Must hold: C3, so a key is placed as every Java client and librdkafka's
//! `murmur2` partitioner would place it.

use crate::position::Partition;

/// The topics of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// The topics of the deployment whose topic prefix is `prefix`.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Topics {
            prefix: prefix.into(),
        }
    }

    /// The deployment's topic prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Row changes, by table and primary key.
    #[must_use]
    pub fn changes(&self) -> String {
        self.name("changes")
    }

    /// Chunks of seeding plans.
    #[must_use]
    pub fn backfill(&self) -> String {
        self.name("backfill")
    }

    /// Chunks of large fan-outs and of repairs.
    #[must_use]
    pub fn fanout(&self) -> String {
        self.name("fanout")
    }

    /// Dead letters.
    #[must_use]
    pub fn dlq(&self) -> String {
        self.name("dlq")
    }

    /// Announcements and the schemas of all records; compacted.
    #[must_use]
    pub fn control(&self) -> String {
        self.name("control")
    }

    fn name(&self, topic: &str) -> String {
        format!("{}.{topic}", self.prefix)
    }
}

/// The partition of `key` in a topic of `partitions` partitions, as Java
/// clients compute it. Zero partitions are taken as one.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> Partition {
    let positive = murmur2(key) & 0x7FFF_FFFF;
    let number = positive % partitions.max(1);
    Partition::new(i32::try_from(number).unwrap_or(0))
}

/// Kafka's variant of `MurmurHash2`: 32 bits, its own fixed seed.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    // Java's lengths are 32-bit; a key is never longer.
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let mut shift = 0;
        for byte in tail {
            hash ^= u32::from(*byte) << shift;
            shift += 8;
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c3_the_hash_is_that_of_the_java_client() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn c3_a_negative_hash_loses_its_sign_and_keeps_the_rest() {
        // -973,932,308 without its sign bit is 1,173,551,340.
        assert_eq!(partition_of(b"21", 1_000), Partition::new(340));
        assert_eq!(partition_of(b"21", 1), Partition::new(0));
        assert_eq!(partition_of(b"21", 0), Partition::new(0));
    }

    #[test]
    fn topics_carry_the_prefix() {
        let topics = Topics::new("shop");
        assert_eq!(
            [
                topics.changes(),
                topics.backfill(),
                topics.fanout(),
                topics.dlq(),
                topics.control()
            ],
            [
                "shop.changes",
                "shop.backfill",
                "shop.fanout",
                "shop.dlq",
                "shop.control"
            ]
        );
    }
}
