//! Looks up what a definition names: tables, keys, columns. What is found counts as needed, what is
//! not is a finding.

use std::collections::BTreeSet;

use model::{ColumnName, TableName, TableNeeds};

use super::advice;
use super::place::Walk;
use crate::catalog::{Column, RelationKind, Table};
use crate::diagnostic::Diagnostic;
use crate::index::Filter;

/// How far a wrong name may be from the right one to be suggested.
const SUGGEST_WITHIN: usize = 2;

/// Schemas of the server's own tables.
const SYSTEM: [&str; 3] = ["pg_catalog", "information_schema", "pg_toast"];

impl<'c> Walk<'c> {
    pub(super) fn table(&mut self, name: &TableName, path: &str) -> Option<&'c Table> {
        let Some(table) = self.catalog.table(name) else {
            self.findings.push(
                Diagnostic::error("E302", format!("there is no table {name}"))
                    .help("check `schema` and `table`; an exact name is written '\"Name\"'")
                    .at(path, Some("table")),
            );
            return None;
        };
        let is_system = SYSTEM.contains(&name.schema.as_str());
        let refused = match table.kind {
            _ if is_system => Some("is of the system: its changes are not published"),
            RelationKind::View => Some("is a view: its changes are not in the WAL"),
            RelationKind::MaterializedView => {
                Some("is a materialized view: its changes are not in the WAL")
            }
            RelationKind::Foreign => Some("is a foreign table: its changes are not in the WAL"),
            RelationKind::Plain | RelationKind::Partitioned if !table.permanent => {
                Some("is unlogged or temporary: its changes are not in the WAL")
            }
            RelationKind::Plain | RelationKind::Partitioned if table.is_partition => {
                Some("is a partition")
            }
            RelationKind::Plain if table.has_children => {
                Some("has inheritance children, whose rows it would show without their changes")
            }
            RelationKind::Plain | RelationKind::Partitioned => None,
        };
        if let Some(why) = refused {
            let help = if table.is_partition {
                "name the root of the partitioned table"
            } else if is_system {
                "use tables of your own"
            } else {
                "use the tables behind it"
            };
            self.findings.push(
                Diagnostic::error("E304", format!("{name} {why}"))
                    .help(help)
                    .at(path, Some("table")),
            );
            return None;
        }
        Some(table)
    }

    /// The key of a table, as written or its primary key.
    pub(super) fn key(
        &mut self,
        table: &'c Table,
        written: Option<&[ColumnName]>,
        path: &str,
        wanted: bool,
    ) -> Option<Vec<ColumnName>> {
        let Some(written) = written else {
            return match table.primary_key() {
                Some(key) => Some(key.to_vec()),
                None if !wanted => Some(Vec::new()),
                None => {
                    self.findings.push(
                        Diagnostic::error("E303", format!("{} has no primary key", table.name))
                            .help("give primary_key: the columns of a unique index, all NOT NULL")
                            .at(path, Some("table")),
                    );
                    None
                }
            };
        };
        for column in written {
            let column = self.used(table, column, path)?;
            if !column.not_null {
                let why = if written.len() == 1 {
                    "the column is nullable".to_owned()
                } else {
                    format!("the column {} is nullable", column.name)
                };
                let mend = format!(
                    "ALTER TABLE {} ALTER {} SET NOT NULL",
                    table.name, column.name
                );
                self.not_a_key(table, (written, "primary_key"), path, &why, &mend);
                return None;
            }
        }
        if table.primary_key() != Some(written) && !table.is_unique(written) {
            self.not_unique(table, written, path, "primary_key");
            return None;
        }
        Some(written.to_vec())
    }

    /// Columns under `key` that no unique index covers.
    pub(super) fn not_unique(
        &mut self,
        table: &Table,
        columns: &[ColumnName],
        path: &str,
        key: &str,
    ) {
        let list: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let mend = format!(
            "CREATE UNIQUE INDEX ON {} ({})",
            table.name,
            list.join(", ")
        );
        let why = "no unique index covers exactly these columns";
        self.not_a_key(table, (columns, key), path, why, &mend);
    }

    fn not_a_key(
        &mut self,
        table: &Table,
        (columns, key): (&[ColumnName], &str),
        path: &str,
        why: &str,
        mend: &str,
    ) {
        let names: Vec<&str> = columns.iter().map(ColumnName::as_str).collect();
        let help = match table.primary_key() {
            Some(primary) => {
                let primary: Vec<&str> = primary.iter().map(ColumnName::as_str).collect();
                format!("use {}, or {mend}", primary.join(", "))
            }
            None => mend.to_owned(),
        };
        self.findings.push(
            Diagnostic::error(
                "E303",
                format!(
                    "{key} {} of {} is not a key: {why}",
                    names.join(", "),
                    table.name
                ),
            )
            .help(help)
            .at(path, Some(key)),
        );
    }

    /// A column that matters: noted as used.
    pub(super) fn used(
        &mut self,
        table: &'c Table,
        column: &ColumnName,
        path: &str,
    ) -> Option<&'c Column> {
        let Some(found) = table.column(column) else {
            let near = table
                .columns
                .iter()
                .map(|other| {
                    (
                        strsim::damerau_levenshtein(other.name.as_str(), column.as_str()),
                        other.name.as_str(),
                    )
                })
                .filter(|(distance, _)| *distance <= SUGGEST_WITHIN)
                .min();
            let exact = table
                .columns
                .iter()
                .find(|other| other.name.as_str().eq_ignore_ascii_case(column.as_str()));
            // Capitals of the field's own name may have been meant.
            let field = path.rsplit('.').next().unwrap_or_default();
            let meant = if field.eq_ignore_ascii_case(column.as_str()) {
                field
            } else {
                column.as_str()
            };
            let help = match (near, exact) {
                (_, Some(exact)) => {
                    format!("an exact name is written '\"{}\"'", exact.name.as_str())
                }
                (Some((_, near)), None) => format!(
                    "did you mean {near}? Set `column`; an exact name is written '\"{meant}\"'"
                ),
                (None, None) => format!(
                    "set `column` to a column of the table; an exact name is written '\"{meant}\"'"
                ),
            };
            self.findings.push(
                Diagnostic::error(
                    "E302",
                    format!("{} has no column {}", table.name, column.as_str()),
                )
                .help(help)
                .naming(column.as_str())
                .at(path, None),
            );
            return None;
        };
        if found.generated {
            // Not in the stream before Postgres 18: any change of the row may have changed it.
            self.needs.add(
                table.name.clone(),
                TableNeeds {
                    all_used: true,
                    ..TableNeeds::default()
                },
            );
        }
        self.need(table, &[], std::slice::from_ref(column), path);
        Some(found)
    }

    pub(super) fn filters(&mut self, table: &'c Table, filters: &[Filter], path: &str) {
        for filter in filters {
            match filter {
                Filter::Column { column, .. } => {
                    self.used(table, column, path);
                }
                Filter::Raw(sql) => {
                    advice::raw(sql, path, &mut self.findings);
                    self.needs.add(
                        table.name.clone(),
                        TableNeeds {
                            all_used: true,
                            ..TableNeeds::default()
                        },
                    );
                }
            }
        }
    }

    pub(super) fn need(
        &mut self,
        table: &Table,
        routing: &[ColumnName],
        used: &[ColumnName],
        path: &str,
    ) {
        for column in routing {
            if table.column(column).is_some_and(|column| column.generated) {
                self.findings.push(
                    Diagnostic::error(
                        "E321",
                        format!(
                            "{}.{} is generated, so its old values are not in the WAL",
                            table.name,
                            column.as_str()
                        ),
                    )
                    .help("join through an ordinary column")
                    .at(path, None),
                );
            }
        }
        let set = |columns: &[ColumnName]| columns.iter().cloned().collect::<BTreeSet<_>>();
        let needs = TableNeeds {
            routing: set(routing),
            used: set(used).union(&set(routing)).cloned().collect(),
            all_used: false,
        };
        self.needs.add(table.name.clone(), needs);
    }
}
