//! Random types and tables.

use super::dice::Dice;
use super::model::{
    Actions, Column, Domain, EnumType, Generated, Identity, Literal, Partition, PartitionKind,
    Plan, Relation, Role, Table, Unique,
};
use super::types::{BASES, Base, Type};
use super::{names, values};
use crate::language::case::Size;

/// Tables being made.
pub(super) struct Schema<'d> {
    pub(super) dice: &'d mut Dice,
    pub(super) plan: Plan,
}

/// The types that keys are made of, ordinary ones first.
const KEY_TYPES: [Base; 16] = [
    Base::Int4,
    Base::Int8,
    Base::Text,
    Base::Uuid,
    Base::Varchar,
    Base::Numeric,
    Base::Int2,
    Base::Char,
    Base::Date,
    Base::Timestamptz,
    Base::Bytea,
    Base::Inet,
    Base::Name,
    Base::Enum,
    Base::Double,
    Base::Citext,
];

impl Schema<'_> {
    pub(super) fn types(&mut self) {
        self.plan.has_citext = self.dice.chance(8);
        for number in 0..2 {
            let labels = if number == 0 {
                vec!["draft", "on_sale", "Sold Out", "done"]
            } else {
                vec!["z", "a", "o'k", "m\\n", "q\"", "é"]
            };
            self.plan.enums.push(EnumType {
                schema: names::schema(self.dice),
                name: self.dice.word(["status", "Kind Of", "level"]).to_owned()
                    + &number.to_string(),
                labels: labels.into_iter().map(str::to_owned).collect(),
            });
        }
        for number in 0..4 {
            let over_domain = number == 3 && self.dice.chance(50);
            let of = if over_domain {
                Type {
                    domain: Some(0),
                    ..self
                        .plan
                        .domains
                        .first()
                        .map_or(Type::of(Base::Text), |domain| domain.of)
                }
            } else {
                let base = match number {
                    0 => self.dice.one_of([Base::Int4, Base::Text, Base::Int8]),
                    1 => self.dice.one_of([Base::Boolean, Base::Numeric, Base::Enum]),
                    _ => self.dice.one_of([
                        Base::Varchar,
                        Base::Double,
                        Base::Timestamptz,
                        Base::Date,
                        Base::Jsonb,
                        Base::Uuid,
                    ]),
                };
                Type {
                    is_array: number == 2 && self.dice.chance(50),
                    ..Type::of(base)
                }
            };
            self.plan.domains.push(Domain {
                schema: names::schema(self.dice),
                name: format!("{}{number}", self.dice.word(["dom", "Dom Ain"])),
                of,
                has_check: self.dice.chance(50),
            });
        }
    }

    pub(super) fn tables(&mut self) {
        let count = match self.plan.size {
            Size::Large => self.dice.between(6, 12),
            Size::Small | Size::Accepted => self.dice.between(3, 7),
        };
        for number in 0..count {
            let entities = self
                .plan
                .tables
                .iter()
                .filter(|table| table.has_key())
                .count();
            let table = if number > 0 && entities > 0 && self.dice.chance(25) {
                self.junction()
            } else {
                self.entity()
            };
            self.plan.tables.push(table);
            self.self_reference(number);
        }
    }

    fn empty(&mut self) -> Table {
        let schema = names::schema(self.dice);
        // Some tables have the name of one in another schema.
        let anywhere = self.dice.chance(75);
        let others = self.plan.tables.iter();
        let taken: Vec<String> = others
            .filter(|table| anywhere || table.schema == schema)
            .map(|table| table.name.clone())
            .collect();
        Table {
            schema,
            name: names::table(self.dice, &taken),
            columns: Vec::new(),
            key: Vec::new(),
            uniques: Vec::new(),
            relations: Vec::new(),
            partition: None,
            identity: Identity::Default,
            has_dropped_column: self.dice.chance(10),
            is_removed: false,
        }
    }

    fn entity(&mut self) -> Table {
        let mut table = self.empty();
        let shape = self.dice.weighted([
            (66, "single"),
            (14, "composite"),
            (10, "detail"),
            (10, "none"),
        ]);
        match shape {
            "single" => {
                let ty = self.key_type();
                let name = self.dice.word(["id", "id", "id", "code", "Id", "key"]);
                table.key = vec![self.add_named(&mut table, name, ty, true, Role::Key)];
            }
            "composite" => {
                for _ in 0..self.dice.between(2, 3) {
                    let ty = self.key_type();
                    let column = self.add(&mut table, ty, true, Role::Key);
                    table.key.push(column);
                }
                self.dice.shuffle(&mut table.key);
            }
            _ => {}
        }
        if self.dice.chance(30) {
            self.data(&mut table, 2);
        }
        let relations = match shape {
            "detail" => self.dice.between(1, 2),
            _ => self.dice.weighted([(25, 0), (40, 1), (25, 2), (10, 3)]),
        };
        for _ in 0..relations {
            let is_key = shape == "detail" && table.key.is_empty();
            if let Some(relation) = self.relation(&mut table, None, is_key) {
                if is_key {
                    table.key.clone_from(&relation.columns);
                    let line = self.add(&mut table, Type::of(Base::Int4), true, Role::Key);
                    table.key.push(line);
                }
                table.relations.push(relation);
            }
        }
        let data = self.dice.between(2, 6);
        self.data(&mut table, data);
        self.finish(&mut table);
        table
    }

    /// Links rows of two tables, or of one with itself.
    fn junction(&mut self) -> Table {
        let mut table = self.empty();
        let shape = self.dice.weighted([(45, "key"), (25, "own"), (30, "none")]);
        if shape == "own" {
            table.key =
                vec![self.add_named(&mut table, "id", Type::of(Base::Int4), true, Role::Key)];
        }
        let same = self.dice.chance(15);
        let mut first = None;
        for _ in 0..2 {
            let target = if same { first } else { None };
            if let Some(relation) = self.relation(&mut table, target, shape == "key") {
                first = Some(relation.table);
                if shape == "key" {
                    for column in &relation.columns {
                        if !table.key.contains(column) {
                            table.key.push(*column);
                        }
                    }
                }
                table.relations.push(relation);
            }
        }
        let data = self.dice.between(0, 2);
        self.data(&mut table, data);
        self.finish(&mut table);
        table
    }

    /// Columns that name rows of another table, made anew; rarely one that stands already.
    fn relation(
        &mut self,
        table: &mut Table,
        target: Option<usize>,
        is_key: bool,
    ) -> Option<Relation> {
        let with_key: Vec<usize> = (0..self.plan.tables.len())
            .filter(|at| self.plan.table(*at).has_key())
            .collect();
        let target = target.or_else(|| self.dice.pick(&with_key))?;
        let other = self.plan.table(target).clone();
        let references = self.reference(&other)?;
        let mut declared = self.dice.chance(60).then(|| self.actions());
        let not_null = is_key || self.dice.chance(30);
        let mut columns = Vec::new();
        for at in &references {
            let theirs = other.column(*at);
            let mut ty = theirs.ty;
            if declared.is_none() && self.dice.chance(12) {
                ty = self.near(ty);
            }
            let shared = table
                .columns
                .iter()
                .position(|column| column.ty == ty && column.role == Role::Key);
            if let Some(shared) = shared
                && references.len() > 1
                && !columns.contains(&shared)
                && self.dice.chance(35)
            {
                columns.push(shared);
                continue;
            }
            let name = format!(
                "{}_{}",
                other.name.to_lowercase().replace([' ', '"', '.', '-'], "_"),
                theirs.name
            );
            let name: String = name.chars().take(24).collect();
            let column = self.add_named(table, &name, ty, not_null, Role::Key);
            columns.push(column);
        }
        if let Some(actions) = &mut declared
            && columns.iter().any(|at| table.column(*at).not_null)
            && actions.on_delete == "SET NULL"
        {
            actions.on_delete = "CASCADE";
        }
        Some(Relation {
            columns,
            table: target,
            references,
            declared,
        })
    }

    /// The primary key, or a unique constraint; its columns may be nullable.
    fn reference(&mut self, other: &Table) -> Option<Vec<usize>> {
        let mut candidates: Vec<Vec<usize>> = other
            .uniques
            .iter()
            .map(|unique| unique.columns.clone())
            .collect();
        if !other.key.is_empty() {
            candidates.push(other.key.clone());
            if self.dice.chance(60) {
                return Some(other.key.clone());
            }
        }
        self.dice.pick(&candidates)
    }

    fn actions(&mut self) -> Actions {
        Actions {
            on_delete: self
                .dice
                .weighted([(45, "CASCADE"), (25, "SET NULL"), (30, "NO ACTION")]),
            on_update: self.dice.weighted([(60, "CASCADE"), (40, "NO ACTION")]),
            is_deferred: self.dice.chance(10),
        }
    }

    /// A type whose values can be compared with those of `ty`.
    fn near(&mut self, ty: Type) -> Type {
        if ty.is_array || ty.domain.is_some() {
            return ty;
        }
        let base = match ty.base {
            Base::Int2 | Base::Int4 | Base::Int8 => {
                self.dice
                    .one_of([Base::Int4, Base::Int8, Base::Int8, Base::Numeric])
            }
            Base::Text | Base::Varchar => self.dice.one_of([Base::Text, Base::Varchar]),
            other => return Type { base: other, ..ty },
        };
        Type::of(base)
    }

    fn self_reference(&mut self, number: usize) {
        if !self.dice.chance(22) {
            return;
        }
        let mut table = self.plan.table(number).clone();
        let Some(references) = self.reference(&table) else {
            return;
        };
        let columns: Vec<usize> = references
            .iter()
            .map(|at| {
                let ty = table.column(*at).ty;
                let name = format!("parent_{at}");
                self.add_named(&mut table, &name, ty, false, Role::Key)
            })
            .collect();
        let declared = self.dice.chance(60).then(|| self.actions());
        table.relations.push(Relation {
            columns,
            table: number,
            references,
            declared,
        });
        if let Some(place) = self.plan.tables.get_mut(number) {
            *place = table;
        }
    }

    fn key_type(&mut self) -> Type {
        if self.dice.chance(6) {
            let domain = self.plan.domains.first().map(|domain| domain.of);
            if let Some(of) = domain {
                return Type {
                    domain: Some(0),
                    ..of
                };
            }
        }
        let few = if self.dice.chance(55) {
            3
        } else {
            KEY_TYPES.len()
        };
        let at = self.dice.below(few);
        let mut base = KEY_TYPES.get(at).copied().unwrap_or(Base::Int4);
        if base == Base::Citext && !self.plan.has_citext {
            base = Base::Text;
        }
        match base {
            Base::Char => Type::with(base, "(4)"),
            Base::Numeric => Type::with(base, self.dice.word(["", "(22,2)"])),
            Base::Enum => Type {
                enumeration: self.dice.below(2),
                ..Type::of(base)
            },
            _ => Type::of(base),
        }
    }

    fn data_type(&mut self) -> Type {
        let roll = self.dice.below(100);
        if roll < 10 {
            let at = self.dice.below(self.plan.domains.len());
            if let Some(domain) = self.plan.domains.get(at) {
                return Type {
                    domain: Some(at),
                    is_array: domain.of.is_array || roll < 2,
                    ..domain.of
                };
            }
        }
        let mut base = if roll < 45 {
            self.dice.one_of([
                Base::Text,
                Base::Text,
                Base::Int4,
                Base::Numeric,
                Base::Boolean,
                Base::Timestamptz,
                Base::Enum,
                Base::Int8,
                Base::Double,
                Base::Real,
                Base::Int2,
                Base::Uuid,
                Base::Date,
            ])
        } else {
            self.dice.one_of(BASES)
        };
        if base == Base::Citext && !self.plan.has_citext {
            base = Base::Varchar;
        }
        let modifier = match base {
            Base::Char => "(4)",
            Base::Varchar => self.dice.word(["", "(40)"]),
            Base::Numeric => self.dice.word(["", "", "(40,2)"]),
            Base::Timestamp | Base::Timestamptz | Base::Time => self.dice.word(["", "", "(3)"]),
            _ => "",
        };
        Type {
            base,
            modifier,
            enumeration: self.dice.below(2),
            domain: None,
            is_array: self.dice.chance(10),
        }
    }

    /// Columns that hold no key.
    fn data(&mut self, table: &mut Table, count: usize) {
        for _ in 0..count {
            let not_null = self.dice.chance(25);
            match self.dice.below(100) {
                0..4 => {
                    let base =
                        self.dice
                            .one_of([Base::Double, Base::Numeric, Base::Int4, Base::Real]);
                    self.add_named(table, "lat", Type::of(base), not_null, Role::Latitude);
                    self.add_named(table, "lon", Type::of(base), not_null, Role::Longitude);
                }
                4..7 => {
                    let base =
                        self.dice
                            .one_of([Base::Jsonb, Base::Text, Base::Json, Base::Varchar]);
                    self.add(table, Type::of(base), false, Role::Point);
                }
                7..12 => {
                    let base = self.dice.one_of([Base::Jsonb, Base::Json]);
                    let tag = self.dice.word([
                        "text",
                        "identifier",
                        "keyword",
                        "enum",
                        "uuid",
                        "short",
                        "integer",
                        "long",
                        "float",
                        "double",
                        "decimal",
                        "date",
                        "timestamp",
                    ]);
                    self.add(table, Type::of(base), false, Role::Map(tag));
                }
                12..18 => self.generated(table),
                _ => {
                    let ty = self.data_type();
                    self.add(table, ty, not_null, Role::Data);
                }
            }
        }
    }

    fn generated(&mut self, table: &mut Table) {
        let from: Vec<usize> = table
            .existing()
            .filter(|at| {
                let column = table.column(*at);
                column.generated.is_none()
                    && !column.ty.is_array
                    && column.ty.domain.is_none()
                    && matches!(
                        column.ty.base,
                        Base::Text | Base::Int4 | Base::Numeric | Base::Boolean
                    )
            })
            .collect();
        let Some(of) = self.dice.pick(&from) else {
            return;
        };
        let base = table.column(of).ty.base;
        let (before, after) = match base {
            Base::Text => self
                .dice
                .one_of([("lower(", ")"), ("", " || '!'"), ("substr(", ", 2)")]),
            Base::Boolean => ("NOT ", ""),
            _ => self.dice.one_of([("", " % 7"), ("abs(", " % 5)")]),
        };
        let column = self.add(table, Type::of(base), false, Role::Data);
        if let Some(column) = table.columns.get_mut(column) {
            column.generated = Some(Generated { of, before, after });
            column.palette = match base {
                Base::Text => ["alpha!", "beta", "lpha", "a"]
                    .map(|text| Literal::Text(text.to_owned()))
                    .to_vec(),
                Base::Boolean => ["true", "false"]
                    .map(|text| Literal::Text(text.to_owned()))
                    .to_vec(),
                _ => ["0", "1", "2", "3"]
                    .map(|text| Literal::Text(text.to_owned()))
                    .to_vec(),
            };
        }
    }

    fn add(&mut self, table: &mut Table, ty: Type, not_null: bool, role: Role) -> usize {
        let taken: Vec<String> = table
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
        let name = names::column(self.dice, &taken);
        self.add_named(table, &name, ty, not_null, role)
    }

    fn add_named(
        &mut self,
        table: &mut Table,
        name: &str,
        ty: Type,
        not_null: bool,
        role: Role,
    ) -> usize {
        let mut unused = name.to_owned();
        let mut number = 2;
        while table.columns.iter().any(|column| column.name == unused) {
            unused = format!("{name}{number}");
            number += 1;
        }
        let palette = self.palette(ty, role);
        let can_be_external = ty.is_text_like() && matches!(ty.base, Base::Text | Base::Varchar);
        table.columns.push(Column {
            name: unused,
            ty,
            not_null,
            generated: None,
            role,
            is_external: can_be_external && (role == Role::Key || self.dice.chance(30)),
            palette,
            is_removed: false,
        });
        table.columns.len().saturating_sub(1)
    }

    fn palette(&mut self, ty: Type, role: Role) -> Vec<Literal> {
        let labels = labels(&self.plan, ty);
        let tame = self.plan.size == Size::Accepted;
        (0..self.dice.between(3, 7))
            .map(|at| match role {
                Role::Data => values::sample(ty, self.dice, &labels, tame),
                Role::Key => values::key(ty.base, at, &labels).unwrap_or(Literal::Null),
                Role::Latitude | Role::Longitude => values::degrees(ty.base, self.dice, tame),
                Role::Point => values::point(ty.base, self.dice),
                Role::Map(tag) => values::map(tag, self.dice, tame),
            })
            .filter(|value| *value != Literal::Null)
            .collect()
    }

    /// Unique constraints, partitions, identity.
    fn finish(&mut self, table: &mut Table) {
        if table.columns.is_empty() {
            self.data(table, 1);
            self.add(table, Type::of(Base::Int4), false, Role::Data);
        }
        if self.dice.chance(35) || (table.key.is_empty() && self.dice.chance(30)) {
            for _ in 0..self.dice.weighted([(80, 1), (20, 2)]) {
                let ty = self.key_type();
                let not_null = self.dice.chance(60) || table.key.is_empty();
                let column = self.add(table, ty, not_null, Role::Key);
                let is_index = self.dice.chance(40);
                table.uniques.push(Unique {
                    columns: vec![column],
                    is_index,
                });
            }
        }
        // At most one row per parent.
        if let Some(relation) = table.relations.first()
            && self.dice.chance(10)
        {
            let columns = relation.columns.clone();
            table.uniques.push(Unique {
                columns,
                is_index: false,
            });
        }
        self.partition(table);
        let unique = table
            .uniques
            .iter()
            .position(|unique| unique.columns.iter().all(|at| table.column(*at).not_null));
        table.identity = if table.key.is_empty() || self.dice.chance(25) {
            Identity::Full
        } else if let Some(unique) = unique.filter(|_| table.partition.is_none())
            && self.dice.chance(20)
        {
            Identity::Index(unique)
        } else {
            Identity::Default
        };
    }

    fn partition(&mut self, table: &mut Table) {
        if !self.dice.chance(14) {
            return;
        }
        let candidates = if table.key.is_empty() {
            table
                .existing()
                .filter(|at| table.column(*at).role == Role::Key)
                .collect()
        } else {
            table.key.clone()
        };
        let Some(column) = self.dice.pick(&candidates) else {
            return;
        };
        let ty = table.column(column).ty;
        // Bounds of these are not worth their spelling.
        if ty.domain.is_some() || matches!(ty.base, Base::Char | Base::Citext) {
            return;
        }
        let labels = labels(&self.plan, ty);
        let listed: Vec<String> = (0..4)
            .filter_map(|at| match values::key(ty.base, at, &labels) {
                Some(Literal::Text(text)) => Some(text),
                _ => None,
            })
            .collect();
        let kind = match self.dice.below(3) {
            0 => PartitionKind::Hash(self.dice.between(1, 3)),
            1 => PartitionKind::List(listed),
            _ if matches!(
                ty.base,
                Base::Int2 | Base::Int4 | Base::Int8 | Base::Numeric
            ) =>
            {
                PartitionKind::Range("6".to_owned())
            }
            _ => PartitionKind::Hash(2),
        };
        table
            .uniques
            .retain(|unique| unique.columns.contains(&column) && !unique.is_index);
        table.partition = Some(Partition { column, kind });
    }
}

/// The labels of an enum type.
pub(super) fn labels(plan: &Plan, ty: Type) -> Vec<String> {
    let enumeration = plan.enums.get(ty.enumeration);
    enumeration
        .map(|one| one.labels.clone())
        .unwrap_or_default()
}
