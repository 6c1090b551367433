//! Reads the tables of this folder.
//! In: lines of cells between ` | `. Out: rows, repetitions written out.

use anyhow::{Result, ensure};

/// One line of a table that is neither a comment nor empty.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its number in the file, for messages.
    pub(crate) number: usize,
    /// Its cells, without the blanks around them.
    pub(crate) cells: Vec<String>,
}

/// The lines of a table, each of exactly `width` cells.
pub(crate) fn lines(text: &str, width: usize) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let number = at + 1;
        // So that empty cells have a blank on each side as well.
        let cells: Vec<String> = format!(" {line} ")
            .replace("| |", "|  |")
            .replace("| |", "|  |")
            .split(" | ")
            .map(|cell| written_out(cell.trim_matches(' ')))
            .collect();
        ensure!(
            cells.len() == width,
            "line {number} has {} cells, not {width}: {line}",
            cells.len()
        );
        lines.push(Line { number, cells });
    }
    Ok(lines)
}

/// `<x*3>` is xxx and `<U+00A0>` that character; any other `<` is itself.
fn written_out(cell: &str) -> String {
    let meant = |inside: &str| {
        if let Some(code) = inside.strip_prefix("U+") {
            return char::from_u32(u32::from_str_radix(code, 16).ok()?).map(String::from);
        }
        let (what, times) = inside.rsplit_once('*')?;
        Some(what.repeat(times.parse().ok()?))
    };
    let mut out = String::new();
    let mut rest = cell;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let closed = after.split_once('>');
        rest = after;
        if let Some((text, behind)) =
            closed.and_then(|(inside, behind)| Some((meant(inside)?, behind)))
        {
            out.push_str(&text);
            rest = behind;
        } else {
            out.push('<');
        }
    }
    out.push_str(rest);
    out
}

/// A value of Postgres in one or more columns, and the field that shows it.
#[derive(Debug)]
pub(crate) struct Value {
    /// Name of the field, and of its column if it has one.
    pub(crate) name: String,
    /// Columns with their types.
    pub(crate) columns: Vec<(String, String)>,
    /// As SQL, one expression per column.
    pub(crate) sql: String,
    /// The field in a schema file.
    pub(crate) field: String,
}

impl Value {
    /// From the first three cells of a line; `stem` and the line's number make the name.
    pub(crate) fn new(stem: char, line: &Line) -> Result<Self> {
        let [types, sql, field, ..] = line.cells.as_slice() else {
            anyhow::bail!("line {} has no field", line.number);
        };
        let name = format!("{stem}{:03}", line.number);
        let types: Vec<&str> = types.split("; ").filter(|kind| !kind.is_empty()).collect();
        let columns = match types.as_slice() {
            [one] => vec![(name.clone(), (*one).to_owned())],
            several => {
                let mut letters = 'a'..='z';
                several
                    .iter()
                    .map(|kind| {
                        let letter = letters.next().unwrap_or_default();
                        (format!("{name}{letter}"), (*kind).to_owned())
                    })
                    .collect()
            }
        };
        let mut field = field.replacen(": _", &format!(": {name}"), 1);
        for (at, column) in [("@a", "a"), ("@b", "b"), ("@_", "")] {
            field = field.replace(at, &format!("{name}{column}"));
        }
        Ok(Self {
            columns,
            sql: sql.clone(),
            field,
            name,
        })
    }
}

/// `column type, …`, each with a comma before it.
pub(crate) fn columns(values: &[Value]) -> String {
    let columns = values.iter().flat_map(|value| &value.columns);
    let columns: Vec<_> = columns
        .map(|(name, kind)| format!(", {name} {kind}"))
        .collect();
    columns.concat()
}

/// A schema file over table `t` with one field per value.
pub(crate) fn schema(values: &[Value]) -> String {
    let fields: Vec<_> = values
        .iter()
        .map(|value| format!("  - {{ {} }}\n", value.field))
        .collect();
    format!("version: 1\ntable: t\nfields:\n{}", fields.concat())
}

#[test]
fn cells_are_written_out() -> Result<()> {
    let lines = lines("# no\n\n | | a <x*3><U+0041> < b<c | 1 |2 | \n", 5)?;
    assert_eq!(
        lines[0].cells,
        ["", "", "a xxxA < b<c", "1 |2", ""].map(str::to_owned)
    );
    Ok(())
}
