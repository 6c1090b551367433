//! Filters and soft delete: each condition becomes one question to Postgres per table, "is this row
//! in?", since only Postgres knows how its types compare.

use anyhow::{Context, Result, bail, ensure};

use super::super::catalog::literal;
use super::super::file::{Node, identifier};
use super::super::tables::Slot;
use super::{Maker, SoftDelete, TableAt};

/// Comparisons with one value.
const COMPARISONS: [(&str, &str); 8] = [
    ("eq", "="),
    ("neq", "<>"),
    ("lt", "<"),
    ("lte", "<="),
    ("gt", ">"),
    ("gte", ">="),
    ("like", "LIKE"),
    ("ilike", "ILIKE"),
];

impl Maker {
    /// The conditions under `list`; NULL is not true.
    pub(super) fn conditions(&mut self, at: TableAt, node: &Node, list: &str) -> Result<Vec<Slot>> {
        let mut slots = Vec::new();
        for filter in node.list(list) {
            let condition = self.condition(at, filter)?;
            // The line break ends a comment in a raw condition.
            slots.push(self.asked(at)?.ask(format!("({condition}\n) IS TRUE")));
        }
        Ok(slots)
    }

    fn condition(&mut self, at: TableAt, filter: &Node) -> Result<String> {
        if let Some(raw) = filter.text("raw") {
            return Ok(raw.to_owned());
        }
        let name = identifier(filter.needed("column")?);
        let (_, kind) = self.asked(at)?.column(&name)?;
        let column = self.asked(at)?.operand(&name)?;
        // The name of the catalog carries no length modifier: the value is taken as written.
        let typed = |value: &Node| -> Result<String> {
            let text = value.value().context("a filter value that is no scalar")?;
            Ok(format!("{}::{}", literal(text), kind.sql()))
        };
        let each = |operator: &str| -> Result<Vec<String>> {
            let values = filter.list("value");
            ensure!(!values.is_empty(), "a filter without values");
            values
                .iter()
                .map(|value| Ok(format!("{column} {operator} {}", typed(value)?)))
                .collect()
        };
        let op = filter.needed("op")?;
        if let Some((_, operator)) = COMPARISONS.iter().find(|(name, _)| *name == op) {
            let value = filter.get("value").context("a filter without a value")?;
            return Ok(format!("{column} {operator} {}", typed(value)?));
        }
        Ok(match op {
            "is_null" => format!("{column} IS NULL"),
            "is_not_null" => format!("{column} IS NOT NULL"),
            "in" => each("=")?.join(" OR "),
            "not_in" => each("<>")?.join(" AND "),
            "between" => match filter.list("value") {
                [low, high] => format!(
                    "{column} >= {} AND {column} <= {}",
                    typed(low)?,
                    typed(high)?
                ),
                _ => bail!("`between` takes two values"),
            },
            _ => bail!("unknown op {op}"),
        })
    }

    pub(super) fn soft_delete(
        &mut self,
        file: &Node,
        node: &Node,
        root: TableAt,
    ) -> Result<SoftDelete> {
        let column = match node.text("field") {
            Some(field) => {
                let mut columns = Vec::new();
                scalar_columns(file, field.trim(), &mut columns);
                match columns.as_slice() {
                    [column] => column.clone(),
                    _ => bail!("{} scalar fields are named {field}", columns.len()),
                }
            }
            None => identifier(node.needed("column")?),
        };
        let (marker, kind) = self.asked(root)?.column(&column)?;
        Ok(SoftDelete {
            marker,
            is_boolean: kind.known() == Some("bool"),
            when: self.conditions(root, node, "when")?,
        })
    }
}

/// The columns of the scalar fields of that name, at the top level and in objects.
fn scalar_columns(node: &Node, wanted: &str, columns: &mut Vec<String>) {
    /// Tags with a name and no single column.
    const NO_SCALARS: [&str; 12] = [
        "constant",
        "geo",
        "map",
        "belongs_to",
        "has_one",
        "has_many",
        "many_to_many",
        "count",
        "avg",
        "sum",
        "min",
        "max",
    ];
    for field in node.list("fields") {
        let Node::Map(members) = field else { continue };
        if field.get("object").is_some() {
            scalar_columns(field, wanted, columns);
            continue;
        }
        for (tag, name) in members {
            let is_scalar = super::TAGS.contains(&tag.as_str())
                && !NO_SCALARS.contains(&tag.as_str())
                && tag != "ids";
            if is_scalar && name.scalar().map(str::trim) == Some(wanted) {
                columns.push(
                    field
                        .identifier("column")
                        .unwrap_or_else(|| identifier(wanted)),
                );
            }
        }
    }
}
