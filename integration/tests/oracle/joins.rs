//! 3.5 and 3.6: conditions, keys, order and limits of joins; aggregates.

use anyhow::{Context, Result, ensure};
use integration::oracle::Json;

use super::{documents_of, expect, expect_fields, in_database};

const TABLES: &str = "
CREATE EXTENSION citext;
CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE SCHEMA side;
CREATE TABLE t (id int PRIMARY KEY, code text UNIQUE, a int, b text, n numeric, ci citext, ch char(4), f float8, boss int);
CREATE TABLE c (id int PRIMARY KEY, t int, code varchar(9), w int, s text, back int NOT NULL, UNIQUE (back));
CREATE TABLE k (a int, b text, v text, PRIMARY KEY (b, a));
CREATE TABLE side.x (id int PRIMARY KEY, t int, n numeric(9,3), ci citext, ch char(6), f float8, bl text COLLATE blind);
CREATE TABLE side.j (x int, t int);
CREATE TABLE loose (t int, v int);
INSERT INTO t VALUES
  (1, 'one', 1, 'x', 1.5, 'Ab', 'ab', 0, NULL),
  (2, 'two', 1, 'y', 2, 'cd', 'cd', 1.5, 1),
  (3, NULL, NULL, 'x', NULL, NULL, NULL, NULL, 2);
INSERT INTO c VALUES (1, 1, 'one', 3, 'b', -1), (2, 1, 'two', NULL, 'a', -2), (3, 1, NULL, 1, 'B', -3), (4, 2, 'one', 2, NULL, -4), (5, NULL, 'two', 3, 'a', -5);
INSERT INTO k VALUES (1, 'x', 'kx'), (2, 'x', 'k2'), (1, 'z', 'kz');
INSERT INTO side.x VALUES (7, 1, 1.500, 'aB', 'ab', '-0', 'ONE'), (8, 2, 2.000, 'CD', 'ab  ', 1.5, 'Two'), (9, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO side.j VALUES (9, 1), (7, 1), (7, 1), (NULL, 1), (8, 2), (8, NULL);
INSERT INTO loose VALUES (1, 5), (1, 5), (1, NULL), (2, 7), (NULL, 9);
";

/// (field of `t`, its value in rows 1, 2, 3)
type Case = (&'static str, [&'static str; 3]);

#[rustfmt::skip]
const JOINS: &[Case] = &[
    // has_many: T.foreign_key = P.references, by the key of T
    ("{ has_many: f, table: c, foreign_key: t, fields: [ { long: id } ] }",
        [r#"[{"id": 1}, {"id": 2}, {"id": 3}]"#, r#"[{"id": 4}]"#, "[]"]),
    ("{ has_many: f, table: c, foreign_key: code, references: code, fields: [ { long: id } ] }",
        [r#"[{"id": 1}, {"id": 4}]"#, r#"[{"id": 2}, {"id": 5}]"#, "[]"]),
    // order: ascending has NULLs last, descending first; the key breaks ties, also without a mention
    ("{ has_many: f, table: c, foreign_key: t, order_by: [ { column: w } ], fields: [ { long: id } ] }",
        [r#"[{"id": 3}, {"id": 1}, {"id": 2}]"#, r#"[{"id": 4}]"#, "[]"]),
    ("{ has_many: f, table: c, foreign_key: t, order_by: [ { column: w, direction: desc } ], fields: [ { long: id } ] }",
        [r#"[{"id": 2}, {"id": 1}, {"id": 3}]"#, r#"[{"id": 4}]"#, "[]"]),
    ("{ has_many: f, table: c, foreign_key: t, order_by: [ { column: w, direction: desc, nulls: last } ], fields: [ { long: id } ] }",
        [r#"[{"id": 1}, {"id": 3}, {"id": 2}]"#, r#"[{"id": 4}]"#, "[]"]),
    ("{ has_many: f, table: c, foreign_key: t, order_by: [ { column: w, nulls: first } ], fields: [ { long: id } ] }",
        [r#"[{"id": 2}, {"id": 3}, {"id": 1}]"#, r#"[{"id": 4}]"#, "[]"]),
    ("{ has_many: f, table: c, foreign_key: code, references: code, order_by: [ { column: w, direction: asc } ], fields: [ { long: id } ] }",
        [r#"[{"id": 4}, {"id": 1}]"#, r#"[{"id": 5}, {"id": 2}]"#, "[]"]),
    ("{ has_many: f, table: c, foreign_key: t, order_by: [ { column: s } ], fields: [ { long: id } ] }",
        [r#"[{"id": 3}, {"id": 2}, {"id": 1}]"#, r#"[{"id": 4}]"#, "[]"]),
    // limit: after filters and order
    ("{ has_many: f, table: c, foreign_key: t, filters: [ { column: id, op: lt, value: 3 } ], order_by: [ { column: id, direction: desc } ], limit: 1, fields: [ { long: id } ] }",
        [r#"[{"id": 2}]"#, "[]", "[]"]),
    // has_one: the first row in order
    ("{ has_one: f, table: c, foreign_key: t, fields: [ { long: id } ] }", [r#"{"id": 1}"#, r#"{"id": 4}"#, "null"]),
    ("{ has_one: f, table: c, foreign_key: t, order_by: [ { column: s } ], fields: [ { text: s } ] }",
        [r#"{"s": "B"}"#, r#"{"s": null}"#, "null"]),
    // another key of T decides the order when it is named
    ("{ has_many: f, table: c, primary_key: back, foreign_key: code, references: code, fields: [ { long: id } ] }",
        [r#"[{"id": 4}, {"id": 1}]"#, r#"[{"id": 5}, {"id": 2}]"#, "[]"]),
    // belongs_to: composite keys pair in the order of the file; NULL meets nothing
    ("{ belongs_to: f, table: k, column: [b, a], fields: [ { text: v } ] }", [r#"{"v": "kx"}"#, "null", "null"]),
    ("{ belongs_to: f, table: k, primary_key: [a, b], column: [a, b], fields: [ { text: v } ] }", [r#"{"v": "kx"}"#, "null", "null"]),
    ("{ belongs_to: f, table: k, references: [a, b], column: [a, b], fields: [ { text: v } ] }", [r#"{"v": "kx"}"#, "null", "null"]),
    // without `column`: that of its own name; a self-join
    ("{ belongs_to: boss, table: t, fields: [ { long: id } ] }", ["null", r#"{"id": 1}"#, r#"{"id": 2}"#]),
    ("{ has_many: f, table: t, foreign_key: boss, fields: [ { long: id }, { has_many: g, table: t, foreign_key: boss, fields: [ { long: id } ] } ] }",
        [r#"[{"id": 2, "g": [{"id": 3}]}]"#, r#"[{"id": 3, "g": []}]"#, "[]"]),
    // many_to_many: each row once, in another schema; a junction's schema is that of T
    ("{ many_to_many: f, schema: side, table: x, through: { table: j, left_key: t, right_key: x }, fields: [ { long: id } ] }",
        [r#"[{"id": 7}, {"id": 9}]"#, r#"[{"id": 8}]"#, "[]"]),
    ("{ many_to_many: f, schema: side, table: x, through: { table: j, left_key: t, right_key: x }, order_by: [ { column: id, direction: desc } ], limit: 1, fields: [ { long: id } ] }",
        [r#"[{"id": 9}]"#, r#"[{"id": 8}]"#, "[]"]),
    // a join below is in the schema of its parent's table; references on both sides of a junction
    ("{ many_to_many: f, table: t, through: { schema: public, table: c, left_key: t, right_key: code, right_references: code }, fields: [ { long: id } ] }",
        [r#"[{"id": 1}, {"id": 2}]"#, r#"[{"id": 1}]"#, "[]"]),
    ("{ many_to_many: f, table: t, through: { table: c, left_key: code, left_references: code, right_key: t }, fields: [ { long: id } ] }",
        [r#"[{"id": 1}, {"id": 2}]"#, r#"[{"id": 1}]"#, "[]"]),
    ("{ has_many: f, schema: side, table: x, foreign_key: t, fields: [ { count: n, table: j, foreign_key: x }, { belongs_to: p, schema: public, table: t, column: t, fields: [ { count: n, table: c, foreign_key: t } ] } ] }",
        [r#"[{"n": 2, "p": {"n": 3}}]"#, r#"[{"n": 2, "p": {"n": 1}}]"#, "[]"]),
    // values are equal as their types say: numeric, citext, char(n), floats, collations
    ("{ has_many: f, schema: side, table: x, foreign_key: n, references: n, fields: [ { long: id } ] }", [r#"[{"id": 7}]"#, r#"[{"id": 8}]"#, "[]"]),
    ("{ has_many: f, schema: side, table: x, foreign_key: ci, references: ci, fields: [ { long: id } ] }", [r#"[{"id": 7}]"#, r#"[{"id": 8}]"#, "[]"]),
    ("{ has_many: f, schema: side, table: x, foreign_key: ch, references: ch, fields: [ { long: id } ] }", [r#"[{"id": 7}, {"id": 8}]"#, "[]", "[]"]),
    ("{ has_many: f, schema: side, table: x, foreign_key: f, references: f, fields: [ { long: id } ] }", [r#"[{"id": 7}]"#, r#"[{"id": 8}]"#, "[]"]),
    ("{ has_many: f, schema: side, table: x, foreign_key: bl, references: code, fields: [ { long: id } ] }", [r#"[{"id": 7}]"#, r#"[{"id": 8}]"#, "[]"]),
    // in an object, joins hang on the same row
    ("{ object: f, fields: [ { count: n, table: c, foreign_key: t }, { object: g, fields: [ { long: id } ] } ] }",
        [r#"{"n": 3, "g": {"id": 1}}"#, r#"{"n": 1, "g": {"id": 2}}"#, r#"{"n": 0, "g": {"id": 3}}"#]),
];

#[rustfmt::skip]
const AGGREGATES: &[Case] = &[
    ("{ count: f, table: c, foreign_key: t }", ["3", "1", "0"]),
    ("{ count: f, table: c, foreign_key: t, column: w }", ["3", "1", "0"]),
    ("{ count: f, table: loose, foreign_key: t }", ["3", "1", "0"]),
    ("{ count: f, table: c, foreign_key: code, references: code }", ["2", "2", "0"]),
    ("{ count: f, schema: side, table: x, through: { table: j, left_key: t, right_key: x } }", ["2", "1", "0"]),
    ("{ avg: f, table: c, column: w, foreign_key: t }", ["2", "2", "null"]),
    ("{ sum: f, table: c, column: w, value_type: long, foreign_key: t }", ["4", "2", "null"]),
    ("{ sum: f, table: loose, column: v, value_type: keyword, foreign_key: t }", [r#""10""#, r#""7""#, "null"]),
    ("{ sum: f, schema: side, table: x, column: n, value_type: decimal, foreign_key: t }", ["1.500", "2.000", "null"]),
    // each T row counts once, however often it is linked
    ("{ sum: f, schema: side, table: x, column: n, value_type: decimal, through: { table: j, left_key: t, right_key: x } }", ["1.500", "2.000", "null"]),
    ("{ min: f, table: c, column: w, value_type: integer, foreign_key: t }", ["1", "2", "null"]),
    ("{ max: f, table: c, column: w, value_type: integer, foreign_key: t }", ["3", "2", "null"]),
    ("{ max: f, table: c, column: s, value_type: keyword, foreign_key: t }", [r#""b""#, "null", "null"]),
    ("{ min: f, table: c, column: s, value_type: text, foreign_key: t }", [r#""B""#, "null", "null"]),
    ("{ min: f, table: t, column: code, value_type: keyword, through: { table: c, left_key: t, right_key: code, right_references: code } }", [r#""one""#, r#""one""#, "null"]),
    ("{ ids: f, table: c, foreign_key: t, element_type: integer }", ["[1, 2, 3]", "[4]", "[]"]),
    ("{ ids: f, table: c, foreign_key: t, element_type: keyword }", [r#"["1", "2", "3"]"#, r#"["4"]"#, "[]"]),
    ("{ ids: f, schema: side, table: x, through: { table: j, left_key: t, right_key: x }, element_type: long }", ["[7, 9]", "[8]", "[]"]),
    ("{ ids: f, table: c, primary_key: back, foreign_key: code, references: code, filters: [ { column: s, op: is_not_null } ], element_type: integer }", ["[-1]", "[-5, -2]", "[]"]),
    // a composite key: the text of a document id, in the order of the key
    ("{ ids: f, table: k, foreign_key: a, references: a, element_type: keyword }", [r#"["x:1", "z:1"]"#, r#"["x:1", "z:1"]"#, "[]"]),
    ("{ ids: f, table: k, primary_key: [a, b], foreign_key: a, references: a, element_type: keyword }", [r#"["1:x", "1:z"]"#, r#"["1:x", "1:z"]"#, "[]"]),
];

#[tokio::test]
async fn joins_and_aggregates_are_what_the_reference_says() -> Result<()> {
    in_database(TABLES, async |rows| {
        let cases: Vec<&Case> = JOINS.iter().chain(AGGREGATES).collect();
        let mut wrong = Vec::new();
        for (field, expected) in cases {
            // GIVEN one field WHEN the oracle builds
            let schema = format!("version: 1\ntable: t\nfields: [ {field} ]");
            let documents = documents_of(&schema, rows).await.context(*field)?;
            // THEN each row has the value that was written by hand
            for (at, expected) in expected.iter().enumerate() {
                let document = documents
                    .get(&(at + 1).to_string())
                    .context("no document")?;
                let Json::Object(members) = document else {
                    anyhow::bail!("no object");
                };
                let found = members
                    .first()
                    .map(|(_, value)| value)
                    .context("no field")?;
                // Means are near.
                if !found.fits(&Json::parse(expected)?) {
                    wrong.push(format!(
                        "{field}\n  row {}: {found} instead of {expected}",
                        at + 1
                    ));
                }
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn sums_and_extremes_have_the_type_that_postgres_gives_them() -> Result<()> {
    let tables = "
        CREATE TYPE mood AS ENUM ('sad', 'glad');
        CREATE TABLE t (id int PRIMARY KEY);
        CREATE TABLE v (t int, i2 int2, i4 int4, i8 int8, n numeric, r real, d float8, m money, iv interval,
          at timestamptz, dt date, tm time, tz timetz, u uuid, b boolean, e mood, arr int[], ip inet);
        INSERT INTO t VALUES (1), (2);
        INSERT INTO v VALUES
          (1, 1, 2147483647, 9223372036854775807, 1.50, 0.25, 0.1, 1.25::numeric::money, '1 hour', '2024-01-01 00:00+02', '2024-01-01', '10:00', '10:00+02', '00000000-0000-0000-0000-000000000001', true, 'glad', '{1,2}', '10.0.0.9'),
          (1, 2, 2147483647, 9223372036854775807, 2.250, 0.5, 0.2, 1.25::numeric::money, '1 day', '2024-01-02 00:00+02', 'infinity', '09:00', '09:00+00', '00000000-0000-0000-0000-000000000002', false, 'sad', '{1,3}', '10.0.0.10'),
          (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);";
    let figure = |tag: &str, name: &str, column: &str, value_type: &str| {
        format!(
            "{{ {tag}: {name}, table: v, foreign_key: t, column: {column}, value_type: {value_type} }}"
        )
    };
    let fields = [
        figure("sum", "si2", "i2", "long"),
        figure("sum", "si4", "i4", "long"),
        figure("sum", "si8", "i8", "decimal"),
        figure("sum", "sn", "n", "decimal"),
        figure("sum", "sr", "r", "float"),
        figure("sum", "sd", "d", "double"),
        figure("sum", "sm", "m", "decimal"),
        "{ avg: an, table: v, foreign_key: t, column: n }".to_owned(),
        "{ avg: ad, table: v, foreign_key: t, column: d }".to_owned(),
        figure("max", "xat", "at", "timestamp"),
        figure("max", "xdt", "dt", "date"),
        figure("max", "xdk", "dt", "keyword"),
        figure("min", "ntm", "tm", "time"),
        figure("min", "ntt", "tm", "timestamp"),
        figure("max", "xtz", "tz", "time"),
        figure("max", "xm", "m", "decimal"),
        figure("max", "xiv", "iv", "keyword"),
        figure("min", "nu", "u", "uuid"),
        figure("max", "xb", "b", "boolean"),
        figure("max", "xe", "e", "enum"),
        figure("max", "xip", "ip", "keyword"),
        figure("max", "xn", "n", "decimal"),
    ];
    in_database(tables, async |rows| {
        expect_fields(
            rows,
            &fields.join(", "),
            &[
                ("1", r#"{"si2": 3, "si4": 4294967294, "si8": 18446744073709551614, "sn": 3.750, "sr": 0.75, "sd": 0.30000000000000004,
                    "sm": 2.50, "an": 1.875, "ad": 0.15, "xat": "2024-01-01T22:00:00+00:00", "xdt": null, "xdk": "infinity",
                    "ntm": "09:00:00", "ntt": "1970-01-01T09:00:00", "xtz": "09:00:00", "xm": 1.25, "xiv": "P1D",
                    "nu": "00000000-0000-0000-0000-000000000001", "xb": true, "xe": "glad", "xip": "10.0.0.10", "xn": 2.250}"#),
                ("2", r#"{"si2": null, "si4": null, "si8": null, "sn": null, "sr": null, "sd": null, "sm": null, "an": null, "ad": null,
                    "xat": null, "xdt": null, "xdk": null, "ntm": null, "ntt": null, "xtz": null, "xm": null, "xiv": null, "nu": null, "xb": null,
                    "xe": null, "xip": null, "xn": null}"#),
            ],
        )
        .await
    })
    .await
}

#[tokio::test]
async fn text_is_ordered_as_its_column_is_collated() -> Result<()> {
    let tables = r#"
        CREATE TABLE t (id int PRIMARY KEY);
        CREATE TABLE v (id int PRIMARY KEY, t int, c text COLLATE "C", i text COLLATE "en-x-icu");
        INSERT INTO t VALUES (1);
        INSERT INTO v VALUES (1, 1, 'b', 'b'), (2, 1, 'B', 'B'), (3, 1, 'a', 'a'), (4, 1, 'ä', 'ä');"#;
    in_database(tables, async |rows| {
        let by = |name: &str, column: &str| {
            format!("{{ has_many: {name}, table: v, foreign_key: t, order_by: [ {{ column: {column} }} ], fields: [ {{ text: {column} }} ] }}")
        };
        expect_fields(
            rows,
            &format!("{}, {}", by("bytes", "c"), by("icu", "i")),
            &[(
                "1",
                r#"{"bytes": [{"c": "B"}, {"c": "a"}, {"c": "b"}, {"c": "ä"}], "icu": [{"i": "a"}, {"i": "ä"}, {"i": "b"}, {"i": "B"}]}"#,
            )],
        )
        .await
    })
    .await
}

#[tokio::test]
async fn partitions_quoted_names_and_tables_without_a_primary_key_are_read() -> Result<()> {
    let tables = r#"
        CREATE SCHEMA "Odd.Schema";
        CREATE TABLE "Odd.Schema"."My ""Table" ("theId" int NOT NULL, "SELECT" text, extra int, doubled int GENERATED ALWAYS AS (extra * 2) STORED);
        CREATE UNIQUE INDEX ON "Odd.Schema"."My ""Table" ("theId");
        CREATE TABLE "Odd.Schema".parts (id int, at date, owner int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE "Odd.Schema".parts_old PARTITION OF "Odd.Schema".parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
        CREATE TABLE "Odd.Schema".parts_new PARTITION OF "Odd.Schema".parts FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
        INSERT INTO "Odd.Schema"."My ""Table" VALUES (1, 'one', 4), (2, NULL, NULL);
        INSERT INTO "Odd.Schema".parts VALUES (1, '2020-05-05', 1), (1, '2021-05-05', 1), (2, '2021-05-05', 2);"#;
    in_database(tables, async |rows| {
        let schema = r#"
version: 1
schema: '"Odd.Schema"'
table: '"My ""Table"'
primary_key: '"theId"'
fields:
  - { long: number, column: ' "theId" ' }
  - { keyword: word, column: '"SELECT"' }
  - { integer: DOUBLED }
  - { has_many: parts, table: PARTS, foreign_key: Owner, fields: [ { date: at } ] }
  - { ids: partIds, table: parts, foreign_key: owner, element_type: keyword }
"#;
        let one = r#"{"number": 1, "word": "one", "DOUBLED": 8, "parts": [{"at": "2020-05-05"}, {"at": "2021-05-05"}], "partIds": ["1:2020-05-05", "1:2021-05-05"]}"#;
        let two = r#"{"number": 2, "word": null, "DOUBLED": null, "parts": [{"at": "2021-05-05"}], "partIds": ["2:2021-05-05"]}"#;
        expect(rows, schema, &[("1", one), ("2", two)]).await
    })
    .await
}
