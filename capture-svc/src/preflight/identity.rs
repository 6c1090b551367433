//! The replica identity of every leaf.
//! Must hold: W4. What is enough is left alone; else FULL is set, never USING
//! INDEX, because an index that is dropped later takes the application's
//! updates with it.

use model::{ColumnName, TableName, TableNeeds};

use super::mend::{Repair, Repairs};
use super::{Blocked, Codes, Mendable, Preflight, Report, word};
use crate::relation::{LeafTable, Table, TableKind};

const CODES: Codes = Codes {
    error: "E401",
    warning: "W401",
};

/// A table whose former rows cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleTable {
    /// The table; a leaf's root.
    pub table: TableName,
    /// The leaf; the table itself when it is plain.
    pub leaf: TableName,
    /// The identity in force, in SQL's word.
    pub identity: &'static str,
}

/// Every leaf whose identity is too small, with its table.
fn lacking(preflight: &Preflight) -> impl Iterator<Item = (&Table, &TableNeeds, &LeafTable)> {
    preflight.streamed().flat_map(|(table, needs)| {
        let too_small =
            |leaf: &&LeafTable| !leaf.identity.suffices(&table.primary_key, &needs.routing);
        table
            .leaves
            .iter()
            .filter(too_small)
            .map(move |leaf| (table, needs, leaf))
    })
}

fn statement(leaf: &str) -> String {
    format!("ALTER TABLE {leaf} REPLICA IDENTITY FULL;")
}

fn mends(preflight: &Preflight, leaf: &LeafTable) -> bool {
    preflight.settings.manage_replica_identity && leaf.owned
}

pub(super) fn judge(preflight: &Preflight, report: &mut Report) {
    for (table, needs, leaf) in lacking(preflight) {
        let sql = statement(&word(&leaf.name));
        let message = message(table, needs, leaf);
        if !mends(preflight, leaf)
            && preflight.settings.allow_stale_parents
            && !leaf.identity.names_no_row()
        {
            let help = "allow_stale_parents is set: documents of former parents may stay stale until they are repaired";
            report.push(
                definition::Diagnostic::warning(CODES.warning, message)
                    .help(help)
                    .sql(sql),
            );
            continue;
        }
        // Publishing it as it is would break the application's own updates, so
        // there is no way round.
        let help = if leaf.identity.names_no_row() {
            sql.clone()
        } else {
            format!("{sql} or allow_stale_parents = true")
        };
        let mendable = Mendable {
            message,
            help,
            sql,
            mends: mends(preflight, leaf),
        };
        report.mendable(CODES, Blocked::Table(table.name.clone()), mendable);
    }
    for (table, _) in preflight.streamed() {
        if table.kind == TableKind::Partitioned && table.primary_key.is_empty() {
            report.warning(
                "W414",
                format!("{} is partitioned and has no primary key: UPDATE and DELETE fail on a new partition until its replica identity is set", table.name),
                "set REPLICA IDENTITY FULL in the transaction that makes a partition, or add a primary key",
            );
        }
    }
}

fn message(table: &Table, needs: &TableNeeds, leaf: &LeafTable) -> String {
    let (name, identity) = (&leaf.name, leaf.identity.word());
    if leaf.identity.names_no_row() {
        return format!(
            "{name} has replica identity {identity} without columns: once it is published, its own UPDATE and DELETE fail"
        );
    }
    let outside: Vec<ColumnName> = needs
        .routing
        .iter()
        .filter(|column| !table.primary_key.contains(column))
        .cloned()
        .collect();
    if outside.is_empty() {
        let key = list(&table.primary_key);
        return format!(
            "{name} has replica identity {identity}, which does not cover its key {key}"
        );
    }
    format!(
        "{name} has replica identity {identity}, but the old {} is needed to mend former parents",
        list(&outside)
    )
}

fn list(columns: &[ColumnName]) -> String {
    let words: Vec<String> = columns.iter().map(ToString::to_string).collect();
    words.join(", ")
}

pub(super) fn plan(preflight: &Preflight, repairs: &mut Repairs) {
    for (table, _, leaf) in lacking(preflight) {
        if mends(preflight, leaf) {
            repairs.push(Repair::Identity {
                table: table.name.clone(),
                leaf: leaf.name.clone(),
            });
        }
    }
}

pub(super) fn stale(preflight: &Preflight) -> Vec<StaleTable> {
    let stale = |(table, _, leaf): (&Table, &TableNeeds, &LeafTable)| StaleTable {
        table: table.name.clone(),
        leaf: leaf.name.clone(),
        identity: leaf.identity.word(),
    };
    lacking(preflight).map(stale).collect()
}
