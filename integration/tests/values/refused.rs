//! What is refused: by the product (E301 and its like, with the message of the page), and by the
//! index (each row of `refused.txt`), where it is one document's own fault.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use definition::Severity;
use worker_svc::compiled;
use worker_svc::outcome::Outcome;

use super::stage::Stage;
use super::table::{Value, columns, lines, schema};

const REFUSED: &str = include_str!("refused.txt");

/// The tags of one column.
const TAGS: [&str; 17] = [
    "text",
    "identifier",
    "keyword",
    "enum",
    "uuid",
    "time",
    "boolean",
    "short",
    "integer",
    "long",
    "float",
    "double",
    "binary",
    "decimal",
    "date",
    "timestamp",
    "json",
];

/// Type as a column has it, its name in messages, and the tags that accept it; `geo` and `map`
/// accept no arrays.
const ACCEPTED: [(&str, &str, &[&str]); 33] = [
    (
        "text",
        "text",
        &["text", "identifier", "keyword", "enum", "geo"],
    ),
    (
        "varchar(3)",
        "character varying",
        &["text", "identifier", "keyword", "enum", "geo"],
    ),
    (
        "name",
        "name",
        &["text", "identifier", "keyword", "enum", "geo"],
    ),
    (
        "citext",
        "citext",
        &["text", "identifier", "keyword", "enum", "geo"],
    ),
    (
        "char(3)",
        "character",
        &["text", "identifier", "keyword", "enum", "geo"],
    ),
    ("mood", "mood", &["text", "identifier", "keyword", "enum"]),
    ("uuid", "uuid", &["uuid", "keyword"]),
    ("boolean", "boolean", &["boolean", "keyword"]),
    (
        "int2",
        "smallint",
        &["short", "integer", "long", "double", "decimal", "keyword"],
    ),
    (
        "int4",
        "integer",
        &["integer", "long", "double", "decimal", "keyword"],
    ),
    ("int8", "bigint", &["long", "decimal", "keyword"]),
    ("oid", "oid", &["long", "decimal", "keyword"]),
    ("real", "real", &["float", "double", "keyword"]),
    ("float8", "double precision", &["double", "keyword"]),
    ("numeric(8,2)", "numeric", &["decimal", "keyword"]),
    ("money", "money", &["decimal", "keyword"]),
    ("date", "date", &["date", "keyword"]),
    (
        "timestamp(3)",
        "timestamp without time zone",
        &["timestamp", "keyword"],
    ),
    (
        "timestamptz",
        "timestamp with time zone",
        &["timestamp", "keyword"],
    ),
    (
        "time",
        "time without time zone",
        &["time", "keyword", "timestamp"],
    ),
    (
        "timetz",
        "time with time zone",
        &["time", "keyword", "timestamp"],
    ),
    ("bytea", "bytea", &["binary"]),
    ("json", "json", &["json", "map", "geo"]),
    ("jsonb", "jsonb", &["json", "map", "geo"]),
    ("interval", "interval", &["keyword"]),
    ("inet", "inet", &["keyword"]),
    ("bit(3)", "bit", &["keyword"]),
    ("int4range", "int4range", &["keyword"]),
    ("int4multirange", "int4multirange", &["keyword"]),
    ("point", "point", &["keyword"]),
    ("pair", "pair", &[]),
    ("geometry", "geometry", &[]),
    ("pairs", "pairs", &[]),
];

const TYPES: &str = "
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('so so', 'Fine');
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN pairs AS pair;
CREATE TYPE geometry;
CREATE FUNCTION geometry_in(cstring) RETURNS geometry LANGUAGE internal STRICT IMMUTABLE AS 'textin';
CREATE FUNCTION geometry_out(geometry) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'textout';
CREATE TYPE geometry (INPUT = geometry_in, OUTPUT = geometry_out, LIKE = text);
";

#[tokio::test(flavor = "multi_thread")]
async fn each_tag_accepts_the_types_of_its_rows_and_no_other() -> Result<()> {
    // GIVEN a column of each type, and of arrays of it.
    let stage = Stage::new("accepted", TYPES).await?;
    let columns: Vec<_> = ACCEPTED
        .iter()
        .enumerate()
        .map(|(n, (kind, ..))| format!(", o{n} {kind}, a{n} {kind}[]"))
        .collect();
    let columns = columns.concat();
    stage
        .sql(&format!("CREATE TABLE t (id int PRIMARY KEY{columns})"))
        .await?;
    let empty = stage.file("version: 1\ntable: t\nfields: []\n", "")?;
    let catalog = compiled::catalog(&stage.session, &[&empty.definition]).await?;
    let mut wrong = Vec::new();
    for (n, (_, name, accepted)) in ACCEPTED.iter().enumerate() {
        for (column, name, is_array) in [
            (format!("o{n}"), (*name).to_owned(), false),
            (format!("a{n}"), format!("{name}[]"), true),
        ] {
            // WHEN every tag reads it.
            let mut fields: Vec<String> = TAGS
                .iter()
                .map(|tag| format!("{{ {tag}: f_{tag}, column: {column} }}"))
                .collect();
            fields.push(format!("{{ geo: f_geo, column: {column} }}"));
            fields.push(format!("{{ map: f_map, column: {column}, values: text }}"));
            let schema = format!("version: 1\ntable: t\nfields: [{}]\n", fields.join(", "));
            let file = stage.file(&schema, "")?;
            let found: BTreeSet<String> = match compiled::compile(&file.definition, catalog.clone())
            {
                Ok(_) => BTreeSet::new(),
                Err(findings) => findings
                    .findings()
                    .iter()
                    .filter(|finding| finding.severity == Severity::Error)
                    .map(|finding| format!("{} {}", finding.code, finding.message))
                    .collect(),
            };
            // THEN exactly those refuse it that the page does not list.
            let refused: BTreeSet<String> = TAGS
                .into_iter()
                .chain(["geo", "map"])
                .filter(|tag| !accepted.contains(tag) || (is_array && ["geo", "map"].contains(tag)))
                .map(|tag| {
                    format!("E301 public.t.{column} is {name}, which `{tag}` does not accept")
                })
                .collect();
            wrong.extend(
                refused
                    .difference(&found)
                    .map(|one| format!("not said: {one}")),
            );
            wrong.extend(found.difference(&refused).map(|one| format!("said: {one}")));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.remove().await
}

/// Column, field, message and a part of the help.
const SAID: [(&str, &str, &str, &str); 9] = [
    (
        "a numeric",
        "long: a",
        "public.t.a is numeric, which `long` does not accept",
        "use decimal, keyword or custom",
    ),
    (
        "a int8",
        "double: a",
        "public.t.a is bigint, which `double` does not accept",
        "use long, decimal, keyword or custom",
    ),
    (
        "a bytea",
        "keyword: a",
        "public.t.a is bytea, which `keyword` does not accept",
        "use binary or custom",
    ),
    (
        "a pair",
        "keyword: a",
        "public.t.a is pair, which `keyword` does not accept",
        "",
    ),
    (
        "a pair",
        "custom: a, postgres: [pair], opensearch: { type: keyword }",
        "public.t.a is pair, which `custom` does not accept",
        "columns of other types",
    ),
    (
        "a geometry",
        "custom: a, postgres: [geometry], opensearch: { type: geo_shape }",
        "public.t.a is geometry, which `custom` does not accept",
        "columns of other types",
    ),
    (
        "a int4",
        "custom: a, postgres: [int8], opensearch: { type: long }",
        "public.t.a is integer, which `custom` does not accept",
        "list integer under postgres",
    ),
    (
        "a point",
        "geo: a, column: a",
        "public.t.a is point, which `geo` does not accept",
        "generated column",
    ),
    (
        "a money, b float8",
        "geo: g, lat: a, lon: b",
        "public.t.a is money, which `geo` does not accept",
        "two numeric columns",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tag_does_not_accept_is_said_with_what_would_do() -> Result<()> {
    let stage = Stage::new("said", TYPES).await?;
    let mut wrong = Vec::new();
    for (columns, field, message, help) in SAID {
        stage
            .sql(&format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, {columns})"
            ))
            .await?;
        let file = stage.file(
            &format!("version: 1\ntable: t\nfields: [ {{ {field} }} ]\n"),
            "",
        )?;
        let catalog = compiled::catalog(&stage.session, &[&file.definition]).await?;
        let found: Vec<(&str, String, String)> = match compiled::compile(&file.definition, catalog)
        {
            Ok(_) => Vec::new(),
            Err(findings) => findings
                .findings()
                .iter()
                .map(|one| {
                    (
                        one.code,
                        one.message.clone(),
                        one.help.clone().unwrap_or_default(),
                    )
                })
                .collect(),
        };
        let is_said = |(code, said, helped): &(&str, String, String)| {
            *code == "E301" && said == message && helped.contains(help)
        };
        if found.len() != 1 || !found.iter().all(is_said) {
            wrong.push(format!("{field}: {found:?}, not {message} ({help})"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_cannot_hold_is_its_documents_own_fault() -> Result<()> {
    let lines = lines(REFUSED, 4)?;
    let mut values = Vec::new();
    for line in &lines {
        values.push(Value::new('r', line)?);
    }
    // GIVEN one row for each value, and one without any.
    let stage = Stage::new("refused", "").await?;
    stage
        .sql(&format!(
            "CREATE TABLE t (id int PRIMARY KEY{}); INSERT INTO t VALUES (0)",
            columns(&values)
        ))
        .await?;
    for value in &values {
        let names: Vec<&str> = value
            .columns
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let id = value.name.trim_start_matches('r').trim_start_matches('0');
        stage
            .sql(&format!(
                "INSERT INTO t (id, {}) VALUES ({id}, {})",
                names.join(", "),
                value.sql
            ))
            .await?;
    }
    let file = stage.file(&schema(&values), "")?;
    let compiled = stage.compile(&file).await?;
    let index = stage
        .index("t", &compiled.index_body(&file.definition, &file.options))
        .await?;
    // WHEN
    let built = stage.scanned(&compiled).await?;
    let outcomes = stage.write(&index, &built).await?;
    // THEN each is refused with its reason, and the one without any is in.
    ensure!(outcomes.len() == built.documents.len());
    let mut wrong = Vec::new();
    for (at, outcome) in outcomes.iter().enumerate() {
        let id = &built.documents[at].id;
        let Some(line) = lines.iter().find(|line| line.number.to_string() == *id) else {
            ensure!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
            continue;
        };
        let expected =
            matches!(outcome, Outcome::Refused(refusal) if refusal.reason.contains(&line.cells[3]));
        if !expected {
            wrong.push(format!("line {id}, {}: {outcome:?}", line.cells[2]));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.remove().await
}
