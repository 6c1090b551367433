//! 3.7 and 3.8: every operator with its NULLs, values as they are written, soft delete.

use anyhow::{Context, Result, ensure};

use super::{documents_of, ids, in_database};

const TABLES: &str = "
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'glad', 'wild');
CREATE DOMAIN flag AS boolean;
CREATE DOMAIN dm AS mood; CREATE DOMAIN da AS text[]; CREATE DOMAIN dc AS citext; CREATE DOMAIN dv AS varchar(3);
CREATE TABLE other (id int);
INSERT INTO other VALUES (2);
CREATE TABLE t (id int PRIMARY KEY, n int, x numeric(6,2), name varchar(3), code char(4), ci citext,
  at timestamptz, big numeric, dig text, fl float8, mood mood, tags text[], ok boolean, gone flag, data jsonb, \"Odd \"\"One\" int);
ALTER TABLE t ADD dm dm GENERATED ALWAYS AS (mood) STORED, ADD da da GENERATED ALWAYS AS (tags) STORED, ADD dc dc GENERATED ALWAYS AS (ci) STORED,
  ADD dv dv GENERATED ALWAYS AS (name) STORED;
INSERT INTO t VALUES
  (1, 1, 1.00, 'ab', 'ab', 'Ab', '2024-01-01 00:00+00', 12345678901234567890.12, '007', 0.1, 'sad', '{a}', true, true, '{}', 1),
  (2, 2, 2.50, 'abc', 'abc', 'aB', '2024-01-02 00:00+00', 12345678901234567890.13, '7', 1e300, 'glad', '{a,b}', false, false, NULL, 2),
  (3, 3, 3.25, 'Abc', 'B', 'c', '2024-01-03 00:00+00', 'NaN', '1.50', 'NaN', 'wild', NULL, NULL, NULL, 'null', NULL),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
";

/// (filter, ids that remain)
#[rustfmt::skip]
const FILTERS: &[(&str, &str)] = &[
    ("{ column: n, op: is_null }", "4"),
    ("{ column: n, op: is_not_null }", "1 2 3"),
    ("{ column: data, op: is_null }", "2 4"),
    ("{ column: n, op: eq, value: 2 }", "2"),
    ("{ column: n, op: neq, value: 2 }", "1 3"),
    ("{ column: n, op: lt, value: 2 }", "1"),
    ("{ column: n, op: lte, value: 2 }", "1 2"),
    ("{ column: n, op: gt, value: 2 }", "3"),
    ("{ column: n, op: gte, value: 2 }", "2 3"),
    ("{ column: n, op: in, value: [1, 3, 9] }", "1 3"),
    ("{ column: n, op: not_in, value: [1, 3] }", "2"),
    ("{ column: n, op: between, value: [2, 3] }", "2 3"),
    ("{ column: n, op: between, value: [3, 2] }", ""),
    // a value is taken as written
    ("{ column: big, op: eq, value: 12345678901234567890.12 }", "1"),
    ("{ column: big, op: lt, value: 12345678901234567890.13 }", "1"),
    ("{ column: big, op: eq, value: 12345678901234567890.120 }", "1"),
    ("{ column: dig, op: eq, value: 007 }", "1"),
    ("{ column: dig, op: eq, value: 7 }", "2"),
    ("{ column: dig, op: in, value: [1.50, 7] }", "2 3"),
    ("{ column: dig, op: eq, value: 1.5 }", ""),
    ("{ column: dig, op: like, value: '0%' }", "1"),
    ("{ column: fl, op: eq, value: 0.1 }", "1"),
    ("{ column: fl, op: gte, value: 1e300 }", "2 3"),
    ("{ column: fl, op: eq, value: NaN }", "3"),
    ("{ column: fl, op: eq, value: .nan }", "3"),
    ("{ column: fl, op: lt, value: .inf }", "1 2"),
    ("{ column: fl, op: gt, value: -.inf }", "1 2 3"),
    // typed comparison
    ("{ column: x, op: eq, value: 2.5 }", "2"),
    ("{ column: x, op: eq, value: 2.504 }", ""),
    ("{ column: x, op: gt, value: 2.504 }", "3"),
    ("{ column: x, op: in, value: ['1', '3.250'] }", "1 3"),
    ("{ column: at, op: gte, value: '2024-01-02 02:00+02' }", "2 3"),
    ("{ column: at, op: lt, value: 2024-01-02 }", "1"),
    ("{ column: mood, op: gt, value: sad }", "2 3"),
    ("{ column: mood, op: not_in, value: [glad] }", "1 3"),
    ("{ column: tags, op: eq, value: '{a,b}' }", "2"),
    ("{ column: ok, op: eq, value: true }", "1"),
    ("{ column: ok, op: neq, value: true }", "2"),
    ("{ column: gone, op: eq, value: false }", "2"),
    // without the length modifier
    ("{ column: name, op: eq, value: abcdef }", ""),
    ("{ column: name, op: lt, value: abcdef }", "1 2 3"),
    ("{ column: code, op: eq, value: abcdef }", ""),
    ("{ column: code, op: eq, value: 'ab' }", "1"),
    // domains count as their base types
    ("{ column: dm, op: eq, value: glad }", "2"),
    ("{ column: dm, op: gte, value: glad }", "2 3"),
    ("{ column: dm, op: in, value: [sad, wild] }", "1 3"),
    ("{ column: dm, op: between, value: [sad, glad] }", "1 2"),
    ("{ column: da, op: neq, value: '{a}' }", "2"),
    ("{ column: da, op: in, value: ['{a}', '{a,b}'] }", "1 2"),
    ("{ column: dc, op: eq, value: AB }", "1 2"),
    ("{ column: dc, op: ilike, value: 'a%' }", "1 2"),
    ("{ column: dv, op: eq, value: abcdef }", ""),
    ("{ column: dv, op: gt, value: abbb }", "2"),
    // text operators
    ("{ column: name, op: like, value: 'ab%' }", "1 2"),
    ("{ column: name, op: ilike, value: 'AB_' }", "2 3"),
    ("{ column: name, op: like, value: '' }", ""),
    ("{ column: name, op: eq, value: \"it's \\\\ \" }", ""),
    ("{ column: ci, op: eq, value: AB }", "1 2"),
    ("{ column: ci, op: like, value: 'AB' }", "1 2"),
    // quoted names
    ("{ column: '\"Odd \"\"One\"', op: eq, value: 2 }", "2"),
    // raw: stands in parentheses, the table in scope bare or by its name
    ("{ raw: 'n = 1 OR n = 3' }", "1 3"),
    ("{ raw: 't.n > 1 AND ok IS NULL' }", "3"),
    ("{ raw: 'n <> 1 -- but not NULL' }", "2 3"),
    ("{ raw: 'n <> 1 /* but not NULL */' }", "2 3"),
    ("{ raw: 'id IN (SELECT id FROM other)' }", "2"),
    ("{ raw: 'ok' }", "1"),
    // all must be true
    ("{ column: n, op: gt, value: 1 }, { raw: 'ok IS NULL OR ok' }", "3"),
    ("{ raw: 'n = 1 OR n = 2' }, { column: n, op: neq, value: 1 }", "2"),
];

#[tokio::test]
async fn filters_keep_the_rows_that_the_reference_names() -> Result<()> {
    in_database(TABLES, async |rows| {
        for (filter, expected) in FILTERS {
            // GIVEN a filter of the root WHEN the oracle builds
            let schema =
                format!("version: 1\ntable: t\nfilters: [ {filter} ]\nfields: [ {{ long: id }} ]");
            let documents = documents_of(&schema, rows).await.context(*filter)?;
            // THEN only rows for which it is true have a document
            let found = ids(&documents).join(" ");
            ensure!(
                found == *expected,
                "{filter}: {found} instead of {expected}"
            );
        }
        Ok(())
    })
    .await
}

/// (rule, ids that remain)
#[rustfmt::skip]
const SOFT_DELETES: &[(&str, &str)] = &[
    // boolean, also a domain over it: set when true, not when false or NULL
    ("{ column: ok }", "2 3 4"),
    ("{ column: gone }", "2 3 4"),
    // others: set when not NULL, also 0 and ''
    ("{ column: n }", "4"),
    ("{ column: name }", "4"),
    ("{ column: data }", "2 4"),
    // and every `when` must be true: a NULL one keeps the row
    ("{ column: n, when: [ { column: n, op: gt, value: 1 } ] }", "1 4"),
    ("{ column: n, when: [ { column: ok, op: eq, value: true } ] }", "2 3 4"),
    ("{ column: n, when: [ { column: n, op: gt, value: 1 }, { raw: 'ok IS NOT NULL' } ] }", "1 3 4"),
    // by field: the column is the marker, without transforms and default
    ("{ field: removed }", "4"),
    ("{ field: deep }", "2 3 4"),
    ("{ field: mood }", "4"),
];

#[tokio::test]
async fn soft_delete_removes_the_rows_that_the_reference_names() -> Result<()> {
    in_database(TABLES, async |rows| {
        for (rule, expected) in SOFT_DELETES {
            // GIVEN a rule WHEN the oracle builds
            let schema = format!(
                "version: 1\ntable: t\nsoft_delete: {rule}\nfields:\n\
                 - {{ text: removed, column: name, transforms: [trim], default: x }}\n\
                 - {{ object: o, fields: [ {{ boolean: deep, column: ok, default: true }} ] }}\n\
                 - {{ enum: mood }}\n"
            );
            let documents = documents_of(&schema, rows).await.context(*rule)?;
            // THEN rows that it marks have no document
            let found = ids(&documents).join(" ");
            ensure!(found == *expected, "{rule}: {found} instead of {expected}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn filters_of_joins_and_aggregates_test_their_table() -> Result<()> {
    let tables = "
        CREATE TABLE t (id int PRIMARY KEY, c int);
        CREATE TABLE c (id int PRIMARY KEY, t int, n int);
        CREATE TABLE j (t int, c int);
        INSERT INTO t VALUES (1, 10), (2, 20);
        INSERT INTO c VALUES (10, 1, 5), (11, 1, NULL), (20, 2, 7);
        INSERT INTO j VALUES (1, 10), (1, 20), (2, 11);";
    let only = "filters: [ { column: n, op: gte, value: 6 } ]";
    in_database(tables, async |rows| {
        // GIVEN the same filter on every kind of relation
        let through = "through: { table: j, left_key: t, right_key: c }";
        let fields = format!(
            "[ {{ belongs_to: b, column: c, table: c, {only}, fields: [ {{ long: id }} ] }},
               {{ has_one: o, table: c, foreign_key: t, {only}, fields: [ {{ long: id }} ] }},
               {{ has_many: m, table: c, foreign_key: t, {only}, fields: [ {{ long: id }} ] }},
               {{ many_to_many: mm, table: c, {through}, {only}, fields: [ {{ long: id }} ] }},
               {{ count: k, table: c, foreign_key: t, {only} }},
               {{ count: kk, table: c, {through}, {only} }},
               {{ sum: s, table: c, column: n, value_type: long, foreign_key: t, {only} }},
               {{ max: x, table: c, column: n, value_type: integer, {through}, {only} }},
               {{ ids: i, table: c, {through}, element_type: integer, {only} }} ]"
        );
        // WHEN the oracle builds, THEN only rows that pass count
        super::expect(
            rows,
            &format!("version: 1\ntable: t\nfields: {fields}"),
            &[
                ("1", r#"{"b": null, "o": null, "m": [], "mm": [{"id": 20}], "k": 0, "kk": 1, "s": null, "x": 7, "i": [20]}"#),
                ("2", r#"{"b": {"id": 20}, "o": {"id": 20}, "m": [{"id": 20}], "mm": [], "k": 1, "kk": 0, "s": 7, "x": null, "i": []}"#),
            ],
        )
        .await
    })
    .await
}
