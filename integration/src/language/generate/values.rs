//! Values of every type as Postgres reads them: ordinary ones, and the corners of the value table.

use super::dice::Dice;
use super::model::Literal;
use super::types::{Base, Type};

/// How long a text must be so that it lies outside its row; an index on it still has room.
pub(super) const LONG_KEY: usize = 2400;

/// A value that is likely to stand again elsewhere, `n` being which. Different `n` give different
/// values, in the eyes of `=` too.
pub(super) fn key(base: Base, n: usize, labels: &[String]) -> Option<Literal> {
    const TEXTS: [&str; 16] = [
        "a",
        "b",
        "a:b",
        "a\\b",
        "\\",
        ":",
        "",
        " ",
        "A b",
        "Ü-1",
        "日本",
        "o'k",
        "\"q\"",
        "NULL",
        "sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "a::\\:b",
    ];
    let text = match base {
        Base::Text | Base::Varchar => match n {
            16 => return Some(Literal::LongKey(1)),
            17 => return Some(Literal::LongKey(2)),
            18 => "x".repeat(512),
            19 => "é".repeat(257),
            _ => TEXTS
                .get(n)
                .map_or_else(|| format!("k{n}"), |text| (*text).to_owned()),
        },
        Base::Citext => format!("{}{n}", if n.is_multiple_of(2) { "Key" } else { "key" }),
        Base::Char => format!("c{n}"),
        Base::Name => format!("N{n}"),
        Base::Enum => labels.get(n)?.clone(),
        Base::Uuid => format!("a0eebc99-9c0b-4ef8-bb6d-{n:012x}"),
        Base::Boolean => ["true", "false"].get(n)?.to_string(),
        Base::Int2 | Base::Int4 => match n {
            7 => "-7".to_owned(),
            _ => n.to_string(),
        },
        Base::Oid => n.to_string(),
        Base::Int8 => match n {
            5 => "9007199254740993".to_owned(),
            7 => "-7".to_owned(),
            _ => n.to_string(),
        },
        Base::Real | Base::Double => format!("{n}.5"),
        Base::Numeric => match n {
            3 => "3.00".to_owned(),
            4 => "0.10".to_owned(),
            5 => "12345678901234567890".to_owned(),
            _ => n.to_string(),
        },
        Base::Money => format!("{n}.25"),
        Base::Date => match n {
            3 => "0044-03-15 BC".to_owned(),
            4 => "infinity".to_owned(),
            5 => "12345-01-01".to_owned(),
            _ => format!("2024-{:02}-{:02}", n / 28 % 12 + 1, n % 28 + 1),
        },
        Base::Timestamp => format!("2024-01-{:02} 10:00:00", n % 28 + 1),
        Base::Timestamptz => format!("2024-01-{:02} 10:00:00.5+02", n % 28 + 1),
        Base::Time => format!("10:{:02}:00", n % 60),
        Base::Timetz => format!("10:{:02}:00+02", n % 60),
        Base::Bytea => format!("\\x{n:02x}"),
        Base::Interval => format!("{n} minutes"),
        Base::Inet => match n {
            3 => "10.0.0.0/8".to_owned(),
            4 => "::1".to_owned(),
            _ => format!("10.0.1.{n}"),
        },
        Base::Cidr => format!("10.{n}.0.0/16"),
        Base::Macaddr => format!("08:00:2b:01:02:{n:02x}"),
        Base::Bit
        | Base::Varbit
        | Base::Json
        | Base::Jsonb
        | Base::Int4range
        | Base::Int8range
        | Base::Numrange
        | Base::Daterange
        | Base::Tsrange
        | Base::Tstzrange
        | Base::Int4multirange
        | Base::Datemultirange
        | Base::Xml
        | Base::PgLsn
        | Base::Tsvector
        | Base::Geometric => return None,
    };
    Some(Literal::Text(text))
}

/// A value of a type; `tame` keeps to what OpenSearch accepts whatever the file makes of it.
pub(super) fn sample(ty: Type, dice: &mut Dice, labels: &[String], tame: bool) -> Literal {
    if !ty.is_array {
        let can_be_long = matches!(ty.base, Base::Text | Base::Citext | Base::Jsonb)
            || (ty.base == Base::Varchar && ty.modifier.is_empty());
        if can_be_long && dice.chance(3) {
            let around = if ty.base == Base::Jsonb { "jsonb" } else { "" };
            return Literal::Toasted(dice.between(1, 4), around);
        }
        return Literal::Text(one(ty.base, dice, labels, tame));
    }
    if dice.chance(10) {
        return Literal::Text("{}".to_owned());
    }
    let element = |dice: &mut Dice| {
        if dice.chance(15) {
            "NULL".to_owned()
        } else {
            let text = one(ty.base, dice, labels, tame);
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
    };
    if dice.chance(12) {
        let rows: Vec<String> = (0..2)
            .map(|_| format!("{{{},{}}}", element(dice), element(dice)))
            .collect();
        return Literal::Text(format!("{{{}}}", rows.join(",")));
    }
    let count = dice.between(1, 3);
    let elements: Vec<String> = (0..count).map(|_| element(dice)).collect();
    let bounds = if dice.chance(8) {
        format!("[2:{}]=", count + 1)
    } else {
        String::new()
    };
    Literal::Text(format!("{bounds}{{{}}}", elements.join(",")))
}

/// One value of a base type.
fn one(base: Base, dice: &mut Dice, labels: &[String], tame: bool) -> String {
    if base == Base::Enum {
        return dice.pick(labels).unwrap_or_default();
    }
    let corners = corners(base, tame);
    let from = if corners.is_empty() || dice.chance(65) {
        ordinary(base)
    } else {
        corners
    };
    dice.pick(from).unwrap_or_default().to_owned()
}

const fn ordinary(base: Base) -> &'static [&'static str] {
    match base {
        Base::Text | Base::Varchar | Base::Citext => &[
            "alpha",
            "Beta",
            " gamma ",
            "DELTA",
            "B-52",
            "x y",
            "été",
            "10",
            "Zeta Ünit",
        ],
        Base::Char => &["ab", "C", "d"],
        Base::Name => &["pg", "Some Name", "x"],
        Base::Enum => &[],
        Base::Uuid => &[
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A12",
            "{00000000-0000-0000-0000-000000000000}",
        ],
        Base::Boolean => &["true", "false"],
        Base::Int2 | Base::Int4 | Base::Int8 => &["0", "1", "2", "3", "-5", "42", "100"],
        Base::Oid => &["0", "1", "16384"],
        Base::Real | Base::Double => &["0", "0.1", "10", "-2.5", "3.25", "1e10"],
        Base::Numeric => &["0", "10.50", "-3", "0.1", "99.99"],
        Base::Money => &["1234.50", "0", "-1.25"],
        Base::Date => &["2024-02-29", "2023-12-31", "1970-01-01"],
        Base::Timestamp => &[
            "2024-02-29 13:14:15.5",
            "2024-02-29 13:14:15",
            "1999-12-31 23:59:59",
        ],
        Base::Timestamptz => &["2024-02-29 13:14:15.5+02", "2024-01-01 00:00:00+00"],
        Base::Time => &["13:14:15.5", "00:00:00", "23:59:59"],
        Base::Timetz => &["13:14:15+02", "23:30:00-05", "00:15:00+10"],
        Base::Bytea => &["\\x00ff", "\\xdeadbeef", "\\x"],
        Base::Json => &[
            "{\"a\": 1}",
            "[1, \"x\", null]",
            "\"text\"",
            "12.50",
            "null",
        ],
        Base::Jsonb => &["{\"b\": {\"c\": [true]}}", "[]", "{}", "1.10", "null"],
        Base::Interval => &["1 day 02:03:00", "1 year 2 mons", "-3 days", "0"],
        Base::Inet => &["10.1.2.3", "192.168.0.1/24", "::1", "2001:db8::1/64"],
        Base::Cidr => &["10.0.0.0/8", "2001:db8::/32"],
        Base::Macaddr => &["08:00:2b:01:02:03"],
        Base::Bit => &["1", "0"],
        Base::Varbit => &["101", "", "1"],
        Base::Int4range => &["[1,5)", "(,3]", "[7,7]"],
        Base::Int8range => &["[1,9007199254740993)", "(,0)"],
        Base::Numrange => &["[1.5,2.50]", "(0.1,9)"],
        Base::Daterange => &["[2024-01-01,2024-02-01)", "[2024-03-01,)"],
        Base::Tsrange => &["[2024-01-01 10:00,2024-01-01 11:00)"],
        Base::Tstzrange => &["[2024-01-01 10:00+02,2024-01-02 10:00+02]"],
        Base::Int4multirange => &["{[1,3),[5,8)}", "{[2,3)}"],
        Base::Datemultirange => &["{[2024-01-01,2024-01-03)}"],
        Base::Xml => &["<a/>", "<b c=\"1\">x &amp; y</b>"],
        Base::PgLsn => &["16/B374D848", "0/0"],
        Base::Tsvector => &["'a':1 'b':2", "cat"],
        Base::Geometric => &["(1,2)", "(0.5,-3)"],
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
const fn corners(base: Base, tame: bool) -> &'static [&'static str] {
    match base {
        Base::Text | Base::Varchar | Base::Citext => &[
            "",
            " ",
            "\t tab \n",
            "a:b\\c",
            "o'Neil \"q\"",
            "{\"a\": 1}",
            "null",
            "NaN",
            "日本語",
            "😀 e\u{301}",
            "\u{1}\u{1f}",
            "a\u{2028}b",
            "C:\\new\\table",
            "%_\\%",
            "\u{a0}nbsp\u{a0}",
            "\u{b}\u{c}",
        ],
        Base::Char => &["", "é", " x"],
        Base::Name => &["", "A\\b:c"],
        Base::Enum | Base::Boolean | Base::Oid | Base::Macaddr | Base::Bit | Base::Varbit => &[],
        Base::Uuid => &["ffffffff-ffff-ffff-ffff-ffffffffffff"],
        Base::Int2 => &["32767", "-32768"],
        Base::Int4 => &["2147483647", "-2147483648"],
        Base::Int8 => &[
            "9223372036854775807",
            "-9223372036854775808",
            "9007199254740993",
        ],
        Base::Real => &["NaN", "Infinity", "-Infinity", "1e-40", "1e30", "-0"],
        Base::Double => &[
            "NaN",
            "Infinity",
            "-Infinity",
            "1e300",
            "5e-324",
            "-0",
            "0.30000000000000004",
        ],
        Base::Numeric => &[
            "NaN",
            "Infinity",
            "-Infinity",
            "123456789012345678901234567890.123456789",
            "1e400",
            "0.00",
            "1.10",
            "1e-20",
        ],
        Base::Money => &["922337203685.07", "-0.01"],
        Base::Date => &[
            "infinity",
            "-infinity",
            "0044-03-15 BC",
            "12345-01-01",
            "0001-01-01 BC",
            "0001-01-01",
            "9999-12-31",
        ],
        Base::Timestamp => &[
            "infinity",
            "-infinity",
            "0044-03-15 12:00:00 BC",
            "12345-01-01 00:00:00",
            "2024-01-01 00:00:00.000001",
            "2024-01-01 24:00:00",
            "9999-12-31 23:59:59.999999",
        ],
        Base::Timestamptz => &[
            "infinity",
            "-infinity",
            "0044-03-15 12:00:00.25+00 BC",
            "12345-01-01 00:00:00+00",
            "9999-12-31 23:30:00-01",
            "0001-01-01 00:30:00+01",
            "2024-01-01 00:00:00.123456+00",
        ],
        Base::Time => &["24:00:00", "00:00:00.000001"],
        Base::Timetz => &["24:00:00+00", "00:00:00.1-15:59"],
        Base::Bytea => &[
            "\\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f4041",
        ],
        Base::Json if tame => &["{\n  \"k\" :\t1.10\n}", "[[], {}]"],
        Base::Json => &[
            "{\n  \"k\" :\t1.10\n}",
            "{\"d\": 1, \"d\": 2}",
            "[1e2, 1E+2, -0]",
            "\"\\u0000\"",
            "\"\\ud800\"",
        ],
        Base::Jsonb => &[
            "[1, \"x\", {\"y\": null}]",
            "\"\\n\"",
            "12345678901234567890.10",
            "{\"\": 1}",
        ],
        Base::Interval => &["1 mon -1 day", "178000000 years", "00:00:00.000001"],
        Base::Inet => &["::ffff:1.2.3.4", "0.0.0.0/0"],
        Base::Cidr => &["0.0.0.0/0"],
        Base::Int4range | Base::Int8range => &["empty", "(,)"],
        Base::Numrange => &["empty", "(,)", "(,10.50]"],
        Base::Daterange => &[
            "empty",
            "(,)",
            "[2024-01-01,infinity)",
            "[-infinity,2024-01-01]",
        ],
        Base::Tsrange => &["empty", "[2024-01-01,infinity]"],
        Base::Tstzrange => &["empty", "(,)", "[-infinity,2024-01-01 00:00+00)"],
        Base::Int4multirange => &["{}", "{(,)}"],
        Base::Datemultirange => &["{}", "{(,2024-01-01),[2025-01-01,)}"],
        Base::Xml => &["text"],
        Base::PgLsn => &["FFFFFFFF/FFFFFFFF"],
        Base::Tsvector => &["'it''s':1A"],
        Base::Geometric => &["(NaN,Infinity)"],
    }
}

/// Latitudes or longitudes.
pub(super) fn degrees(base: Base, dice: &mut Dice, tame: bool) -> Literal {
    let text = if matches!(base, Base::Real | Base::Double | Base::Numeric) && dice.chance(20) {
        dice.word(["NaN", "0", "-0.5"])
    } else if !tame && dice.chance(5) {
        "95"
    } else {
        dice.word(["1", "53", "-9", "45", "0"])
    };
    Literal::Text(text.to_owned())
}

/// Points in a form that `OpenSearch` reads.
pub(super) fn point(base: Base, dice: &mut Dice) -> Literal {
    let text = if matches!(base, Base::Json | Base::Jsonb) {
        dice.word([
            "{\"lat\": 1.5, \"lon\": 2}",
            "[9.98, 53.5]",
            "\"1,2\"",
            "null",
        ])
    } else {
        dice.word(["53.5,9.98", "POINT (9.98 53.5)", "u1x0"])
    };
    Literal::Text(text.to_owned())
}

/// JSON for a map whose values fit `tag`.
pub(super) fn map(tag: &str, dice: &mut Dice, tame: bool) -> Literal {
    let value = match tag {
        "short" | "integer" | "long" => "7",
        "float" | "double" | "decimal" => "1.50",
        "date" => "\"2024-02-29\"",
        "timestamp" => "\"2024-02-29T13:14:15Z\"",
        "uuid" => "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
        _ => "\"Some text\"",
    };
    let text = match dice.below(8) {
        0 => "{}".to_owned(),
        1 => "[1, 2]".to_owned(),
        2 => "\"text\"".to_owned(),
        3 => "null".to_owned(),
        4 if !tame => format!("{{\"a.b\": {value}, \"ä\": null}}"),
        _ => format!("{{\"en\": {value}, \"de\": {value}}}"),
    };
    Literal::Text(text)
}
