//! What can be left out of a case.

use std::ops::Range;

use super::uses;
use crate::language::generate::Plan;
use crate::language::generate::model::{Field, Filter, Identity, Index, Kind, Op};

/// One way to make a case smaller.
#[derive(Clone, Debug)]
pub(super) enum Cut {
    /// All indexes but this one.
    OtherIndexes(usize),
    Steps(Range<usize>),
    /// Statements, counted through all steps.
    Statements(Range<usize>),
    Rows(Range<usize>),
    /// Options and `required` of all fields: documents do not depend on them.
    Decoration,
    /// Tables that no index names.
    UnusedTables,
    /// Columns that nothing names.
    UnusedColumns,
    /// The field at this path of an index.
    Field(usize, Vec<usize>),
    /// All fields of this level but this one.
    OtherFields(usize, Vec<usize>),
    /// A part of the field at this path; an empty path is the index itself.
    Part(usize, Vec<usize>, Part),
    /// The constraint of a relation.
    Constraint(usize, usize),
    Constraints,
    Unique(usize, usize),
    Partition(usize),
    Identity(usize),
    DroppedColumn(usize),
    Savepoints,
    /// Rolled-back transactions are committed or go.
    Rollback(usize),
    /// A column of the rows of one insert becomes NULL, or an update sets one column less.
    Set(usize, usize),
}

/// A part of a field or an index.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Filters,
    Filter(usize),
    Order,
    Limit,
    SoftDelete,
    When,
    Default,
    Transforms,
    Variants,
}

/// Every cut, large ones first.
pub(super) fn all(plan: &Plan) -> Vec<Cut> {
    let mut cuts = Vec::new();
    if plan.indexes.len() > 1 {
        cuts.extend((0..plan.indexes.len()).map(Cut::OtherIndexes));
    }
    cuts.extend([Cut::Decoration, Cut::UnusedTables]);
    let statements = plan.steps.iter().map(|step| step.ops.len()).sum();
    cuts.extend(ranges(plan.steps.len(), 1).map(Cut::Steps));
    let mut paths = Vec::new();
    for (number, index) in plan.indexes.iter().enumerate() {
        let mut found = Vec::new();
        field_paths(&index.fields, &mut Vec::new(), &mut found);
        // Shallow ones first: they take the most with them.
        found.sort_by_key(Vec::len);
        paths.extend(found.into_iter().map(|path| (number, path)));
    }
    cuts.extend(
        paths
            .iter()
            .map(|(index, path)| Cut::OtherFields(*index, path.clone())),
    );
    cuts.extend(
        paths
            .iter()
            .map(|(index, path)| Cut::Field(*index, path.clone())),
    );
    cuts.extend([
        Cut::UnusedTables,
        Cut::UnusedColumns,
        Cut::Constraints,
        Cut::Savepoints,
    ]);
    cuts.extend(ranges(statements, 1).map(Cut::Statements));
    cuts.extend(ranges(plan.rows.len(), 4).map(Cut::Rows));
    for (number, index) in plan.indexes.iter().enumerate() {
        let parts = Part::of_index(index).into_iter();
        cuts.extend(parts.map(|part| Cut::Part(number, Vec::new(), part)));
    }
    for (number, path) in paths {
        let index = plan.indexes.get(number);
        let Some(field) = index.and_then(|index| field(&index.fields, &path)) else {
            continue;
        };
        let parts = Part::of_field(&field.kind).into_iter();
        cuts.extend(parts.map(|part| Cut::Part(number, path.clone(), part)));
    }
    for (number, table) in plan.tables.iter().enumerate() {
        cuts.extend((0..table.relations.len()).map(|relation| Cut::Constraint(number, relation)));
        cuts.extend((0..table.uniques.len()).map(|unique| Cut::Unique(number, unique)));
        cuts.extend([
            Cut::Partition(number),
            Cut::Identity(number),
            Cut::DroppedColumn(number),
        ]);
    }
    cuts.extend((0..plan.steps.len()).map(Cut::Rollback));
    cuts.extend(
        ranges(plan.rows.len(), 1)
            .filter(|range| range.len() < 4)
            .map(Cut::Rows),
    );
    for (number, op) in plan.steps.iter().flat_map(|step| &step.ops).enumerate() {
        if let Op::Update { set, .. } = op {
            cuts.extend((0..set.len()).map(|at| Cut::Set(number, at)));
        }
    }
    cuts
}

/// Halves, quarters, … of a list, down to pieces of `least`; the later ones first.
fn ranges(count: usize, least: usize) -> impl Iterator<Item = Range<usize>> {
    let mut sizes = Vec::new();
    let mut size = count.div_ceil(2);
    while size >= least.max(1) {
        sizes.push(size);
        if size == 1 {
            break;
        }
        size = size.div_ceil(2);
    }
    sizes.into_iter().flat_map(move |size| {
        let pieces = count.div_ceil(size);
        (0..pieces)
            .rev()
            .map(move |piece| piece * size..((piece + 1) * size).min(count))
    })
}

fn field_paths(fields: &[Field], at: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
    for (number, field) in fields.iter().enumerate() {
        at.push(number);
        found.push(at.clone());
        if let Some(inner) = inner(&field.kind) {
            field_paths(inner, at, found);
        }
        at.pop();
    }
}

fn inner(kind: &Kind) -> Option<&Vec<Field>> {
    match kind {
        Kind::Object(fields) => Some(fields),
        Kind::Join(join) => Some(&join.fields),
        _ => None,
    }
}

fn inner_mut(kind: &mut Kind) -> Option<&mut Vec<Field>> {
    match kind {
        Kind::Object(fields) => Some(fields),
        Kind::Join(join) => Some(&mut join.fields),
        _ => None,
    }
}

/// The field at `path`.
fn field<'f>(fields: &'f [Field], path: &[usize]) -> Option<&'f Field> {
    let (first, rest) = path.split_first()?;
    let found = fields.get(*first)?;
    if rest.is_empty() {
        return Some(found);
    }
    field(inner(&found.kind)?, rest)
}

/// The list that holds the field at `path`, and its place there.
fn level<'f>(fields: &'f mut Vec<Field>, path: &[usize]) -> Option<(&'f mut Vec<Field>, usize)> {
    match path {
        [] => None,
        [last] => Some((fields, *last)),
        [first, rest @ ..] => level(inner_mut(&mut fields.get_mut(*first)?.kind)?, rest),
    }
}

/// Drops the items of a range, counted through all lists.
fn drain<T>(lists: &mut [&mut Vec<T>], range: &Range<usize>) -> bool {
    let mut number = 0;
    let mut dropped = false;
    for list in lists {
        list.retain(|_| {
            let drop = range.contains(&number);
            number += 1;
            dropped |= drop;
            !drop
        });
    }
    dropped
}

impl Cut {
    /// False: there was nothing to cut.
    pub(super) fn apply(self, plan: &mut Plan) -> bool {
        match self {
            Self::OtherIndexes(keep) => {
                let before = plan.indexes.len();
                plan.indexes = plan.indexes.get(keep).cloned().into_iter().collect();
                before > 1
            }
            Self::Steps(range) => drain(&mut [&mut plan.steps], &range),
            Self::Statements(range) => {
                let mut lists: Vec<_> = plan.steps.iter_mut().map(|step| &mut step.ops).collect();
                drain(&mut lists, &range)
            }
            Self::Rows(range) => drain(&mut [&mut plan.rows], &range),
            Self::Decoration => {
                let mut found = false;
                for index in &mut plan.indexes {
                    undecorate(&mut index.fields, &mut found);
                }
                found
            }
            Self::UnusedTables => uses::drop_tables(plan),
            Self::UnusedColumns => uses::drop_columns(plan),
            Self::Field(index, path) => {
                let fields = plan.indexes.get_mut(index).map(|index| &mut index.fields);
                let Some((list, at)) = fields.and_then(|fields| level(fields, &path)) else {
                    return false;
                };
                // Joins and objects need a field.
                if list.len() == 1 && path.len() > 1 {
                    return false;
                }
                list.remove(at);
                true
            }
            Self::OtherFields(index, path) => {
                let fields = plan.indexes.get_mut(index).map(|index| &mut index.fields);
                let Some((list, at)) = fields.and_then(|fields| level(fields, &path)) else {
                    return false;
                };
                let more = list.len() > 1;
                *list = list.get(at).cloned().into_iter().collect();
                more
            }
            Self::Part(index, path, part) => part.cut(plan, index, &path),
            Self::Constraint(table, relation) => plan
                .tables
                .get_mut(table)
                .and_then(|table| table.relations.get_mut(relation))
                .is_some_and(|relation| relation.declared.take().is_some()),
            Self::Constraints => {
                let relations = plan
                    .tables
                    .iter_mut()
                    .flat_map(|table| &mut table.relations);
                let cut = relations.filter_map(|relation| relation.declared.take());
                cut.count() > 0
            }
            Self::Unique(table, unique) => plan.tables.get_mut(table).is_some_and(|table| {
                table.uniques.remove(unique);
                table.identity = Identity::Full;
                true
            }),
            Self::Partition(table) => plan
                .tables
                .get_mut(table)
                .is_some_and(|table| table.partition.take().is_some()),
            Self::Identity(table) => plan.tables.get_mut(table).is_some_and(|table| {
                let was = table.identity;
                if !table.key.is_empty() {
                    table.identity = Identity::Default;
                }
                was != table.identity
            }),
            Self::DroppedColumn(table) => plan
                .tables
                .get_mut(table)
                .is_some_and(|table| std::mem::take(&mut table.has_dropped_column)),
            Self::Savepoints => {
                let before: usize = plan.steps.iter().map(|step| step.ops.len()).sum();
                for step in &mut plan.steps {
                    step.ops
                        .retain(|op| !matches!(op, Op::Savepoint(_) | Op::RollbackTo(_)));
                }
                before > plan.steps.iter().map(|step| step.ops.len()).sum()
            }
            Self::Rollback(step) => plan
                .steps
                .get_mut(step)
                .is_some_and(|step| !std::mem::replace(&mut step.commit, true)),
            Self::Set(statement, at) => {
                let mut ops = plan.steps.iter_mut().flat_map(|step| &mut step.ops);
                match ops.nth(statement) {
                    Some(Op::Update { set, .. }) if set.len() > 1 => {
                        set.remove(at);
                        true
                    }
                    _ => false,
                }
            }
        }
    }
}

fn undecorate(fields: &mut [Field], found: &mut bool) {
    for field in fields {
        *found |= field.options.take().is_some();
        let required = match &mut field.kind {
            Kind::Scalar(scalar) => scalar.required.take(),
            Kind::Point { required, .. }
            | Kind::PointColumn { required, .. }
            | Kind::Map { required, .. } => required.take(),
            Kind::Join(join) => join.required.take(),
            Kind::Object(_) | Kind::Constant(_) | Kind::Aggregate(_) => None,
        };
        *found |= required.is_some();
        if let Some(inner) = inner_mut(&mut field.kind) {
            undecorate(inner, found);
        }
    }
}

impl Part {
    fn of_filters(filters: &[Filter]) -> Vec<Self> {
        match filters.len() {
            0 => Vec::new(),
            1 => vec![Self::Filters],
            count => std::iter::once(Self::Filters)
                .chain((0..count).map(Self::Filter))
                .collect(),
        }
    }

    /// The parts that an index has.
    fn of_index(index: &Index) -> Vec<Self> {
        let mut parts = Self::of_filters(&index.filters);
        if let Some(delete) = &index.soft_delete {
            parts.push(Self::SoftDelete);
            parts.extend((!delete.when.is_empty()).then_some(Self::When));
        }
        parts
    }

    /// The parts that a field has.
    fn of_field(kind: &Kind) -> Vec<Self> {
        match kind {
            Kind::Scalar(scalar) => [
                scalar.default.is_some().then_some(Self::Default),
                (!scalar.transforms.is_empty()).then_some(Self::Transforms),
                scalar.variants.is_some().then_some(Self::Variants),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Kind::Join(join) => {
                let mut parts = Self::of_filters(&join.filters);
                parts.extend((!join.order_by.is_empty()).then_some(Self::Order));
                parts.extend(join.limit.is_some().then_some(Self::Limit));
                parts
            }
            Kind::Aggregate(aggregate) => Self::of_filters(&aggregate.filters),
            Kind::Point { .. }
            | Kind::PointColumn { .. }
            | Kind::Map { .. }
            | Kind::Object(_)
            | Kind::Constant(_) => Vec::new(),
        }
    }

    fn cut(self, plan: &mut Plan, index: usize, path: &[usize]) -> bool {
        let Some(index) = plan.indexes.get_mut(index) else {
            return false;
        };
        if path.is_empty() {
            return match self {
                Self::Filters | Self::Filter(_) => self.cut_filters(&mut index.filters),
                Self::SoftDelete => index.soft_delete.take().is_some(),
                Self::When => index.soft_delete.as_mut().is_some_and(|delete| {
                    let found = !delete.when.is_empty();
                    delete.when.clear();
                    found
                }),
                _ => false,
            };
        }
        let Some((list, at)) = level(&mut index.fields, path) else {
            return false;
        };
        match list.get_mut(at).map(|field| &mut field.kind) {
            Some(Kind::Scalar(scalar)) => match self {
                Self::Default => scalar.default.take().is_some(),
                Self::Transforms => !std::mem::take(&mut scalar.transforms).is_empty(),
                Self::Variants => scalar.variants.take().is_some(),
                _ => false,
            },
            Some(Kind::Join(join)) => match self {
                Self::Filters | Self::Filter(_) => self.cut_filters(&mut join.filters),
                Self::Order => !std::mem::take(&mut join.order_by).is_empty(),
                Self::Limit => join.limit.take().is_some(),
                _ => false,
            },
            Some(Kind::Aggregate(aggregate)) => match self {
                Self::Filters | Self::Filter(_) => self.cut_filters(&mut aggregate.filters),
                _ => false,
            },
            _ => false,
        }
    }

    fn cut_filters(self, filters: &mut Vec<Filter>) -> bool {
        match self {
            Self::Filter(at) if filters.len() > 1 => {
                filters.remove(at);
                true
            }
            Self::Filters => !std::mem::take(filters).is_empty(),
            _ => false,
        }
    }
}
