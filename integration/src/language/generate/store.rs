//! About what the tables hold while a case is being made, so that its statements meet rows.
//! Values are compared by their spelling: what the database sees otherwise (1.0 = 1, citext) it
//! refuses, or not, and the case goes on without that statement.

use super::dice::Dice;
use super::model::{Conflict, Literal, Matching, Op, Plan, Role, Set, Table};
use super::{schema, values};
use crate::language::case::Size;

/// A row: a value per column, removed and generated ones too.
pub(super) type Row = Vec<Literal>;

/// How many different keys rows draw from: few, so that keys come back.
const KEYS: usize = 26;

#[derive(Clone)]
pub(super) struct Store<'p> {
    pub(super) plan: &'p Plan,
    pub(super) tables: Vec<Vec<Row>>,
}

impl<'p> Store<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            tables: plan.tables.iter().map(|_| Vec::new()).collect(),
        }
    }

    pub(super) fn rows(&self, table: usize) -> &[Row] {
        self.tables.get(table).map_or(&[], Vec::as_slice)
    }

    /// A row that the table can take, if a few tries find one.
    pub(super) fn fresh(&self, dice: &mut Dice, table: usize) -> Option<Row> {
        (0..6).find_map(|_| {
            let row = self.draw(dice, table);
            self.takes(table, &row, None).then_some(row)
        })
    }

    fn draw(&self, dice: &mut Dice, at: usize) -> Row {
        let table = self.plan.table(at);
        let mut row: Vec<Option<Literal>> = vec![None; table.columns.len()];
        for number in 0..table.relations.len() {
            for (column, value) in self.parent(dice, at, number, &row) {
                if let Some(place) = row.get_mut(column) {
                    *place = Some(value);
                }
            }
        }
        row.into_iter()
            .enumerate()
            .map(|(column, value)| value.unwrap_or_else(|| self.value(dice, at, column)))
            .collect()
    }

    /// Values for the columns of a relation: a parent's, NULL, or of no parent.
    pub(super) fn parent(
        &self,
        dice: &mut Dice,
        at: usize,
        number: usize,
        set: &[Option<Literal>],
    ) -> Vec<(usize, Literal)> {
        let table = self.plan.table(at);
        let Some(relation) = table.relations.get(number) else {
            return Vec::new();
        };
        let open: Vec<usize> = relation
            .columns
            .iter()
            .copied()
            .filter(|column| set.get(*column).is_none_or(Option::is_none))
            .collect();
        let can_be_null = open.iter().all(|column| !table.column(*column).not_null);
        if can_be_null && dice.chance(14) {
            return open
                .into_iter()
                .map(|column| (column, Literal::Null))
                .collect();
        }
        let pairs = || super::pairs(&relation.columns, &relation.references);
        let fitting: Vec<&Row> = self
            .rows(relation.table)
            .iter()
            .filter(|row| {
                pairs().all(|(own, theirs)| {
                    let value = row.get(theirs);
                    value != Some(&Literal::Null)
                        && set
                            .get(own)
                            .and_then(Option::as_ref)
                            .is_none_or(|held| Some(held) == value)
                })
            })
            .collect();
        let dangles = relation.declared.is_none() && dice.chance(10);
        if let Some(row) = dice.pick(&fitting).filter(|_| !dangles) {
            return pairs()
                .filter_map(|(own, theirs)| Some((own, row.get(theirs)?.clone())))
                .collect();
        }
        if can_be_null && relation.declared.is_some() {
            return open
                .into_iter()
                .map(|column| (column, Literal::Null))
                .collect();
        }
        open.into_iter()
            .map(|column| (column, self.value(dice, at, column)))
            .collect()
    }

    /// A value for a column by itself.
    pub(super) fn value(&self, dice: &mut Dice, table: usize, column: usize) -> Literal {
        let column = self.plan.table(table).column(column);
        if column.generated.is_some() || (!column.not_null && dice.chance(12)) {
            return Literal::Null;
        }
        let labels = schema::labels(self.plan, column.ty);
        if column.role == Role::Key {
            let n = dice.below(KEYS);
            let value = values::key(column.ty.base, n, &labels);
            return value
                .or_else(|| dice.pick(&column.palette))
                .unwrap_or(Literal::Null);
        }
        if dice.chance(72)
            && let Some(value) = dice.pick(&column.palette)
        {
            return value;
        }
        let tame = self.plan.size == Size::Accepted;
        match column.role {
            Role::Data | Role::Key => values::sample(column.ty, dice, &labels, tame),
            Role::Latitude | Role::Longitude => values::degrees(column.ty.base, dice, tame),
            Role::Point => values::point(column.ty.base, dice),
            Role::Map(tag) => values::map(tag, dice, tame),
        }
    }

    /// Whether unique constraints and NOT NULL allow the row in place of row `except`.
    fn takes(&self, at: usize, row: &[Literal], except: Option<usize>) -> bool {
        let table = self.plan.table(at);
        let is_null = |column: &usize| row.get(*column) == Some(&Literal::Null);
        let complete = table
            .writable()
            .iter()
            .all(|column| !table.column(*column).not_null || !is_null(column));
        complete
            && unique_sets(table).all(|columns| {
                columns.iter().any(is_null)
                    || !self.rows(at).iter().enumerate().any(|(number, other)| {
                        Some(number) != except
                            && columns
                                .iter()
                                .all(|column| other.get(*column) == row.get(*column))
                    })
            })
    }

    /// The columns by which one row is found, with its values.
    pub(super) fn matching(&self, dice: &mut Dice, at: usize, row: &[Literal]) -> Matching {
        let table = self.plan.table(at);
        let keys = table.keys();
        let columns = match dice.pick(&keys) {
            Some(columns) => columns,
            None => match dice.pick(&table.relations) {
                Some(relation) => relation.columns,
                None => return Matching::AnyOne,
            },
        };
        let value = |column: &usize| row.get(*column).cloned().unwrap_or(Literal::Null);
        Matching::Values(
            columns
                .iter()
                .map(|column| (*column, value(column)))
                .collect(),
        )
    }

    fn hit(&self, at: usize, matching: &Matching) -> Vec<usize> {
        let rows = self.rows(at).iter().enumerate();
        match matching {
            Matching::All => rows.map(|(number, _)| number).collect(),
            Matching::AnyOne => rows.take(1).map(|(number, _)| number).collect(),
            Matching::Values(values) => rows
                .filter(|(_, row)| {
                    values
                        .iter()
                        .all(|(column, value)| row.get(*column) == Some(value))
                })
                .map(|(number, _)| number)
                .collect(),
        }
    }

    /// Does what the statement does. False: the database would refuse it, and nothing was done.
    pub(super) fn apply(&mut self, op: &Op) -> bool {
        let mut after = self.clone();
        let done = match op {
            Op::Insert {
                table,
                columns,
                rows,
                conflict,
            } => after.insert(*table, columns, rows, conflict),
            Op::Update {
                table,
                set,
                matching,
            } => after.update(*table, set, matching),
            Op::Delete { table, matching } => {
                let hit = after.hit(*table, matching);
                after.delete(*table, &hit)
            }
            Op::Savepoint(_) | Op::RollbackTo(_) => true,
        };
        if done {
            *self = after;
        }
        done
    }

    fn insert(&mut self, at: usize, columns: &[usize], rows: &[Row], conflict: &Conflict) -> bool {
        let width = self.plan.table(at).columns.len();
        for values in rows {
            let mut row = vec![Literal::Null; width];
            for (column, value) in columns
                .iter()
                .copied()
                .enumerate()
                .filter_map(|(n, c)| Some((c, values.get(n)?)))
            {
                if let Some(place) = row.get_mut(column) {
                    *place = value.clone();
                }
            }
            if self.takes(at, &row, None) {
                if let Some(rows) = self.tables.get_mut(at) {
                    rows.push(row);
                }
                continue;
            }
            match conflict {
                Conflict::Fails => return false,
                Conflict::DoNothing => {}
                Conflict::Update(on, set) => {
                    let key = on
                        .iter()
                        .filter_map(|column| Some((*column, row.get(*column)?.clone())));
                    let matching = Matching::Values(key.collect());
                    let set: Vec<(usize, Set)> = set
                        .iter()
                        .filter_map(|column| Some((*column, Set::To(row.get(*column)?.clone()))))
                        .collect();
                    if !self.update(at, &set, &matching) {
                        return false;
                    }
                }
            }
        }
        true
    }

    fn update(&mut self, at: usize, set: &[(usize, Set)], matching: &Matching) -> bool {
        for number in self.hit(at, matching) {
            let Some(before) = self.rows(at).get(number).cloned() else {
                continue;
            };
            let mut after = before.clone();
            for (column, value) in set {
                let value = match value {
                    Set::To(literal) => literal.clone(),
                    Set::Column(other) => before.get(*other).cloned().unwrap_or(Literal::Null),
                    Set::From(..) => continue,
                };
                if let Some(place) = after.get_mut(*column) {
                    *place = value;
                }
            }
            if !self.takes(at, &after, Some(number)) || !self.follow(at, &before, &after) {
                return false;
            }
            if let Some(place) = self
                .tables
                .get_mut(at)
                .and_then(|rows| rows.get_mut(number))
            {
                *place = after;
            }
        }
        true
    }

    /// Children of a row whose referenced columns change. False: a constraint forbids it.
    fn follow(&mut self, at: usize, before: &[Literal], after: &[Literal]) -> bool {
        let plan = self.plan;
        for (child, table) in plan.tables.iter().enumerate() {
            for relation in table
                .relations
                .iter()
                .filter(|relation| relation.table == at)
            {
                let Some(actions) = relation.declared else {
                    continue;
                };
                if relation
                    .references
                    .iter()
                    .all(|column| before.get(*column) == after.get(*column))
                {
                    continue;
                }
                let hit = self.children(child, &relation.columns, &relation.references, before);
                if hit.is_empty() {
                    continue;
                }
                if actions.on_update != "CASCADE" {
                    return false;
                }
                for number in hit {
                    for (own, theirs) in super::pairs(&relation.columns, &relation.references) {
                        let row = self
                            .tables
                            .get_mut(child)
                            .and_then(|rows| rows.get_mut(number));
                        if let (Some(place), Some(value)) =
                            (row.and_then(|row| row.get_mut(own)), after.get(theirs))
                        {
                            *place = value.clone();
                        }
                    }
                }
            }
        }
        true
    }

    fn delete(&mut self, at: usize, hit: &[usize]) -> bool {
        let gone: Vec<Row> = hit
            .iter()
            .filter_map(|number| self.rows(at).get(*number).cloned())
            .collect();
        if let Some(rows) = self.tables.get_mut(at) {
            let mut number = 0;
            rows.retain(|_| {
                number += 1;
                !hit.contains(&(number - 1))
            });
        }
        let plan = self.plan;
        for row in &gone {
            for (child, table) in plan.tables.iter().enumerate() {
                for relation in table
                    .relations
                    .iter()
                    .filter(|relation| relation.table == at)
                {
                    let Some(actions) = relation.declared else {
                        continue;
                    };
                    let hit = self.children(child, &relation.columns, &relation.references, row);
                    let done = match actions.on_delete {
                        _ if hit.is_empty() => true,
                        "CASCADE" => self.delete(child, &hit),
                        "SET NULL" => {
                            for number in hit {
                                for own in &relation.columns {
                                    let row = self
                                        .tables
                                        .get_mut(child)
                                        .and_then(|rows| rows.get_mut(number));
                                    if let Some(place) = row.and_then(|row| row.get_mut(*own)) {
                                        *place = Literal::Null;
                                    }
                                }
                            }
                            true
                        }
                        _ => false,
                    };
                    if !done {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// The rows of `child` that name the row `parent`.
    pub(super) fn children(
        &self,
        child: usize,
        own: &[usize],
        theirs: &[usize],
        parent: &[Literal],
    ) -> Vec<usize> {
        let rows = self.rows(child).iter().enumerate();
        rows.filter(|(_, row)| {
            super::pairs(own, theirs).all(|(own, theirs)| {
                row.get(own) == parent.get(theirs) && row.get(own) != Some(&Literal::Null)
            })
        })
        .map(|(number, _)| number)
        .collect()
    }
}

/// The columns of each unique constraint.
fn unique_sets(table: &Table) -> impl Iterator<Item = &[usize]> {
    let uniques = table.uniques.iter().map(|unique| unique.columns.as_slice());
    std::iter::once(table.key.as_slice())
        .filter(|key| !key.is_empty())
        .chain(uniques)
}
