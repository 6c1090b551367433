//! Records to test with: a fixed set in which every variant occurs, and
//! strategies for random ones.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::*;

pub(super) fn heartbeat() -> Change {
    let position = Position::before(Epoch::new(3), Lsn::new(0x16_B374_D848));
    let last = PublishedTransaction {
        lsn: Lsn::new(0x16_B374_D000),
        xid: Xid::new((1 << 32) + 741),
        commit_ts_us: 1_764_000_000_000_001,
    };
    let heartbeat = Heartbeat {
        clock_us: 1_764_000_000_250_000,
        last: Some(last),
    };
    Change::heartbeat(position, heartbeat)
}

fn column(name: &str, value: Option<&str>) -> ColumnValue {
    ColumnValue::new(name, value.map(str::to_owned))
}

fn row(op: Operation, old_values: OldValues) -> Change {
    Change {
        table: TableName::new("crm", "Reviews"),
        op,
        key: vec![column("reviewId", Some("12"))],
        old_key: None,
        old_values,
        before: None,
        after: None,
        epoch: Epoch::FIRST,
        commit_lsn: Lsn::new(0x016B_3748),
        seq: Seq::new(0),
        xid: Xid::new(741),
        commit_ts_us: 1_764_000_000_000_000,
        heartbeat: None,
    }
}

/// Named changes: every operation and every state of the old values.
pub(super) fn changes() -> Vec<(&'static str, Change)> {
    let routing = |value| Some(vec![column("show_id", value)]);
    let mut first_heartbeat = heartbeat();
    first_heartbeat.heartbeat = Some(Heartbeat {
        clock_us: 1,
        last: None,
    });
    let mut truncate = row(Operation::Truncate, OldValues::Absent);
    truncate.key = Vec::new();
    let mut extreme = row(Operation::Update, OldValues::Unchanged);
    extreme.epoch = Epoch::new(u32::MAX);
    extreme.commit_lsn = Lsn::new(u64::MAX);
    extreme.seq = Seq::new(i64::MAX);
    extreme.xid = Xid::new(u64::MAX);
    extreme.commit_ts_us = i64::MIN;
    vec![
        (
            "insert",
            Change {
                after: routing(Some("7")),
                ..row(Operation::Insert, OldValues::Absent)
            },
        ),
        (
            "update",
            Change {
                after: routing(Some("8")),
                before: routing(Some("7")),
                ..row(Operation::Update, OldValues::Sent)
            },
        ),
        (
            "update_of_key",
            Change {
                old_key: Some(vec![column("reviewId", Some("11"))]),
                after: routing(None),
                before: routing(Some("")),
                ..row(Operation::Update, OldValues::Sent)
            },
        ),
        (
            "update_without_old_row",
            Change {
                after: routing(Some("7")),
                ..row(Operation::Update, OldValues::Unchanged)
            },
        ),
        (
            "delete",
            Change {
                before: routing(Some("7")),
                ..row(Operation::Delete, OldValues::Sent)
            },
        ),
        (
            "delete_with_unknown_values",
            row(Operation::Delete, OldValues::Unknown),
        ),
        ("truncate", truncate),
        ("heartbeat", heartbeat()),
        ("first_heartbeat", first_heartbeat),
        ("extreme_numbers", extreme),
    ]
}

fn feed_id() -> FeedId {
    FeedId::new("main", "shows", Generation::new(3))
}

fn group() -> String {
    feed_id().group("shop", "prod_")
}

fn place(topic: &str) -> RecordPosition {
    RecordPosition {
        topic: format!("shop.{topic}"),
        partition: Partition::new(4),
        offset: Offset::new(9_000_000_000),
    }
}

fn chunk_of(cause: ChunkCause, work: Work) -> Chunk {
    Chunk {
        feed: feed_id(),
        group: group(),
        plan: "seed-1".to_owned(),
        number: 17,
        epoch: Epoch::FIRST,
        incarnation: Incarnation::new(2),
        visible_from: None,
        xid: None,
        cause,
        work,
        source: None,
        settles: Vec::new(),
    }
}

/// Named chunks: every cause and both kinds of work.
pub(super) fn chunks() -> Vec<(&'static str, Chunk)> {
    let blocks = |to| Work::Blocks {
        table: TableName::new("public", "shows_2025"),
        oid: 16_402,
        file_node: 4_000_000_000,
        from: 128,
        to,
    };
    let keys = || {
        let key = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
        Work::Keys(vec![key(&["7", "a:b"]), key(&["8", ""])])
    };
    let mut seed = chunk_of(ChunkCause::Seed, blocks(Some(256)));
    seed.visible_from = Some(Xid::new((1 << 32) + 740));
    let mut fan_out = chunk_of(ChunkCause::Fanout, keys());
    fan_out.xid = Some(Xid::new(741));
    fan_out.source = Some(place("changes"));
    let mut redrive = chunk_of(ChunkCause::Redrive, keys());
    redrive.settles = vec![place("dlq"), place("dlq")];
    vec![
        ("blocks", seed),
        (
            "open_ended_blocks",
            chunk_of(ChunkCause::Seed, blocks(None)),
        ),
        ("fan_out", fan_out),
        ("repair", chunk_of(ChunkCause::Repair, keys())),
        ("redrive", redrive),
    ]
}

/// Named dead letters: both stages and both settlements.
pub(super) fn dead_letters() -> Vec<(&'static str, DeadLetter)> {
    let refused = DeadLetter {
        feed: feed_id(),
        group: group(),
        id: "7:a%3Ab".to_owned(),
        key: Some(vec!["7".to_owned(), "a:b".to_owned()]),
        document: Some(r#"{"title":"é"}"#.to_owned()),
        stage: Stage::Write,
        status: Some(400),
        error_type: "mapper_parsing_exception".to_owned(),
        error_reason: "failed to parse field [title]".to_owned(),
        source: Some(place("changes")),
        change: Some(r#"{"op":"Update"}"#.to_owned()),
        at_us: 1_764_000_000_000_000,
        settles: None,
        settlement: None,
    };
    let unbuildable = DeadLetter {
        key: None,
        document: None,
        stage: Stage::Build,
        status: None,
        error_type: "22012".to_owned(),
        error_reason: "division by zero".to_owned(),
        source: Some(place("backfill")),
        change: None,
        ..refused.clone()
    };
    let settled = |settlement| DeadLetter {
        settles: Some(place("dlq")),
        settlement: Some(settlement),
        ..unbuildable.clone()
    };
    vec![
        ("refused", refused),
        ("redriven", settled(Settlement::Redriven)),
        ("dropped", settled(Settlement::Dropped)),
        ("unbuildable", unbuildable),
    ]
}

const AT_US: i64 = 1_764_000_000_000_000;

fn source(epoch: u32, cause: SourceCause) -> Announcement {
    Announcement::Source {
        epoch: Epoch::new(epoch),
        system_identifier: u64::MAX - 1,
        database_oid: 16_384,
        database: "shop".to_owned(),
        timeline: 2,
        slot: "flusso".to_owned(),
        start_lsn: Lsn::new(0x016B_3748),
        cause,
        reason: "the slot was invalidated: wal_removed".to_owned(),
        at_us: AT_US,
    }
}

fn repair(table: Option<TableName>, cause: RepairCause) -> Announcement {
    Announcement::Repair {
        table,
        cause,
        detail: "leaf public.shows_2025".to_owned(),
        epoch: Epoch::FIRST,
        lsn: Lsn::new(0x016B_3748),
        at_us: AT_US,
    }
}

fn feed(state: FeedState, needs: Needs) -> Announcement {
    Announcement::Feed {
        feed: feed_id(),
        group: group(),
        state,
        definition: "sha256:00ff".to_owned(),
        needs,
        scanning: vec![TableName::new("public", "shows")],
        revision: 4,
        at_us: AT_US,
    }
}

fn needs_of_one() -> Needs {
    let table = TableNeeds {
        routing: [ColumnName::new("show_id")].into(),
        used: [ColumnName::new("show_id"), ColumnName::new("stars")].into(),
        all_used: false,
    };
    [(TableName::new("crm", "Reviews"), table)]
        .into_iter()
        .collect()
}

fn partitioning(previous: Option<u32>) -> Announcement {
    Announcement::Partitioning {
        topic: "shop.changes".to_owned(),
        partitions: 24,
        previous,
        epoch: Epoch::FIRST,
        since_lsn: Lsn::new(0x016B_3748),
        at_us: AT_US,
    }
}

/// Named announcements: every kind, cause and state.
pub(super) fn announcements() -> Vec<(&'static str, Announcement)> {
    let shows = || TableName::new("public", "shows");
    let served = |since_lsn, waiting_for: &[&str]| Announcement::Served {
        group: group(),
        revision: 4,
        needs_hash: needs_of_one().hash(),
        tables: vec![ServedTable {
            table: shows(),
            oid: 16_400,
        }],
        scanning: vec![shows()],
        epoch: Epoch::FIRST,
        since_lsn,
        waiting_for: waiting_for.iter().map(|text| (*text).to_owned()).collect(),
        at_us: AT_US,
    };
    vec![
        ("source_first", source(1, SourceCause::First)),
        ("source_gap", source(2, SourceCause::Gap)),
        ("source_fork", source(3, SourceCause::Fork)),
        ("source_accepted", source(4, SourceCause::Accepted)),
        ("partitioning", partitioning(None)),
        ("partitioning_changed", partitioning(Some(12))),
        ("feed_gating", feed(FeedState::Gating, needs_of_one())),
        ("feed_disabled", feed(FeedState::Disabled, needs_of_one())),
        ("feed_retired", feed(FeedState::Retired, Needs::new())),
        ("served", served(Some(Lsn::new(0x016B_3748)), &[])),
        (
            "served_not_yet",
            served(None, &["public.shows is not in the publication"]),
        ),
        (
            "incarnation",
            Announcement::Incarnation {
                sink: "main".to_owned(),
                index_prefix: "prod_".to_owned(),
                run: ServerRun {
                    system_identifier: u64::MAX - 1,
                    timeline: 2,
                    started_at_us: AT_US,
                    stats_reset_us: AT_US + 1,
                },
                number: Incarnation::new(2),
                at_us: AT_US,
            },
        ),
        (
            "table_state",
            Announcement::TableState {
                table: shows(),
                oid: 16_400,
                leaves: vec![Leaf {
                    table: TableName::new("public", "shows_2025"),
                    oid: 16_402,
                    file_node: 4_000_000_000,
                }],
                epoch: Epoch::FIRST,
                lsn: Lsn::new(0x016B_3748),
                at_us: AT_US,
            },
        ),
        (
            "repair_leaf_attached",
            repair(Some(shows()), RepairCause::LeafAttached),
        ),
        (
            "repair_leaf_detached",
            repair(Some(shows()), RepairCause::LeafDetached),
        ),
        (
            "repair_leaf_dropped",
            repair(Some(shows()), RepairCause::LeafDropped),
        ),
        (
            "repair_leaf_truncated",
            repair(Some(shows()), RepairCause::LeafTruncated),
        ),
        (
            "repair_old_values_unknown",
            repair(Some(shows()), RepairCause::OldValuesUnknown),
        ),
        (
            "repair_lost_transactions",
            repair(None, RepairCause::LostTransactions),
        ),
        (
            "repair_repartitioned",
            repair(None, RepairCause::Repartitioned),
        ),
        (
            "accept_source",
            Announcement::AcceptSource {
                system_identifier: u64::MAX - 1,
                database_oid: 16_384,
                by: "operator".to_owned(),
                at_us: AT_US,
            },
        ),
    ]
}

// Random records.

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

fn table() -> impl Strategy<Value = TableName> {
    ("\\PC{1,8}", "\\PC{1,8}").prop_map(|(schema, name)| TableName::new(schema, name))
}

fn columns() -> impl Strategy<Value = Vec<ColumnValue>> {
    let column = (text(), option::of(text()));
    vec(
        column.prop_map(|(name, value)| ColumnValue::new(name, value)),
        0..4,
    )
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    let row = (
        table(),
        columns(),
        option::of(columns()),
        option::of(columns()),
        option::of(columns()),
    );
    let place = (
        any::<u32>(),
        any::<u64>(),
        any::<i64>(),
        any::<u64>(),
        any::<i64>(),
    );
    let kinds = prop::sample::select(
        changes()
            .into_iter()
            .map(|(_, change)| (change.op, change.old_values))
            .collect::<Vec<_>>(),
    );
    let last = option::of((any::<u64>(), any::<u64>(), any::<i64>()));
    let beat = option::of((any::<i64>(), last));
    (kinds, row, place, beat).prop_map(|((op, old_values), row, place, beat)| Change {
        table: row.0,
        op,
        key: row.1,
        old_key: row.2,
        old_values,
        before: row.3,
        after: row.4,
        epoch: Epoch::new(place.0),
        commit_lsn: Lsn::new(place.1),
        seq: Seq::new(place.2),
        xid: Xid::new(place.3),
        commit_ts_us: place.4,
        heartbeat: beat.map(|(clock_us, last)| Heartbeat {
            clock_us,
            last: last.map(|(lsn, xid, commit_ts_us)| PublishedTransaction {
                lsn: Lsn::new(lsn),
                xid: Xid::new(xid),
                commit_ts_us,
            }),
        }),
    })
}

fn feed_ids() -> impl Strategy<Value = FeedId> {
    (text(), text(), any::<u32>())
        .prop_map(|(sink, index, number)| FeedId::new(sink, index, Generation::new(number)))
}

fn positions() -> impl Strategy<Value = RecordPosition> {
    (text(), any::<i32>(), any::<i64>()).prop_map(|(topic, partition, offset)| RecordPosition {
        topic,
        partition: Partition::new(partition),
        offset: Offset::new(offset),
    })
}

fn work() -> impl Strategy<Value = Work> {
    let numbers = (
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        option::of(any::<u32>()),
    );
    prop_oneof![
        (table(), numbers).prop_map(|(table, (oid, file_node, from, to))| Work::Blocks {
            table,
            oid,
            file_node,
            from,
            to
        }),
        vec(vec(text(), 1..3), 0..4).prop_map(Work::Keys),
    ]
}

pub(super) fn chunk() -> impl Strategy<Value = Chunk> {
    let causes = prop::sample::select(
        chunks()
            .into_iter()
            .map(|(_, chunk)| chunk.cause)
            .collect::<Vec<_>>(),
    );
    let names = (feed_ids(), text(), text());
    let numbers = (any::<u32>(), any::<u32>(), any::<u16>());
    let xids = (option::of(any::<u64>()), option::of(any::<u64>()));
    let places = (option::of(positions()), vec(positions(), 0..3));
    (causes, names, numbers, xids, work(), places).prop_map(
        |(cause, (feed, group, plan), numbers, xids, work, (source, settles))| Chunk {
            feed,
            group,
            plan,
            number: numbers.0,
            epoch: Epoch::new(numbers.1),
            incarnation: Incarnation::new(numbers.2),
            visible_from: xids.0.map(Xid::new),
            xid: xids.1.map(Xid::new),
            cause,
            work,
            source,
            settles,
        },
    )
}

pub(super) fn dead_letter() -> impl Strategy<Value = DeadLetter> {
    let examples = prop::sample::select(dead_letters());
    let texts = (feed_ids(), text(), text(), text(), text());
    let options = (
        option::of(vec(text(), 0..3)),
        option::of(text()),
        option::of(text()),
    );
    let places = (option::of(positions()), option::of(positions()));
    (
        examples,
        texts,
        options,
        places,
        option::of(any::<u16>()),
        any::<i64>(),
    )
        .prop_map(
            |((_, example), texts, options, places, status, at_us)| DeadLetter {
                feed: texts.0,
                group: texts.1,
                id: texts.2,
                error_type: texts.3,
                error_reason: texts.4,
                key: options.0,
                document: options.1,
                change: options.2,
                source: places.0,
                settles: places.1,
                status,
                at_us,
                ..example
            },
        )
}

fn needs() -> impl Strategy<Value = Needs> {
    let set = || btree_set(text().prop_map(ColumnName::new), 0..4);
    let table_needs =
        (set(), set(), any::<bool>()).prop_map(|(routing, used, all_used)| TableNeeds {
            routing,
            used,
            all_used,
        });
    btree_map(table(), table_needs, 0..4).prop_map(|tables| tables.into_iter().collect())
}

/// Most kinds hold nothing that the examples do not vary; the feed's needs do.
pub(super) fn announcement() -> impl Strategy<Value = Announcement> {
    let run = (
        any::<u64>(),
        any::<u32>(),
        any::<i64>(),
        any::<i64>(),
        any::<u16>(),
        text(),
    );
    prop_oneof![
        prop::sample::select(announcements()).prop_map(|(_, example)| example),
        needs().prop_map(|needs| feed(FeedState::Gating, needs)),
        (option::of(table()), any::<u32>(), any::<u64>()).prop_map(|(table, epoch, lsn)| {
            Announcement::Repair {
                table,
                cause: RepairCause::LeafDropped,
                detail: String::new(),
                epoch: Epoch::new(epoch),
                lsn: Lsn::new(lsn),
                at_us: 0,
            }
        }),
        run.prop_map(
            |(system_identifier, timeline, started, reset, number, sink)| {
                Announcement::Incarnation {
                    sink,
                    index_prefix: String::new(),
                    run: ServerRun {
                        system_identifier,
                        timeline,
                        started_at_us: started,
                        stats_reset_us: reset,
                    },
                    number: Incarnation::new(number),
                    at_us: reset,
                }
            }
        ),
    ]
}
