//! The server, the role and the slot.

use definition::Diagnostic;
use definition::deployment::OnSlotLoss;

use super::{Preflight, Report};
use crate::slot::{Fitness, Slot, WalStatus};

/// The oldest server whose publications and statistics are known here.
const OLDEST: i32 = 15;

/// Since when a slot can be kept on standbys.
const FAILOVER_SINCE: i32 = 17;

pub(super) fn judge(preflight: &Preflight, report: &mut Report) {
    let facts = &preflight.facts;
    let major = facts.version / 10_000;
    if major < OLDEST {
        report.error(
            "E310",
            format!("the server is PostgreSQL {major}, and at least {OLDEST} is needed"),
            "upgrade the server",
        );
    }
    if facts.in_recovery {
        report.error(
            "E311",
            "the server is a standby: it cannot be captured from".to_owned(),
            "point source.connection_url to the primary",
        );
    }
    if facts.encoding == "SQL_ASCII" {
        report.error(
            "E312",
            format!(
                "database {} has the encoding SQL_ASCII: its text has no known meaning",
                facts.database
            ),
            "move the data to a database with encoding UTF8",
        );
    }
    if facts.wal_level != "logical" {
        let sql = "ALTER SYSTEM SET wal_level = logical;";
        report.push(
            Diagnostic::error(
                "E404",
                format!("wal_level is {}, not logical", facts.wal_level),
            )
            .help(format!("{sql} then restart the server"))
            .sql(sql),
        );
    }
    if !facts.may_replicate {
        let role = model::ColumnName::new(facts.role.as_str());
        let sql = format!("ALTER ROLE {role} REPLICATION;");
        report.push(
            Diagnostic::error("E405", format!("role {role} has not the REPLICATION right"))
                .help(sql.as_str())
                .sql(sql.as_str()),
        );
    }
    judge_room(preflight, report);
}

fn judge_room(preflight: &Preflight, report: &mut Report) {
    let facts = &preflight.facts;
    let (most, taken) = facts.slots;
    if facts.slot.is_none() && taken >= most {
        report.warning(
            "W406",
            format!(
                "all {most} replication slots are taken, and slot {} does not exist yet",
                preflight.settings.slot
            ),
            "raise max_replication_slots, or drop a slot that nobody uses",
        );
    }
    let is_ours = facts
        .slot
        .as_ref()
        .is_some_and(|slot| slot.holder.is_some());
    let (most, taken) = facts.senders;
    if !is_ours && taken >= most {
        report.warning(
            "W407",
            format!("all {most} WAL senders are taken"),
            "raise max_wal_senders, or stop a replication client",
        );
    }
    judge_limits(preflight, report);
}

/// The relief valve has to open before the server throws WAL away.
fn judge_limits(preflight: &Preflight, report: &mut Report) {
    match (preflight.facts.max_slot_wal_keep_size, preflight.settings.max_retained_wal) {
        (None, None) => report.warning(
            "W408",
            "neither max_slot_wal_keep_size nor max_retained_wal is set: a stopped index can fill the source's disk".to_owned(),
            "set [capture] max_retained_wal",
        ),
        (Some(keep), Some(retained)) if retained >= keep => report.warning(
            "W409",
            format!("max_retained_wal ({retained} bytes) is not below max_slot_wal_keep_size ({keep} bytes): the slot is lost before it is relieved"),
            "lower [capture] max_retained_wal, or raise max_slot_wal_keep_size",
        ),
        (_, _) => {}
    }
}

pub(super) fn judge_slot(preflight: &Preflight, report: &mut Report) {
    let (facts, settings) = (&preflight.facts, &preflight.settings);
    if settings.slot_failover && facts.version / 10_000 < FAILOVER_SINCE {
        report.error(
            "E410",
            format!(
                "slot_failover needs PostgreSQL {FAILOVER_SINCE}, and the server is {}",
                facts.version / 10_000
            ),
            "set [source] slot_failover = false",
        );
    }
    let Some(slot) = &facts.slot else { return };
    judge_fitness(preflight, slot, report);
    if slot.wal_status == WalStatus::Unreserved {
        report.warning(
            "W419",
            format!("slot {} loses its WAL at the next checkpoint", slot.name),
            "start capture-svc at once, or raise max_slot_wal_keep_size",
        );
    }
    if let Some(holder) = &slot.holder {
        let name = &slot.name;
        let (who, help) = if holder.is_capture() {
            (
                format!("{holder}"),
                "a capture that is started meanwhile waits as standby",
            )
        } else {
            (
                format!("another program, {holder}"),
                "stop that program: capture-svc run waits, changes nothing meanwhile, and takes over once it has gone",
            )
        };
        report.warning("W412", format!("slot {name} is held by {who}"), help);
    }
    if settings.slot_failover && !slot.failover {
        report.warning(
            "W413",
            format!(
                "slot_failover is set, but slot {} was made without it: a standby does not keep it",
                slot.name
            ),
            format!(
                "SELECT pg_drop_replication_slot('{}'); then start: every index is seeded anew",
                slot.name
            ),
        );
    }
}

fn judge_fitness(preflight: &Preflight, slot: &Slot, report: &mut Report) {
    let name = &slot.name;
    let drop = format!("SELECT pg_drop_replication_slot('{name}');");
    match slot.fitness(&preflight.facts.database) {
        Fitness::Fit => {}
        Fitness::Foreign { reason } => report.error(
            "E411",
            format!("slot {name} cannot be used: {reason}"),
            "name another one with [source] slot",
        ),
        Fitness::Lost { reason } => {
            let message = format!("slot {name} was invalidated ({reason})");
            let finding = match preflight.settings.on_slot_loss {
                OnSlotLoss::Stop => Diagnostic::error("E403", message)
                    .help(format!("{drop} then start: every index is seeded anew")),
                OnSlotLoss::Reseed => Diagnostic::warning("W403", message).help(
                    "capture-svc run drops it and makes it again: every index is seeded anew \
                     while the present one serves",
                ),
            };
            report.push(finding.sql(drop));
        }
    }
}
