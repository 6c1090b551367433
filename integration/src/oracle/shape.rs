//! A schema file with every name looked up: which columns, which joins, which questions to Postgres.
//! In: the file and the catalog. Out: [`Shape`], which needs no name any more.
//! Must not: check the file; that is the product's work. What is unknown here is an error all the same.

mod conditions;
mod relations;

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use anyhow::{Context, Result, bail};

use super::Json;
use super::catalog::{Described, Kind, Name, Type, literal, quoted};
use super::file::{Node, identifier};
use super::tables::{Asked, Link, Slot};
use super::value::{Form, Reading};

/// A table, by its place in [`Shape::tables`].
pub(super) type TableAt = usize;

/// A whole schema file.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) tables: Vec<Asked>,
    pub(super) links: Vec<Link>,
    pub(super) figures: Vec<Figure>,
    pub(super) root: TableAt,
    pub(super) key: Vec<Slot>,
    /// Conditions of the root: rows of which all are `t`.
    pub(super) conditions: Vec<Slot>,
    pub(super) soft_delete: Option<SoftDelete>,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct SoftDelete {
    pub(super) marker: Slot,
    pub(super) is_boolean: bool,
    pub(super) when: Vec<Slot>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Constant(Json),
    Value(Reading),
    Point {
        lat: Reading,
        lon: Reading,
    },
    Object(Vec<Field>),
    Join {
        to: Related,
        fields: Vec<Field>,
        order: Vec<Order>,
        /// One object or null, instead of a list.
        is_one: bool,
        limit: Option<usize>,
    },
    Count(Related),
    /// A sum or mean, by its place in [`Shape::figures`].
    Figure(usize),
    /// The smallest or largest value.
    Extreme {
        to: Related,
        rank: Slot,
        value: Reading,
        is_max: bool,
    },
    Ids {
        to: Related,
        order: Vec<Order>,
        key: Vec<Slot>,
        /// The one column of the key; a composite key is written as a document id.
        single: Option<Reading>,
    },
}

/// The rows of another table that belong to a row.
#[derive(Debug, Clone)]
pub(super) struct Related {
    pub(super) table: TableAt,
    /// Links to follow, by their place in [`Shape::links`]: one, or two with a junction between.
    pub(super) links: Vec<usize>,
    pub(super) conditions: Vec<Slot>,
}

#[derive(Debug)]
pub(super) struct Order {
    pub(super) column: Slot,
    /// The place of the value among all values of the column, as Postgres sorts them.
    pub(super) rank: Slot,
    pub(super) is_descending: bool,
    pub(super) nulls_first: bool,
}

/// A sum or mean, which Postgres adds up from the values that the oracle picked.
#[derive(Debug)]
pub(super) struct Figure {
    /// The table whose rows have the figure.
    pub(super) of: TableAt,
    pub(super) to: Related,
    pub(super) column: Slot,
    pub(super) kind: Rc<Type>,
    pub(super) is_mean: bool,
    pub(super) form: Form,
}

/// Every table that the file names anywhere.
///
/// A table's schema defaults to that of the table around it, a junction's to that of its far table.
pub(super) fn names(file: &Node) -> Vec<Name> {
    let mut names = BTreeSet::new();
    collect(file, "public", &mut names);
    names.into_iter().collect()
}

fn collect(node: &Node, around: &str, names: &mut BTreeSet<Name>) {
    let schema = node
        .identifier("schema")
        .unwrap_or_else(|| around.to_owned());
    if let Some(table) = node.identifier("table") {
        names.insert((schema.clone(), table));
    }
    if let Some(through) = node.get("through") {
        collect(through, &schema, names);
    }
    for field in node.list("fields") {
        collect(field, &schema, names);
    }
}

impl Shape {
    pub(super) fn new(file: &Node, mut catalog: HashMap<Name, Described>) -> Result<Self> {
        let mut maker = Maker::default();
        for name in names(file) {
            let described = catalog.remove(&name).context("a table without columns")?;
            maker.tables.push(Asked::new(name, described));
        }
        let schema = file
            .identifier("schema")
            .unwrap_or_else(|| "public".to_owned());
        let root = maker.table(&schema, file)?;
        let key = maker.key(root, file);
        let row = Row { table: root, key };
        let soft_delete = match file.get("soft_delete") {
            Some(node) => Some(maker.soft_delete(file, node, root)?),
            None => None,
        };
        Ok(Self {
            key: maker.slots(root, &row.key)?,
            conditions: maker.conditions(root, file, "filters")?,
            soft_delete,
            fields: maker.fields(file, &row)?,
            root,
            tables: maker.tables,
            links: maker.links,
            figures: maker.figures,
        })
    }
}

/// The row that fields are read from.
struct Row {
    table: TableAt,
    /// The key that joins refer to by default; empty when the table has none.
    key: Vec<String>,
}

#[derive(Default)]
struct Maker {
    tables: Vec<Asked>,
    links: Vec<Link>,
    figures: Vec<Figure>,
}

impl Maker {
    fn asked(&mut self, at: TableAt) -> Result<&mut Asked> {
        self.tables.get_mut(at).context("an unknown table")
    }

    /// The table that `node` names, in a schema that is already resolved.
    fn table(&self, schema: &str, node: &Node) -> Result<TableAt> {
        let name = identifier(node.needed("table")?);
        self.tables
            .iter()
            .position(|table| table.name.0 == schema && table.name.1 == name)
            .with_context(|| format!("table {schema}.{name} was not described"))
    }

    fn schema_of(&mut self, at: TableAt) -> Result<String> {
        Ok(self.asked(at)?.name.0.clone())
    }

    fn key(&mut self, at: TableAt, node: &Node) -> Vec<String> {
        node.columns("primary_key").unwrap_or_else(|| {
            self.tables
                .get(at)
                .map(|table| table.described.primary_key.clone())
                .unwrap_or_default()
        })
    }

    fn slots(&mut self, at: TableAt, columns: &[String]) -> Result<Vec<Slot>> {
        let table = self.asked(at)?;
        columns
            .iter()
            .map(|column| Ok(table.column(column)?.0))
            .collect()
    }

    fn fields(&mut self, node: &Node, row: &Row) -> Result<Vec<Field>> {
        node.list("fields")
            .iter()
            .map(|field| {
                self.field(field, row)
                    .with_context(|| format!("field {field:?}"))
            })
            .collect()
    }

    fn field(&mut self, node: &Node, row: &Row) -> Result<Field> {
        let Node::Map(members) = node else {
            bail!("a field that is no object");
        };
        let (tag, name) = members
            .iter()
            .find(|(key, _)| TAGS.contains(&key.as_str()))
            .context("a field without a tag")?;
        let name = name.scalar().context("a field without a name")?.trim();
        let own = || {
            node.identifier("column")
                .unwrap_or_else(|| identifier(name))
        };
        let what = match tag.as_str() {
            "constant" => What::Constant(node.get("value").context("no value")?.json()?),
            "object" => What::Object(self.fields(node, row)?),
            "geo" if node.get("lat").is_some() => What::Point {
                lat: self.reading(row.table, &identifier(node.needed("lat")?), Form::Plain)?,
                lon: self.reading(row.table, &identifier(node.needed("lon")?), Form::Plain)?,
            },
            "belongs_to" | "has_one" | "has_many" | "many_to_many" => {
                self.join(tag, name, node, row)?
            }
            "count" => What::Count(self.related(tag, name, node, row)?.0),
            "sum" | "avg" => self.figure(tag, name, node, row)?,
            "min" | "max" => self.extreme(tag, name, node, row)?,
            "ids" => self.ids(name, node, row)?,
            _ => What::Value(self.value(tag, &own(), node, row)?),
        };
        Ok(Field {
            name: name.to_owned(),
            what,
        })
    }

    /// A column under a scalar tag.
    fn value(&mut self, tag: &str, column: &str, node: &Node, row: &Row) -> Result<Reading> {
        let (_, kind) = self.asked(row.table)?.column(column)?;
        let form = Form::of(tag, &kind, node);
        let mut reading = self.reading(row.table, column, form)?;
        let transforms: Vec<&str> = node
            .list("transforms")
            .iter()
            .filter_map(Node::scalar)
            .collect();
        reading.is_trimmed = transforms.contains(&"trim");
        if transforms.contains(&"lowercase") {
            let table = self.asked(row.table)?;
            reading.slot = table.ask(lowered(column, &kind));
            reading.kind = match &kind.kind {
                Kind::Array(_) => Rc::new(Type {
                    schema: "pg_catalog".to_owned(),
                    name: "_text".to_owned(),
                    kind: Kind::Array(Type::built_in("text")),
                }),
                _ => Type::built_in("text"),
            };
        }
        if let Some(default) = node.get("default")
            && !matches!(kind.kind, Kind::Array(_))
        {
            let text = match default.value() {
                Some(text) => text.to_owned(),
                None => default.json()?.to_string(),
            };
            let typed = format!("{}::{}", literal(&text), kind.sql());
            let default_kind = Rc::clone(&kind);
            let table = self.asked(row.table)?;
            reading.default = Some(if is_money_as_number(&kind, form) {
                (
                    table.ask(format!("({typed})::pg_catalog.numeric")),
                    Type::built_in("numeric"),
                )
            } else {
                (table.ask(typed), default_kind)
            });
        }
        Ok(reading)
    }

    /// How a column becomes JSON. The output of `money` depends on the locale, so its digits are
    /// those of its `numeric`, as the table says for both of its tags.
    fn reading(&mut self, at: TableAt, column: &str, form: Form) -> Result<Reading> {
        let table = self.asked(at)?;
        let (slot, kind) = table.column(column)?;
        if is_money_as_number(&kind, form) {
            let (name, number) = match kind.kind {
                Kind::Array(_) => (
                    "pg_catalog.numeric[]",
                    Rc::new(Type {
                        schema: "pg_catalog".to_owned(),
                        name: "_numeric".to_owned(),
                        kind: Kind::Array(Type::built_in("numeric")),
                    }),
                ),
                _ => ("pg_catalog.numeric", Type::built_in("numeric")),
            };
            let slot = table.ask(format!("{}::{name}", quoted(column)));
            return Ok(Reading::new(slot, number, form));
        }
        Ok(Reading::new(slot, kind, form))
    }
}

/// Every tag of a field.
pub(crate) const TAGS: [&str; 32] = [
    "text",
    "identifier",
    "keyword",
    "enum",
    "uuid",
    "time",
    "boolean",
    "short",
    "integer",
    "long",
    "float",
    "double",
    "binary",
    "decimal",
    "date",
    "timestamp",
    "json",
    "custom",
    "geo",
    "map",
    "object",
    "constant",
    "belongs_to",
    "has_one",
    "has_many",
    "many_to_many",
    "count",
    "avg",
    "sum",
    "min",
    "max",
    "ids",
];

fn is_money_as_number(kind: &Rc<Type>, form: Form) -> bool {
    matches!(form, Form::Plain | Form::Keyword) && kind.of_one().known() == Some("money")
}

/// The text of a column, as Postgres writes it, in lower case (by `format`, since a cast of `char(n)` would lose
/// its padding); element by element for arrays.
fn lowered(column: &str, kind: &Type) -> String {
    let column = quoted(column);
    match kind.kind {
        Kind::Array(_) => format!(
            "CASE WHEN {column} IS NOT NULL THEN ARRAY(SELECT CASE WHEN e IS NOT NULL THEN lower(format('%s', e)) END \
             FROM unnest({column}) WITH ORDINALITY u(e, place) ORDER BY place) END"
        ),
        _ => format!("CASE WHEN {column} IS NOT NULL THEN lower(format('%s', {column})) END"),
    }
}
