//! Random rows and transactions.

use super::dice::Dice;
use super::model::{
    Conflict, Filter, Index, Kind, Literal, Matching, Op, Plan, Role, Set, Transaction,
};
use super::store::Store;
use super::types::Base;
use super::{schema, values};
use crate::language::case::Size;

/// The rows before the first step.
pub(super) fn rows(dice: &mut Dice, plan: &Plan, store: &mut Store<'_>) -> Vec<Op> {
    let mut ops = Vec::new();
    for table in 0..plan.tables.len() {
        let most = if plan.size == Size::Large {
            60
        } else {
            dice.weighted([(50, 10), (35, 18), (15, 32)])
        };
        for _ in 0..dice.between(3, most) {
            if let Some(op) = insert(dice, store, table, 1)
                && store.apply(&op)
            {
                ops.push(op);
            }
        }
        // Doubled rows are what tables without a key are for.
        if plan.table(table).keys().is_empty()
            && let Some(op) = ops.last().cloned()
            && store.apply(&op)
        {
            ops.push(op);
        }
    }
    ops
}

fn insert(dice: &mut Dice, store: &Store<'_>, table: usize, count: usize) -> Option<Op> {
    let columns = store.plan.table(table).writable();
    let mut rows = Vec::new();
    for _ in 0..count {
        let row = store.fresh(dice, table)?;
        rows.push(only(&row, &columns));
    }
    Some(Op::Insert {
        table,
        columns,
        rows,
        conflict: Conflict::Fails,
    })
}

fn only(row: &[Literal], columns: &[usize]) -> Vec<Literal> {
    columns
        .iter()
        .map(|column| row.get(*column).cloned().unwrap_or(Literal::Null))
        .collect()
}

/// What happens after the first build.
pub(super) fn steps(
    dice: &mut Dice,
    plan: &Plan,
    indexes: &[Index],
    store: Store<'_>,
) -> Vec<Transaction> {
    let count = if plan.size == Size::Large {
        dice.between(20, 40)
    } else {
        dice.between(8, 14)
    };
    let mut changes = Changes {
        dice,
        store,
        hot: hot_columns(indexes),
        ops: Vec::new(),
        savepoints: 0,
    };
    (0..count).map(|_| changes.transaction()).collect()
}

struct Changes<'d, 'p> {
    dice: &'d mut Dice,
    store: Store<'p>,
    /// Columns that decide what a document holds, without being in it.
    hot: Vec<(usize, usize)>,
    ops: Vec<Op>,
    savepoints: usize,
}

impl Changes<'_, '_> {
    fn transaction(&mut self) -> Transaction {
        let before = self.store.clone();
        let commit = !self.dice.chance(6);
        self.ops = Vec::new();
        self.savepoints = 0;
        for _ in 0..self.dice.weighted([(45, 1), (25, 2), (18, 4), (12, 7)]) {
            if self.dice.chance(8) {
                self.undone();
            } else {
                self.change();
            }
        }
        if !commit {
            self.store = before;
        }
        Transaction {
            ops: std::mem::take(&mut self.ops),
            commit,
        }
    }

    /// Changes under a savepoint that is rolled back, sometimes not.
    fn undone(&mut self) {
        let before = self.store.clone();
        let number = self.savepoints;
        self.savepoints += 1;
        self.ops.push(Op::Savepoint(number));
        for _ in 0..self.dice.between(1, 3) {
            self.change();
        }
        if self.dice.chance(75) {
            self.ops.push(Op::RollbackTo(number));
            self.store = before;
        }
    }

    /// One statement, or a few that belong together.
    fn change(&mut self) {
        let table = self.dice.below(self.store.plan.tables.len());
        let kind = self.dice.weighted([
            (14, "insert"),
            (18, "update some"),
            (12, "update hot"),
            (14, "move"),
            (4, "update all"),
            (3, "move all"),
            (7, "rekey"),
            (5, "swap"),
            (11, "delete"),
            (3, "delete children"),
            (1, "delete all"),
            (6, "upsert"),
            (6, "reinsert"),
            (3, "passing"),
            (2, "same"),
            (4, "partition"),
        ]);
        match kind {
            "insert" => {
                let count = self.dice.weighted([(70, 1), (30, 3)]);
                let op = insert(self.dice, &self.store, table, count);
                self.push_all(op);
            }
            "update some" => self.update_some(table),
            "update hot" => self.update_hot(),
            "move" => self.move_row(table),
            "move all" => self.move_all(table),
            "update all" => self.update_all(table),
            "rekey" => self.rekey(table),
            "swap" => self.swap(table),
            "delete" => self.delete(table),
            "delete children" => self.delete_children(table),
            "delete all" => {
                self.push(Op::Delete {
                    table,
                    matching: Matching::All,
                });
            }
            "upsert" => self.upsert(table),
            "reinsert" => self.reinsert(table),
            "passing" => self.passing(table),
            "same" => self.same(table),
            _ => self.move_partition(),
        }
    }

    /// Takes a statement into the transaction unless the database would refuse it.
    fn push(&mut self, op: Op) -> bool {
        let done = self.store.apply(&op);
        // A few that it refuses: then nothing may change.
        if done || self.dice.chance(3) {
            self.ops.push(op);
        }
        done
    }

    fn push_all(&mut self, ops: impl IntoIterator<Item = Op>) -> bool {
        ops.into_iter().all(|op| self.push(op))
    }

    fn any_row(&mut self, table: usize) -> Option<(Vec<Literal>, Matching)> {
        let row = self.dice.pick(self.store.rows(table))?;
        let matching = self.store.matching(self.dice, table, &row);
        Some((row, matching))
    }

    /// Data columns that may be set.
    fn data(&self, table: usize) -> Vec<usize> {
        let plan = self.store.plan;
        let columns = plan.table(table).writable();
        columns
            .into_iter()
            .filter(|at| plan.table(table).column(*at).role != Role::Key)
            .collect()
    }

    fn update_some(&mut self, table: usize) {
        let columns = self.data(table);
        let Some((_, matching)) = self.any_row(table) else {
            return;
        };
        let count = self.dice.weighted([(55, 1), (30, 2), (15, 4)]);
        let chosen = self.dice.some(&columns, count);
        self.set(table, &chosen, matching);
    }

    fn set(&mut self, table: usize, columns: &[usize], matching: Matching) {
        let plan = self.store.plan;
        let set: Vec<(usize, Set)> = columns
            .iter()
            .map(|column| {
                // What a generated column is made of, instead of it.
                let generated = plan.table(table).column(*column).generated.as_ref();
                let column = generated.map_or(*column, |generated| generated.of);
                (column, self.new_value(table, column))
            })
            .collect();
        if !set.is_empty() {
            self.push(Op::Update {
                table,
                set,
                matching,
            });
        }
    }

    fn new_value(&mut self, table: usize, at: usize) -> Set {
        let column = self.store.plan.table(table).column(at);
        let is_plain =
            !column.ty.is_array && column.ty.domain.is_none() && column.role == Role::Data;
        if is_plain && self.dice.chance(15) {
            match column.ty.base {
                Base::Int8 | Base::Numeric | Base::Double => return Set::From("", " + 1"),
                Base::Text => return Set::From("", " || '+'"),
                Base::Boolean => return Set::From("NOT ", ""),
                Base::Timestamptz | Base::Timestamp => return Set::From("", " + interval '1 day'"),
                _ => {}
            }
        }
        Set::To(self.store.value(self.dice, table, at))
    }

    fn update_hot(&mut self) {
        let Some((table, column)) = self.dice.pick(&self.hot) else {
            return;
        };
        let Some((_, matching)) = self.any_row(table) else {
            return;
        };
        self.set(table, &[column], matching);
    }

    /// A row goes to another parent, to none, or to one that is not there.
    fn move_row(&mut self, table: usize) {
        let relations = self.store.plan.table(table).relations.len();
        if relations == 0 {
            return;
        }
        let Some((row, matching)) = self.any_row(table) else {
            return;
        };
        let number = self.dice.below(relations);
        let matching = if self.dice.chance(15) {
            self.siblings(table, number, &row)
        } else {
            matching
        };
        let mut set: Vec<(usize, Set)> = self
            .store
            .parent(self.dice, table, number, &[])
            .into_iter()
            .map(|(column, value)| (column, Set::To(value)))
            .collect();
        let data = self.data(table);
        if self.dice.chance(30)
            && let Some(column) = self.dice.pick(&data)
        {
            set.push((column, self.new_value(table, column)));
        }
        if !set.is_empty() {
            self.push(Op::Update {
                table,
                set,
                matching,
            });
        }
    }

    /// The rows that have the same parent.
    fn siblings(&self, table: usize, relation: usize, row: &[Literal]) -> Matching {
        let relations = &self.store.plan.table(table).relations;
        let columns = relations
            .get(relation)
            .map(|relation| relation.columns.clone())
            .unwrap_or_default();
        Matching::Values(
            columns
                .into_iter()
                .filter_map(|column| Some((column, row.get(column)?.clone())))
                .collect(),
        )
    }

    /// All rows to one parent.
    fn move_all(&mut self, table: usize) {
        let relations = self.store.plan.table(table).relations.len();
        let number = self.dice.below(relations);
        let set: Vec<(usize, Set)> = self
            .store
            .parent(self.dice, table, number, &[])
            .into_iter()
            .map(|(column, value)| (column, Set::To(value)))
            .collect();
        if !set.is_empty() {
            self.push(Op::Update {
                table,
                set,
                matching: Matching::All,
            });
        }
    }

    fn update_all(&mut self, table: usize) {
        let columns = self.data(table);
        if let Some(column) = self.dice.pick(&columns) {
            self.set(table, &[column], Matching::All);
        }
    }

    /// A key value that no row has; NULL where there is none.
    fn unused_key(&mut self, table: usize, column: usize) -> Literal {
        let plan = self.store.plan;
        let ty = plan.table(table).column(column).ty;
        let labels = schema::labels(plan, ty);
        for _ in 0..12 {
            let n = self.dice.below(60);
            if let Some(value) = values::key(ty.base, n, &labels)
                && self
                    .store
                    .rows(table)
                    .iter()
                    .all(|row| row.get(column) != Some(&value))
            {
                return value;
            }
        }
        Literal::Null
    }

    /// A row gets another key.
    fn rekey(&mut self, table: usize) {
        let keys = self.store.plan.table(table).keys();
        let Some(column) = self.dice.pick(&keys).and_then(|key| self.dice.pick(&key)) else {
            return;
        };
        let value = self.unused_key(table, column);
        let Some((_, matching)) = self.any_row(table).filter(|_| value != Literal::Null) else {
            return;
        };
        let mut set = vec![(column, Set::To(value))];
        let data = self.data(table);
        if self.dice.chance(40)
            && let Some(other) = self.dice.pick(&data)
        {
            set.push((other, self.new_value(table, other)));
        }
        self.push(Op::Update {
            table,
            set,
            matching,
        });
    }

    /// Two rows change their keys with each other, over a third.
    fn swap(&mut self, table: usize) {
        let keys = self.store.plan.table(table).keys();
        let Some(key) = self.dice.pick(&keys) else {
            return;
        };
        let rows = self.dice.some(self.store.rows(table), 2);
        let [one, other] = rows.as_slice() else {
            return;
        };
        let Some(first) = key.first().copied() else {
            return;
        };
        let between = self.unused_key(table, first);
        if between == Literal::Null {
            return;
        }
        let values = |row: &[Literal]| only(row, &key);
        let mut middle = values(one);
        if let Some(place) = middle.first_mut() {
            *place = between;
        }
        for (from, to) in [
            (values(one), middle.clone()),
            (values(other), values(one)),
            (middle, values(other)),
        ] {
            let matching = Matching::Values(
                key.iter()
                    .copied()
                    .enumerate()
                    .filter_map(|(n, c)| Some((c, from.get(n)?.clone())))
                    .collect(),
            );
            let set = key
                .iter()
                .copied()
                .enumerate()
                .filter_map(|(n, c)| Some((c, Set::To(to.get(n)?.clone()))))
                .collect();
            if !self.push(Op::Update {
                table,
                set,
                matching,
            }) {
                return;
            }
        }
    }

    /// A row goes, its children before it where a constraint would forbid it.
    fn delete(&mut self, table: usize) {
        let Some((row, matching)) = self.any_row(table) else {
            return;
        };
        let op = Op::Delete { table, matching };
        if self.store.clone().apply(&op) {
            self.push(op);
            return;
        }
        let plan = self.store.plan;
        for (child, other) in plan.tables.iter().enumerate() {
            for relation in other
                .relations
                .iter()
                .filter(|relation| relation.table == table)
            {
                let key = super::pairs(&relation.columns, &relation.references)
                    .filter_map(|(own, theirs)| Some((own, row.get(theirs)?.clone())))
                    .collect();
                let is_declared = relation.declared.is_some();
                if is_declared
                    && !self
                        .store
                        .children(child, &relation.columns, &relation.references, &row)
                        .is_empty()
                {
                    self.push(Op::Delete {
                        table: child,
                        matching: Matching::Values(key),
                    });
                }
            }
        }
        self.push(op);
    }

    fn delete_children(&mut self, table: usize) {
        let relations = self.store.plan.table(table).relations.len();
        if let Some((row, _)) = self.any_row(table).filter(|_| relations > 0) {
            let number = self.dice.below(relations);
            let matching = self.siblings(table, number, &row);
            self.push(Op::Delete { table, matching });
        }
    }

    /// INSERT … ON CONFLICT, of a key that stands and one that may.
    fn upsert(&mut self, table: usize) {
        let plan = self.store.plan;
        let Some(Op::Insert {
            table,
            columns,
            mut rows,
            ..
        }) = insert(self.dice, &self.store, table, 1)
        else {
            return;
        };
        let keys = plan.table(table).keys();
        let Some(key) = self.dice.pick(&keys) else {
            return;
        };
        if self.dice.chance(75)
            && let Some(standing) = self.dice.pick(self.store.rows(table))
            && let Some(row) = rows.first_mut()
        {
            for (place, column) in row
                .iter_mut()
                .enumerate()
                .filter_map(|(n, place)| Some((place, columns.get(n)?)))
            {
                if key.contains(column) {
                    *place = standing.get(*column).cloned().unwrap_or(Literal::Null);
                }
            }
        }
        let conflict = if self.dice.chance(25) {
            Conflict::DoNothing
        } else {
            let others: Vec<usize> = columns
                .iter()
                .copied()
                .filter(|column| !key.contains(column))
                .collect();
            let count = self.dice.between(1, 3);
            let set = self.dice.some(&others, count);
            if set.is_empty() {
                Conflict::DoNothing
            } else {
                Conflict::Update(key, set)
            }
        };
        self.push(Op::Insert {
            table,
            columns,
            rows,
            conflict,
        });
    }

    /// A row is deleted and comes back under its key, with other values.
    fn reinsert(&mut self, table: usize) {
        let Some((row, matching)) = self.any_row(table) else {
            return;
        };
        if !self.push(Op::Delete { table, matching }) {
            return;
        }
        let plan = self.store.plan;
        let columns = plan.table(table).writable();
        let keeps = self.dice.chance(30);
        let anew: Vec<Literal> = columns
            .iter()
            .map(|column| {
                if keeps || plan.table(table).column(*column).role == Role::Key {
                    row.get(*column).cloned().unwrap_or(Literal::Null)
                } else {
                    self.store.value(self.dice, table, *column)
                }
            })
            .collect();
        self.push(Op::Insert {
            table,
            columns,
            rows: vec![anew],
            conflict: Conflict::Fails,
        });
    }

    /// A row that comes and goes within the transaction.
    fn passing(&mut self, table: usize) {
        let Some(op) = insert(self.dice, &self.store, table, 1) else {
            return;
        };
        let keys = self.store.plan.table(table).keys();
        let (Op::Insert { columns, rows, .. }, Some(key)) = (op.clone(), keys.first().cloned())
        else {
            return;
        };
        if !self.push(op) {
            return;
        }
        let Some(row) = rows.first() else { return };
        let value = |at: &usize| {
            columns
                .iter()
                .position(|column| column == at)
                .and_then(|n| row.get(n))
                .cloned()
        };
        let matching = Matching::Values(
            key.iter()
                .filter_map(|column| Some((*column, value(column)?)))
                .collect(),
        );
        let data = self.data(table);
        if self.dice.chance(50)
            && let Some(column) = self.dice.pick(&data)
        {
            self.set(table, &[column], matching.clone());
        }
        self.push(Op::Delete { table, matching });
    }

    /// An update that changes nothing.
    fn same(&mut self, table: usize) {
        let columns = self.store.plan.table(table).writable();
        if let Some(column) = self.dice.pick(&columns) {
            self.push(Op::Update {
                table,
                set: vec![(column, Set::Column(column))],
                matching: Matching::All,
            });
        }
    }

    /// A row goes to another partition.
    fn move_partition(&mut self) {
        let plan = self.store.plan;
        let partitioned: Vec<(usize, usize)> = plan
            .tables
            .iter()
            .enumerate()
            .filter_map(|(at, table)| Some((at, table.partition.as_ref()?.column)))
            .collect();
        let Some((table, column)) = self.dice.pick(&partitioned) else {
            return;
        };
        let value = self.unused_key(table, column);
        if let Some((_, matching)) = self.any_row(table).filter(|_| value != Literal::Null) {
            self.push(Op::Update {
                table,
                set: vec![(column, Set::To(value))],
                matching,
            });
        }
    }
}

/// Columns of filters, orders and soft delete.
fn hot_columns(indexes: &[Index]) -> Vec<(usize, usize)> {
    let mut hot = Vec::new();
    for index in indexes {
        of_filters(index.root, &index.filters, &mut hot);
        if let Some(delete) = &index.soft_delete {
            hot.push((index.root, delete.column));
            of_filters(index.root, &delete.when, &mut hot);
        }
        of_fields(&index.fields, &mut hot);
    }
    hot
}

fn of_fields(fields: &[super::model::Field], hot: &mut Vec<(usize, usize)>) {
    for field in fields {
        match &field.kind {
            Kind::Object(inner) => of_fields(inner, hot),
            Kind::Join(join) => {
                of_filters(join.table, &join.filters, hot);
                hot.extend(join.order_by.iter().map(|order| (join.table, order.column)));
                of_fields(&join.fields, hot);
            }
            Kind::Aggregate(aggregate) => {
                of_filters(aggregate.table, &aggregate.filters, hot);
                hot.extend(aggregate.column.map(|column| (aggregate.table, column)));
            }
            Kind::Scalar(_)
            | Kind::Point { .. }
            | Kind::PointColumn { .. }
            | Kind::Map { .. }
            | Kind::Constant(_) => {}
        }
    }
}

fn of_filters(table: usize, filters: &[Filter], hot: &mut Vec<(usize, usize)>) {
    for filter in filters {
        if let Filter::Column { column, .. } = filter {
            hot.push((table, *column));
        }
    }
}
