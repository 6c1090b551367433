//! Scalar fields with their siblings, constants, options.

use super::dice::Dice;
use super::model::{Column, Kind, Link, Literal, Plan, Scalar};
use super::types::{Base, Type};
use super::values;
use super::yaml::Yaml;
use crate::language::case::Size;

pub(super) fn scalar(dice: &mut Dice, plan: &Plan, column: &Column, at: usize) -> Option<Scalar> {
    let tags = column.ty.base.tags();
    let (spellings, mappings) = column.ty.base.custom();
    let custom = if !mappings.is_empty() && dice.chance(15) {
        let count = dice.between(1, 2);
        let mut types = dice.some(spellings, count);
        if dice.chance(30) {
            types.push("macaddr8");
        }
        let mapping = dice.pick(mappings)?;
        let opensearch = if dice.chance(50) {
            Yaml::plain(mapping)
        } else {
            Yaml::map([
                ("type", Yaml::plain(mapping)),
                ("index", Yaml::plain("true")),
            ])
        };
        // Not every mapping takes it.
        let takes_index = !mapping.contains("range") && mapping != "binary";
        let opensearch = if takes_index {
            opensearch
        } else {
            Yaml::map([("type", Yaml::plain(mapping))])
        };
        Some((types, opensearch))
    } else {
        None
    };
    // The tag made for the type stands first.
    let tag = if custom.is_some() {
        "custom"
    } else if dice.chance(35) {
        tags.first().copied()?
    } else {
        dice.pick(tags)?
    };
    let is_text = column.ty.base.is_text() || column.ty.base == Base::Enum;
    let takes_transforms = is_text && matches!(tag, "text" | "identifier" | "keyword" | "enum");
    let transforms = if takes_transforms && dice.chance(25) {
        dice.one_of([
            vec!["trim"],
            vec!["lowercase"],
            vec!["trim", "lowercase"],
            vec!["lowercase", "trim"],
            vec![],
        ])
    } else {
        Vec::new()
    };
    let default = if !column.ty.is_array && dice.chance(18) {
        default(dice, plan, column)
    } else {
        None
    };
    let variants = (tag == "enum" && dice.chance(50)).then(|| variants(dice, plan, column));
    Some(Scalar {
        tag,
        column: at,
        required: dice.chance(18).then(|| dice.chance(60)),
        transforms,
        default,
        variants,
        custom,
    })
}

/// What stands for null: of the column's type, without its modifier.
fn default(dice: &mut Dice, plan: &Plan, column: &Column) -> Option<Yaml> {
    if matches!(column.ty.base, Base::Json | Base::Jsonb) {
        return Some(dice.one_of([
            Yaml::map([("none", Yaml::plain("true"))]),
            Yaml::list([Yaml::plain("1"), Yaml::text("x")]),
            Yaml::plain("7"),
            Yaml::plain("false"),
        ]));
    }
    // Longer than some columns allow.
    if column.ty.is_text_like() && column.ty.base != Base::Name && dice.chance(30) {
        return Some(Yaml::text(
            "  A default that is LONGER than its column allows  ",
        ));
    }
    value(dice, plan, column.ty)
}

/// A value of a type, as a file writes it.
pub(super) fn value(dice: &mut Dice, plan: &Plan, ty: Type) -> Option<Yaml> {
    let labels = plan
        .enums
        .get(ty.enumeration)
        .map(|one| one.labels.clone())
        .unwrap_or_default();
    let tame = plan.size == Size::Accepted;
    // A few tries: it may be one that is too long for a file.
    (0..4).find_map(|_| {
        match values::sample(
            Type {
                is_array: false,
                ..ty
            },
            dice,
            &labels,
            tame,
        ) {
            Literal::Text(text) if text.len() < 100 => Some(written(dice, ty.base, text)),
            Literal::Text(_) | Literal::Null | Literal::LongKey(_) | Literal::Toasted(..) => None,
        }
    })
}

/// A text as a number or boolean where it is one, else quoted.
pub(super) fn written(dice: &mut Dice, base: Base, text: String) -> Yaml {
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite)
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'))
        && !text.ends_with('.');
    let leading_zero = text.trim_start_matches('-').len() > 1
        && text.trim_start_matches('-').starts_with('0')
        && !text.contains('.');
    if base.is_number() && is_number && !leading_zero && dice.chance(70) {
        return Yaml::Plain(text);
    }
    match (base, text.as_str()) {
        (Base::Boolean, "true" | "false") if dice.chance(70) => Yaml::Plain(text),
        (Base::Real | Base::Double | Base::Numeric, "NaN") if dice.chance(40) => {
            Yaml::plain(".nan")
        }
        (Base::Real | Base::Double | Base::Numeric, "Infinity") if dice.chance(40) => {
            Yaml::plain(".inf")
        }
        _ => Yaml::Text(text),
    }
}

fn variants(dice: &mut Dice, plan: &Plan, column: &Column) -> Vec<String> {
    let mut variants = if column.ty.base == Base::Enum {
        plan.enums
            .get(column.ty.enumeration)
            .map(|one| one.labels.clone())
            .unwrap_or_default()
    } else {
        ["alpha", "Beta", "B-52", "a\\Eb", "x y"]
            .map(str::to_owned)
            .to_vec()
    };
    dice.shuffle(&mut variants);
    if dice.chance(30) {
        variants.truncate(2);
    }
    variants
}

pub(super) fn constant(dice: &mut Dice) -> (Yaml, Option<Yaml>) {
    let value = dice.one_of([
        Yaml::text("show"),
        Yaml::text("o'k \"q\" \\ \n é"),
        Yaml::plain("7"),
        Yaml::plain("-9223372036854775808"),
        Yaml::plain("1.50"),
        Yaml::plain("1e3"),
        Yaml::plain("true"),
        Yaml::plain("null"),
        Yaml::plain("no"),
        Yaml::list([Yaml::text("b"), Yaml::text("a")]),
        Yaml::list([Yaml::plain("1"), Yaml::plain("2")]),
        Yaml::list([Yaml::plain("true"), Yaml::plain("false")]),
        Yaml::list([]),
        Yaml::map([
            ("b", Yaml::plain("1")),
            ("a", Yaml::list([Yaml::plain("null"), Yaml::text("x")])),
        ]),
    ]);
    let is_keyword = matches!(&value, Yaml::Text(_));
    let options =
        (is_keyword && dice.chance(20)).then(|| Yaml::map([("index", Yaml::plain("false"))]));
    (value, options)
}

/// Mapping parameters that the field's own mapping takes.
pub(super) fn options(dice: &mut Dice, kind: &Kind) -> Option<Yaml> {
    if !dice.chance(14) {
        return None;
    }
    let off = || Yaml::plain("false");
    Some(match kind {
        Kind::Scalar(scalar) => match scalar.tag {
            "text" | "identifier" => dice.one_of([
                Yaml::map([("index", off())]),
                Yaml::map([("analyzer", Yaml::plain("standard"))]),
                Yaml::map([(
                    "fields",
                    Yaml::map([(
                        "raw",
                        Yaml::map([
                            ("type", Yaml::plain("keyword")),
                            ("ignore_above", Yaml::plain("100")),
                        ]),
                    )]),
                )]),
            ]),
            "keyword" | "uuid" | "time" | "enum" => dice.one_of([
                Yaml::map([("ignore_above", Yaml::plain("50"))]),
                Yaml::map([("fields", Yaml::map([]))]),
                Yaml::map([("doc_values", off())]),
            ]),
            "boolean" | "short" | "integer" | "long" | "float" | "double" | "decimal" | "date"
            | "timestamp" => Yaml::map([("index", off())]),
            "binary" => Yaml::map([("store", Yaml::plain("true"))]),
            _ => return None,
        },
        Kind::Point { .. } | Kind::PointColumn { .. } => {
            Yaml::map([("ignore_malformed", Yaml::plain("true"))])
        }
        Kind::Map { .. } => Yaml::map([("dynamic", Yaml::plain("true"))]),
        Kind::Join(join) => match join.link {
            Link::Column { .. } => Yaml::map([("dynamic", Yaml::text("strict"))]),
            _ if join.verb == "has_one" => Yaml::map([("dynamic", Yaml::text("strict"))]),
            Link::ForeignKey { .. } | Link::Through { .. } => dice.one_of([
                Yaml::map([("type", Yaml::plain("object"))]),
                Yaml::map([("include_in_parent", Yaml::plain("true"))]),
            ]),
        },
        Kind::Aggregate(aggregate) if matches!(aggregate.figure, "count" | "avg") => {
            Yaml::map([("index", off())])
        }
        Kind::Aggregate(_) | Kind::Object(_) | Kind::Constant(_) => return None,
    })
}
