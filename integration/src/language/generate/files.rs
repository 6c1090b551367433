//! Random index files over the tables: trees of fields.

use super::conditions;
use super::dice::Dice;
use super::links::{self, Candidate};
use super::model::{
    Aggregate, Field, Filter, Index, Join, Kind, Link, Order, Plan, Role, SoftDelete, Table,
};
use super::types::{Base, Type};
use super::{names, scalars};

/// How deep joins may go.
const DEEPEST: usize = 5;

/// An index being made.
pub(super) struct Files<'d> {
    pub(super) dice: &'d mut Dice,
    pub(super) plan: &'d Plan,
    /// Joins and aggregates that may still come: documents stay small.
    pub(super) joins_left: usize,
}

/// The row that fields are read from.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) table: usize,
    pub(super) depth: usize,
}

pub(super) fn indexes(dice: &mut Dice, plan: &Plan) -> Vec<Index> {
    let roots: Vec<usize> = (0..plan.tables.len())
        .filter(|at| plan.table(*at).has_key())
        .collect();
    let count = dice.weighted([(45, 1), (35, 2), (20, 3)]);
    (0..count)
        .filter_map(|number| {
            // Tables with relations make better documents.
            let richest = dice
                .some(&roots, 3)
                .into_iter()
                .max_by_key(|at| links::all(plan, *at).len())?;
            let joins_left = dice.between(2, 9);
            let mut files = Files {
                dice,
                plan,
                joins_left,
            };
            Some(files.index(number, richest))
        })
        .collect()
}

impl Files<'_> {
    fn index(&mut self, number: usize, root: usize) -> Index {
        let table = self.plan.table(root);
        let (primary_key, _) = self.key(table);
        let around = Around {
            table: root,
            depth: 0,
        };
        let mut fields = self.fields(&around);
        if self.dice.chance(2) {
            fields.clear();
        }
        let filters = if self.dice.chance(35) {
            self.filters(root)
        } else {
            Vec::new()
        };
        let soft_delete = if self.dice.chance(35) {
            self.soft_delete(root, &fields)
        } else {
            None
        };
        Index {
            name: format!("index{number}"),
            root,
            primary_key,
            soft_delete,
            filters,
            fields,
        }
    }

    /// The key of a table: what the file says, if anything, and what it means.
    pub(super) fn key(&mut self, table: &Table) -> (Option<Vec<usize>>, Vec<usize>) {
        let keys = table.keys();
        let is_default = !table.key.is_empty() && self.dice.chance(75);
        let mut key = if is_default {
            table.key.clone()
        } else {
            self.dice.pick(&keys).unwrap_or_default()
        };
        if key.len() > 1 && !is_default && self.dice.chance(30) {
            self.dice.shuffle(&mut key);
        }
        if key == table.key && self.dice.chance(65) {
            (None, key)
        } else {
            (Some(key.clone()), key)
        }
    }

    pub(super) fn fields(&mut self, around: &Around) -> Vec<Field> {
        let mut taken = if around.depth == 0 {
            vec!["_id".to_owned()]
        } else {
            Vec::new()
        };
        let mut fields = Vec::new();
        let table = self.plan.table(around.table);
        let columns: Vec<usize> = table.existing().collect();
        let count = self.dice.between(1, 6);
        for column in self.dice.some(&columns, count) {
            fields.extend(self.column(around.table, column, &mut taken));
        }
        if self.dice.chance(18) {
            let name = names::field(self.dice, "kind", &mut taken);
            let (value, options) = scalars::constant(self.dice);
            fields.push(Field {
                name,
                kind: Kind::Constant(value),
                options,
            });
        }
        if self.dice.chance(14) {
            fields.push(self.object(around, &mut taken));
        }
        let wanted = match around.depth {
            0 => self.dice.between(1, 5),
            1 => self.dice.between(0, 2),
            2 | 3 => self.dice.weighted([(55, 0), (35, 1), (10, 2)]),
            _ => self.dice.weighted([(70, 0), (30, 1)]),
        };
        let candidates = links::all(self.plan, around.table);
        for _ in 0..wanted {
            if self.joins_left == 0 || around.depth >= DEEPEST {
                break;
            }
            if let Some(candidate) = self.dice.pick(&candidates) {
                self.joins_left -= 1;
                fields.extend(self.related(&candidate, around, &mut taken));
            }
        }
        self.dice.shuffle(&mut fields);
        if fields.is_empty() {
            let name = names::field(self.dice, "only", &mut taken);
            let (value, options) = scalars::constant(self.dice);
            fields.push(Field {
                name,
                kind: Kind::Constant(value),
                options,
            });
        }
        fields
    }

    /// A field over one column, as its role asks for.
    fn column(&mut self, table_at: usize, at: usize, taken: &mut Vec<String>) -> Option<Field> {
        let table = self.plan.table(table_at);
        let column = table.column(at);
        let required = self.dice.chance(12).then(|| self.dice.chance(70));
        let pair = |role| table.existing().find(|at| table.column(*at).role == role);
        let kind = match column.role {
            Role::Latitude | Role::Longitude if self.dice.chance(60) => Kind::Point {
                lat: pair(Role::Latitude)?,
                lon: pair(Role::Longitude)?,
                required,
            },
            Role::Point if self.dice.chance(75) => Kind::PointColumn {
                column: at,
                required,
            },
            Role::Map(values) if self.dice.chance(80) => Kind::Map {
                column: at,
                values,
                required,
            },
            Role::Data
            | Role::Key
            | Role::Latitude
            | Role::Longitude
            | Role::Point
            | Role::Map(_) => Kind::Scalar(scalars::scalar(self.dice, self.plan, column, at)?),
        };
        let name = names::field(self.dice, &column.name, taken);
        let options = scalars::options(self.dice, &kind);
        Some(Field {
            name,
            kind,
            options,
        })
    }

    fn object(&mut self, around: &Around, taken: &mut Vec<String>) -> Field {
        let table = self.plan.table(around.table);
        let columns: Vec<usize> = table.existing().collect();
        let mut inner_taken = Vec::new();
        let mut fields = Vec::new();
        for column in self.dice.some(&columns, 2) {
            fields.extend(self.column(around.table, column, &mut inner_taken));
        }
        let candidates = links::all(self.plan, around.table);
        if self.joins_left > 0
            && self.dice.chance(40)
            && let Some(candidate) = self.dice.pick(&candidates)
        {
            self.joins_left -= 1;
            fields.extend(self.related(&candidate, around, &mut inner_taken));
        }
        if self.dice.chance(15) {
            let name = names::field(self.dice, "inner", &mut inner_taken);
            let (value, options) = scalars::constant(self.dice);
            let constant = Field {
                name: "c".to_owned(),
                kind: Kind::Constant(value),
                options,
            };
            fields.push(Field {
                name,
                kind: Kind::Object(vec![constant]),
                options: None,
            });
        }
        if fields.is_empty() {
            let (value, options) = scalars::constant(self.dice);
            fields.push(Field {
                name: "c".to_owned(),
                kind: Kind::Constant(value),
                options,
            });
        }
        let name = names::field(self.dice, "object", taken);
        Field {
            name,
            kind: Kind::Object(fields),
            options: None,
        }
    }

    /// A join or an aggregate over a way to another table.
    fn related(
        &mut self,
        candidate: &Candidate,
        around: &Around,
        taken: &mut Vec<String>,
    ) -> Option<Field> {
        let target = self.plan.table(candidate.table);
        let can_join = target.has_key();
        let is_aggregate = !candidate.is_reference && (!can_join || self.dice.chance(35));
        let link = candidate.link.clone();
        let filters = if self.dice.chance(30) {
            self.filters(candidate.table)
        } else {
            Vec::new()
        };
        if is_aggregate {
            let aggregate = self.aggregate(candidate, link, filters)?;
            let name = names::field(self.dice, aggregate.figure, taken);
            let kind = Kind::Aggregate(aggregate);
            let options = scalars::options(self.dice, &kind);
            return Some(Field {
                name,
                kind,
                options,
            });
        }
        if !can_join {
            return None;
        }
        let verb = match &link {
            Link::Column { .. } => "belongs_to",
            Link::ForeignKey { .. } if self.dice.chance(30) => "has_one",
            Link::ForeignKey { .. } => "has_many",
            Link::Through { .. } => "many_to_many",
        };
        let (primary_key, _) = self.key(target);
        let inner = Around {
            table: candidate.table,
            depth: around.depth.saturating_add(1),
        };
        let to_many = matches!(verb, "has_many" | "many_to_many");
        let join = Join {
            verb,
            table: candidate.table,
            primary_key,
            link,
            filters,
            order_by: if verb != "belongs_to" && self.dice.chance(45) {
                self.order_by(target)
            } else {
                Vec::new()
            },
            limit: (to_many && self.dice.chance(25)).then(|| self.dice.between(1, 3)),
            required: (!to_many && self.dice.chance(10)).then(|| self.dice.chance(50)),
            fields: self.fields(&inner),
        };
        // Often the name of the column, which then need not be written.
        let stem = match &join.link {
            Link::Column { own, .. } => own
                .first()
                .map_or("ref", |at| &self.plan.table(around.table).column(*at).name),
            Link::ForeignKey { .. } | Link::Through { .. } => &target.name,
        };
        let name = names::field(self.dice, stem, taken);
        let kind = Kind::Join(join);
        let options = scalars::options(self.dice, &kind);
        Some(Field {
            name,
            kind,
            options,
        })
    }

    fn aggregate(
        &mut self,
        candidate: &Candidate,
        link: Link,
        filters: Vec<Filter>,
    ) -> Option<Aggregate> {
        let target = self.plan.table(candidate.table);
        let figure = self.dice.weighted([
            (30, "count"),
            (12, "avg"),
            (16, "sum"),
            (14, "min"),
            (14, "max"),
            (20, "ids"),
        ]);
        let mut aggregate = Aggregate {
            figure,
            table: candidate.table,
            link,
            column: None,
            result: None,
            primary_key: None,
            filters,
        };
        let columns: Vec<usize> = target.existing().collect();
        let of = |fits: &dyn Fn(Type) -> bool| -> Vec<usize> {
            columns
                .iter()
                .copied()
                .filter(|at| !target.column(*at).ty.is_array && fits(target.column(*at).ty))
                .collect()
        };
        match figure {
            "avg" => {
                let numbers = of(&|ty| ty.base.is_number() || ty.base == Base::Money);
                aggregate.column = Some(self.dice.pick(&numbers)?);
            }
            "sum" => {
                let column = self.dice.pick(&of(&|ty| ty.base.sum().is_some()))?;
                let sum = target.column(column).ty.base.sum()?;
                aggregate.column = Some(column);
                aggregate.result = if sum != Base::Money && self.dice.chance(10) {
                    // Perhaps too narrow: a warning.
                    Some(
                        self.dice
                            .word(["short", "integer", "long", "float", "double", "decimal"]),
                    )
                } else {
                    self.dice.pick(sum.tags())
                };
            }
            "min" | "max" => {
                let has_order =
                    |ty: Type| ty.has_order() && !matches!(ty.base, Base::Bytea | Base::Jsonb);
                let column = self.dice.pick(&of(&has_order))?;
                aggregate.column = Some(column);
                aggregate.result = self.dice.pick(target.column(column).ty.base.tags());
            }
            "ids" => {
                let (primary_key, key) = if target.has_key() {
                    self.key(target)
                } else {
                    return None;
                };
                let tags = match key.as_slice() {
                    [only] => target.column(*only).ty.base.tags(),
                    _ => &["keyword"],
                };
                let fitting: Vec<&'static str> = tags
                    .iter()
                    .copied()
                    .filter(|tag| *tag != "binary")
                    .collect();
                aggregate.result = Some(self.dice.pick(&fitting)?);
                aggregate.primary_key = primary_key;
            }
            _ => {}
        }
        Some(aggregate)
    }

    fn order_by(&mut self, table: &Table) -> Vec<Order> {
        let columns: Vec<usize> = table
            .existing()
            .filter(|at| table.column(*at).ty.has_order())
            .collect();
        let count = self.dice.between(1, 2);
        self.dice
            .some(&columns, count)
            .into_iter()
            .map(|column| Order {
                column,
                direction: self.dice.one_of([None, Some("asc"), Some("desc")]),
                nulls: self.dice.one_of([None, None, Some("first"), Some("last")]),
            })
            .collect()
    }

    fn filters(&mut self, table: usize) -> Vec<Filter> {
        let table = self.plan.table(table);
        let count = self.dice.weighted([(75, 1), (25, 2)]);
        (0..count)
            .filter_map(|_| conditions::filter(self.dice, self.plan, table))
            .collect()
    }

    fn soft_delete(&mut self, root: usize, fields: &[Field]) -> Option<SoftDelete> {
        let table = self.plan.table(root);
        let when = if self.dice.chance(40) {
            self.filters(root)
        } else {
            Vec::new()
        };
        let fits = |at: &usize| {
            let column = table.column(*at);
            let is_boolean = column.ty.base == Base::Boolean && !column.ty.is_array;
            is_boolean || !column.not_null || !when.is_empty()
        };
        let mut named = Vec::new();
        scalar_fields(fields, &mut named);
        let once: Vec<(String, usize)> = named
            .iter()
            .filter(|(name, at)| {
                fits(at) && named.iter().filter(|(other, _)| other == name).count() == 1
            })
            .cloned()
            .collect();
        if self.dice.chance(45)
            && let Some((field, column)) = self.dice.pick(&once)
        {
            return Some(SoftDelete {
                column,
                field: Some(field),
                when,
            });
        }
        let mut columns: Vec<usize> = table.existing().filter(fits).collect();
        // Those that are mostly set leave no documents.
        columns.retain(|at| table.column(*at).role != Role::Key || self.dice.chance(20));
        Some(SoftDelete {
            column: self.dice.pick(&columns)?,
            field: None,
            when,
        })
    }
}

/// Names and columns of the scalar fields of a row, those in objects included.
pub(super) fn scalar_fields(fields: &[Field], found: &mut Vec<(String, usize)>) {
    for field in fields {
        match &field.kind {
            Kind::Scalar(scalar) => found.push((field.name.clone(), scalar.column)),
            Kind::Object(inner) => scalar_fields(inner, found),
            _ => {}
        }
    }
}
