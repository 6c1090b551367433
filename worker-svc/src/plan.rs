//! A table's blocks → chunks.
//! In: the size and density of each leaf. Out: [`Blocks`] for the registry, and from
//! those, always the same, the chunks. Must hold: W5, so the chunks of a plan cover
//! every block from 0 on without a gap or an overlap, and the last one is open-ended.
//! Must not: read the database, or write to Kafka.
//! Why blocks: they are planned from the table's size in an instant, for keys of any
//! type and skew, and are read sequentially.

use model::{Chunk, ChunkCause, Epoch, FeedId, Partition, TableName, Work};

use crate::error::Definite;
use crate::registry::{Blocks, PlanRecord, VisibleFrom};

/// Rows per block where no statistics tell: 8 KiB over rows of about 160 bytes.
const ASSUMED_ROWS_PER_BLOCK: f64 = 50.0;

/// A leaf as found in the catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct LeafSize {
    /// The leaf, or the table itself.
    pub table: TableName,
    /// Its oid.
    pub oid: u32,
    /// Its file node.
    pub file_node: u32,
    /// Its size in blocks, from `pg_relation_size`.
    pub blocks: u32,
    /// `reltuples`: rows at the last analyze; -1 when there was none.
    pub rows_then: f64,
    /// `relpages`: blocks at the last analyze.
    pub blocks_then: u32,
}

/// Cuts each leaf into chunks of about `chunk_rows` rows.
#[must_use]
pub fn cut(leaves: &[LeafSize], chunk_rows: u64) -> Vec<Blocks> {
    leaves
        .iter()
        .map(|leaf| Blocks {
            table: leaf.table.clone(),
            oid: leaf.oid,
            file_node: leaf.file_node,
            blocks: leaf.blocks,
            per_chunk: blocks_per_chunk(leaf, chunk_rows),
        })
        .collect()
}

fn blocks_per_chunk(leaf: &LeafSize, chunk_rows: u64) -> u32 {
    let density = if leaf.rows_then > 0.0 && leaf.blocks_then > 0 {
        leaf.rows_then / f64::from(leaf.blocks_then)
    } else {
        ASSUMED_ROWS_PER_BLOCK
    };
    // Exact enough: a chunk's size is a wish, not a promise.
    let rows = f64::from(u32::try_from(chunk_rows).unwrap_or(u32::MAX));
    let blocks = (rows / density).ceil().clamp(1.0, f64::from(u32::MAX));
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of u32 the line before; no conversion without `as` exists"
    )]
    let blocks = blocks as u32;
    blocks
}

/// How many chunks these leaves make.
///
/// # Errors
/// More than a plan can number.
pub fn count(leaves: &[Blocks]) -> Result<u32, Definite> {
    let total: u64 = leaves.iter().map(|leaf| u64::from(chunks_of(leaf))).sum();
    u32::try_from(total).map_err(|_| Definite::NumbersUsedUp("chunks: raise seed_chunk_rows"))
}

/// An empty leaf has one chunk too: rows may come before it is read.
fn chunks_of(leaf: &Blocks) -> u32 {
    leaf.blocks.div_ceil(leaf.per_chunk.max(1)).max(1)
}

/// What every chunk of a plan has in common.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    /// The feed that builds it.
    pub feed: &'a FeedId,
    /// Its consumer group.
    pub group: &'a str,
    /// The epoch in which the plan is written.
    pub epoch: Epoch,
    /// X0 and its run.
    pub visible_from: VisibleFrom,
}

/// The chunks of a plan with the partition of `{p}.backfill` each goes to, in order.
/// The same plan always gives the same chunks, so an interrupted writing is repeated.
pub fn chunks<'a>(
    plan: &'a PlanRecord,
    header: &'a Header<'a>,
) -> impl Iterator<Item = (Partition, Chunk)> + 'a {
    let ranges = plan.leaves.iter().flat_map(ranges);
    (0_u32..).map_while({
        let mut ranges = ranges;
        move |number| {
            let work = ranges.next()?;
            Some((
                partition(number, plan.partitions),
                chunk(plan, header, number, work),
            ))
        }
    })
}

/// Chunks are dealt out like cards: all partitions finish at about the same time.
fn partition(number: u32, partitions: u32) -> Partition {
    Partition::new(i32::try_from(number % partitions.max(1)).unwrap_or(0))
}

fn chunk(plan: &PlanRecord, header: &Header<'_>, number: u32, work: Work) -> Chunk {
    Chunk {
        feed: header.feed.clone(),
        group: header.group.to_owned(),
        plan: plan.id.clone(),
        number,
        epoch: header.epoch,
        incarnation: header.visible_from.incarnation,
        visible_from: Some(header.visible_from.xid),
        xid: None,
        cause: ChunkCause::Seed,
        work,
        source: None,
        settles: Vec::new(),
    }
}

fn ranges(leaf: &Blocks) -> impl Iterator<Item = Work> + '_ {
    let count = chunks_of(leaf);
    let per_chunk = leaf.per_chunk.max(1);
    (0..count).map(move |n| {
        let from = n.saturating_mul(per_chunk);
        let is_last = n.saturating_add(1) == count;
        Work::Blocks {
            table: leaf.table.clone(),
            oid: leaf.oid,
            file_node: leaf.file_node,
            from,
            to: (!is_last).then(|| from.saturating_add(per_chunk)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Generation, Incarnation, Xid};
    use proptest::prelude::*;

    fn leaf(blocks: u32, rows_then: f64, blocks_then: u32) -> LeafSize {
        LeafSize {
            table: TableName::new("public", "t"),
            oid: 1,
            file_node: 2,
            blocks,
            rows_then,
            blocks_then,
        }
    }

    fn plan(leaves: Vec<Blocks>, partitions: u32) -> PlanRecord {
        PlanRecord {
            id: "seed-1".into(),
            attempt: 0,
            chunk_rows: 1000,
            chunks: count(&leaves).unwrap(),
            leaves,
            partitions,
            starts: vec![],
            ends: None,
            at_us: 0,
            replan: vec![],
        }
    }

    fn all(plan: &PlanRecord) -> Vec<(Partition, Chunk)> {
        let feed = FeedId::new("main", "users", Generation::FIRST);
        let visible_from = VisibleFrom {
            xid: Xid::new(700),
            incarnation: Incarnation::FIRST,
        };
        let header = Header {
            feed: &feed,
            group: "g",
            epoch: Epoch::FIRST,
            visible_from,
        };
        chunks(plan, &header).collect()
    }

    #[test]
    fn a_chunk_holds_about_the_wished_rows_by_the_statistics() {
        assert_eq!(cut(&[leaf(1000, 40_000.0, 1000)], 10_000)[0].per_chunk, 250);
        // Grown since the last analyze: the density still holds.
        assert_eq!(cut(&[leaf(9000, 40_000.0, 1000)], 10_000)[0].per_chunk, 250);
        // Never analyzed.
        assert_eq!(cut(&[leaf(1000, -1.0, 0)], 10_000)[0].per_chunk, 200);
        // Rows larger than a block.
        assert_eq!(cut(&[leaf(1000, 10.0, 1000)], 1)[0].per_chunk, 100);
    }

    #[test]
    fn an_empty_table_has_one_open_chunk() {
        let plan = plan(cut(&[leaf(0, -1.0, 0)], 10), 4);
        let chunks = all(&plan);
        assert_eq!(chunks.len(), 1);
        assert!(matches!(
            chunks[0].1.work,
            Work::Blocks {
                from: 0,
                to: None,
                ..
            }
        ));
        assert_eq!(chunks[0].1.visible_from, Some(Xid::new(700)));
    }

    #[test]
    fn chunks_are_spread_over_all_partitions() {
        let plan = plan(cut(&[leaf(10, 10.0, 10)], 1), 3);
        let partitions: Vec<i32> = all(&plan)
            .iter()
            .map(|(partition, _)| partition.get())
            .collect();
        assert_eq!(partitions, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
    }

    proptest! {
        #[test]
        fn w5_the_chunks_cover_every_block_once_and_the_last_is_open(
            sizes in prop::collection::vec((0u32..500, -1.0f64..2000.0, 0u32..300), 1..5),
            rows in 1u64..3000,
            partitions in 1u32..7,
        ) {
            let leaves: Vec<LeafSize> = sizes.iter().enumerate().map(|(n, (blocks, rows, then))| LeafSize {
                oid: u32::try_from(n).unwrap(), ..leaf(*blocks, *rows, *then)
            }).collect();
            let plan = plan(cut(&leaves, rows), partitions);
            let chunks = all(&plan);
            prop_assert_eq!(u32::try_from(chunks.len()).unwrap(), plan.chunks);
            let mut expected: Vec<u32> = vec![];
            for (n, (_, chunk)) in chunks.iter().enumerate() {
                prop_assert_eq!(usize::try_from(chunk.number).unwrap(), n);
                let Work::Blocks { oid, from, to, .. } = &chunk.work else { unreachable!() };
                let place = usize::try_from(*oid).unwrap();
                if expected.len() == place { expected.push(0) }
                prop_assert_eq!(expected[place], *from);
                expected[place] = to.unwrap_or(u32::MAX);
                if let Some(to) = to { prop_assert!(to > from) }
            }
            prop_assert_eq!(expected, vec![u32::MAX; leaves.len()]);
        }
    }
}
