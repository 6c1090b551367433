//! SQL of a case: types, tables, statements.

use super::model::{
    Column, Conflict, Identity, Literal, Matching, Op, PartitionKind, Plan, Set, Table,
};
use super::names::sql as quote;
use super::types::{Base, Type};
use super::values::LONG_KEY;

impl Plan {
    pub(super) fn ddl(&self) -> Vec<String> {
        let mut statements = Vec::new();
        for schema in super::names::SCHEMAS
            .iter()
            .filter(|schema| **schema != "public")
        {
            statements.push(format!("CREATE SCHEMA {}", quote(schema)));
        }
        if self.has_citext {
            statements.push("CREATE EXTENSION IF NOT EXISTS citext SCHEMA public".to_owned());
        }
        for one in &self.enums {
            let labels: Vec<String> = one.labels.iter().map(|label| text(label)).collect();
            statements.push(format!(
                "CREATE TYPE {}.{} AS ENUM ({})",
                quote(one.schema),
                quote(&one.name),
                labels.join(", ")
            ));
        }
        for domain in &self.domains {
            let check = if domain.has_check {
                " CHECK (VALUE IS NOT NULL OR VALUE IS NULL)"
            } else {
                ""
            };
            statements.push(format!(
                "CREATE DOMAIN {}.{} AS {}{check}",
                quote(domain.schema),
                quote(&domain.name),
                self.type_name(domain.of)
            ));
        }
        for table in self.tables.iter().filter(|table| !table.is_removed) {
            self.create(table, &mut statements);
        }
        // Identities last: they may name indexes.
        for table in self.tables.iter().filter(|table| !table.is_removed) {
            Self::identity(table, &mut statements);
        }
        statements
    }

    fn type_name(&self, ty: Type) -> String {
        if let Some(domain) = ty.domain.and_then(|at| self.domains.get(at)) {
            let array = if ty.is_array && !domain.of.is_array {
                "[]"
            } else {
                ""
            };
            return format!("{}.{}{array}", quote(domain.schema), quote(&domain.name));
        }
        let array = if ty.is_array { "[]" } else { "" };
        if ty.base == Base::Enum
            && let Some(one) = self.enums.get(ty.enumeration)
        {
            return format!("{}.{}{array}", quote(one.schema), quote(&one.name));
        }
        format!("{}{}{array}", ty.base.sql(), ty.modifier)
    }

    fn create(&self, table: &Table, statements: &mut Vec<String>) {
        let name = full(table);
        let mut lines: Vec<String> = table
            .existing()
            .map(|at| self.column_line(table, table.column(at)))
            .collect();
        if table.has_dropped_column {
            lines.insert(lines.len() / 2, "dropped_once int".to_owned());
        }
        if !table.key.is_empty() {
            lines.push(format!("PRIMARY KEY ({})", columns(table, &table.key)));
        }
        for (number, unique) in table
            .uniques
            .iter()
            .enumerate()
            .filter(|(_, unique)| !unique.is_index)
        {
            let name = quote(&unique_name(table, number));
            lines.push(format!(
                "CONSTRAINT {name} UNIQUE ({})",
                columns(table, &unique.columns)
            ));
        }
        let partitioned = table.partition.as_ref().map(|partition| {
            let method = match partition.kind {
                PartitionKind::Hash(_) => "HASH",
                PartitionKind::List(_) => "LIST",
                PartitionKind::Range(_) => "RANGE",
            };
            format!(
                " PARTITION BY {method} ({})",
                columns(table, &[partition.column])
            )
        });
        statements.push(format!(
            "CREATE TABLE {name} (\n  {}\n){}",
            lines.join(",\n  "),
            partitioned.unwrap_or_default()
        ));
        if table.has_dropped_column {
            statements.push(format!("ALTER TABLE {name} DROP COLUMN dropped_once"));
        }
        for (number, unique) in table
            .uniques
            .iter()
            .enumerate()
            .filter(|(_, unique)| unique.is_index)
        {
            statements.push(format!(
                "CREATE UNIQUE INDEX {} ON {name} ({})",
                quote(&unique_name(table, number)),
                columns(table, &unique.columns)
            ));
        }
        for (leaf, bounds) in leaves(table) {
            statements.push(format!("CREATE TABLE {leaf} PARTITION OF {bounds}"));
        }
        for column in table
            .columns
            .iter()
            .filter(|column| column.is_external && !column.is_removed)
        {
            statements.push(format!(
                "ALTER TABLE {name} ALTER COLUMN {} SET STORAGE EXTERNAL",
                quote(&column.name)
            ));
            // Leaves that exist have a storage of their own.
            for (leaf, _) in leaves(table)
                .iter()
                .filter(|(_, bounds)| !bounds.contains("PARTITION BY"))
            {
                statements.push(format!(
                    "ALTER TABLE {leaf} ALTER COLUMN {} SET STORAGE EXTERNAL",
                    quote(&column.name)
                ));
            }
        }
        for relation in &table.relations {
            let Some(actions) = relation.declared else {
                continue;
            };
            let parent = self.table(relation.table);
            statements.push(format!(
                "ALTER TABLE {name} ADD FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}{}",
                columns(table, &relation.columns),
                full(parent),
                columns(parent, &relation.references),
                actions.on_delete,
                actions.on_update,
                if actions.is_deferred { " DEFERRABLE INITIALLY DEFERRED" } else { "" }
            ));
        }
    }

    fn column_line(&self, table: &Table, column: &Column) -> String {
        let mut line = format!("{} {}", quote(&column.name), self.type_name(column.ty));
        if let Some(generated) = &column.generated {
            let of = quote(&table.column(generated.of).name);
            line.push_str(" GENERATED ALWAYS AS (");
            line.push_str(&[generated.before, &of, generated.after].concat());
            line.push_str(") STORED");
        }
        if column.not_null {
            line.push_str(" NOT NULL");
        }
        line
    }

    fn identity(table: &Table, statements: &mut Vec<String>) {
        let name = full(table);
        match table.identity {
            Identity::Default => {}
            Identity::Full => {
                statements.push(format!("ALTER TABLE {name} REPLICA IDENTITY FULL"));
                for (leaf, _) in leaves(table)
                    .iter()
                    .filter(|(_, bounds)| !bounds.contains("PARTITION BY"))
                {
                    statements.push(format!("ALTER TABLE {leaf} REPLICA IDENTITY FULL"));
                }
            }
            Identity::Index(number) => statements.push(format!(
                "ALTER TABLE {name} REPLICA IDENTITY USING INDEX {}",
                quote(&unique_name(table, number))
            )),
        }
    }

    pub(super) fn statement(&self, op: &Op) -> String {
        match op {
            Op::Insert {
                table,
                columns: names,
                rows,
                conflict,
            } => {
                let table = self.table(*table);
                let rows: Vec<String> = rows
                    .iter()
                    .map(|row| {
                        let values: Vec<String> = row
                            .iter()
                            .enumerate()
                            .map(|(n, value)| {
                                names.get(n).map_or_else(String::new, |at| {
                                    literal(value, table.column(*at))
                                })
                            })
                            .collect();
                        format!("({})", values.join(", "))
                    })
                    .collect();
                let conflict = match conflict {
                    Conflict::Fails => String::new(),
                    Conflict::DoNothing => " ON CONFLICT DO NOTHING".to_owned(),
                    Conflict::Update(on, set) => {
                        let set: Vec<String> = set
                            .iter()
                            .map(|at| {
                                let name = quote(&table.column(*at).name);
                                format!("{name} = EXCLUDED.{name}")
                            })
                            .collect();
                        format!(
                            " ON CONFLICT ({}) DO UPDATE SET {}",
                            columns(table, on),
                            set.join(", ")
                        )
                    }
                };
                format!(
                    "INSERT INTO {} ({}) VALUES {}{conflict}",
                    full(table),
                    columns(table, names),
                    rows.join(", ")
                )
            }
            Op::Update {
                table,
                set,
                matching,
            } => {
                let table = self.table(*table);
                let set: Vec<String> = set
                    .iter()
                    .map(|(at, value)| {
                        let column = table.column(*at);
                        let name = quote(&column.name);
                        let value = match value {
                            Set::To(value) => literal(value, column),
                            Set::Column(other) => quote(&table.column(*other).name),
                            Set::From(before, after) => format!("{before}{name}{after}"),
                        };
                        format!("{name} = {value}")
                    })
                    .collect();
                format!(
                    "UPDATE {} SET {}{}",
                    full(table),
                    set.join(", "),
                    condition(table, matching)
                )
            }
            Op::Delete { table, matching } => {
                let table = self.table(*table);
                format!("DELETE FROM {}{}", full(table), condition(table, matching))
            }
            Op::Savepoint(number) => format!("SAVEPOINT s{number}"),
            Op::RollbackTo(number) => format!("ROLLBACK TO SAVEPOINT s{number}"),
        }
    }
}

fn condition(table: &Table, matching: &Matching) -> String {
    match matching {
        Matching::All => String::new(),
        Matching::AnyOne => {
            let name = full(table);
            format!(
                " WHERE (tableoid, ctid) = (SELECT tableoid, ctid FROM {name} ORDER BY tableoid, ctid LIMIT 1)"
            )
        }
        Matching::Values(values) => {
            let conditions: Vec<String> = values
                .iter()
                .map(|(at, value)| {
                    let column = table.column(*at);
                    let name = quote(&column.name);
                    match value {
                        Literal::Null => format!("{name} IS NULL"),
                        value => format!("{name} = {}", literal(value, column)),
                    }
                })
                .collect();
            format!(
                " WHERE {}",
                if conditions.is_empty() {
                    "false".to_owned()
                } else {
                    conditions.join(" AND ")
                }
            )
        }
    }
}

fn literal(value: &Literal, column: &Column) -> String {
    match value {
        Literal::Null => "NULL".to_owned(),
        Literal::Text(value) => text(value),
        Literal::LongKey(which) => format!("rpad('long{which}-', {LONG_KEY}, 'k{which}:')"),
        Literal::Toasted(which, around) => {
            let long = format!(
                "(SELECT string_agg(md5(i::text), '') FROM generate_series({which}, {which} + 320) AS g(i))"
            );
            match *around {
                "" if column.ty.base == Base::Citext => format!("{long}::citext"),
                "" => long,
                _ => format!("jsonb_build_object('long', {long})"),
            }
        }
    }
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn full(table: &Table) -> String {
    format!("{}.{}", quote(table.schema), quote(&table.name))
}

fn columns(table: &Table, at: &[usize]) -> String {
    let names: Vec<String> = at.iter().map(|at| quote(&table.column(*at).name)).collect();
    names.join(", ")
}

fn unique_name(table: &Table, number: usize) -> String {
    format!("{} unique {number}", table.name)
}

/// The leaves of a partitioned table: name, and what follows `PARTITION OF`.
fn leaves(table: &Table) -> Vec<(String, String)> {
    let Some(partition) = &table.partition else {
        return Vec::new();
    };
    let root = full(table);
    let leaf = |suffix: &str| {
        format!(
            "{}.{}",
            quote(table.schema),
            quote(&format!("{} {suffix}", table.name))
        )
    };
    match &partition.kind {
        PartitionKind::Hash(count) => (0..*count)
            .map(|n| {
                (
                    leaf(&n.to_string()),
                    format!("{root} FOR VALUES WITH (MODULUS {count}, REMAINDER {n})"),
                )
            })
            .collect(),
        PartitionKind::List(values) => {
            let values: Vec<String> = values.iter().map(|value| text(value)).collect();
            vec![
                (
                    leaf("some"),
                    format!("{root} FOR VALUES IN ({})", values.join(", ")),
                ),
                (leaf("rest"), format!("{root} DEFAULT")),
            ]
        }
        PartitionKind::Range(bound) => {
            let column = columns(table, &[partition.column]);
            vec![
                (
                    leaf("low"),
                    format!("{root} FOR VALUES FROM (MINVALUE) TO ('{bound}')"),
                ),
                (
                    leaf("high"),
                    format!(
                        "{root} FOR VALUES FROM ('{bound}') TO (MAXVALUE) PARTITION BY HASH ({column})"
                    ),
                ),
                (
                    leaf("high 0"),
                    format!("{} FOR VALUES WITH (MODULUS 1, REMAINDER 0)", leaf("high")),
                ),
                (leaf("rest"), format!("{root} DEFAULT")),
            ]
        }
    }
}
