//! What the generator promises: valid files, every word of the language, cases that shrink.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use definition::{Files, Overrides};
use serde_json::Value;

use super::model::{Conflict, Matching, Op, PartitionKind, Set};
use super::types::BASES;
use super::{Plan, plan};
use crate::language::case::{Case, Size};
use crate::language::shrink;
use crate::oracle::TAGS;

/// How many seeds the words are counted over.
const COUNTED: u64 = 300;

/// A `flusso.toml` with one index.
struct OneFile<'y>(&'y str);

impl Files for OneFile<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("flusso.toml") => Ok(String::from(
                "[source]\ntype = \"postgres\"\nconnection_url = \"postgres://x\"\n[[index]]\nname = \"t\"\nschema = \"t.schema.yml\"\n",
            )),
            Some("t.schema.yml") => Ok(self.0.to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn loads(yaml: &str) -> Result<(), String> {
    let path = Path::new("flusso.toml");
    let loaded = definition::load(
        path,
        &OneFile(yaml),
        &BTreeMap::new(),
        &Overrides::default(),
    );
    loaded
        .map(|_| ())
        .map_err(|findings| findings.render_human(false))
}

#[test]
fn equal_seeds_give_equal_cases() {
    let text = |seed| Case::generate(seed, Size::Small).to_text();
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
}

#[test]
fn every_file_is_valid() {
    for seed in 0..500 {
        let size = match seed % 10 {
            0 => Size::Large,
            1 => Size::Accepted,
            _ => Size::Small,
        };
        for file in Case::generate(seed, size).indexes {
            if let Err(findings) = loads(&file.yaml) {
                panic!("seed {seed}\n{}\n{findings}", file.yaml);
            }
        }
    }
}

/// Counts the words of files: `tag`, `tag.sibling`, and what filters and the like say.
fn count_fields(fields: &Value, depth: usize, counts: &mut BTreeMap<String, usize>) {
    for field in fields.as_array().into_iter().flatten() {
        let map = field.as_object().expect("a field");
        // `values` and the like are no tags; the tag stands first.
        let (tag, _) = map.iter().next().expect("a tag");
        assert!(TAGS.contains(&tag.as_str()), "{tag}");
        let mut count = |word: String| *counts.entry(word).or_default() += 1;
        count(tag.clone());
        for (sibling, value) in map.iter().skip(1) {
            count(format!("{tag}.{sibling}"));
            if let Some(inner) = value.as_object().filter(|_| sibling == "through") {
                inner.keys().for_each(|key| count(format!("through.{key}")));
            }
        }
        if map.contains_key("table") {
            count(format!("depth {depth}"));
        }
        count_filters(field.get("filters"), counts);
        for order in field
            .get("order_by")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            for (key, value) in order.as_object().expect("an order").iter().skip(1) {
                *counts.entry(format!("order {key} {value}")).or_default() += 1;
            }
        }
        if let Some(inner) = field.get("fields") {
            count_fields(
                inner,
                depth + usize::from(map.contains_key("table")),
                counts,
            );
        }
    }
}

fn count_filters(filters: Option<&Value>, counts: &mut BTreeMap<String, usize>) {
    for filter in filters.and_then(Value::as_array).into_iter().flatten() {
        let op = filter.get("op").and_then(Value::as_str).unwrap_or("raw");
        *counts.entry(format!("op {op}")).or_default() += 1;
    }
}

fn count_file(yaml: &str, counts: &mut BTreeMap<String, usize>) {
    let strict = serde_saphyr::options! { strict_booleans: true };
    // What it is not made for, and what does not matter here.
    let finite = yaml.replace(".inf", "0").replace(".nan", "0");
    let file: Value = serde_saphyr::from_str_with_options(&finite, strict).expect("YAML");
    for key in file.as_object().expect("a map").keys() {
        *counts.entry(format!("top {key}")).or_default() += 1;
    }
    if let Some(delete) = file.get("soft_delete").and_then(Value::as_object) {
        for key in delete.keys() {
            *counts.entry(format!("soft_delete.{key}")).or_default() += 1;
        }
        count_filters(delete.get("when"), counts);
    }
    count_filters(file.get("filters"), counts);
    count_fields(file.get("fields").expect("fields"), 0, counts);
}

/// Counts what the tables are, and what happens to them.
fn count_plan(plan: &Plan, counts: &mut BTreeMap<String, usize>) {
    let mut count = |word: &str| *counts.entry(word.to_owned()).or_default() += 1;
    for table in &plan.tables {
        for column in &table.columns {
            count(&format!("type {:?}", column.ty.base));
            if column.ty.is_array {
                count("array");
            }
            if column.ty.domain.is_some() {
                count("domain");
            }
            if column.generated.is_some() {
                count("generated column");
            }
            if column.is_external {
                count("stored outside");
            }
        }
        match table.key.len() {
            0 => count("no primary key"),
            1 => count("single key"),
            _ => count("composite key"),
        }
        count(
            match table.partition.as_ref().map(|partition| &partition.kind) {
                None => "not partitioned",
                Some(PartitionKind::Hash(_)) => "partitioned by hash",
                Some(PartitionKind::List(_)) => "partitioned by list",
                Some(PartitionKind::Range(_)) => "partitioned by range",
            },
        );
        count(&format!("schema {}", table.schema));
        for relation in &table.relations {
            count(if relation.declared.is_some() {
                "foreign key"
            } else {
                "undeclared relation"
            });
            if relation.references != plan.table(relation.table).key {
                count("reference to another key");
            }
            if relation.columns.len() > 1 {
                count("composite foreign key");
            }
        }
    }
    for step in &plan.steps {
        count(if step.commit { "commit" } else { "rollback" });
        for op in &step.ops {
            count(match op {
                Op::Insert {
                    conflict: Conflict::Fails,
                    ..
                } => "insert",
                Op::Insert { .. } => "upsert",
                Op::Update {
                    matching: Matching::All,
                    ..
                } => "update of all rows",
                Op::Update { set, .. }
                    if set.iter().any(|(_, set)| matches!(set, Set::From(..))) =>
                {
                    "relative update"
                }
                Op::Update { .. } => "update",
                Op::Delete {
                    matching: Matching::All,
                    ..
                } => "delete of all rows",
                Op::Delete { .. } => "delete",
                Op::Savepoint(_) => "savepoint",
                Op::RollbackTo(_) => "rollback to a savepoint",
            });
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of words")]
fn every_word_of_the_language_occurs() {
    // GIVEN what 300 cases hold.
    let mut counts = BTreeMap::new();
    for seed in 0..COUNTED {
        let plan = plan(seed, Size::Small);
        count_plan(&plan, &mut counts);
        for file in plan.render().indexes {
            count_file(&file.yaml, &mut counts);
        }
    }
    let words = |tags: &[&str], siblings: &[&str]| -> Vec<String> {
        tags.iter()
            .flat_map(|tag| {
                let with = siblings
                    .iter()
                    .map(move |sibling| format!("{tag}.{sibling}"));
                std::iter::once((*tag).to_owned()).chain(with)
            })
            .collect()
    };
    let aggregate = [
        "table",
        "foreign_key",
        "through",
        "schema",
        "references",
        "filters",
    ];
    let mut wanted: Vec<String> = [
        words(
            &["text", "identifier", "keyword", "enum"],
            &["column", "required", "options", "transforms", "default"],
        ),
        words(&["enum"], &["variants"]),
        words(
            &[
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
            ],
            &["column", "required", "default"],
        ),
        words(
            &[
                "uuid",
                "boolean",
                "integer",
                "double",
                "binary",
                "decimal",
                "date",
                "timestamp",
            ],
            &["options"],
        ),
        words(
            &["custom"],
            &["column", "required", "default", "postgres", "opensearch"],
        ),
        words(&["geo"], &["lat", "lon", "column", "required", "options"]),
        words(&["map"], &["values", "column", "required", "options"]),
        words(&["object"], &["fields"]),
        words(&["constant"], &["value", "options"]),
        words(
            &["belongs_to"],
            &[
                "table",
                "fields",
                "schema",
                "primary_key",
                "column",
                "references",
                "required",
                "filters",
                "options",
            ],
        ),
        words(
            &["has_one"],
            &[
                "table",
                "fields",
                "foreign_key",
                "schema",
                "primary_key",
                "references",
                "required",
                "filters",
                "order_by",
                "options",
            ],
        ),
        words(
            &["has_many"],
            &[
                "table",
                "fields",
                "foreign_key",
                "schema",
                "primary_key",
                "references",
                "filters",
                "order_by",
                "limit",
                "options",
            ],
        ),
        words(
            &["many_to_many"],
            &[
                "table",
                "fields",
                "through",
                "schema",
                "primary_key",
                "filters",
                "order_by",
                "limit",
                "options",
            ],
        ),
        words(
            &["through"],
            &[
                "table",
                "schema",
                "left_key",
                "right_key",
                "left_references",
                "right_references",
            ],
        ),
        words(&["count", "avg", "sum", "min", "max", "ids"], &aggregate),
        words(&["avg", "sum", "min", "max"], &["column"]),
        words(&["sum", "min", "max"], &["value_type"]),
        words(&["ids"], &["element_type", "primary_key"]),
        BASES.iter().map(|base| format!("type {base:?}")).collect(),
    ]
    .concat();
    // A prefix, not a word.
    wanted.retain(|word| word != "through");
    let more = [
        "op is_null",
        "op is_not_null",
        "op eq",
        "op neq",
        "op lt",
        "op lte",
        "op gt",
        "op gte",
        "op like",
        "op ilike",
        "op in",
        "op not_in",
        "op between",
        "op raw",
        "top primary_key",
        "top schema",
        "top soft_delete",
        "top filters",
        "soft_delete.column",
        "soft_delete.field",
        "soft_delete.when",
        "order direction \"asc\"",
        "order direction \"desc\"",
        "order nulls \"first\"",
        "order nulls \"last\"",
        "depth 0",
        "depth 1",
        "depth 2",
        "depth 3",
        "depth 4",
        "array",
        "domain",
        "generated column",
        "stored outside",
        "no primary key",
        "single key",
        "composite key",
        "partitioned by hash",
        "partitioned by list",
        "partitioned by range",
        "schema public",
        "schema crm",
        "schema Mixed Case",
        "foreign key",
        "undeclared relation",
        "reference to another key",
        "composite foreign key",
        "commit",
        "rollback",
        "insert",
        "upsert",
        "update",
        "relative update",
        "update of all rows",
        "delete",
        "delete of all rows",
        "savepoint",
        "rollback to a savepoint",
    ];
    wanted.extend(more.map(str::to_owned));
    // THEN each word that the language has is there, a few times.
    let rare: Vec<(String, usize)> = wanted
        .into_iter()
        .map(|word| {
            let count = counts.get(&word).copied().unwrap_or_default();
            (word, count)
        })
        .filter(|(_, count)| *count < 3)
        .collect();
    assert!(rare.is_empty(), "rare in {COUNTED} cases: {rare:?}");
}

#[test]
fn every_smaller_case_is_valid_and_none_is_larger() {
    for seed in 0..6 {
        let case = Case::generate(seed, Size::Small);
        let size = |case: &Case| {
            let steps: usize = case.steps.iter().map(|step| step.statements.len()).sum();
            let files: usize = case.indexes.iter().map(|file| file.yaml.len()).sum();
            // Spelling is drawn anew: quotes come and go.
            case.rows.len() + steps + files / 40 + case.ddl.len()
        };
        for smaller in shrink(&case).step_by(9) {
            assert!(
                size(&smaller) <= size(&case) + 4,
                "seed {seed}\n{}",
                smaller.to_text()
            );
            for file in &smaller.indexes {
                if let Err(findings) = loads(&file.yaml) {
                    panic!("seed {seed}\n{}\n{findings}", file.yaml);
                }
            }
        }
    }
}

#[test]
fn what_fails_shrinks_to_what_makes_it_fail() {
    // GIVEN cases that "fail" because a file has a to-many join and a step deletes rows.
    let fails = |case: &Case| {
        let joins = case
            .indexes
            .iter()
            .any(|file| file.yaml.contains("has_many"));
        let deletes = case
            .steps
            .iter()
            .flat_map(|step| &step.statements)
            .any(|sql| sql.starts_with("DELETE"));
        joins && deletes
    };
    let mut tried = 0;
    for case in (0..30)
        .map(|seed| Case::generate(seed, Size::Small))
        .filter(&fails)
        .take(5)
    {
        // WHEN it is shrunk.
        let mut small = case;
        let mut candidates = 0;
        while let Some(smaller) = shrink(&small).inspect(|_| candidates += 1).find(&fails) {
            small = smaller;
        }
        println!("{candidates} cases tried");
        // THEN little else is left.
        let statements: usize = small.steps.iter().map(|step| step.statements.len()).sum();
        assert_eq!(
            (small.indexes.len(), statements, small.rows.len()),
            (1, 1, 0),
            "{}",
            small.to_text()
        );
        assert!(
            small
                .indexes
                .iter()
                .all(|file| file.yaml.lines().count() < 25),
            "{}",
            small.to_text()
        );
        tried += 1;
    }
    assert_eq!(tried, 5);
}
