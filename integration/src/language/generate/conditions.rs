//! Random filters.

use super::dice::Dice;
use super::model::{Column, Filter, Literal, Piece, Plan, Table};
use super::scalars;
use super::types::Base;
use super::yaml::Yaml;

pub(super) fn filter(dice: &mut Dice, plan: &Plan, table: &Table) -> Option<Filter> {
    let columns: Vec<usize> = table.existing().collect();
    let at = dice.pick(&columns)?;
    if dice.chance(14) {
        return Some(Filter::Raw(raw(dice, table, at)));
    }
    let column = table.column(at);
    let is_plain = !column.ty.is_array && column.ty.has_order();
    let op = if !is_plain {
        dice.word(["is_null", "is_not_null"])
    } else if column.ty.is_text_like() && dice.chance(25) {
        dice.word(["like", "ilike"])
    } else {
        dice.weighted([
            (10, "is_null"),
            (14, "is_not_null"),
            (10, "eq"),
            (14, "neq"),
            (9, "lt"),
            (9, "lte"),
            (9, "gt"),
            (9, "gte"),
            (10, "in"),
            (10, "not_in"),
            (8, "between"),
        ])
    };
    let value = match op {
        "is_null" | "is_not_null" => None,
        "like" | "ilike" => Some(Yaml::text(
            dice.word(["%a%", "B%", "_eta", "%\\%%", "", "%É%", "k%"]),
        )),
        "in" | "not_in" => {
            let count = dice.between(1, 3);
            let values: Option<Vec<Yaml>> =
                (0..count).map(|_| operand(dice, plan, column)).collect();
            Some(Yaml::List(values?))
        }
        "between" => Some(Yaml::List(vec![
            operand(dice, plan, column)?,
            operand(dice, plan, column)?,
        ])),
        _ => Some(operand(dice, plan, column)?),
    };
    Some(Filter::Column {
        column: at,
        op,
        value,
    })
}

/// A value to compare with, mostly one that rows hold.
fn operand(dice: &mut Dice, plan: &Plan, column: &Column) -> Option<Yaml> {
    let held: Vec<String> = column
        .palette
        .iter()
        .filter_map(|literal| match literal {
            Literal::Text(text) if text.len() < 100 => Some(text.clone()),
            Literal::Text(_) | Literal::Null | Literal::LongKey(_) | Literal::Toasted(..) => None,
        })
        .collect();
    if held.is_empty() {
        return scalars::value(dice, plan, column.ty);
    }
    let text = dice.pick(&held)?;
    Some(scalars::written(dice, column.ty.base, text))
}

/// A condition in SQL that reads one row of one table, and does not always stand well without
/// parentheses.
fn raw(dice: &mut Dice, table: &Table, at: usize) -> Vec<Piece> {
    let sql = |text: &str| Piece::Sql(text.to_owned());
    let column = |dice: &mut Dice, at| {
        if dice.chance(50) {
            Piece::Column(at)
        } else {
            Piece::Qualified(at)
        }
    };
    let a = column(dice, at);
    let booleans: Vec<usize> = table
        .existing()
        .filter(|at| table.column(*at).ty.base == Base::Boolean && !table.column(*at).ty.is_array)
        .collect();
    let numbers: Vec<usize> = table
        .existing()
        .filter(|at| table.column(*at).ty.base.is_number() && !table.column(*at).ty.is_array)
        .collect();
    if let Some(boolean) = dice.pick(&booleans)
        && dice.chance(40)
    {
        let b = column(dice, boolean);
        return vec![b, sql(" OR "), a, sql(" IS NULL")];
    }
    if let Some(number) = dice.pick(&numbers)
        && dice.chance(50)
    {
        let b = column(dice, number);
        return match dice.below(3) {
            0 => vec![b, sql(" > 1 OR "), a, sql(" IS NULL")],
            1 => vec![sql("coalesce("), b, sql(", 0) < 3")],
            _ => vec![
                sql("CASE WHEN "),
                b,
                sql(" = 2 THEN false WHEN "),
                b_again(number),
                sql(" = 3 THEN NULL ELSE true END"),
            ],
        };
    }
    match dice.below(4) {
        0 => vec![sql("length("), a, sql("::text) > 2")],
        1 => vec![
            a,
            sql("::text LIKE '%a%' OR "),
            Piece::Column(at),
            sql(" IS NULL"),
        ],
        2 => vec![sql("left("), a, sql("::text, 1) IN ('a', '2', 'B', '1')")],
        _ => vec![a, sql("::text <> 'o''k /* not a comment' AND true")],
    }
}

fn b_again(number: usize) -> Piece {
    Piece::Qualified(number)
}
