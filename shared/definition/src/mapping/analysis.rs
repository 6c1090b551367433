//! Analysis of every index: analyzers, and one normalizer per list of variants.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::deployment::TextAnalysis;
use crate::index::{Field, FieldKind, IndexDefinition};

/// Bytes of the digest in a normalizer's name; it only has to tell the lists of one index apart.
const NAME_BYTES: usize = 4;

/// The name of the normalizer that sorts by these variants.
pub(super) fn enum_normalizer(variants: &[String]) -> String {
    let digest = Sha256::digest(variants.join("\n").as_bytes());
    let mut name = String::from("flusso_enumsort_");
    for byte in digest.iter().take(NAME_BYTES) {
        let _infallible = write!(name, "{byte:02x}");
    }
    name
}

/// The `analysis` section of the settings.
pub(super) fn analysis(definition: &IndexDefinition, kind: TextAnalysis) -> Value {
    let (code, text, lowercase) = match kind {
        TextAnalysis::Builtin => (
            json!([
                "flusso_word_delimiter",
                "flatten_graph",
                "lowercase",
                "asciifolding"
            ]),
            json!({ "type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"] }),
            json!(["lowercase", "asciifolding"]),
        ),
        TextAnalysis::Icu => (
            json!(["flusso_word_delimiter", "flatten_graph", "icu_folding"]),
            json!({ "type": "custom", "tokenizer": "icu_tokenizer", "filter": ["icu_normalizer", "icu_folding"] }),
            json!(["icu_normalizer"]),
        ),
    };
    let mut char_filters = Map::new();
    let mut normalizers = Map::new();
    normalizers.insert(
        "flusso_lowercase".to_owned(),
        json!({ "type": "custom", "filter": lowercase }),
    );
    let mut lists = BTreeMap::new();
    collect_variants(&definition.fields, &mut lists);
    for (name, variants) in lists {
        let filters = enum_sort(&name, variants);
        let names: Vec<&String> = filters.keys().collect();
        normalizers.insert(name, json!({ "type": "custom", "char_filter": names }));
        char_filters.extend(filters);
    }
    let mut analysis = Map::new();
    if !char_filters.is_empty() {
        analysis.insert("char_filter".to_owned(), Value::Object(char_filters));
    }
    analysis.insert(
        "filter".to_owned(),
        json!({ "flusso_word_delimiter": word_delimiter() }),
    );
    analysis.insert(
        "analyzer".to_owned(),
        json!({
            "flusso_code": { "type": "custom", "tokenizer": "whitespace", "filter": code },
            "flusso_text": text,
        }),
    );
    analysis.insert("normalizer".to_owned(), Value::Object(normalizers));
    Value::Object(analysis)
}

fn word_delimiter() -> Value {
    json!({ "type": "word_delimiter_graph", "catenate_all": true, "preserve_original": true })
}

/// Char filters that turn each variant into its rank, behind a character that
/// no variant holds and that sorts before every other text.
fn enum_sort(name: &str, variants: &[String]) -> Map<String, Value> {
    let width = variants.len().saturating_sub(1).to_string().len();
    let mut filters = Map::new();
    for (rank, variant) in variants.iter().enumerate() {
        filters.insert(
            format!("{name}_{rank}"),
            json!({
                "type": "pattern_replace",
                "pattern": format!("^\\Q{}\\E$", variant.replace("\\E", "\\E\\\\E\\Q")),
                "replacement": format!("\u{1}{rank:0width$}"),
            }),
        );
    }
    filters
}

fn collect_variants<'d>(fields: &'d [Field], lists: &mut BTreeMap<String, &'d [String]>) {
    for field in fields {
        match &field.kind {
            FieldKind::Scalar(scalar) => {
                if let Some(variants) = &scalar.variants {
                    lists.insert(enum_normalizer(variants), variants);
                }
            }
            FieldKind::Object(fields) => collect_variants(fields, lists),
            FieldKind::BelongsTo(join)
            | FieldKind::HasOne(join)
            | FieldKind::HasMany(join)
            | FieldKind::ManyToMany(join) => collect_variants(&join.fields, lists),
            FieldKind::Map { .. }
            | FieldKind::Geo { .. }
            | FieldKind::Constant(_)
            | FieldKind::Aggregate(_) => {}
        }
    }
}
