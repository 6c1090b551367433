//! Walks a definition: each place in which a table occurs, with the way up to the root.

use std::collections::BTreeSet;

use model::{ColumnName, Needs, TableName};

use super::{KeyColumn, accept, advice, cast_of};
use crate::catalog::{Catalog, Column, Table};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::index::{
    Aggregate, AggregateFunction, Field, FieldKind, Filter, GeoSource, IndexDefinition, Join, Link,
    SoftDelete, Through,
};

/// One step from a row towards the root: rows of `parent` whose `parent_columns` equal the row's
/// `columns`.
#[derive(Debug, Clone)]
pub(super) struct Hop<'c> {
    pub(super) child: &'c Table,
    pub(super) columns: Vec<ColumnName>,
    pub(super) parent: &'c Table,
    pub(super) parent_columns: Vec<ColumnName>,
}

/// One occurrence of a table.
#[derive(Debug, Clone)]
pub(super) struct Place<'c> {
    pub(super) table: &'c Table,
    /// The key that its rows go by; empty for a junction without one.
    pub(super) key: Vec<ColumnName>,
    /// The way to the root; empty for the root itself.
    pub(super) hops: Vec<Hop<'c>>,
    /// Where in the document: `hall.venue`.
    pub(super) path: String,
}

/// A row that fields are read from, resolved.
#[derive(Debug)]
pub(super) struct Level<'c> {
    pub(super) table: &'c Table,
    pub(super) key: Vec<ColumnName>,
    pub(super) members: Vec<Member<'c>>,
    pub(super) filters: Vec<Filter>,
    pub(super) soft_delete: Option<SoftDelete>,
}

/// A member of a document, resolved.
#[derive(Debug)]
pub(super) struct Member<'c> {
    pub(super) name: String,
    pub(super) value: MemberValue<'c>,
}

/// What is written there.
#[derive(Debug)]
pub(super) enum MemberValue<'c> {
    Column {
        column: &'c Column,
        field: FieldKind,
    },
    Geo {
        lat: &'c Column,
        lon: &'c Column,
    },
    Constant(serde_json::Value),
    Object(Vec<Member<'c>>),
    One {
        meets: Meets<'c>,
        level: Level<'c>,
        order: Vec<crate::index::Order>,
    },
    Many {
        meets: Meets<'c>,
        level: Level<'c>,
        order: Vec<crate::index::Order>,
        limit: Option<u64>,
    },
    Figure {
        meets: Meets<'c>,
        table: &'c Table,
        key: Vec<ColumnName>,
        filters: Vec<Filter>,
        function: AggregateFunction,
    },
}

/// How the rows of T are found from P.
#[derive(Debug)]
pub(super) enum Meets<'c> {
    /// T.`theirs` = P.`own`.
    Columns {
        own: Vec<ColumnName>,
        theirs: Vec<ColumnName>,
        /// At most one row of T meets a row of P.
        is_one: bool,
    },
    /// Over a junction.
    Through {
        junction: &'c Table,
        own: Vec<ColumnName>,
        left: Vec<ColumnName>,
        right: Vec<ColumnName>,
        theirs: Vec<ColumnName>,
    },
}

impl Level<'_> {
    pub(super) fn key_columns(&self) -> Vec<KeyColumn> {
        self.key
            .iter()
            .map(|name| KeyColumn {
                name: name.clone(),
                cast: cast_of(self.table, name),
            })
            .collect()
    }
}

/// Collects places, needs and findings.
#[derive(Debug)]
pub(super) struct Walk<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) places: Vec<Place<'c>>,
    pub(super) needs: Needs,
    pub(super) findings: Diagnostics,
}

/// The place around a field.
struct Around<'w, 'c> {
    table: &'c Table,
    key: &'w [ColumnName],
    hops: &'w [Hop<'c>],
    path: &'w str,
}

impl<'c> Walk<'c> {
    pub(super) fn new(catalog: &'c Catalog) -> Self {
        Self {
            catalog,
            places: Vec::new(),
            needs: Needs::new(),
            findings: Diagnostics::new(),
        }
    }

    pub(super) fn root(&mut self, definition: &IndexDefinition) -> Option<Level<'c>> {
        let table = self.table(&definition.root, "")?;
        let key = self.key(table, definition.primary_key.as_deref(), "", true)?;
        let routing = if is_primary_key(table, &key) {
            &[][..]
        } else {
            &key[..]
        };
        self.need(table, routing, &key, "");
        self.filters(table, &definition.filters, "");
        if let Some(delete) = &definition.soft_delete {
            if let Some(marker) = self.used(table, &delete.column, "") {
                advice::marker(table, marker, delete.when.is_empty(), &mut self.findings);
            }
            self.filters(table, &delete.when, "");
        }
        self.places.push(Place {
            table,
            key: key.clone(),
            hops: Vec::new(),
            path: String::new(),
        });
        let around = Around {
            table,
            key: &key,
            hops: &[],
            path: "",
        };
        let members = self.members(&definition.fields, &around);
        Some(Level {
            table,
            key,
            members,
            filters: definition.filters.clone(),
            soft_delete: definition.soft_delete.clone(),
        })
    }

    fn members(&mut self, fields: &[Field], around: &Around<'_, 'c>) -> Vec<Member<'c>> {
        let mut members = Vec::with_capacity(fields.len());
        for field in fields {
            let path = if around.path.is_empty() {
                field.name.clone()
            } else {
                format!("{}.{}", around.path, field.name)
            };
            if let Some(value) = self.member(&field.kind, &path, around) {
                members.push(Member {
                    name: field.name.clone(),
                    value,
                });
            }
        }
        members
    }

    fn member(
        &mut self,
        kind: &FieldKind,
        path: &str,
        around: &Around<'_, 'c>,
    ) -> Option<MemberValue<'c>> {
        Some(match kind {
            FieldKind::Scalar(scalar) => {
                let column = self.used(around.table, &scalar.column, path)?;
                accept::accepts(around.table, column, kind, path, &mut self.findings);
                advice::scalar(around.table, column, scalar, path, &mut self.findings);
                MemberValue::Column {
                    column,
                    field: kind.clone(),
                }
            }
            FieldKind::Map { column, .. }
            | FieldKind::Geo {
                source: GeoSource::Column(column),
                ..
            } => {
                let column = self.used(around.table, column, path)?;
                accept::accepts(around.table, column, kind, path, &mut self.findings);
                MemberValue::Column {
                    column,
                    field: kind.clone(),
                }
            }
            FieldKind::Geo {
                source: GeoSource::LatLon { lat, lon },
                ..
            } => {
                let (lat, lon) = (
                    self.used(around.table, lat, path),
                    self.used(around.table, lon, path),
                );
                let (lat, lon) = (lat?, lon?);
                accept::point(around.table, [lat, lon], path, &mut self.findings);
                MemberValue::Geo { lat, lon }
            }
            FieldKind::Object(fields) => {
                let inner = Around { path, ..*around };
                MemberValue::Object(self.members(fields, &inner))
            }
            FieldKind::Constant(value) => MemberValue::Constant(value.clone()),
            FieldKind::BelongsTo(join) | FieldKind::HasOne(join) => {
                let (meets, level) = self.join(join, path, around)?;
                advice::first_of_several(kind, level.table, join, path, &mut self.findings);
                MemberValue::One {
                    meets,
                    level,
                    order: join.order_by.clone(),
                }
            }
            FieldKind::HasMany(join) | FieldKind::ManyToMany(join) => {
                let (meets, level) = self.join(join, path, around)?;
                MemberValue::Many {
                    meets,
                    level,
                    order: join.order_by.clone(),
                    limit: join.limit,
                }
            }
            FieldKind::Aggregate(aggregate) => self.figure(aggregate, path, around)?,
        })
    }

    fn join(
        &mut self,
        join: &Join,
        path: &str,
        around: &Around<'_, 'c>,
    ) -> Option<(Meets<'c>, Level<'c>)> {
        let table = self.table(&join.table, path)?;
        let key = self.key(table, join.primary_key.as_deref(), path, true)?;
        let (meets, hops) = self.link(&join.link, table, &key, path, around)?;
        self.filters(table, &join.filters, path);
        for order in &join.order_by {
            self.used(table, &order.column, path);
        }
        self.need(table, &[], &key, path);
        self.places.push(Place {
            table,
            key: key.clone(),
            hops: hops.clone(),
            path: path.to_owned(),
        });
        let inner = Around {
            table,
            key: &key,
            hops: &hops,
            path,
        };
        let members = self.members(&join.fields, &inner);
        Some((
            meets,
            Level {
                table,
                key,
                members,
                filters: join.filters.clone(),
                soft_delete: None,
            },
        ))
    }

    fn figure(
        &mut self,
        aggregate: &Aggregate,
        path: &str,
        around: &Around<'_, 'c>,
    ) -> Option<MemberValue<'c>> {
        let table = self.table(&aggregate.table, path)?;
        let written = match &aggregate.function {
            AggregateFunction::Ids { primary_key, .. } => primary_key.as_deref(),
            AggregateFunction::Count
            | AggregateFunction::Avg(_)
            | AggregateFunction::Sum(..)
            | AggregateFunction::Min(..)
            | AggregateFunction::Max(..) => None,
        };
        let wants_key = matches!(aggregate.function, AggregateFunction::Ids { .. })
            || matches!(&aggregate.link, Link::Through(through) if through.right_references.is_none());
        let key = self.key(table, written, path, wants_key)?;
        let (meets, hops) = self.link(&aggregate.link, table, &key, path, around)?;
        self.filters(table, &aggregate.filters, path);
        let column = match &aggregate.function {
            AggregateFunction::Avg(column)
            | AggregateFunction::Sum(column, _)
            | AggregateFunction::Min(column, _)
            | AggregateFunction::Max(column, _) => Some(column),
            AggregateFunction::Count | AggregateFunction::Ids { .. } => None,
        };
        if let Some(column) = column {
            let column = self.used(table, column, path)?;
            accept::figure(table, column, &aggregate.function, path, &mut self.findings);
        }
        if let AggregateFunction::Ids { element, .. } = &aggregate.function {
            accept::ids(table, &key, *element, path, &mut self.findings);
            self.need(table, &[], &key, path);
        }
        self.places.push(Place {
            table,
            key: key.clone(),
            hops,
            path: path.to_owned(),
        });
        Some(MemberValue::Figure {
            meets,
            table,
            key,
            filters: aggregate.filters.clone(),
            function: aggregate.function.clone(),
        })
    }

    /// How T is met, and T's way to the root.
    fn link(
        &mut self,
        link: &Link,
        table: &'c Table,
        key: &[ColumnName],
        path: &str,
        around: &Around<'_, 'c>,
    ) -> Option<(Meets<'c>, Vec<Hop<'c>>)> {
        let (own, theirs, is_reference) = match link {
            Link::Column { column, references } => (
                column.clone(),
                references.clone().unwrap_or_else(|| key.to_vec()),
                true,
            ),
            Link::ForeignKey {
                foreign_key,
                references,
            } => (
                references.clone().unwrap_or_else(|| around.key.to_vec()),
                foreign_key.clone(),
                false,
            ),
            Link::Through(through) => return self.through(through, table, key, path, around),
        };
        self.sides(around.table, &own, table, &theirs, path)?;
        if is_reference && !table.is_unique(&theirs) {
            self.not_unique(table, &theirs, path, "references");
        }
        let routing = if is_reference && is_primary_key(table, &theirs) {
            &[][..]
        } else {
            &theirs[..]
        };
        self.need(table, routing, &theirs, path);
        self.need(around.table, &[], &own, path);
        let mut hops = vec![Hop {
            child: table,
            columns: theirs.clone(),
            parent: around.table,
            parent_columns: own.clone(),
        }];
        hops.extend_from_slice(around.hops);
        let meets = Meets::Columns {
            is_one: is_one(around.table, &own, table, &theirs),
            own,
            theirs,
        };
        Some((meets, hops))
    }

    fn through(
        &mut self,
        through: &Through,
        table: &'c Table,
        key: &[ColumnName],
        path: &str,
        around: &Around<'_, 'c>,
    ) -> Option<(Meets<'c>, Vec<Hop<'c>>)> {
        let junction = self.table(&through.table, path)?;
        let own = through
            .left_references
            .clone()
            .unwrap_or_else(|| around.key.to_vec());
        let theirs = through
            .right_references
            .clone()
            .unwrap_or_else(|| key.to_vec());
        let (left, right) = (through.left_key.clone(), through.right_key.clone());
        self.sides(around.table, &own, junction, &left, path)?;
        self.sides(junction, &right, table, &theirs, path)?;
        // The key of T was checked where it is written.
        if through.right_references.is_some() && !table.is_unique(&theirs) {
            self.not_unique(table, &theirs, path, "through.right_references");
        }
        self.need(around.table, &[], &own, path);
        self.need(junction, &left, &left, path);
        self.need(junction, &[], &right, path);
        let routing = if is_primary_key(table, &theirs) {
            &[][..]
        } else {
            &theirs[..]
        };
        self.need(table, routing, &theirs, path);
        let mut from_junction = vec![Hop {
            child: junction,
            columns: left.clone(),
            parent: around.table,
            parent_columns: own.clone(),
        }];
        from_junction.extend_from_slice(around.hops);
        let junction_key = junction.primary_key().unwrap_or_default().to_vec();
        self.places.push(Place {
            table: junction,
            key: junction_key,
            hops: from_junction.clone(),
            path: format!("{path} (junction)"),
        });
        let mut hops = vec![Hop {
            child: table,
            columns: theirs.clone(),
            parent: junction,
            parent_columns: right.clone(),
        }];
        hops.extend(from_junction);
        Some((
            Meets::Through {
                junction,
                own,
                left,
                right,
                theirs,
            },
            hops,
        ))
    }

    /// Both sides of a condition exist and pair.
    fn sides(
        &mut self,
        own_table: &'c Table,
        own: &[ColumnName],
        their_table: &'c Table,
        theirs: &[ColumnName],
        path: &str,
    ) -> Option<()> {
        if own.len() != theirs.len() {
            let names: Vec<&str> = theirs.iter().map(ColumnName::as_str).collect();
            self.findings.push(
                Diagnostic::error(
                    "E206",
                    format!(
                        "{} lists {}, but {} is met by {}: {}",
                        own_table.name.name,
                        count_columns(own.len()),
                        their_table.name.name,
                        theirs.len(),
                        names.join(", ")
                    ),
                )
                .help("list as many, in the same order")
                .at(path, None),
            );
            return None;
        }
        let mut found = Some(());
        for (at, column) in own.iter().enumerate() {
            let other = theirs.get(at);
            let own = self.used(own_table, column, path);
            let other = other.and_then(|column| self.used(their_table, column, path));
            let (Some(own), Some(other)) = (own, other) else {
                found = None;
                continue;
            };
            advice::sides(
                (own_table, own),
                (their_table, other),
                path,
                &mut self.findings,
            );
        }
        found
    }
}

/// Whether T's side is unique, and values that are equal are equal in T's own type (two numerics
/// can equal one double).
fn is_one(parent: &Table, own: &[ColumnName], table: &Table, theirs: &[ColumnName]) -> bool {
    let cast = |table: &Table, name| Some(table.column(name)?.cast.clone());
    let one: Vec<_> = own.iter().map(|name| cast(parent, name)).collect();
    let other: Vec<_> = theirs.iter().map(|name| cast(table, name)).collect();
    table.is_unique(theirs) && one == other
}

/// Whether these are the columns of the primary key, in any order: every change carries those.
fn is_primary_key(table: &Table, columns: &[ColumnName]) -> bool {
    let set = |columns: &[ColumnName]| columns.iter().cloned().collect::<BTreeSet<_>>();
    table
        .primary_key()
        .is_some_and(|key| set(key) == set(columns))
}

fn count_columns(count: usize) -> String {
    if count == 1 {
        "1 column".to_owned()
    } else {
        format!("{count} columns")
    }
}

/// Every table that fields name.
pub(super) fn name_tables(fields: &[Field], names: &mut BTreeSet<TableName>) {
    for field in fields {
        let (table, link, fields) = match &field.kind {
            FieldKind::BelongsTo(join)
            | FieldKind::HasOne(join)
            | FieldKind::HasMany(join)
            | FieldKind::ManyToMany(join) => (&join.table, &join.link, join.fields.as_slice()),
            FieldKind::Aggregate(aggregate) => (&aggregate.table, &aggregate.link, &[][..]),
            FieldKind::Object(fields) => {
                name_tables(fields, names);
                continue;
            }
            FieldKind::Scalar(_)
            | FieldKind::Map { .. }
            | FieldKind::Geo { .. }
            | FieldKind::Constant(_) => continue,
        };
        names.insert(table.clone());
        if let Link::Through(through) = link {
            names.insert(through.table.clone());
        }
        name_tables(fields, names);
    }
}
