//! Sums and means: the oracle picks the values, Postgres adds them up in the type of its own.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result};
use tokio_postgres::Transaction;

use super::Json;
use super::catalog::{Type, ask, literal};
use super::document::related;
use super::shape::{Figure, Shape};
use super::tables::Tables;
use super::value::written;

/// Per figure: the value of each row that has one.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<HashMap<usize, Json>>);

impl Figures {
    pub(super) fn of(&self, figure: usize, row: usize) -> Result<Json> {
        let values = self.0.get(figure).context("an unknown figure")?;
        Ok(values.get(&row).cloned().unwrap_or(Json::Null))
    }

    pub(super) async fn load(
        snapshot: &Transaction<'_>,
        shape: &Shape,
        tables: &Tables,
    ) -> Result<Self> {
        if shape.figures.is_empty() {
            return Ok(Self::default());
        }
        let mut statements = Vec::new();
        let mut asked = Vec::new();
        for figure in &shape.figures {
            let (statement, magnitude) = question(figure, tables)?;
            statements.push(statement);
            asked.push((figure, magnitude));
        }
        let mut answers = ask(snapshot, &statements.join(";\n")).await?.into_iter();
        let mut figures = Vec::new();
        for (figure, magnitude) in asked {
            let mut values = HashMap::new();
            for row in answers.next().context("a figure without an answer")? {
                let mut cells = row.into_iter();
                let at: usize = cells.next().flatten().context("no row")?.parse()?;
                let text = cells.next().flatten();
                let of_row = magnitude.get(&at).copied().unwrap_or_default();
                values.insert(at, rendered(figure, text.as_deref(), of_row)?);
            }
            figures.push(values);
        }
        Ok(Self(figures))
    }
}

/// The statement that adds up, and per row the sum of the absolute values.
fn question(figure: &Figure, tables: &Tables) -> Result<(String, HashMap<usize, f64>)> {
    let mut owners = Vec::new();
    let mut values = Vec::new();
    let mut magnitudes: HashMap<usize, f64> = HashMap::new();
    let table = tables
        .rows
        .get(figure.to.table)
        .context("an unknown table")?;
    let owning = tables.rows.get(figure.of).context("an unknown table")?;
    for owner in 0..owning.len() {
        for at in related(tables, &figure.to, owner)? {
            let row = table.get(at).context("an unknown row")?;
            if let Some(Some(text)) = row.get(figure.column) {
                owners.push(owner.to_string());
                values.push(text.clone());
                *magnitudes.entry(owner).or_default() +=
                    text.parse::<f64>().unwrap_or_default().abs();
            }
        }
    }
    let typed: Vec<String> = values
        .iter()
        .map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    let figured = match (figure.is_mean, figure.kind.known()) {
        // Beyond doubles: nothing that a tag could write, as infinity is.
        (true, Some("numeric")) => {
            "CASE WHEN abs(avg(v)) > 1.797e308 THEN 'Infinity' ELSE avg(v)::pg_catalog.float8 END"
        }
        // Money has a sum, but no mean.
        (true, Some("money")) => "avg(v::pg_catalog.numeric)::pg_catalog.float8",
        // Their own mean also keeps squares, which overflow.
        (true, Some("real" | "double precision" | "float4" | "float8")) => {
            "sum(v::pg_catalog.float8) / count(v)"
        }
        (true, _) => "avg(v)::pg_catalog.float8",
        (false, Some("money")) => "sum(v)::pg_catalog.numeric",
        (false, _) => "sum(v)",
    };
    let statement = format!(
        "SELECT k, {figured} FROM unnest({}::int[], {}::{}[]) u(k, v) GROUP BY k",
        literal(&format!("{{{}}}", owners.join(","))),
        literal(&format!("{{{}}}", typed.join(","))),
        figure.kind.sql()
    );
    Ok((statement, magnitudes))
}

/// Exact types have exact sums. Floats, and means of anything, depend on the order of the steps.
fn rendered(figure: &Figure, text: Option<&str>, magnitude: f64) -> Result<Json> {
    let name = figure.kind.known();
    let (kind, precision) = match (figure.is_mean, name) {
        (true, Some("float4")) | (_, Some("float8")) => ("float8", Some(1e-9)),
        (true, _) => ("float8", Some(1e-14)),
        (false, Some("float4")) => ("float4", Some(1e-5)),
        (false, Some("int2" | "int4")) => ("int8", None),
        (false, Some("int8" | "numeric" | "money")) => ("numeric", None),
        (false, _) => return written(&figure.kind, figure.form, text),
    };
    let kind: Rc<Type> = Type::built_in(kind);
    let value = written(&kind, figure.form, text)?;
    Ok(match (value, precision) {
        (Json::Number(text), Some(precision)) => Json::Near {
            value: text.parse()?,
            within: precision * magnitude,
        },
        (value, _) => value,
    })
}
