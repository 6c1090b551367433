//! Names of schemas, tables, columns and document keys: plain ones, and those that break careless SQL.

use super::dice::Dice;

/// Where tables and types live.
pub(super) const SCHEMAS: [&str; 3] = ["public", "crm", "Mixed Case"];

const TABLES: [&str; 28] = [
    "shops", "orders", "lines", "users", "tags", "venues", "items", "notes", "parts", "links",
    // Reserved words, and names that generated SQL may use for itself.
    "order", "user", "table", "group", "select", "t0", "t1", "o", "rows", "r", "d", "u", "figure",
    // Only quoted.
    "Reviews", "my table", "we\"ird", "größe", "x-y.z",
];

const COLUMNS: [&str; 44] = [
    "name",
    "title",
    "state",
    "price",
    "note",
    "kind",
    "code",
    "label",
    "amount",
    "created_at",
    "valid",
    "flag",
    "size",
    "body",
    "score",
    "ref",
    "email",
    "rank",
    "extra",
    "data",
    "order",
    "select",
    "from",
    "user",
    "default",
    "null",
    "end",
    "n",
    "k1",
    "j",
    "o",
    "e",
    "f",
    "u",
    "i",
    "row_id",
    "document",
    "requested_id",
    "userName",
    "Select",
    "my col",
    "q\"t",
    "über",
    "a$1",
];

/// As long as Postgres allows.
const LONGEST: &str = "a_column_whose_name_is_as_long_as_names_may_be_in_this_database";

pub(super) fn schema(dice: &mut Dice) -> &'static str {
    dice.weighted([(6, "public"), (3, "crm"), (1, "Mixed Case")])
}

/// A name for the table number `at`.
pub(super) fn table(dice: &mut Dice, taken: &[String]) -> String {
    fresh(&TABLES, dice, taken)
}

pub(super) fn column(dice: &mut Dice, taken: &[String]) -> String {
    if dice.chance(2) && !taken.iter().any(|name| name == LONGEST) {
        return LONGEST.to_owned();
    }
    fresh(&COLUMNS, dice, taken)
}

fn fresh<const N: usize>(names: &[&'static str; N], dice: &mut Dice, taken: &[String]) -> String {
    // Half of all names are ordinary: they stand first in the lists.
    let from = if dice.chance(55) { N / 2 } else { N };
    let at = dice.below(from);
    let name = names.get(at).copied().unwrap_or("x");
    let mut candidate = name.to_owned();
    let mut number = 2;
    while taken.contains(&candidate) {
        candidate = format!("{name}{number}");
        number += 1;
    }
    candidate
}

/// A document key; often one that names `column`, so that the file need not.
pub(super) fn field(dice: &mut Dice, column: &str, taken: &mut Vec<String>) -> String {
    let is_key = |name: &str| {
        let mut bytes = name.bytes();
        bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && name.len() <= 60
    };
    let mut candidate = if is_key(column) && dice.chance(65) {
        column.to_owned()
    } else {
        dice.word([
            "a", "b", "theName", "value", "X", "member", "items", "list", "o", "j", "ref", "_x",
            "Total", "select", "k1",
        ])
        .to_owned()
    };
    if dice.chance(10) {
        candidate = candidate.to_uppercase();
    }
    let base = candidate.clone();
    let mut number = 2;
    while taken.contains(&candidate) {
        candidate = format!("{base}{number}");
        number += 1;
    }
    taken.push(candidate.clone());
    candidate
}

/// The name as SQL writes it.
pub(super) fn sql(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether a file may write the name without quotes.
pub(super) fn is_plain(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c == '_' || !c.is_ascii();
    let mut characters = name.chars();
    characters.next().is_some_and(letter)
        && characters.all(|c| letter(c) || c.is_ascii_digit() || c == '$')
}
