//! One index for people: its mapping as a tree, then what it needs of each table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{IndexReport, NeedReport};

/// What every keyword has unless the file says otherwise: not worth a word.
const USUAL_LONGEST: [u64; 2] = [8191, 256];

pub(super) fn index(index: &IndexReport, out: &mut String) {
    let state = if index.enabled { "" } else { ", disabled" };
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "index {} -> {} in {}{state}",
        index.name,
        index.alias,
        index.sinks.join(", ")
    );
    let _ = writeln!(out, "  {}", index.definition);
    mapping(&index.mappings, out);
    match &index.needs {
        None => out.push_str("  needs  not known without the database\n"),
        Some(needs) => needed(needs, out),
    }
    out.push('\n');
}

/// A line of the tree: the name with its branches, and what it is.
struct Line {
    branch: String,
    what: String,
}

fn mapping(mappings: &Value, out: &mut String) {
    let never_null: BTreeSet<&str> = mappings
        .pointer("/_meta/flusso/never_null")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut lines = Vec::new();
    let properties = mappings.get("properties").and_then(Value::as_object);
    branches(properties, "", "", &never_null, &mut lines);
    let width = lines.iter().map(|line| line.branch.chars().count()).max();
    for Line { branch, what } in &lines {
        let gap = width.unwrap_or_default() - branch.chars().count();
        let _ = writeln!(out, "  {branch}{:gap$}  {what}", "");
    }
}

fn branches(
    properties: Option<&Map<String, Value>>,
    stem: &str,
    path: &str,
    never_null: &BTreeSet<&str>,
    lines: &mut Vec<Line>,
) {
    let Some(properties) = properties else { return };
    let last = properties.len().saturating_sub(1);
    for (number, (name, property)) in properties.iter().enumerate() {
        let (branch, below) = if number == last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        let mut what = describe(property);
        if never_null.contains(path.as_str()) {
            what.push_str(", never null");
        }
        lines.push(Line {
            branch: format!("{stem}{branch}{name}"),
            what,
        });
        let inner = property.get("properties").and_then(Value::as_object);
        branches(inner, &format!("{stem}{below}"), &path, never_null, lines);
    }
}

/// `text (flusso_code) +keyword +sort, never null`.
fn describe(property: &Value) -> String {
    let Some(members) = property.as_object() else {
        return property.to_string();
    };
    let word = |key: &str| members.get(key).and_then(Value::as_str);
    let mut what = word("type").unwrap_or("object").to_owned();
    if let Some(analyzer) = word("analyzer") {
        let _ = write!(what, " ({analyzer})");
    }
    if let Some(fields) = members.get("fields").and_then(Value::as_object) {
        for name in fields.keys() {
            let _ = write!(what, " +{name}");
        }
    }
    for (key, value) in members {
        match (key.as_str(), value) {
            ("type" | "analyzer" | "fields" | "properties", _) => {}
            ("enabled", Value::Bool(false)) => what.push_str(", stored only"),
            ("dynamic", Value::Bool(true)) => what.push_str(", any key"),
            ("ignore_above", value)
                if value
                    .as_u64()
                    .is_some_and(|length| USUAL_LONGEST.contains(&length)) => {}
            (key, value) => {
                let _ = write!(what, ", {key}: {value}");
            }
        }
    }
    what
}

const HEADS: [&str; 3] = ["needs of", "routing", "replica identity"];
/// Used columns go on in the next line behind this one: what a terminal shows in one line.
const WIDEST: usize = 96;

fn needed(needs: &[NeedReport], out: &mut String) {
    let rows: Vec<[String; 3]> = needs
        .iter()
        .map(|need| [need.table.clone(), list(&need.routing), identity(need)])
        .collect();
    let heads = HEADS.map(str::to_owned);
    let all: Vec<&[String; 3]> = std::iter::once(&heads).chain(&rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    for (number, row) in all.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let gap = width(column).saturating_sub(cell.chars().count());
            let _ = write!(line, "  {cell}{:gap$}", "");
        }
        let _ = writeln!(out, "{}", line.trim_end());
        if let Some(need) = number.checked_sub(1).and_then(|number| needs.get(number)) {
            used(&need.used, out);
        }
    }
}

fn list(columns: &[String]) -> String {
    match columns {
        [] => "-".to_owned(),
        columns => columns.join(", "),
    }
}

fn used(columns: &[String], out: &mut String) {
    let mut line = String::from("    uses");
    for (number, column) in columns.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        line.push_str(comma);
        if line.chars().count().saturating_add(column.chars().count()) > WIDEST {
            let _ = writeln!(out, "{line}");
            line = String::from("        ");
        }
        let _ = write!(line, " {column}");
    }
    let _ = writeln!(out, "{line}");
}

fn identity(need: &NeedReport) -> String {
    let current = need.current.join(", ").to_uppercase();
    let wanted = need.identity.to_uppercase();
    match (need.current.is_empty(), need.suffices) {
        // A partitioned table without a leaf yet.
        (true, _) => wanted,
        (false, true) => format!("{current} is enough"),
        (false, false) => format!("{current}, needs {wanted}"),
    }
}
