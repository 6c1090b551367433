//! Section 5: every row of the value table, and the sentences under it.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use integration::oracle::Json;

use super::{documents_of, in_database};

/// Types that the rows below use.
const TYPES: &str = "
CREATE TYPE mood AS ENUM ('glad', 'Sad');
CREATE DOMAIN price AS numeric(8,2);
CREATE DOMAIN cheap AS price CHECK (VALUE < 10);
CREATE DOMAIN tags AS text[];
CREATE TYPE floats AS RANGE (subtype = float8);
";

/// (type, tag and its siblings, literal, JSON)
type Case = (&'static str, &'static str, &'static str, &'static str);

/// A value under each tag that the table gives its type.
#[rustfmt::skip]
const ROWS: &[Case] = &[
    // text, varchar, name, citext
    ("text", "text", "'Ab \"c\"\n'", r#""Ab \"c\"\n""#),
    ("text", "identifier", "'x'", r#""x""#),
    ("text", "keyword", "''", r#""""#),
    ("text", "enum", "'x'", r#""x""#),
    ("varchar(5)", "text", "'ab'", r#""ab""#),
    ("name", "keyword", "'ab'", r#""ab""#),
    // char(n): with its padding
    ("char(4)", "text", "'ab'", r#""ab  ""#),
    ("char(4)", "keyword", "'ab'", r#""ab  ""#),
    ("char(4)", "enum", "'ab'", r#""ab  ""#),
    // enum type: label
    ("mood", "enum", "'Sad'", r#""Sad""#),
    ("mood", "keyword", "'glad'", r#""glad""#),
    ("mood", "text", "'glad'", r#""glad""#),
    // uuid: lower case
    ("uuid", "uuid", "'6F9619FF-8B86-D011-B42D-00CF4FC964FF'", r#""6f9619ff-8b86-d011-b42d-00cf4fc964ff""#),
    ("uuid", "keyword", "'6F9619FF-8B86-D011-B42D-00CF4FC964FF'", r#""6f9619ff-8b86-d011-b42d-00cf4fc964ff""#),
    // boolean
    ("boolean", "boolean", "true", "true"),
    ("boolean", "boolean", "false", "false"),
    ("boolean", "keyword", "true", r#""true""#),
    ("boolean", "keyword", "false", r#""false""#),
    // integers
    ("int2", "short", "-32768", "-32768"),
    ("int2", "integer", "7", "7"),
    ("int2", "long", "7", "7"),
    ("int2", "double", "7", "7"),
    ("int2", "decimal", "7", "7"),
    ("int2", "keyword", "7", r#""7""#),
    ("int4", "integer", "2147483647", "2147483647"),
    ("int4", "long", "7", "7"),
    ("int4", "double", "7", "7"),
    ("int4", "decimal", "7", "7"),
    ("int4", "keyword", "-7", r#""-7""#),
    ("int8", "long", "9007199254740993", "9007199254740993"),
    ("int8", "decimal", "-9223372036854775808", "-9223372036854775808"),
    ("int8", "keyword", "9007199254740993", r#""9007199254740993""#),
    ("oid", "long", "4294967295", "4294967295"),
    // real, float8: shortest text that reads back equal
    ("real", "float", "0.1", "0.1"),
    ("real", "double", "0.1", "0.1"),
    ("real", "float", "10", "10"),
    ("real", "float", "'NaN'", "null"),
    ("real", "keyword", "'NaN'", r#""NaN""#),
    ("float8", "double", "0.1", "0.1"),
    ("float8", "double", "10", "10"),
    ("float8", "double", "1e300", "1e+300"),
    ("float8", "double", "1e-7", "1e-07"),
    ("float8", "double", "'1.7976931348623157e308'", "1.7976931348623157e+308"),
    ("float8", "double", "'Infinity'", "null"),
    ("float8", "double", "'-Infinity'", "null"),
    ("float8", "keyword", "'-Infinity'", r#""-Infinity""#),
    ("float8", "keyword", "0.5", r#""0.5""#),
    // numeric: all stored digits
    ("numeric", "decimal", "10.50", "10.50"),
    ("numeric(12,4)", "decimal", "1", "1.0000"),
    ("numeric", "decimal", "123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"),
    ("numeric", "decimal", "'NaN'", "null"),
    ("numeric", "decimal", "'Infinity'", "null"),
    ("numeric", "decimal", "1e309::numeric", "null"),
    ("numeric", "decimal", "-1e309::numeric", "null"),
    ("numeric", "keyword", "10.50", r#""10.50""#),
    ("numeric", "keyword", "'NaN'", r#""NaN""#),
    // money: as numeric
    ("money", "decimal", "1234.50::numeric::money", "1234.50"),
    ("money", "keyword", "1234.50::numeric::money", r#""1234.50""#),
    ("money[]", "keyword", "ARRAY[1::money]", r#"["1.00"]"#),
    ("money", "keyword, default: 7.5", "NULL", r#""7.50""#),
    // date
    ("date", "date", "'2024-02-29'", r#""2024-02-29""#),
    ("date", "keyword", "'2024-02-29'", r#""2024-02-29""#),
    ("date", "date", "'12345-01-01'", r#""+12345-01-01""#),
    ("date", "date", "'0044-03-15 BC'", r#""-0043-03-15""#),
    ("date", "date", "'0001-03-15 BC'", r#""0000-03-15""#),
    ("date", "date", "'4713-01-01 BC'", r#""-4712-01-01""#),
    ("date", "date", "'infinity'", "null"),
    ("date", "date", "'-infinity'", "null"),
    ("date", "keyword", "'infinity'", r#""infinity""#),
    // timestamp, timestamptz
    ("timestamp", "timestamp", "'2024-02-29 13:14:15.5'", r#""2024-02-29T13:14:15.5""#),
    ("timestamp", "timestamp", "'2024-02-29 13:14:15'", r#""2024-02-29T13:14:15""#),
    ("timestamp", "timestamp", "'2024-02-29 13:14:15.123456'", r#""2024-02-29T13:14:15.123456""#),
    ("timestamp", "timestamp", "'2024-02-29 13:14:15.120'", r#""2024-02-29T13:14:15.12""#),
    ("timestamp", "timestamp", "'infinity'", "null"),
    ("timestamp", "keyword", "'2024-02-29 13:14:15.5'", r#""2024-02-29T13:14:15.5""#),
    ("timestamp", "timestamp", "'0044-03-15 12:00 BC'", r#""-0043-03-15T12:00:00""#),
    ("timestamptz", "timestamp", "'2024-02-29 13:14:15.5+02'", r#""2024-02-29T11:14:15.5+00:00""#),
    ("timestamptz", "timestamp", "'12345-01-01 00:00+00'", r#""+12345-01-01T00:00:00+00:00""#),
    ("timestamptz", "timestamp", "'0044-03-15 12:00+00 BC'", r#""-0043-03-15T12:00:00+00:00""#),
    ("timestamptz", "timestamp", "'-infinity'", "null"),
    ("timestamptz", "keyword", "'2024-02-29 13:14:15.5+02'", r#""2024-02-29T11:14:15.5+00:00""#),
    ("timestamptz", "keyword", "'-infinity'", r#""-infinity""#),
    // time, timetz
    ("time", "time", "'13:14:15.5'", r#""13:14:15.5""#),
    ("time", "keyword", "'13:14:15'", r#""13:14:15""#),
    ("time", "timestamp", "'13:14:15.5'", r#""1970-01-01T13:14:15.5""#),
    ("time", "time", "'24:00'", r#""24:00:00""#),
    ("time", "timestamp", "'24:00'", r#""1970-01-02T00:00:00""#),
    ("timetz", "time", "'24:00+00'", r#""00:00:00""#),
    ("timetz", "timestamp", "'24:00+01'", r#""1970-01-01T23:00:00""#),
    ("timetz", "time", "'13:14:15+02'", r#""11:14:15""#),
    ("timetz", "time", "'00:14:15.25+05:30'", r#""18:44:15.25""#),
    ("timetz", "keyword", "'23:14:15-03'", r#""02:14:15""#),
    ("timetz", "timestamp", "'13:14:15.5+02'", r#""1970-01-01T11:14:15.5""#),
    // bytea: base64, padded, one line
    ("bytea", "binary", "''", r#""""#),
    ("bytea", "binary", r"'\x00'", r#""AA==""#),
    ("bytea", "binary", r"'\xfffe'", r#""//4=""#),
    ("bytea", "binary", r"'\x666f6f'", r#""Zm9v""#),
    ("bytea", "binary", "repeat('abcdef', 20)::bytea", r#""YWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVm""#),
    // json, jsonb: as stored, numbers digit for digit
    ("jsonb", "json", r#"'{"b": 1.50, "a": [1e2, "x"]}'"#, r#"{"a": [100, "x"], "b": 1.50}"#),
    ("json", "json", r#"'{"b": 1.50, "a": 1E2, "b": 12345678901234567890}'"#, r#"{"b": 1.50, "a": 1E2, "b": 12345678901234567890}"#),
    ("json", "json", "'[1,\n2]'", "[1, 2]"),
    ("json", "json", r#"'"\u0000\ud800"'"#, r#""\u0000\ud800""#),
    ("jsonb", "json", "'3'", "3"),
    ("jsonb", "json", "'null'", "null"),
    ("jsonb", "map, values: text", r#"'{"de": "x", "en": "y"}'"#, r#"{"de": "x", "en": "y"}"#),
    ("jsonb", "map, values: long", "'{}'", "{}"),
    ("jsonb", "map, values: text", "'[1]'", "null"),
    ("json", "map, values: text", "'\"x\"'", "null"),
    ("json", "map, values: decimal", r#"'{"a": 10.50}'"#, r#"{"a": 10.50}"#),
    // geo in one column
    ("jsonb", "geo", r#"'{"lat": 1.5, "lon": 2}'"#, r#"{"lat": 1.5, "lon": 2}"#),
    ("text", "geo", "'1.5,2'", r#""1.5,2""#),
    // interval: ISO 8601
    ("interval", "keyword", "'1 day 2 hours 3 minutes'", r#""P1DT2H3M""#),
    // others: output text
    ("inet", "keyword", "'10.1.2.3'", r#""10.1.2.3""#),
    ("inet", "keyword", "'10.1.2.3/8'", r#""10.1.2.3/8""#),
    ("cidr", "keyword", "'10.0.0.0/8'", r#""10.0.0.0/8""#),
    ("macaddr", "keyword", "'08:00:2B:01:02:03'", r#""08:00:2b:01:02:03""#),
    ("bit(4)", "keyword", "B'0101'", r#""0101""#),
    ("int4range", "keyword", "'[1,3]'", r#""[1,4)""#),
    ("xml", "keyword", "'<a>1</a>'", r#""<a>1</a>""#),
    // domains count as their base types
    ("price", "decimal", "5", "5.00"),
    ("cheap", "decimal", "5", "5.00"),
    ("cheap", "keyword", "5", r#""5.00""#),
    ("tags", "keyword", "'{a,b}'", r#"["a", "b"]"#),
    // arrays: NULL elements stay, one null per element, lower bounds dropped, dimensions flattened
    ("int4[]", "integer", "'{}'", "[]"),
    ("int4[]", "integer", "'{3,NULL,1}'", "[3, null, 1]"),
    ("int4[]", "integer", "'[0:1]={7,8}'", "[7, 8]"),
    ("int4[]", "integer", "'{{1,2},{3,4}}'", "[1, 2, 3, 4]"),
    ("text[]", "text", r#"ARRAY['a,b', '{c}', '"\', NULL, 'NULL', '']"#, r#"["a,b", "{c}", "\"\\", null, "NULL", ""]"#),
    ("float8[]", "double", "'{1,NaN,Infinity}'", "[1, null, null]"),
    ("float8[]", "keyword", "'{1,NaN}'", r#"["1", "NaN"]"#),
    ("boolean[]", "boolean", "'{t,f}'", "[true, false]"),
    ("cheap[]", "decimal", "'{1,2}'", "[1.00, 2.00]"),
    ("money[]", "decimal", "ARRAY[1::money, NULL, 1234.5::numeric::money]", "[1.00, null, 1234.50]"),
    ("date[]", "date", "'{2024-02-29,infinity}'", r#"["2024-02-29", null]"#),
    ("timestamptz[]", "timestamp", "'{2024-02-29 13:14:15+02}'", r#"["2024-02-29T11:14:15+00:00"]"#),
    ("bytea[]", "binary", r#"'{"\\x00"}'"#, r#"["AA=="]"#),
    ("jsonb[]", "json", r#"ARRAY['{"a": 1}', 'null', '"x"']::jsonb[]"#, r#"[{"a": 1}, null, "x"]"#),
    ("mood[]", "enum", "'{Sad,glad}'", r#"["Sad", "glad"]"#),
    ("char(3)[]", "text", "'{a}'", r#"["a  "]"#),
    // custom: with the type's first tag
    ("int4", "custom, postgres: int4, opensearch: { type: scaled_float, scaling_factor: 100 }", "7", "7"),
    ("real", "custom, postgres: real, opensearch: half_float", "0.1", "0.1"),
    ("money", "custom, postgres: money, opensearch: { type: double }", "1::money", "1.00"),
    ("time", "custom, postgres: time, opensearch: { type: keyword }", "'13:14:15.5'", r#""13:14:15.5""#),
    ("boolean", "custom, postgres: boolean, opensearch: { type: keyword }", "true", "true"),
    ("text", "custom, postgres: text, opensearch: { type: wildcard }", "'x'", r#""x""#),
    ("bytea", "custom, postgres: bytea, opensearch: { type: binary }", r"'\x00'", r#""AA==""#),
    ("jsonb", "custom, postgres: jsonb, opensearch: { type: nested }", r#"'[{"a": 1}]'"#, r#"[{"a": 1}]"#),
    ("inet", "custom, postgres: inet, opensearch: { type: ip }", "'10.1.2.3/8'", r#""10.1.2.3""#),
    ("inet", "custom, postgres: inet, opensearch: { type: ip }", "'::1'", r#""::1""#),
    ("inet[]", "custom, postgres: inet, opensearch: { type: ip }", "'{10.1.2.3/8,NULL}'", r#"["10.1.2.3", null]"#),
    // custom over a range
    ("int4range", "custom, postgres: int4range, opensearch: { type: integer_range }", "'[1,3]'", r#"{"gte": 1, "lt": 4}"#),
    ("int4range", "custom, postgres: int4range, opensearch: { type: integer_range }", "'empty'", "null"),
    ("int4range", "custom, postgres: int4range, opensearch: { type: integer_range }", "'(,3)'", r#"{"lt": 3}"#),
    ("int4range", "custom, postgres: int4range, opensearch: { type: integer_range }", "'(,)'", "{}"),
    ("numrange", "custom, postgres: numrange, opensearch: { type: double_range }", "'(1.50,3.0]'", r#"{"gt": 1.50, "lte": 3.0}"#),
    ("tsrange", "custom, postgres: tsrange, opensearch: { type: date_range }", "'[2024-01-01 10:00,)'", r#"{"gte": "2024-01-01T10:00:00"}"#),
    ("tstzrange", "custom, postgres: tstzrange, opensearch: { type: date_range }", "'[2024-01-01 10:00+02,2024-01-02 10:00+02)'", r#"{"gte": "2024-01-01T08:00:00+00:00", "lt": "2024-01-02T08:00:00+00:00"}"#),
    ("daterange", "custom, postgres: daterange, opensearch: { type: date_range }", "'[2024-01-01,2024-01-31]'", r#"{"gte": "2024-01-01", "lt": "2024-02-01"}"#),
    ("int4multirange", "custom, postgres: int4multirange, opensearch: { type: integer_range }", "'{[1,3),[5,)}'", r#"[{"gte": 1, "lt": 3}, {"gte": 5}]"#),
    ("int4multirange", "custom, postgres: int4multirange, opensearch: { type: integer_range }", "'{}'", "[]"),
    ("int4range[]", "custom, postgres: int4range, opensearch: { type: integer_range }", "ARRAY['[1,3)', 'empty']::int4range[]", r#"[{"gte": 1, "lt": 3}, null]"#),
    ("floats", "custom, postgres: floats, opensearch: { type: double_range }", "'[0.1,2)'", r#"{"gte": 0.1, "lt": 2}"#),
    // transforms, in order; on arrays per element
    ("text", "text, transforms: [trim]", "E'\\t\\n\\x0b\\f\\r Ab \\u00a0'", "\"Ab \u{a0}\""),
    ("text", "keyword, transforms: [lowercase]", "'ÄB c'", r#""äb c""#),
    ("text", "keyword, transforms: [trim, lowercase]", "' AB '", r#""ab""#),
    ("char(4)", "text, transforms: [trim]", "'Ab'", r#""Ab""#),
    ("char(4)", "text, transforms: [lowercase]", "'Ab'", r#""ab  ""#),
    ("mood", "enum, transforms: [lowercase]", "'Sad'", r#""sad""#),
    ("text[]", "text, transforms: [lowercase, trim]", "ARRAY[' A', NULL, 'b']", r#"["a", null, "b"]"#),
    ("text[]", "text, transforms: [lowercase]", "'{}'", "[]"),
    ("text[]", "text, transforms: [lowercase]", "NULL", "null"),
    ("tags", "text, transforms: [lowercase]", "'{{A},{B}}'", r#"["a", "b"]"#),
    // defaults: after unrepresentable values became null, after transforms, without the length modifier
    ("numeric(8,2)", "decimal, default: 0", "NULL", "0"),
    ("numeric(8,2)", "decimal, default: 29.50", "NULL", "29.50"),
    ("numeric(8,2)", "decimal, default: 29.505", "NULL", "29.505"),
    ("numeric(8,2)", "decimal, default: 3", "1", "1.00"),
    ("varchar(3)", "text, default: abcdef", "NULL", r#""abcdef""#),
    ("char(3)", "text, default: abcdef", "NULL", r#""abcdef""#),
    ("text", "text, transforms: [lowercase], default: ' ABC '", "NULL", r#"" ABC ""#),
    ("text", "text, default: x", "''", r#""""#),
    ("boolean", "boolean, default: true", "NULL", "true"),
    ("boolean", "keyword, default: true", "NULL", r#""true""#),
    ("int8", "long, default: 9007199254740993", "NULL", "9007199254740993"),
    ("float8", "double, default: 0.1", "'NaN'", "0.1"),
    ("date", "date, default: '1970-01-01'", "'infinity'", r#""1970-01-01""#),
    ("timestamptz", "timestamp, default: '2024-02-29 13:14:15+02'", "NULL", r#""2024-02-29T11:14:15+00:00""#),
    ("time", "timestamp, default: '13:14'", "NULL", r#""1970-01-01T13:14:00""#),
    ("uuid", "uuid, default: 6F9619FF-8B86-D011-B42D-00CF4FC964FF", "NULL", r#""6f9619ff-8b86-d011-b42d-00cf4fc964ff""#),
    ("mood", "enum, default: Sad", "NULL", r#""Sad""#),
    ("money", "decimal, default: 7.5", "NULL", "7.50"),
    ("bytea", "binary, default: 'foo'", "NULL", r#""Zm9v""#),
    ("jsonb", "json, default: '{\"a\": 1}'", "NULL", r#"{"a": 1}"#),
    ("text", "text, default: 007", "NULL", r#""007""#),
    ("text", "text, default: 1.50", "NULL", r#""1.50""#),
    ("numeric", "decimal, default: 12345678901234567890.120", "NULL", "12345678901234567890.120"),
    ("jsonb", "json, default: 1", "'null'", "1"),
    ("int4[]", "integer, default: 1", "NULL", "null"),
    ("text", "text, required: true", "NULL", "null"),
];

#[tokio::test]
async fn every_row_of_the_value_table_is_written_as_the_reference_says() -> Result<()> {
    // GIVEN a table with a column for each case, in one row
    let mut defined = vec!["id int PRIMARY KEY".to_owned()];
    let mut values = vec!["1".to_owned()];
    let mut fields = String::new();
    for (at, (kind, tag, literal, _)) in ROWS.iter().enumerate() {
        defined.push(format!("c{at} {kind}"));
        values.push((*literal).to_owned());
        let (tag, siblings) = tag.split_once(',').unwrap_or((tag, ""));
        let siblings = siblings.trim();
        writeln!(fields, "  - {{ {tag}: f{at}, column: c{at}, {siblings} }}")?;
    }
    let tables = format!(
        "{TYPES} CREATE TABLE t ({}); INSERT INTO t VALUES ({}); INSERT INTO t VALUES (2);",
        defined.join(", "),
        values.join(", ")
    );
    in_database(&tables, async |rows| {
        // WHEN the oracle builds it
        let schema = format!("version: 1\ntable: t\nfields:\n{fields}");
        let documents = documents_of(&schema, rows).await?;
        let document = documents.get("1").context("no document")?;
        // THEN each field is as the reference says
        let mut wrong = Vec::new();
        for (at, (kind, tag, literal, expected)) in ROWS.iter().enumerate() {
            let right = Json::parse(expected).with_context(|| (*expected).to_owned())?;
            let found = document.get(&format!("f{at}")).context("no field")?;
            if *found != right {
                wrong.push(format!(
                    "{kind} {literal} as {tag}: {found} instead of {right}"
                ));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        // AND a row of NULLs is null or its default throughout
        let nulls = documents.get("2").context("no document")?;
        for (at, (kind, tag, ..)) in ROWS.iter().enumerate() {
            let found = nulls.get(&format!("f{at}")).context("no field")?;
            let has_default = tag.contains("default") && !kind.ends_with("[]");
            ensure!(
                (*found == Json::Null) != has_default,
                "{kind} as {tag}: {found}"
            );
        }
        Ok(())
    })
    .await
}
