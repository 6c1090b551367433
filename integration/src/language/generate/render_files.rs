//! The text of an index file. Defaults are left out, mostly; identifiers are spelled in every way
//! that means the same.

use super::dice::Dice;
use super::model::{
    Aggregate, Column, Field, Filter, Index, Join, Kind, Link, Order, Piece, Plan, Table,
};
use super::names;
use super::yaml::Yaml;

type Entries = Vec<(String, Yaml)>;

/// A file being written.
pub(super) struct Writer<'p> {
    pub(super) plan: &'p Plan,
    /// Decides about spelling only.
    pub(super) dice: Dice,
}

/// The row that fields are read from.
#[derive(Clone, Copy)]
struct Around<'a> {
    table: &'a Table,
    key: &'a [usize],
    /// What is written as its key.
    written: Option<&'a [usize]>,
}

impl Writer<'_> {
    pub(super) fn file(&mut self, index: &Index) -> String {
        let table = self.plan.table(index.root).clone();
        let mut entries: Entries = vec![("version".to_owned(), Yaml::plain("1"))];
        let name = self.identifier(&table.name);
        entries.push(("table".to_owned(), name));
        self.schema(&table, "public", &mut entries);
        if let Some(key) = &index.primary_key {
            entries.push(("primary_key".to_owned(), self.columns(&table, key)));
        }
        if let Some(delete) = &index.soft_delete {
            let mut inner: Entries = Vec::new();
            if let Some(field) = &delete.field {
                inner.push(("field".to_owned(), Yaml::text(field)));
            } else {
                let column = self.identifier(&table.column(delete.column).name);
                inner.push(("column".to_owned(), column));
            }
            self.filters("when", &table, &delete.when, &mut inner);
            entries.push(("soft_delete".to_owned(), Yaml::Map(inner)));
        }
        self.filters("filters", &table, &index.filters, &mut entries);
        let around = Around {
            table: &table,
            key: index.primary_key.as_deref().unwrap_or(&table.key),
            written: index.primary_key.as_deref(),
        };
        let fields = self.fields(&index.fields, around);
        entries.push(("fields".to_owned(), fields));
        Yaml::Map(entries).to_file()
    }

    fn fields(&mut self, fields: &[Field], around: Around<'_>) -> Yaml {
        Yaml::List(
            fields
                .iter()
                .map(|field| self.field(field, around))
                .collect(),
        )
    }

    fn field(&mut self, field: &Field, around: Around<'_>) -> Yaml {
        let mut entries: Entries = Vec::new();
        let name = Yaml::text(&field.name);
        let put =
            |entries: &mut Entries, key: &str, value: Yaml| entries.push((key.to_owned(), value));
        match &field.kind {
            Kind::Scalar(scalar) => {
                put(&mut entries, scalar.tag, name);
                self.own_column(
                    &field.name,
                    around.table.column(scalar.column),
                    &mut entries,
                );
                required(scalar.required, &mut entries);
                if !scalar.transforms.is_empty() {
                    let words = scalar.transforms.iter().map(Yaml::plain);
                    put(&mut entries, "transforms", Yaml::list(words));
                }
                if let Some(default) = &scalar.default {
                    put(&mut entries, "default", default.clone());
                }
                if let Some(variants) = &scalar.variants {
                    put(
                        &mut entries,
                        "variants",
                        Yaml::list(variants.iter().map(Yaml::text)),
                    );
                }
                if let Some((postgres, opensearch)) = &scalar.custom {
                    put(
                        &mut entries,
                        "postgres",
                        Yaml::list(postgres.iter().map(|name| Yaml::text(*name))),
                    );
                    put(&mut entries, "opensearch", opensearch.clone());
                }
            }
            Kind::Point {
                lat,
                lon,
                required: is_required,
            } => {
                put(&mut entries, "geo", name);
                let (lat, lon) = (
                    &around.table.column(*lat).name,
                    &around.table.column(*lon).name,
                );
                put(&mut entries, "lat", self.identifier(lat));
                put(&mut entries, "lon", self.identifier(lon));
                required(*is_required, &mut entries);
            }
            Kind::PointColumn {
                column,
                required: is_required,
            } => {
                put(&mut entries, "geo", name);
                put(
                    &mut entries,
                    "column",
                    self.identifier(&around.table.column(*column).name),
                );
                required(*is_required, &mut entries);
            }
            Kind::Map {
                column,
                values,
                required: is_required,
            } => {
                put(&mut entries, "map", name);
                self.own_column(&field.name, around.table.column(*column), &mut entries);
                put(&mut entries, "values", Yaml::plain(values));
                required(*is_required, &mut entries);
            }
            Kind::Object(inner) => {
                put(&mut entries, "object", name);
                let fields = self.fields(inner, around);
                put(&mut entries, "fields", fields);
            }
            Kind::Constant(value) => {
                put(&mut entries, "constant", name);
                put(&mut entries, "value", value.clone());
            }
            Kind::Join(join) => {
                put(&mut entries, join.verb, name);
                self.join(&field.name, join, around, &mut entries);
            }
            Kind::Aggregate(aggregate) => {
                put(&mut entries, aggregate.figure, name);
                self.aggregate(aggregate, around, &mut entries);
            }
        }
        if let Some(options) = &field.options {
            put(&mut entries, "options", options.clone());
        }
        Yaml::Map(entries)
    }

    /// Left out when the field's name says it.
    fn own_column(&mut self, field: &str, column: &Column, entries: &mut Entries) {
        if field.to_ascii_lowercase() != column.name || self.dice.chance(15) {
            entries.push(("column".to_owned(), self.identifier(&column.name)));
        }
    }

    fn join(&mut self, name: &str, join: &Join, around: Around<'_>, entries: &mut Entries) {
        let table = self.plan.table(join.table).clone();
        let key = join.primary_key.as_deref().unwrap_or(&table.key);
        self.table(&table, around.table.schema, entries);
        if let Some(key) = &join.primary_key {
            entries.push(("primary_key".to_owned(), self.columns(&table, key)));
        }
        let inner = Around {
            table: &table,
            key,
            written: join.primary_key.as_deref(),
        };
        self.link(name, &join.link, around, inner, entries);
        required(join.required, entries);
        self.filters("filters", &table, &join.filters, entries);
        self.order_by(&table, &join.order_by, entries);
        if let Some(limit) = join.limit {
            entries.push(("limit".to_owned(), Yaml::plain(limit)));
        }
        let fields = self.fields(&join.fields, inner);
        entries.push(("fields".to_owned(), fields));
    }

    fn aggregate(&mut self, aggregate: &Aggregate, around: Around<'_>, entries: &mut Entries) {
        let table = self.plan.table(aggregate.table).clone();
        self.table(&table, around.table.schema, entries);
        if let Some(key) = &aggregate.primary_key {
            entries.push(("primary_key".to_owned(), self.columns(&table, key)));
        }
        let inner = Around {
            table: &table,
            key: aggregate.primary_key.as_deref().unwrap_or(&table.key),
            written: aggregate.primary_key.as_deref(),
        };
        self.link("", &aggregate.link, around, inner, entries);
        if let Some(column) = aggregate.column {
            entries.push((
                "column".to_owned(),
                self.identifier(&table.column(column).name),
            ));
        }
        if let Some(result) = aggregate.result {
            let key = if aggregate.figure == "ids" {
                "element_type"
            } else {
                "value_type"
            };
            entries.push((key.to_owned(), Yaml::plain(result)));
        }
        self.filters("filters", &table, &aggregate.filters, entries);
    }

    fn link(
        &mut self,
        name: &str,
        link: &Link,
        around: Around<'_>,
        inner: Around<'_>,
        entries: &mut Entries,
    ) {
        match link {
            Link::Column { own, theirs } => {
                let implied = matches!(own.as_slice(), [only] if around.table.column(*only).name == name.to_ascii_lowercase());
                if !implied || self.dice.chance(15) {
                    entries.push(("column".to_owned(), self.columns(around.table, own)));
                }
                self.references("references", inner, theirs, entries);
            }
            Link::ForeignKey { own, theirs } => {
                entries.push(("foreign_key".to_owned(), self.columns(inner.table, theirs)));
                self.references("references", around, own, entries);
            }
            Link::Through {
                junction,
                own,
                left,
                right,
                theirs,
            } => {
                let junction = self.plan.table(*junction).clone();
                let mut through: Entries = Vec::new();
                self.table(&junction, inner.table.schema, &mut through);
                through.push(("left_key".to_owned(), self.columns(&junction, left)));
                through.push(("right_key".to_owned(), self.columns(&junction, right)));
                self.references("left_references", around, own, &mut through);
                self.references("right_references", inner, theirs, &mut through);
                entries.push(("through".to_owned(), Yaml::Map(through)));
            }
        }
    }

    /// Left out when they are the key of their side.
    fn references(
        &mut self,
        word: &str,
        side: Around<'_>,
        columns: &[usize],
        entries: &mut Entries,
    ) {
        // A key that is written defines the length of the other side in the file alone.
        let is_key = side.written.unwrap_or(side.key) == columns;
        if !is_key || columns.is_empty() || self.dice.chance(15) {
            entries.push((word.to_owned(), self.columns(side.table, columns)));
        }
    }

    fn table(&mut self, table: &Table, around: &str, entries: &mut Entries) {
        self.schema(table, around, entries);
        entries.push(("table".to_owned(), self.identifier(&table.name)));
    }

    fn schema(&mut self, table: &Table, around: &str, entries: &mut Entries) {
        if table.schema != around || self.dice.chance(10) {
            entries.push(("schema".to_owned(), self.identifier(table.schema)));
        }
    }

    fn filters(&mut self, word: &str, table: &Table, filters: &[Filter], entries: &mut Entries) {
        if filters.is_empty() {
            return;
        }
        let list = filters.iter().map(|filter| match filter {
            Filter::Column { column, op, value } => {
                let column = self.identifier(&table.column(*column).name);
                let mut entries = vec![
                    ("column".to_owned(), column),
                    ("op".to_owned(), Yaml::plain(op)),
                ];
                entries.extend(value.clone().map(|value| ("value".to_owned(), value)));
                Yaml::Map(entries)
            }
            Filter::Raw(pieces) => {
                let sql: String = pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Sql(sql) => sql.clone(),
                        Piece::Column(at) => names::sql(&table.column(*at).name),
                        Piece::Qualified(at) => {
                            format!(
                                "{}.{}",
                                names::sql(&table.name),
                                names::sql(&table.column(*at).name)
                            )
                        }
                    })
                    .collect();
                Yaml::map([("raw", Yaml::text(sql))])
            }
        });
        let list = Yaml::List(list.collect());
        entries.push((word.to_owned(), list));
    }

    fn order_by(&mut self, table: &Table, order: &[Order], entries: &mut Entries) {
        if order.is_empty() {
            return;
        }
        let list = order
            .iter()
            .map(|one| {
                let column = self.identifier(&table.column(one.column).name);
                let mut entries = vec![("column".to_owned(), column)];
                entries.extend(
                    one.direction
                        .map(|word| ("direction".to_owned(), Yaml::plain(word))),
                );
                entries.extend(
                    one.nulls
                        .map(|word| ("nulls".to_owned(), Yaml::plain(word))),
                );
                Yaml::Map(entries)
            })
            .collect();
        entries.push(("order_by".to_owned(), Yaml::List(list)));
    }

    /// One column, or a list.
    fn columns(&mut self, table: &Table, at: &[usize]) -> Yaml {
        let mut names: Vec<Yaml> = at
            .iter()
            .map(|at| self.identifier(&table.column(*at).name))
            .collect();
        if names.len() == 1 && self.dice.chance(70) {
            names.swap_remove(0)
        } else {
            Yaml::List(names)
        }
    }

    fn identifier(&mut self, name: &str) -> Yaml {
        if !names::is_plain(name) || self.dice.chance(8) {
            return Yaml::text(names::sql(name));
        }
        match self.dice.below(20) {
            0 => Yaml::text(name.to_ascii_uppercase()),
            1 => Yaml::text(format!(" {name} ")),
            // Words that YAML could take for something else.
            _ if matches!(name, "null" | "true" | "false" | "n" | "y" | "no" | "on") => {
                Yaml::text(name)
            }
            _ if name.is_ascii() => Yaml::plain(name),
            _ => Yaml::text(name),
        }
    }
}

fn required(required: Option<bool>, entries: &mut Entries) {
    if let Some(required) = required {
        entries.push(("required".to_owned(), Yaml::plain(required)));
    }
}
