//! Rows to documents, field by field, straight after the words of the language reference.

use std::cmp::Ordering;

use anyhow::{Context, Result};

use super::figures::Figures;
use super::shape::{Field, Order, Related, Shape, SoftDelete, TableAt, What};
use super::tables::{Slot, Tables};
use super::value::key_text;
use super::{Documents, Json, id};

type Row = [Option<String>];

/// Everything that a document is made of.
pub(super) struct Builder<'s> {
    pub(super) shape: &'s Shape,
    pub(super) tables: &'s Tables,
    pub(super) figures: &'s Figures,
}

impl Builder<'_> {
    pub(super) fn build_all(&self) -> Result<Documents> {
        let shape = self.shape;
        let mut documents = Documents::new();
        for (at, row) in self.rows(shape.root)?.iter().enumerate() {
            if !all_true(row, &shape.conditions) || is_deleted(shape.soft_delete.as_ref(), row) {
                continue;
            }
            let id = id::written(&self.key(shape.root, row, &shape.key)?);
            documents.insert(id, self.object(&shape.fields, shape.root, at)?);
        }
        Ok(documents)
    }

    fn rows(&self, table: TableAt) -> Result<&Vec<Vec<Option<String>>>> {
        self.tables.rows.get(table).context("an unknown table")
    }

    fn row(&self, table: TableAt, at: usize) -> Result<&Row> {
        Ok(self.rows(table)?.get(at).context("an unknown row")?)
    }

    /// The texts of a key.
    fn key(&self, table: TableAt, row: &Row, key: &[Slot]) -> Result<Vec<String>> {
        let asked = self.shape.tables.get(table).context("an unknown table")?;
        key.iter()
            .map(|slot| {
                let text = text(row, *slot).context("a NULL in a key")?;
                let column = asked.described.columns.get(*slot).context("no column")?;
                Ok(key_text(&column.kind, text))
            })
            .collect()
    }

    fn object(&self, fields: &[Field], table: TableAt, at: usize) -> Result<Json> {
        let members = fields.iter().map(|field| {
            let value = self
                .value(&field.what, table, at)
                .with_context(|| format!("field {}", field.name))?;
            Ok((field.name.clone(), value))
        });
        Ok(Json::Object(members.collect::<Result<_>>()?))
    }

    fn value(&self, what: &What, table: TableAt, at: usize) -> Result<Json> {
        let row = self.row(table, at)?;
        match what {
            What::Constant(value) => Ok(value.clone()),
            What::Value(reading) => reading.of(row),
            What::Point { lat, lon } => Ok(match (lat.of(row)?, lon.of(row)?) {
                (Json::Null, _) | (_, Json::Null) => Json::Null,
                (lat, lon) => Json::Object(vec![("lat".to_owned(), lat), ("lon".to_owned(), lon)]),
            }),
            What::Object(fields) => self.object(fields, table, at),
            What::Join {
                to,
                fields,
                order,
                is_one,
                limit,
            } => {
                let mut rows = self.sorted(to, at, order)?;
                rows.truncate(limit.unwrap_or(usize::MAX));
                let mut documents = rows
                    .into_iter()
                    .map(|row| self.object(fields, to.table, row));
                match is_one {
                    true => documents.next().unwrap_or(Ok(Json::Null)),
                    false => Ok(Json::Array(documents.collect::<Result<_>>()?)),
                }
            }
            What::Count(to) => Ok(Json::Number(
                related(self.tables, to, at)?.len().to_string(),
            )),
            What::Figure(figure) => self.figures.of(*figure, at),
            What::Extreme {
                to,
                rank,
                value,
                is_max,
            } => {
                let mut rows = Vec::new();
                for at in related(self.tables, to, at)? {
                    let row = self.row(to.table, at)?;
                    if text(row, value.slot).is_some() {
                        rows.push((number(row, *rank)?, row));
                    }
                }
                let ranks = rows.iter().map(|(rank, _)| *rank);
                let Some(wanted) = (if *is_max { ranks.max() } else { ranks.min() }) else {
                    return Ok(Json::Null);
                };
                let best = rows.iter().filter(|(rank, _)| *rank == wanted);
                let values = best.map(|(_, row)| value.of(row));
                one_of(values.collect::<Result<_>>()?)
            }
            What::Ids {
                to,
                order,
                key,
                single,
            } => {
                let mut ids = Vec::new();
                for at in self.sorted(to, at, order)? {
                    let row = self.row(to.table, at)?;
                    ids.push(match single {
                        Some(reading) => reading.of(row)?,
                        None => Json::String(id::written(&self.key(to.table, row, key)?)),
                    });
                }
                Ok(Json::Array(ids))
            }
        }
    }

    fn sorted(&self, to: &Related, at: usize, order: &[Order]) -> Result<Vec<usize>> {
        let mut rows = Vec::new();
        for at in related(self.tables, to, at)? {
            let row = self.row(to.table, at)?;
            let mut places = Vec::new();
            for by in order {
                let rank = number(row, by.rank)?;
                // NULLs stand before (-1) or after (1) all values.
                places.push(match text(row, by.column) {
                    Some(_) if by.is_descending => (0, -rank),
                    Some(_) => (0, rank),
                    None if by.nulls_first => (-1, 0),
                    None => (1, 0),
                });
            }
            rows.push((places, at));
        }
        rows.sort_by(|left, right| match left.0.cmp(&right.0) {
            // Without a key there is no order to check.
            Ordering::Equal => left.1.cmp(&right.1),
            order => order,
        });
        Ok(rows.into_iter().map(|(_, at)| at).collect())
    }
}

/// The rows that belong to row `at`: each once, however often it is linked, and only those that pass
/// the conditions.
pub(super) fn related(tables: &Tables, to: &Related, at: usize) -> Result<Vec<usize>> {
    let mut rows = vec![at];
    for link in &to.links {
        let pairs = tables.pairs.get(*link).context("an unknown link")?;
        let mut next = Vec::new();
        for row in rows {
            next.extend(pairs.get(row).context("an unknown row")?);
        }
        next.sort_unstable();
        next.dedup();
        rows = next;
    }
    let table = tables.rows.get(to.table).context("an unknown table")?;
    rows.retain(|at| {
        table
            .get(*at)
            .is_some_and(|row| all_true(row, &to.conditions))
    });
    Ok(rows)
}

fn text(row: &Row, slot: Slot) -> Option<&str> {
    row.get(slot)?.as_deref()
}

fn number(row: &Row, slot: Slot) -> Result<i64> {
    Ok(text(row, slot).context("no rank")?.parse()?)
}

fn all_true(row: &Row, conditions: &[Slot]) -> bool {
    conditions
        .iter()
        .all(|condition| text(row, *condition) == Some("t"))
}

/// Set is a boolean that is true, or anything else that is not NULL; every `when` must be true too.
fn is_deleted(rule: Option<&SoftDelete>, row: &Row) -> bool {
    let Some(rule) = rule else { return false };
    let is_set = match text(row, rule.marker) {
        None => false,
        Some(value) => !rule.is_boolean || value == "t",
    };
    is_set && all_true(row, &rule.when)
}

/// Values that Postgres takes for equal: numbers may differ in their zeros, and any of them will do.
fn one_of(values: Vec<Json>) -> Result<Json> {
    let mut values = values.into_iter();
    let first = values.next().context("no value")?;
    match &first {
        Json::Number(text) if values.any(|other| other != first) => Ok(Json::Near {
            value: text.parse()?,
            within: 0.0,
        }),
        _ => Ok(first),
    }
}
