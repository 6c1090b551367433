use super::*;

fn slot() -> Slot {
    let json = r#"{
        "slot_name": "flusso", "plugin": "pgoutput", "slot_type": "logical", "datoid": 5,
        "database": "shop", "temporary": false, "active": true, "active_pid": 41, "xmin": null,
        "catalog_xmin": "740", "restart_lsn": "0/1949B88", "confirmed_flush_lsn": "0/1949BC0",
        "wal_status": "reserved", "safe_wal_size": null, "two_phase": false,
        "application_name": "flusso-capture", "retained": 4096}"#;
    serde_json::from_str::<RawSlot>(json).unwrap().into()
}

#[test]
fn the_view_of_15_is_read() {
    let expected = Slot {
        name: "flusso".to_owned(),
        plugin: Some("pgoutput".to_owned()),
        database: Some("shop".to_owned()),
        two_phase: false,
        holder: Some(Holder {
            pid: 41,
            application_name: "flusso-capture".to_owned(),
        }),
        wal_status: WalStatus::Reserved,
        confirmed: Some(Lsn::new(0x194_9BC0)),
        restart: Some(Lsn::new(0x194_9B88)),
        invalidation: None,
        safe_wal_size: None,
        failover: false,
        retained_bytes: 4096,
    };
    assert_eq!(slot(), expected);
    assert_eq!(slot().fitness("shop"), Fitness::Fit);
}

#[test]
fn what_17_adds_is_read_too() {
    let json = r#"{"slot_name": "s", "wal_status": "lost", "invalidation_reason": "wal_removed",
        "failover": true, "synced": false, "conflicting": false, "inactive_since": null}"#;
    let slot: Slot = serde_json::from_str::<RawSlot>(json).unwrap().into();
    assert_eq!(slot.invalidation.as_deref(), Some("wal_removed"));
    assert!(slot.failover);
}

#[test]
fn r2_every_way_of_being_lost_is_seen() {
    for lost in [
        Slot {
            wal_status: WalStatus::Lost,
            ..slot()
        },
        Slot {
            invalidation: Some("idle_timeout".to_owned()),
            ..slot()
        },
        Slot {
            confirmed: None,
            ..slot()
        },
    ] {
        assert!(
            matches!(lost.fitness("shop"), Fitness::Lost { .. }),
            "{lost:?}"
        );
    }
    let unreserved = Slot {
        wal_status: WalStatus::Unreserved,
        ..slot()
    };
    assert_eq!(
        unreserved.fitness("shop"),
        Fitness::Fit,
        "it can still be caught up"
    );
}

#[test]
fn a_slot_made_for_something_else_is_never_taken_for_lost() {
    // Lost ones are dropped and made again; somebody else's must not be.
    let gone = || Slot {
        wal_status: WalStatus::Lost,
        confirmed: None,
        ..slot()
    };
    for foreign in [
        Slot {
            plugin: None,
            database: None,
            ..gone()
        },
        Slot {
            plugin: Some("wal2json".to_owned()),
            ..gone()
        },
        Slot {
            database: Some("crm".to_owned()),
            ..gone()
        },
        Slot {
            two_phase: true,
            ..gone()
        },
    ] {
        assert!(
            matches!(foreign.fitness("shop"), Fitness::Foreign { .. }),
            "{foreign:?}"
        );
    }
}
