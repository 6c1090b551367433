//! What a case uses of its tables, and how the rest is taken out.

use std::collections::BTreeSet;

use crate::language::generate::Plan;
use crate::language::generate::model::{
    Conflict, Field, Filter, Identity, Kind, Link, Matching, Op, Piece, Set,
};

/// Tables, and columns of them.
#[derive(Default)]
struct Uses {
    tables: BTreeSet<usize>,
    columns: BTreeSet<(usize, usize)>,
}

impl Uses {
    fn of(plan: &Plan) -> Self {
        let mut uses = Self::default();
        for index in &plan.indexes {
            uses.columns(index.root, index.primary_key.iter().flatten());
            uses.filters(index.root, &index.filters);
            if let Some(delete) = &index.soft_delete {
                uses.columns(index.root, [&delete.column]);
                uses.filters(index.root, &delete.when);
            }
            uses.fields(index.root, &index.fields);
        }
        uses
    }

    fn columns<'c>(&mut self, table: usize, columns: impl IntoIterator<Item = &'c usize>) {
        self.tables.insert(table);
        self.columns
            .extend(columns.into_iter().map(|column| (table, *column)));
    }

    fn fields(&mut self, table: usize, fields: &[Field]) {
        for field in fields {
            match &field.kind {
                Kind::Scalar(scalar) => self.columns(table, [&scalar.column]),
                Kind::Point { lat, lon, .. } => self.columns(table, [lat, lon]),
                Kind::PointColumn { column, .. } | Kind::Map { column, .. } => {
                    self.columns(table, [column]);
                }
                Kind::Object(inner) => self.fields(table, inner),
                Kind::Constant(_) => {}
                Kind::Join(join) => {
                    self.link(table, join.table, &join.link);
                    self.columns(join.table, join.primary_key.iter().flatten());
                    self.filters(join.table, &join.filters);
                    self.columns(join.table, join.order_by.iter().map(|order| &order.column));
                    self.fields(join.table, &join.fields);
                }
                Kind::Aggregate(aggregate) => {
                    self.link(table, aggregate.table, &aggregate.link);
                    self.columns(aggregate.table, aggregate.primary_key.iter().flatten());
                    self.columns(aggregate.table, &aggregate.column);
                    self.filters(aggregate.table, &aggregate.filters);
                }
            }
        }
    }

    fn filters(&mut self, table: usize, filters: &[Filter]) {
        for filter in filters {
            match filter {
                Filter::Column { column, .. } => self.columns(table, [column]),
                Filter::Raw(pieces) => {
                    for piece in pieces {
                        if let Piece::Column(column) | Piece::Qualified(column) = piece {
                            self.columns(table, [column]);
                        }
                    }
                }
            }
        }
    }

    fn link(&mut self, parent: usize, table: usize, link: &Link) {
        match link {
            Link::Column { own, theirs } | Link::ForeignKey { own, theirs } => {
                self.columns(parent, own);
                self.columns(table, theirs);
            }
            Link::Through {
                junction,
                own,
                left,
                right,
                theirs,
            } => {
                self.columns(parent, own);
                self.columns(*junction, left.iter().chain(right));
                self.columns(table, theirs);
            }
        }
    }
}

/// Takes out the tables that no index names. False: there are none.
pub(super) fn drop_tables(plan: &mut Plan) -> bool {
    let uses = Uses::of(plan);
    let mut dropped = false;
    for (at, table) in plan.tables.iter_mut().enumerate() {
        if !table.is_removed && !uses.tables.contains(&at) {
            table.is_removed = true;
            dropped = true;
        }
    }
    dropped
}

/// Takes out the columns that nothing names. False: there are none.
pub(super) fn drop_columns(plan: &mut Plan) -> bool {
    let mut used = Uses::of(plan).columns;
    for (at, table) in plan.tables.iter().enumerate() {
        let uniques = table.uniques.iter().flat_map(|unique| &unique.columns);
        let partition = table.partition.as_ref().map(|partition| &partition.column);
        used.extend(
            table
                .key
                .iter()
                .chain(uniques)
                .chain(partition)
                .map(|column| (at, *column)),
        );
        for relation in table
            .relations
            .iter()
            .filter(|relation| relation.declared.is_some())
        {
            used.extend(relation.columns.iter().map(|column| (at, *column)));
            used.extend(
                relation
                    .references
                    .iter()
                    .map(|column| (relation.table, *column)),
            );
        }
    }
    for (at, table) in plan.tables.iter().enumerate() {
        for (number, column) in table.columns.iter().enumerate() {
            if let Some(generated) = column
                .generated
                .as_ref()
                .filter(|_| used.contains(&(at, number)))
            {
                used.insert((at, generated.of));
            }
        }
    }
    let mut dropped = false;
    for (at, table) in plan.tables.iter_mut().enumerate() {
        let mut left = table.existing().count();
        for (number, column) in table.columns.iter_mut().enumerate() {
            // A table without columns cannot be written to.
            if !column.is_removed && !used.contains(&(at, number)) && left > 1 {
                column.is_removed = true;
                left -= 1;
                dropped = true;
            }
        }
    }
    dropped
}

/// Takes away what refers to things that are gone. False: the case has become invalid.
pub(super) fn tidy(plan: &mut Plan) -> bool {
    let removed: Vec<bool> = plan.tables.iter().map(|table| table.is_removed).collect();
    let is_removed = |table: usize| removed.get(table).copied().unwrap_or(true);
    for table in &mut plan.tables {
        table
            .relations
            .retain(|relation| !is_removed(relation.table));
    }
    let tables = plan.tables.clone();
    let gone = |table: usize, column: usize| {
        tables
            .get(table)
            .and_then(|table| table.columns.get(column))
            .is_none_or(|column| column.is_removed)
    };
    for table in &mut plan.tables {
        let columns = table.columns.clone();
        let stays = |at: &usize| columns.get(*at).is_some_and(|column| !column.is_removed);
        table
            .relations
            .retain(|relation| relation.columns.iter().all(stays));
    }
    let keep = |op: &mut Op| keep_op(op, &is_removed, &gone);
    plan.rows.retain_mut(keep);
    for step in &mut plan.steps {
        step.ops.retain_mut(keep);
        lone_savepoints(&mut step.ops);
    }
    plan.steps.retain(|step| !step.ops.is_empty());
    for index in &mut plan.indexes {
        let mut scalars = Vec::new();
        scalar_names(&index.fields, &mut scalars);
        if let Some(delete) = &mut index.soft_delete
            && let Some(field) = &delete.field
            && scalars.iter().filter(|name| *name == field).count() != 1
        {
            delete.field = None;
        }
        if let Some(delete) = &index.soft_delete
            && delete.when.is_empty()
            && let Some(column) = tables
                .get(index.root)
                .and_then(|table| table.columns.get(delete.column))
            && column.not_null
            && (column.ty.base.sql() != "boolean" || column.ty.is_array)
        {
            return false;
        }
    }
    tables.iter().all(|table| match table.identity {
        Identity::Index(unique) => unique < table.uniques.len(),
        Identity::Default | Identity::Full => true,
    }) && keys_stand(plan)
}

/// Every key and reference that an index relies on is still unique.
fn keys_stand(plan: &Plan) -> bool {
    fn fields_stand(plan: &Plan, fields: &[Field]) -> bool {
        fields.iter().all(|field| match &field.kind {
            Kind::Object(inner) => fields_stand(plan, inner),
            Kind::Join(join) => {
                let table = plan.table(join.table);
                let theirs = match &join.link {
                    Link::Column { theirs, .. } => table.is_unique(theirs),
                    Link::ForeignKey { .. } | Link::Through { .. } => true,
                };
                let key = join.primary_key.as_ref().unwrap_or(&table.key);
                theirs && table.is_unique(key) && fields_stand(plan, &join.fields)
            }
            Kind::Aggregate(aggregate) => {
                let table = plan.table(aggregate.table);
                let key = aggregate.primary_key.as_ref();
                key.is_none_or(|key| table.is_unique(key))
            }
            _ => true,
        })
    }
    let referenced = plan
        .tables
        .iter()
        .filter(|table| !table.is_removed)
        .all(|table| {
            let declared = table
                .relations
                .iter()
                .filter(|relation| relation.declared.is_some());
            declared
                .into_iter()
                .all(|relation| plan.table(relation.table).is_unique(&relation.references))
        });
    referenced
        && plan.indexes.iter().all(|index| {
            let table = plan.table(index.root);
            table.is_unique(index.primary_key.as_ref().unwrap_or(&table.key))
                && fields_stand(plan, &index.fields)
        })
}

fn keep_op(
    op: &mut Op,
    is_removed: &impl Fn(usize) -> bool,
    gone: &impl Fn(usize, usize) -> bool,
) -> bool {
    match op {
        Op::Insert {
            table,
            columns,
            rows,
            conflict,
        } => {
            let table = *table;
            if is_removed(table) {
                return false;
            }
            let stays: Vec<bool> = columns.iter().map(|column| !gone(table, *column)).collect();
            let mut at = 0;
            let mut next = || {
                at += 1;
                stays.get(at - 1).copied().unwrap_or(false)
            };
            columns.retain(|_| next());
            for row in rows {
                let mut at = 0;
                row.retain(|_| {
                    at += 1;
                    stays.get(at - 1).copied().unwrap_or(false)
                });
            }
            if let Conflict::Update(_, set) = conflict {
                set.retain(|column| !gone(table, *column));
                if set.is_empty() {
                    *conflict = Conflict::DoNothing;
                }
            }
            !columns.is_empty()
        }
        Op::Update {
            table,
            set,
            matching,
        } => {
            set.retain(|(column, value)| {
                !gone(*table, *column)
                    && !matches!(value, Set::Column(other) if gone(*table, *other))
            });
            !is_removed(*table) && !set.is_empty() && stands(*table, matching, gone)
        }
        Op::Delete { table, matching } => !is_removed(*table) && stands(*table, matching, gone),
        Op::Savepoint(_) | Op::RollbackTo(_) => true,
    }
}

fn stands(table: usize, matching: &Matching, gone: &impl Fn(usize, usize) -> bool) -> bool {
    match matching {
        Matching::All | Matching::AnyOne => true,
        Matching::Values(values) => values.iter().all(|(column, _)| !gone(table, *column)),
    }
}

/// A rollback needs its savepoint, and a savepoint something to undo.
fn lone_savepoints(ops: &mut Vec<Op>) {
    let begun: BTreeSet<usize> = ops
        .iter()
        .filter_map(|op| {
            if let Op::Savepoint(n) = op {
                Some(*n)
            } else {
                None
            }
        })
        .collect();
    ops.retain(|op| !matches!(op, Op::RollbackTo(n) if !begun.contains(n)));
    if ops
        .iter()
        .all(|op| matches!(op, Op::Savepoint(_) | Op::RollbackTo(_)))
    {
        ops.clear();
    }
}

fn scalar_names(fields: &[Field], names: &mut Vec<String>) {
    for field in fields {
        match &field.kind {
            Kind::Scalar(_) => names.push(field.name.clone()),
            Kind::Object(inner) => scalar_names(inner, names),
            _ => {}
        }
    }
}
