//! Walks a definition: each place in which a table occurs, with the way up to the root.

mod link;

use std::collections::BTreeSet;

use model::{ColumnName, Needs, TableName};

use self::link::is_primary_key;
use super::resolved::{Hop, Level, Meets, Member, MemberValue, Place};
use super::{accept, advice};
use crate::catalog::{Catalog, Table};
use crate::diagnostic::Diagnostics;
use crate::index::{
    Aggregate, AggregateFunction, Field, FieldKind, GeoSource, IndexDefinition, Join, Link,
};

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
