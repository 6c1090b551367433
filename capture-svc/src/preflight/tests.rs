//! Every finding, by facts made by hand. Real servers: `tests/source`.

use std::collections::{BTreeMap, BTreeSet};

use model::{Lsn, Needs, TableNeeds};

use super::facts::Member;
use super::*;
use crate::relation::{Identity, LeafTable, TableKind};
use crate::slot::{Holder, WalStatus};

fn columns<C: FromIterator<ColumnName>>(names: &[&str]) -> C {
    names.iter().map(|name| ColumnName::new(*name)).collect()
}

fn name() -> TableName {
    TableName::new("public", "orders")
}

fn settings() -> Settings {
    Settings {
        slot: "flusso".to_owned(),
        slot_failover: false,
        on_slot_loss: OnSlotLoss::Stop,
        publication: "flusso".to_owned(),
        manage_publication: true,
        manage_replica_identity: true,
        allow_stale_parents: false,
        max_retained_wal: Some(10),
    }
}

fn needed() -> Union {
    let needs = TableNeeds {
        routing: columns(&["show_id"]),
        used: columns(&["show_id", "state"]),
        all_used: false,
    };
    Union::new(
        [(name(), needs)].into_iter().collect(),
        Needs::new(),
        BTreeSet::new(),
    )
}

fn leaf(identity: Identity) -> LeafTable {
    LeafTable {
        name: name(),
        oid: 10,
        file_node: 10,
        identity,
        owned: true,
        attached: false,
        has_pages: true,
    }
}

fn orders() -> Table {
    Table {
        name: name(),
        oid: 10,
        kind: TableKind::Plain,
        permanent: true,
        columns: columns(&["id", "show_id", "state", "total"]),
        generated: columns(&["total"]),
        primary_key: columns(&["id"]),
        owned: true,
        leaves: vec![leaf(Identity::Full)],
    }
}

fn publication() -> Publication {
    Publication {
        owned: true,
        all_tables: false,
        via_root: true,
        lacks: vec![],
        tables: BTreeMap::from([(name(), Member::default())]),
        schemas: BTreeSet::new(),
    }
}

fn slot() -> Slot {
    Slot {
        name: "flusso".to_owned(),
        plugin: Some("pgoutput".to_owned()),
        database: Some("shop".to_owned()),
        two_phase: false,
        holder: None,
        wal_status: WalStatus::Reserved,
        confirmed: Some(Lsn::new(1)),
        restart: Some(Lsn::new(1)),
        invalidation: None,
        safe_wal_size: None,
        failover: false,
        retained_bytes: 0,
    }
}

/// A server that has nothing wrong.
fn facts() -> Facts {
    Facts {
        version: 150_018,
        in_recovery: false,
        encoding: "UTF8".to_owned(),
        database: "shop".to_owned(),
        may_create: true,
        wal_level: "logical".to_owned(),
        role: "shop".to_owned(),
        superuser: false,
        may_replicate: true,
        slots: (10, 1),
        senders: (10, 1),
        max_slot_wal_keep_size: None,
        publication: Some(publication()),
        slot: Some(slot()),
        tables: vec![orders()],
    }
}

fn preflight(settings: Settings, facts: Facts) -> Preflight {
    Preflight::of(settings, needed(), facts)
}

fn report(facts: Facts) -> Diagnostics {
    preflight(settings(), facts).report()
}

fn codes(report: &Diagnostics) -> Vec<&str> {
    report
        .findings()
        .iter()
        .map(|finding| finding.code)
        .collect()
}

#[test]
fn a_source_with_nothing_wrong_has_no_findings_and_nothing_to_mend() {
    let preflight = preflight(settings(), facts());
    assert_eq!(codes(&preflight.report()), [""; 0]);
    assert!(preflight.repairs().is_empty());
    assert_eq!(preflight.unmet(), []);
}

#[test]
fn everything_about_the_server_is_found_at_once() {
    let facts = Facts {
        version: 140_000,
        in_recovery: true,
        encoding: "SQL_ASCII".to_owned(),
        wal_level: "replica".to_owned(),
        may_replicate: false,
        slots: (4, 4),
        senders: (4, 4),
        slot: None,
        ..facts()
    };
    let report = report(facts);
    let expected = ["E310", "E311", "E312", "E404", "E405", "W406", "W407"];
    assert_eq!(codes(&report), expected);
    let sql: Vec<_> = report
        .findings()
        .iter()
        .filter_map(|finding| finding.sql.clone())
        .collect();
    assert_eq!(
        sql,
        [
            "ALTER SYSTEM SET wal_level = logical;",
            "ALTER ROLE shop REPLICATION;"
        ]
    );
}

#[test]
fn the_relief_valve_must_open_before_the_server_throws_wal_away() {
    for (keep, retained, expected) in [
        (None, None, &["W408"][..]),
        (Some(10), Some(10), &["W409"]),
        (Some(11), Some(10), &[]),
        (Some(10), None, &[]),
        (None, Some(10), &[]),
    ] {
        let settings = Settings {
            max_retained_wal: retained,
            ..settings()
        };
        let facts = Facts {
            max_slot_wal_keep_size: keep,
            ..facts()
        };
        assert_eq!(
            codes(&preflight(settings, facts).report()),
            expected,
            "{keep:?} {retained:?}"
        );
    }
}

#[test]
fn an_identity_that_capture_sets_is_a_warning_and_one_it_may_not_set_an_error() {
    let small = || leaf(Identity::Default(columns(&["id"])));
    let with = |leaf| Facts {
        tables: vec![Table {
            leaves: vec![leaf],
            ..orders()
        }],
        ..facts()
    };
    assert_eq!(codes(&report(with(small()))), ["W401"]);
    let foreign = LeafTable {
        owned: false,
        ..small()
    };
    let report = report(with(foreign.clone()));
    let finding = report.findings().first().unwrap();
    assert_eq!(finding.code, "E401");
    assert_eq!(
        finding.message,
        "public.orders has replica identity DEFAULT, but the old show_id is needed to mend former parents"
    );
    assert_eq!(
        finding.help.as_deref(),
        Some("ALTER TABLE public.orders REPLICA IDENTITY FULL; or allow_stale_parents = true")
    );
    let unmanaged = Settings {
        manage_replica_identity: false,
        ..settings()
    };
    assert_eq!(
        codes(&preflight(unmanaged, with(small())).report()),
        ["E401"]
    );
    let stale = Settings {
        allow_stale_parents: true,
        ..settings()
    };
    let preflight = preflight(stale, with(foreign));
    assert_eq!(codes(&preflight.report()), ["W401"]);
    assert_eq!(
        preflight.unmet(),
        [],
        "it is served, as the configuration wants"
    );
    assert_eq!(preflight.stale_tables().len(), 1);
}

#[test]
fn a_table_whose_updates_would_fail_is_never_let_pass() {
    for identity in [Identity::Nothing, Identity::Default(columns(&[]))] {
        let leaf = LeafTable {
            owned: false,
            ..leaf(identity)
        };
        let facts = Facts {
            tables: vec![Table {
                leaves: vec![leaf],
                ..orders()
            }],
            ..facts()
        };
        let settings = Settings {
            allow_stale_parents: true,
            ..settings()
        };
        let report = preflight(settings, facts).report();
        assert_eq!(codes(&report), ["E401"]);
        assert!(
            report.findings()[0]
                .message
                .contains("UPDATE and DELETE fail"),
            "{report}"
        );
    }
}

#[test]
fn an_index_that_lacks_the_key_is_named_for_it() {
    let leaf = LeafTable {
        owned: false,
        ..leaf(Identity::Index(columns(&["email"])))
    };
    let facts = Facts {
        tables: vec![Table {
            leaves: vec![leaf],
            ..orders()
        }],
        ..facts()
    };
    let needs = TableNeeds::default();
    let needed = Union::new(
        [(name(), needs)].into_iter().collect(),
        Needs::new(),
        BTreeSet::new(),
    );
    let report = Preflight::of(settings(), needed, facts).report();
    assert_eq!(
        report.findings()[0].message,
        "public.orders has replica identity USING INDEX, which does not cover its key id"
    );
}

#[test]
fn a_publication_is_made_or_extended_when_the_role_may() {
    let without = || Publication {
        tables: BTreeMap::new(),
        ..publication()
    };
    for (publication, may_create, owned, expected) in [
        // The table comes with the publication, unless it is somebody else's.
        (None, true, true, &["W402"][..]),
        (None, true, false, &["W402", "E402"]),
        (None, false, true, &["E402"]),
        (Some(without()), false, true, &["W402"]),
        (Some(without()), false, false, &["E402"]),
        (
            Some(Publication {
                owned: false,
                ..without()
            }),
            true,
            true,
            &["E402"],
        ),
    ] {
        let table = Table { owned, ..orders() };
        let facts = Facts {
            publication,
            may_create,
            tables: vec![table],
            ..facts()
        };
        assert_eq!(codes(&report(facts)), expected, "{may_create} {owned}");
    }
    let by_hand = Settings {
        manage_publication: false,
        ..settings()
    };
    let missing = Facts {
        publication: None,
        tables: vec![orders()],
        ..facts()
    };
    let report = preflight(by_hand.clone(), missing).report();
    assert_eq!(
        report.findings()[0].sql.as_deref(),
        Some(
            "CREATE PUBLICATION flusso FOR TABLE public.orders WITH (publish_via_partition_root = true);"
        )
    );
    let facts = Facts {
        publication: Some(without()),
        ..facts()
    };
    let report = preflight(by_hand, facts).report();
    let finding = &report.findings()[0];
    assert_eq!(
        finding.message,
        "publication flusso lacks public.orders, and role shop may not change it"
    );
    assert_eq!(
        finding.help.as_deref(),
        Some("ALTER PUBLICATION flusso ADD TABLE public.orders;")
    );
}

#[test]
fn identities_come_before_the_publication() {
    // GIVEN a fresh database
    let small = leaf(Identity::Default(columns(&["id"])));
    let table = Table {
        leaves: vec![small],
        ..orders()
    };
    let facts = Facts {
        publication: None,
        tables: vec![table],
        ..facts()
    };
    // THEN
    let preflight = preflight(settings(), facts);
    let statements: Vec<_> = preflight
        .repairs()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        statements,
        [
            "ALTER TABLE \"public\".\"orders\" REPLICA IDENTITY FULL",
            "CREATE PUBLICATION \"flusso\" WITH (publish_via_partition_root = true);",
            "ALTER PUBLICATION \"flusso\" ADD TABLE \"public\".\"orders\";",
        ]
    );
}

#[test]
fn the_operations_of_a_publication_are_somebodys_choice_and_not_mended() {
    let publication = Publication {
        lacks: vec!["truncate".to_owned()],
        ..publication()
    };
    let preflight = preflight(
        settings(),
        Facts {
            publication: Some(publication),
            ..facts()
        },
    );
    assert_eq!(codes(&preflight.report()), ["E415"]);
    assert!(preflight.repairs().is_empty());
    assert_eq!(preflight.unmet()[0].table, None, "every table is concerned");
}

#[test]
fn a_column_list_must_hold_key_routing_and_used_columns_but_no_generated_ones() {
    let listed = |names: &[&str], all_used| {
        let member = Member {
            columns: Some(columns(names)),
            row_filter: false,
        };
        let publication = Publication {
            tables: BTreeMap::from([(name(), member)]),
            ..publication()
        };
        let mut needed = needed();
        if all_used {
            let needs = TableNeeds {
                all_used: true,
                ..TableNeeds::default()
            };
            needed.needs.add(name(), needs);
        }
        let facts = Facts {
            publication: Some(publication),
            ..facts()
        };
        let report = Preflight::of(settings(), needed, facts).report();
        report
            .findings()
            .first()
            .map(|finding| finding.message.clone())
    };
    assert_eq!(listed(&["id", "show_id", "state"], false), None);
    assert_eq!(listed(&["id", "show_id", "state"], true), None);
    assert_eq!(
        listed(&["state"], false).as_deref(),
        Some("publication flusso has a column list on public.orders without id, show_id")
    );
}

#[test]
fn what_is_wrong_with_a_slot_is_said_with_the_way_out() {
    let lost = || Slot {
        wal_status: WalStatus::Lost,
        ..slot()
    };
    let with = |slot| Facts {
        slot: Some(slot),
        ..facts()
    };
    let found = report(with(lost()));
    let finding = &found.findings()[0];
    assert_eq!(
        (finding.code, finding.message.as_str()),
        ("E403", "slot flusso was invalidated (wal_removed)")
    );
    assert_eq!(
        finding.help.as_deref(),
        Some("SELECT pg_drop_replication_slot('flusso'); then start: every index is seeded anew")
    );
    let reseed = Settings {
        on_slot_loss: OnSlotLoss::Reseed,
        ..settings()
    };
    assert_eq!(codes(&preflight(reseed, with(lost())).report()), ["W403"]);
    let foreign = Slot {
        database: Some("crm".to_owned()),
        ..slot()
    };
    assert_eq!(codes(&report(with(foreign))), ["E411"]);
    let late = Slot {
        wal_status: WalStatus::Unreserved,
        ..slot()
    };
    assert_eq!(codes(&report(with(late))), ["W419"]);
    for (application_name, message, help) in [
        (
            "pgwire-replication",
            "slot flusso is held by another program, pgwire-replication (pid 41)",
            "stop that program",
        ),
        (
            "",
            "slot flusso is held by another program, a session without application_name (pid 41)",
            "stop that program",
        ),
        (
            crate::APPLICATION,
            "slot flusso is held by flusso-capture (pid 41)",
            "waits as standby",
        ),
    ] {
        let holder = Some(Holder {
            pid: 41,
            application_name: application_name.to_owned(),
        });
        let used = report(with(Slot { holder, ..slot() }));
        assert_eq!(used.findings()[0].message, message);
        assert!(used.findings()[0].help.as_ref().unwrap().contains(help));
        assert!(!used.has_errors());
    }
}

#[test]
fn a_failover_slot_needs_17_and_an_existing_one_is_named() {
    let settings = Settings {
        slot_failover: true,
        ..settings()
    };
    assert_eq!(
        codes(&preflight(settings.clone(), facts()).report()),
        ["E410", "W413"]
    );
    let slot = Slot {
        failover: true,
        ..slot()
    };
    let facts = Facts {
        version: 170_010,
        slot: Some(slot),
        ..facts()
    };
    assert_eq!(codes(&preflight(settings, facts).report()), [""; 0]);
}

#[test]
fn a_table_that_is_gone_stops_nobody_else() {
    let preflight = preflight(
        settings(),
        Facts {
            tables: vec![],
            ..facts()
        },
    );
    assert_eq!(codes(&preflight.report()), ["W420"]);
}

#[test]
fn new_partitions_of_a_table_without_a_key_are_warned_of() {
    let table = Table {
        kind: TableKind::Partitioned,
        primary_key: vec![],
        ..orders()
    };
    assert_eq!(
        codes(&report(Facts {
            tables: vec![table],
            ..facts()
        })),
        ["W414"]
    );
}

#[test]
fn partitions_that_come_under_their_own_names_are_mended() {
    let table = Table {
        kind: TableKind::Partitioned,
        ..orders()
    };
    let publication = Publication {
        via_root: false,
        ..publication()
    };
    let facts = Facts {
        publication: Some(publication),
        tables: vec![table],
        ..facts()
    };
    let preflight = preflight(settings(), facts);
    assert_eq!(codes(&preflight.report()), ["W415"]);
    let statements: Vec<_> = preflight
        .repairs()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        statements,
        ["ALTER PUBLICATION \"flusso\" SET (publish_via_partition_root = true);"]
    );
}

#[test]
fn what_a_feed_waits_for_is_only_what_concerns_its_tables() {
    let publication = Publication {
        tables: BTreeMap::new(),
        owned: false,
        ..publication()
    };
    let preflight = preflight(
        settings(),
        Facts {
            publication: Some(publication),
            ..facts()
        },
    );
    let prepared = Prepared {
        tables: vec![],
        unmet: preflight.unmet(),
    };
    let words = prepared.waiting_for(&needed().needs);
    assert_eq!(
        words,
        [
            "publication flusso lacks public.orders, and role shop may not change it: \
          ALTER PUBLICATION flusso ADD TABLE public.orders;"
        ]
    );
    let other = [(TableName::new("public", "shows"), TableNeeds::default())];
    assert_eq!(prepared.waiting_for(&other.into_iter().collect()), [""; 0]);
}
