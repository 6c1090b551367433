//! Joins and aggregates: which rows of another table belong to a row, in which order, and what
//! becomes of them.

use anyhow::{Context, Result, ensure};

use super::super::catalog::quoted;
use super::super::file::{Node, identifier};
use super::super::tables::{Link, Meeting, Slot};
use super::super::value::Form;
use super::{Figure, Maker, Order, Related, Row, TableAt, What};

impl Maker {
    pub(super) fn join(&mut self, tag: &str, name: &str, node: &Node, row: &Row) -> Result<What> {
        let (to, key) = self.related(tag, name, node, row)?;
        let order = self.order(to.table, node, &key)?;
        let inner = Row {
            table: to.table,
            key,
        };
        let limit = node.text("limit").map(str::parse).transpose()?;
        Ok(What::Join {
            fields: self.fields(node, &inner)?,
            to,
            order,
            is_one: matches!(tag, "belongs_to" | "has_one"),
            limit,
        })
    }

    /// The order of the file, then the key: ascending with NULLs last, descending with NULLs first,
    /// unless the file says otherwise.
    fn order(&mut self, at: TableAt, node: &Node, key: &[String]) -> Result<Vec<Order>> {
        let mut order = Vec::new();
        for by in node.list("order_by") {
            let column = identifier(by.needed("column")?);
            let is_descending = by.text("direction") == Some("desc");
            let nulls_first = match by.text("nulls") {
                None => is_descending,
                Some(written) => written == "first",
            };
            order.push(self.by(at, &column, is_descending, nulls_first)?);
        }
        for column in key {
            order.push(self.by(at, column, false, false)?);
        }
        Ok(order)
    }

    fn by(
        &mut self,
        at: TableAt,
        column: &str,
        is_descending: bool,
        nulls_first: bool,
    ) -> Result<Order> {
        let rank = self.rank(at, column)?;
        Ok(Order {
            column: self.asked(at)?.column(column)?.0,
            rank,
            is_descending,
            nulls_first,
        })
    }

    fn rank(&mut self, at: TableAt, column: &str) -> Result<Slot> {
        Ok(self
            .asked(at)?
            .ask(format!("dense_rank() OVER (ORDER BY {})", quoted(column))))
    }

    pub(super) fn figure(&mut self, tag: &str, name: &str, node: &Node, row: &Row) -> Result<What> {
        let (to, _) = self.related(tag, name, node, row)?;
        let column = identifier(node.needed("column")?);
        let (slot, kind) = self.asked(to.table)?.column(&column)?;
        let is_mean = tag == "avg";
        let value_type = node.text("value_type").unwrap_or("double");
        self.figures.push(Figure {
            of: row.table,
            to,
            column: slot,
            is_mean,
            form: Form::of(value_type, &kind, node),
            kind,
        });
        Ok(What::Figure(self.figures.len() - 1))
    }

    pub(super) fn extreme(
        &mut self,
        tag: &str,
        name: &str,
        node: &Node,
        row: &Row,
    ) -> Result<What> {
        let (to, _) = self.related(tag, name, node, row)?;
        let column = identifier(node.needed("column")?);
        let (_, kind) = self.asked(to.table)?.column(&column)?;
        let form = Form::of(node.needed("value_type")?, &kind, node);
        Ok(What::Extreme {
            rank: self.rank(to.table, &column)?,
            value: self.reading(to.table, &column, form)?,
            is_max: tag == "max",
            to,
        })
    }

    pub(super) fn ids(&mut self, name: &str, node: &Node, row: &Row) -> Result<What> {
        let (to, key) = self.related("ids", name, node, row)?;
        ensure!(!key.is_empty(), "ids of a table without a key");
        let single = match key.as_slice() {
            [column] => {
                let (_, kind) = self.asked(to.table)?.column(column)?;
                let form = Form::of(node.needed("element_type")?, &kind, node);
                Some(self.reading(to.table, column, form)?)
            }
            _ => None,
        };
        let mut order = Vec::new();
        for column in &key {
            order.push(self.by(to.table, column, false, false)?);
        }
        Ok(What::Ids {
            key: self.slots(to.table, &key)?,
            to,
            order,
            single,
        })
    }

    /// The related rows of a join or aggregate, and the key of their table.
    pub(super) fn related(
        &mut self,
        tag: &str,
        name: &str,
        node: &Node,
        row: &Row,
    ) -> Result<(Related, Vec<String>)> {
        let schema = match node.identifier("schema") {
            Some(schema) => schema,
            None => self.schema_of(row.table)?,
        };
        let table = self.table(&schema, node)?;
        let key = self.key(table, node);
        let links = if let Some(through) = node.get("through") {
            let junction_schema = through.identifier("schema").unwrap_or(schema);
            let junction = self.table(&junction_schema, through)?;
            let columns = |key: &str| through.columns(key);
            let left = columns("left_references").unwrap_or_else(|| row.key.clone());
            let right = columns("right_references").unwrap_or_else(|| key.clone());
            vec![
                self.link(
                    (row.table, &left),
                    (junction, &columns("left_key").context("no left_key")?),
                )?,
                self.link(
                    (junction, &columns("right_key").context("no right_key")?),
                    (table, &right),
                )?,
            ]
        } else if tag == "belongs_to" {
            let own = node
                .columns("column")
                .unwrap_or_else(|| vec![identifier(name)]);
            let references = node.columns("references").unwrap_or_else(|| key.clone());
            vec![self.link((row.table, &own), (table, &references))?]
        } else {
            let references = node
                .columns("references")
                .unwrap_or_else(|| row.key.clone());
            let foreign = node.columns("foreign_key").context("no foreign_key")?;
            vec![self.link((row.table, &references), (table, &foreign))?]
        };
        let conditions = self.conditions(table, node, "filters")?;
        let related = Related {
            table,
            links,
            conditions,
        };
        Ok((related, key))
    }

    fn link(
        &mut self,
        (left, left_columns): (TableAt, &[String]),
        (right, right_columns): (TableAt, &[String]),
    ) -> Result<usize> {
        ensure!(
            left_columns.len() == right_columns.len() && !left_columns.is_empty(),
            "{left_columns:?} cannot be paired with {right_columns:?}"
        );
        let mut meetings = Vec::new();
        for (at, own) in left_columns.iter().enumerate() {
            let theirs = right_columns.get(at).context("a column without its pair")?;
            meetings.push(Meeting::new(
                self.tables.get(left).context("an unknown table")?,
                own,
                self.tables.get(right).context("an unknown table")?,
                theirs,
            )?);
        }
        let link = Link::new(left, right, meetings, &mut self.tables)?;
        // Fields that follow the same keys share the pairs.
        if let Some(at) = self.links.iter().position(|known| *known == link) {
            return Ok(at);
        }
        self.links.push(link);
        Ok(self.links.len() - 1)
    }
}
