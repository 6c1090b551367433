//! Section 5 of the language reference on a real Postgres: each type under each tag that takes
//! it, and what becomes of values that JSON or the index cannot hold.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "helpers fail the test that calls them"
)]

#[path = "support/database.rs"]
mod database;

use database::{Database, Schema};
use serde_json::Value;

/// (type of the column, its value as SQL, the field without its name, the JSON it becomes).
/// `⚠` before the JSON: the value is marked.
type Case = (&'static str, &'static str, &'static str, &'static str);

const TEXTS: &[Case] = &[
    ("text", "E'a\\tb\\n\"\\\\é'", "text: _", r#""a\tb\n\"\\é""#),
    ("varchar(3)", "'abc'", "identifier: _", r#""abc""#),
    ("name", "'abc'", "keyword: _", r#""abc""#),
    ("char(4)", "'ab'", "text: _", r#""ab  ""#),
    ("char(4)", "'ab'", "keyword: _", r#""ab  ""#),
    (
        "char(4)",
        "'ab'",
        "keyword: _, transforms: [trim]",
        r#""ab""#,
    ),
    (
        "text",
        "E'\\t A b \\n'",
        "keyword: _, transforms: [trim, lowercase]",
        r#""a b""#,
    ),
    (
        "text",
        "E'\\x0b\\x0cvav \\r'",
        "keyword: _, transforms: [trim]",
        r#""vav""#,
    ),
    (
        "char(4)",
        "'AB'",
        "keyword: _, transforms: [lowercase]",
        r#""ab  ""#,
    ),
    ("mood", "'so so'", "enum: _", r#""so so""#),
    (
        "mood",
        "'Fine'",
        "keyword: _, transforms: [lowercase]",
        r#""fine""#,
    ),
    (
        "uuid",
        "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
        "uuid: _",
        r#""a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#,
    ),
    (
        "uuid",
        "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
        "keyword: _",
        r#""a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#,
    ),
    ("boolean", "true", "boolean: _", "true"),
    ("boolean", "true", "keyword: _", r#""true""#),
    ("short_text", "'xyz'", "text: _", r#""xyz""#),
    (
        "bytea",
        "decode(repeat('00ff10', 40), 'hex')",
        "binary: _",
        "base64",
    ),
    (
        "interval",
        "'1 day 2 hours 3 minutes'",
        "keyword: _",
        r#""P1DT2H3M""#,
    ),
    ("inet", "'10.0.0.1'", "keyword: _", r#""10.0.0.1""#),
    ("inet", "'10.0.0.0/8'", "keyword: _", r#""10.0.0.0/8""#),
    ("cidr", "'10.0.0.0/8'", "keyword: _", r#""10.0.0.0/8""#),
    ("bit(3)", "B'101'", "keyword: _", r#""101""#),
    ("int4range", "'[1,5)'", "keyword: _", r#""[1,5)""#),
    ("xml", "'<a/>'", "keyword: _", r#""<a/>""#),
    ("point", "'(1,2)'", "keyword: _", r#""(1,2)""#),
];

const NUMBERS: &[Case] = &[
    ("int2", "-7", "short: _", "-7"),
    ("int2", "7", "double: _", "7"),
    ("int4", "7", "decimal: _", "7"),
    ("int4", "7", "keyword: _", r#""7""#),
    ("int8", "9007199254740993", "long: _", "9007199254740993"),
    ("oid", "4294967295", "long: _", "4294967295"),
    ("oid", "7", "keyword: _", r#""7""#),
    ("real", "0.1", "float: _", "0.1"),
    ("real", "10", "double: _", "10"),
    ("float8", "1e300", "double: _", "1e+300"),
    ("float8", "'NaN'", "double: _", "⚠null"),
    ("float8", "'Infinity'", "double: _", "⚠null"),
    ("real", "'-Infinity'", "float: _", "⚠null"),
    ("float8", "'NaN'", "keyword: _", r#""NaN""#),
    ("numeric(10,2)", "10.5", "decimal: _", "10.50"),
    ("numeric", "'NaN'", "decimal: _", "⚠null"),
    ("numeric", "'Infinity'", "decimal: _", "⚠null"),
    ("numeric", "'NaN'", "keyword: _", r#""NaN""#),
    ("numeric", "10::numeric ^ 309", "decimal: _", "⚠null"),
    ("numeric", "-(10::numeric ^ 309)", "decimal: _", "⚠null"),
    (
        "numeric",
        "12345678901234567890.123456789",
        "decimal: _",
        "12345678901234567890.123456789",
    ),
    ("money", "1234.5", "decimal: _", "1234.50"),
    ("float8", "'NaN'", "double: _, default: 0", "⚠\t0"),
    ("numeric(8,2)", "NULL", "decimal: _, default: 0", "0"),
];

const MOMENTS: &[Case] = &[
    ("date", "'2024-02-29'", "date: _", r#""2024-02-29""#),
    ("date", "'12345-01-01'", "date: _", r#""+12345-01-01""#),
    ("date", "'0044-03-15 BC'", "date: _", r#""-0043-03-15""#),
    ("date", "'0001-03-15 BC'", "date: _", r#""0000-03-15""#),
    ("date", "'infinity'", "date: _", "⚠null"),
    ("date", "'-infinity'", "keyword: _", r#""-infinity""#),
    (
        "timestamp",
        "'2024-02-29 13:14:15.5'",
        "timestamp: _",
        r#""2024-02-29T13:14:15.5""#,
    ),
    (
        "timestamp",
        "'0044-03-15 13:14:15.050 BC'",
        "timestamp: _",
        r#""-0043-03-15T13:14:15.05""#,
    ),
    ("timestamp", "'infinity'", "timestamp: _", "⚠null"),
    (
        "timestamptz",
        "'2024-02-29 13:14:15.5+02'",
        "timestamp: _",
        r#""2024-02-29T11:14:15.5+00:00""#,
    ),
    (
        "timestamptz",
        "'10000-01-01 00:30+01'",
        "timestamp: _",
        r#""9999-12-31T23:30:00+00:00""#,
    ),
    (
        "timestamptz",
        "'12345-01-01 00:30+01'",
        "timestamp: _",
        r#""+12344-12-31T23:30:00+00:00""#,
    ),
    (
        "timestamptz",
        "'0001-01-01 00:30+01'",
        "timestamp: _",
        r#""0000-12-31T23:30:00+00:00""#,
    ),
    (
        "timestamptz",
        "'2024-02-29 13:14:15.5+02'",
        "keyword: _",
        r#""2024-02-29T11:14:15.5+00:00""#,
    ),
    ("time", "'13:14:15.5'", "time: _", r#""13:14:15.5""#),
    ("time", "'13:14:15.5'", "keyword: _", r#""13:14:15.5""#),
    (
        "time",
        "'13:14:15.5'",
        "timestamp: _",
        r#""1970-01-01T13:14:15.5""#,
    ),
    ("timetz", "'13:14:15+02'", "time: _", r#""11:14:15""#),
    ("timetz", "'13:14:15+02'", "keyword: _", r#""11:14:15""#),
    (
        "timetz",
        "'13:14:15+02'",
        "timestamp: _",
        r#""1970-01-01T11:14:15""#,
    ),
];

const WHOLES: &[Case] = &[
    (
        "json",
        "E'{\\n\"a\":\\t1.10,\\r\\n\"a\": \"x\\\\ty\"}'",
        "json: _",
        r#"{ "a": 1.10,  "a": "x\ty"}"#,
    ),
    ("jsonb", "'{\"a\":[1,{}]}'", "json: _", r#"{"a": [1, {}]}"#),
    (
        "jsonb",
        "'{\"a\":\"b\"}'",
        "map: _, values: keyword",
        r#"{"a": "b"}"#,
    ),
    ("jsonb", "'[1]'", "map: _, values: keyword", "⚠null"),
    ("json", "'3'", "map: _, values: keyword", "⚠null"),
    ("int4[]", "'{1,NULL,3}'", "integer: _", "[1, null, 3]"),
    ("int4[]", "NULL", "integer: _", "null"),
    ("int4[]", "'{}'", "integer: _", "[]"),
    ("int4[]", "'[5:6]={7,8}'", "integer: _", "[7, 8]"),
    ("int4[]", "'{{1,2},{3,4}}'", "integer: _", "[1, 2, 3, 4]"),
    (
        "float8[]",
        "'{1,NaN,Infinity}'",
        "double: _",
        "⚠[1, \tnull, \tnull]",
    ),
    (
        "text[]",
        "'{\" A \",b}'",
        "keyword: _, transforms: [trim, lowercase]",
        r#"["a", "b"]"#,
    ),
    ("mood[]", "'{Fine}'", "keyword: _", r#"["Fine"]"#),
    (
        "date[]",
        "'{2024-02-29,infinity}'",
        "date: _",
        "⚠[\"2024-02-29\", \tnull]",
    ),
    (
        "json[]",
        "ARRAY[E'[1,\\n2]']::json[]",
        "json: _",
        "[[1, 2]]",
    ),
    ("short_texts", "'{ab,cd}'", "keyword: _", r#"["ab", "cd"]"#),
    (
        "text",
        "NULL",
        "keyword: _, transforms: [lowercase], default: Xy",
        r#""Xy""#,
    ),
    (
        "mood",
        "NULL",
        "keyword: _, transforms: [lowercase], default: Fine",
        r#""Fine""#,
    ),
    ("text", "NULL", "text: _", "null"),
    (
        "inet",
        "'10.0.0.1/8'",
        "custom: _, postgres: [inet], opensearch: { type: ip }",
        r#""10.0.0.1""#,
    ),
    (
        "inet",
        "'10.0.0.1/8'",
        "custom: _, postgres: [inet], opensearch: { type: keyword }",
        r#""10.0.0.1/8""#,
    ),
    (
        "int4range",
        "'[1,5]'",
        "custom: _, postgres: [int4range], opensearch: { type: integer_range }",
        r#"{"gte":1,"lt":6}"#,
    ),
    (
        "numrange",
        "'(1.5,]'",
        "custom: _, postgres: [numrange], opensearch: { type: double_range }",
        r#"{"gt":1.5}"#,
    ),
    (
        "text[]",
        "'{a}'",
        "custom: _, postgres: [pg_catalog.text], opensearch: { type: keyword }",
        r#"["a"]"#,
    ),
    (
        "int8[]",
        "'{1}'",
        "custom: _, postgres: ['int8[]'], opensearch: { type: long }",
        "[1]",
    ),
    (
        "int4range",
        "'empty'",
        "custom: _, postgres: [int4range], opensearch: { type: integer_range }",
        "null",
    ),
    (
        "tstzrange",
        "'[2024-02-29 12:00+02,infinity)'",
        "custom: _, postgres: [tstzrange], opensearch: { type: date_range }",
        r#"{"gte":"2024-02-29T10:00:00+00:00"}"#,
    ),
    (
        "int4range",
        "'empty'",
        "custom: _, postgres: [int4range], opensearch: { type: integer_range }, default: '[1,3)'",
        r#"{"gte":1,"lt":3}"#,
    ),
    (
        "int4multirange",
        "'{[1,2),[5,6)}'",
        "custom: _, postgres: [int4multirange], opensearch: { type: integer_range }",
        r#"[{"gte":1,"lt":2}, {"gte":5,"lt":6}]"#,
    ),
];

const TYPES: &str = "CREATE TYPE mood AS ENUM ('so so', 'Fine'); \
    CREATE DOMAIN short_text AS varchar(3); CREATE DOMAIN short_texts AS short_text[];";

/// The texts of the members of a document that is one JSON object, as they stand there.
fn members(document: &str) -> Vec<(String, String)> {
    let raw: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(document).expect("an object");
    raw.into_iter()
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect()
}

#[tokio::test]
async fn every_type_is_rendered_as_the_page_says() {
    let database = Database::create("values").await;
    let cases: Vec<&Case> = [TEXTS, NUMBERS, MOMENTS, WHOLES].concat_refs();
    // GIVEN one table with a column per case, and one row.
    let columns: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(n, case)| format!("c{n:03} {}", case.0))
        .collect();
    let values: Vec<&str> = cases.iter().map(|case| case.1).collect();
    database
        .run(&format!(
            "{TYPES} CREATE TABLE t (id int PRIMARY KEY, {}); INSERT INTO t VALUES (1, {})",
            columns.join(", "),
            values.join(", ")
        ))
        .await;
    let fields: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(n, case)| format!("  - {{ {} }}", case.2.replacen('_', &format!("c{n:03}"), 1)))
        .collect();
    let schema = Schema::new(&format!(
        "version: 1\ntable: t\nfields:\n{}\n",
        fields.join("\n")
    ));
    // WHEN the document is built.
    let compiled = database.compile(&schema).await;
    let document = database
        .document(&compiled, &["1"])
        .await
        .expect("a document");
    // THEN each member is the JSON of the page, and as many values are marked as became null.
    let got = members(&document);
    let mut wrong = Vec::new();
    let mut marks = 0;
    for (n, case) in cases.iter().enumerate() {
        let want = case.3.strip_prefix('⚠');
        let got = &got[n].1;
        let text = want.unwrap_or(case.3);
        marks += if want == Some("null") {
            1
        } else {
            text.matches('\t').count()
        };
        let same = if text == "base64" {
            serde_json::from_str::<String>(got).is_ok_and(|all| all == "AP8Q".repeat(40))
        } else {
            *got == text.replace('\t', "") || *got == text
        };
        if !same {
            wrong.push(format!(
                "{} {} as {{ {} }}: got {got}, want {text}",
                case.0, case.1, case.2
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(document.matches('\t').count(), marks, "{document}");
    assert!(!document.contains(['\n', '\r']), "one line: {document}");
    database.remove().await;
}

#[tokio::test]
async fn a_tag_that_does_not_take_the_type_is_refused_with_what_would() {
    let database = Database::create("refused").await;
    database
        .run("CREATE TABLE t (id int PRIMARY KEY, a numeric, b jsonb, c timestamptz, d int8)")
        .await;
    let schema = Schema::new(
        "version: 1\ntable: t\nfields:\n  - { long: a }\n  - { keyword: b }\n  - { date: c }\n  - { double: d }\n",
    );
    let findings = database.refusal(&schema).await;
    let found: Vec<(&str, &str)> = findings
        .iter()
        .map(|(code, message)| (code.as_str(), message.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (
                "E301",
                "public.t.a is numeric, which `long` does not accept"
            ),
            (
                "E301",
                "public.t.b is jsonb, which `keyword` does not accept"
            ),
            (
                "E301",
                "public.t.c is timestamp with time zone, which `date` does not accept"
            ),
            (
                "E301",
                "public.t.d is bigint, which `double` does not accept"
            ),
        ]
    );
    database.remove().await;
}

trait ConcatRefs {
    fn concat_refs(&self) -> Vec<&Case>;
}

impl ConcatRefs for [&'static [Case]; 4] {
    fn concat_refs(&self) -> Vec<&Case> {
        self.iter().flat_map(|cases| cases.iter()).collect()
    }
}

#[tokio::test]
async fn figures_are_rendered_like_columns_of_their_type() {
    let database = Database::create("figures").await;
    database
        .run(
            "CREATE TABLE p (id int PRIMARY KEY); \
             CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p, i int, n numeric(8,2), f float8, u uuid, b bool, d date, m money, v tsvector, w float8); \
             INSERT INTO p VALUES (1), (2); \
             INSERT INTO t VALUES (1, 1, 2000000000, 1.50, 1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', false, '2024-02-29', 1, 'b', 1e200), \
               (2, 1, 2000000000, 2.25, 'NaN', 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true, 'infinity', 2.5, 'a', 3e200)",
        )
        .await;
    let schema = Schema::new(
        "version: 1\ntable: p\nfields:\n\
         \x20 - { count: a, table: t, foreign_key: p }\n\
         \x20 - { sum: b, table: t, column: i, value_type: long, foreign_key: p }\n\
         \x20 - { sum: c, table: t, column: n, value_type: decimal, foreign_key: p }\n\
         \x20 - { sum: d, table: t, column: f, value_type: double, foreign_key: p }\n\
         \x20 - { avg: e, table: t, column: n, foreign_key: p }\n\
         \x20 - { min: f, table: t, column: u, value_type: uuid, foreign_key: p }\n\
         \x20 - { max: g, table: t, column: b, value_type: boolean, foreign_key: p }\n\
         \x20 - { max: h, table: t, column: d, value_type: date, foreign_key: p }\n\
         \x20 - { sum: i, table: t, column: m, value_type: decimal, foreign_key: p }\n\
         \x20 - { ids: j, table: t, element_type: integer, foreign_key: p }\n\
         \x20 - { min: k, table: t, column: v, value_type: keyword, foreign_key: p }\n\
         \x20 - { avg: l, table: t, column: w, foreign_key: p }\n",
    );
    let compiled = database.compile(&schema).await;
    let document = database
        .document(&compiled, &["1"])
        .await
        .expect("a document");
    let want = r#"{"a":2,"b":4000000000,"c":3.75,"d":null,"e":1.875,"f":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","g":true,"h":null,"i":3.50,"j":[1,2],"k":"'a'","l":2e+200}"#;
    assert_eq!(document.replace(['\t', ' '], ""), want);
    assert_eq!(
        document.matches('\t').count(),
        2,
        "NaN and infinity: {document}"
    );
    // Over no rows: zero, an empty list, else null.
    let empty = database
        .document(&compiled, &["2"])
        .await
        .expect("a document");
    let empty: Value = serde_json::from_str(&empty).expect("JSON");
    assert_eq!(
        empty,
        serde_json::json!({"a": 0, "b": null, "c": null, "d": null, "e": null, "f": null, "g": null, "h": null, "i": null, "j": [], "k": null, "l": null})
    );
    database.remove().await;
}
