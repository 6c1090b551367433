//! 3.4 and 3.10: constants, points, objects; ids of documents.

use anyhow::{Context, Result, ensure};
use integration::oracle::Json;

use super::{documents_of, expect, expect_fields, ids, in_database};

#[tokio::test]
async fn constants_have_their_own_json_type() -> Result<()> {
    let constants = [
        ("true", "true"),
        ("no", "\"no\""),
        ("7", "7"),
        ("-7", "-7"),
        ("9007199254740993", "9007199254740993"),
        ("0x10", "16"),
        ("1.5", "1.5"),
        ("1e3", "1000"),
        ("'7'", "\"7\""),
        ("show", "\"show\""),
        ("2024-01-01", "\"2024-01-01\""),
        ("1.2.3", "\"1.2.3\""),
        ("null", "null"),
        ("~", "null"),
        ("[1, 2]", "[1, 2]"),
        ("[]", "[]"),
        (
            "{ a: [1, x], b: { c: null } }",
            r#"{"a": [1, "x"], "b": {"c": null}}"#,
        ),
    ];
    in_database(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)",
        async |rows| {
            for (written, expected) in constants {
                // GIVEN a constant WHEN the oracle builds, THEN it has the JSON type of its YAML
                let schema = format!(
                    "version: 1\ntable: t\nfields: [ {{ constant: f, value: {written} }} ]"
                );
                let documents = documents_of(&schema, rows).await?;
                let found = documents.get("1").and_then(|document| document.get("f"));
                let found = found.context("no field")?;
                ensure!(
                    found.fits(&Json::parse(expected)?),
                    "{written}: {found} instead of {expected}"
                );
            }
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn a_point_of_two_columns_is_null_when_one_of_them_says_nothing() -> Result<()> {
    let tables = "
        CREATE TABLE t (id int PRIMARY KEY, lat float8, lon numeric(8,4), place jsonb);
        INSERT INTO t VALUES (1, 53.5413, 9.9841, '[9.98, 53.54]'), (2, NULL, 1, NULL), (3, 1, NULL, NULL), (4, 'NaN', 1, NULL), (5, 1, 'NaN', NULL);";
    in_database(tables, async |rows| {
        let nothing = r#"{"at": null, "place": null}"#;
        expect_fields(
            rows,
            "{ geo: at, lat: lat, lon: lon }, { geo: place, column: place }",
            &[
                (
                    "1",
                    r#"{"at": {"lat": 53.5413, "lon": 9.9841}, "place": [9.98, 53.54]}"#,
                ),
                ("2", nothing),
                ("3", nothing),
                ("4", nothing),
                ("5", nothing),
            ],
        )
        .await
    })
    .await
}

#[tokio::test]
async fn members_come_in_the_order_of_the_file_and_null_is_written() -> Result<()> {
    in_database("CREATE TABLE t (id int PRIMARY KEY, a int, b int); INSERT INTO t VALUES (1, 2, NULL)", async |rows| {
        // GIVEN fields in an order of their own WHEN the oracle builds, THEN members have it
        expect_fields(
            rows,
            "{ integer: b }, { constant: z, value: 1 }, { integer: a }, { object: o, fields: [ { integer: b }, { integer: a } ] }",
            &[("1", r#"{"b": null, "z": 1, "a": 2, "o": {"b": null, "a": 2}}"#)],
        )
        .await?;
        // AND another order is another document
        let documents = documents_of("version: 1\ntable: t\nfields: [ { integer: a }, { integer: b } ]", rows).await?;
        let document = documents.get("1").context("no document")?;
        ensure!(!document.fits(&Json::parse(r#"{"b": null, "a": 2}"#)?), "order does not count");
        ensure!(!document.fits(&Json::parse(r#"{"a": 2.0, "b": null}"#)?), "digits do not count");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn anchors_of_the_file_are_followed() -> Result<()> {
    in_database("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)", async |rows| {
        let schema = "version: 1\ntable: t\nfields:\n- { object: a, fields: &f [ { long: id } ] } # one\n- { object: b, fields: *f }\n";
        expect(rows, schema, &[("1", r#"{"a": {"id": 1}, "b": {"id": 1}}"#)]).await
    })
    .await
}

/// (type of the key, literal, id)
#[rustfmt::skip]
const KEYS: &[(&str, &str, &str)] = &[
    ("text", "'a:b\\'", "a:b\\"),
    ("numeric", "1.50", "1.50"),
    ("uuid", "'6F9619FF-8B86-D011-B42D-00CF4FC964FF'", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
    ("bytea", r"'\xAB01'", r"\xab01"),
    ("char(4)", "'ab'", "ab  "),
    ("boolean", "true", "true"),
    ("boolean", "false", "false"),
    ("date", "'2024-02-29'", "2024-02-29"),
    ("timestamptz", "'2024-02-29 13:14:15.50+02'", "2024-02-29 11:14:15.5+00"),
    ("interval", "'1 day'", "P1D"),
    ("float8", "0.1", "0.1"),
    ("inet", "'10.0.0.1'", "10.0.0.1"),
    // empty, over 512 bytes, or of the form of a digest: SHA-256 of the text
    ("text", "''", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("text", "'sha256:E3b0'", "sha256:E3b0"),
];

#[tokio::test]
async fn an_id_is_the_text_of_the_key() -> Result<()> {
    in_database("", async |rows| {
        for (kind, literal, expected) in KEYS {
            rows.batch_execute(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t (k {kind} PRIMARY KEY); INSERT INTO t VALUES ({literal})")).await?;
            let documents = documents_of("version: 1\ntable: t\nfields: []", rows).await?;
            ensure!(ids(&documents) == [*expected], "{kind} {literal}: {documents:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn long_ids_and_those_that_look_like_a_digest_become_a_digest() -> Result<()> {
    let tables = "
        CREATE TABLE t (k text PRIMARY KEY, is_long boolean);
        INSERT INTO t VALUES (repeat('ä', 256), false), (repeat('ä', 256) || 'x', true), ('sha256:' || encode(sha256('x'), 'hex'), true);";
    in_database(tables, async |rows| {
        // GIVEN keys of 512 and 513 bytes, and one of the form of a digest WHEN the oracle builds
        let documents =
            documents_of("version: 1\ntable: t\nfields: [ { keyword: k } ]", rows).await?;
        // THEN the last two are known by Postgres' own digest of their texts
        let expected = rows
            .query("SELECT CASE WHEN is_long THEN 'sha256:' || encode(sha256(k::bytea), 'hex') ELSE k END FROM t ORDER BY 1", &[])
            .await?;
        let expected: Vec<String> = expected.iter().map(|row| row.get(0)).collect();
        ensure!(ids(&documents) == expected, "{documents:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_composite_id_is_escaped_and_in_the_order_of_the_key() -> Result<()> {
    let tables = "
        CREATE TABLE t (a text, n int, b boolean, PRIMARY KEY (n, a));
        CREATE UNIQUE INDEX ON t (b, a); ALTER TABLE t ALTER b SET NOT NULL;
        INSERT INTO t VALUES ('a:b', 7, true), ('c\\', 8, false), ('', 9, true);";
    in_database(tables, async |rows| {
        // GIVEN no key in the file: the constraint's order
        let documents = documents_of("version: 1\ntable: t\nfields: []", rows).await?;
        ensure!(
            ids(&documents) == [r"7:a\:b", r"8:c\\", "9:"],
            "{documents:?}"
        );
        // AND a key of the file: its own
        let documents = documents_of(
            "version: 1\ntable: t\nprimary_key: [a, n]\nfields: []",
            rows,
        )
        .await?;
        ensure!(
            ids(&documents) == [":9", r"a\:b:7", r"c\\:8"],
            "{documents:?}"
        );
        let documents = documents_of(
            "version: 1\ntable: t\nprimary_key: [b, a]\nfields: []",
            rows,
        )
        .await?;
        ensure!(
            ids(&documents) == [r"false:c\\", "true:", r"true:a\:b"],
            "{documents:?}"
        );
        Ok(())
    })
    .await
}
