//! A checked definition becomes the mappings and settings of an index.
//! In: [`IndexDefinition`], [`IndexOptions`]; the catalog only for the keys that are never null.
//! Out: JSON for OpenSearch.
//! Must hold: `dynamic: strict`; every keyword has `ignore_above`, because Lucene would refuse a
//! value over 32766 bytes and the document with it.
//! Must not: depend on anything that [`crate::definition_hash`] leaves out, settings that can be
//! changed in place aside.

mod analysis;
mod never_null;
mod property;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::canonical::RENDERING;
use crate::catalog::Catalog;
use crate::deployment::{IndexOptions, RefreshInterval};
use crate::index::{AggregateFunction, Field, FieldKind, IndexDefinition};
use property::{OfTag, Subfields};

/// Entries that OpenSearch allows in a mapping without being asked.
const ENTRIES_BY_DEFAULT: u64 = 1000;

/// JSON types of map values; each has a template, so that no value is typed by first sight.
const TEMPLATE_TYPES: [&str; 4] = ["string", "long", "double", "boolean"];

/// The mappings of an index. `_meta.flusso` holds `rendering` and `never_null`; whoever creates
/// the index adds what only it knows.
#[must_use]
pub fn mappings(definition: &IndexDefinition, catalog: &Catalog, options: &IndexOptions) -> Value {
    let mut walk = Walk::new(options);
    let properties = walk.properties(&definition.fields, "");
    let mut mappings = Map::new();
    mappings.insert("dynamic".to_owned(), json!("strict"));
    mappings.insert("date_detection".to_owned(), json!(false));
    let never_null = never_null::paths(definition, catalog);
    mappings.insert(
        "_meta".to_owned(),
        json!({ "flusso": { "rendering": RENDERING, "never_null": never_null } }),
    );
    if !walk.templates.is_empty() {
        mappings.insert("dynamic_templates".to_owned(), Value::Array(walk.templates));
    }
    mappings.insert("properties".to_owned(), Value::Object(properties));
    Value::Object(mappings)
}

/// The settings that an index is made with, names without `index.`: not refreshed and without
/// replicas until it is seeded.
#[must_use]
pub fn settings(definition: &IndexDefinition, catalog: &Catalog, options: &IndexOptions) -> Value {
    let mut settings = Map::new();
    settings.insert(
        "number_of_shards".to_owned(),
        json!(options.number_of_shards),
    );
    settings.insert("number_of_replicas".to_owned(), json!(0));
    settings.insert("refresh_interval".to_owned(), json!("-1"));
    settings.insert(
        "gc_deletes".to_owned(),
        json!(RefreshInterval::Every(options.gc_deletes).to_string()),
    );
    let entries = entries(&mappings(definition, catalog, options));
    if entries > ENTRIES_BY_DEFAULT {
        settings.insert(
            "mapping.total_fields.limit".to_owned(),
            json!(entries.saturating_add(ENTRIES_BY_DEFAULT)),
        );
    }
    for (name, value) in &options.index_settings {
        settings.insert(name.clone(), value.clone());
    }
    settings.insert(
        "analysis".to_owned(),
        analysis::analysis(definition, options.text_analysis),
    );
    Value::Object(settings)
}

/// Properties and subfields at every depth, which is what OpenSearch's limit counts.
fn entries(mapping: &Value) -> u64 {
    let children = ["properties", "fields"]
        .into_iter()
        .filter_map(|key| mapping.get(key)?.as_object());
    children
        .flat_map(Map::values)
        .map(|child| entries(child).saturating_add(1))
        .sum()
}

/// Collects dynamic templates while it makes properties.
struct Walk {
    subfields: Subfields,
    templates: Vec<Value>,
    template_names: BTreeSet<String>,
}

impl Walk {
    fn new(options: &IndexOptions) -> Self {
        Walk {
            subfields: if options.auto_subfields {
                Subfields::Added
            } else {
                Subfields::None
            },
            templates: Vec::new(),
            template_names: BTreeSet::new(),
        }
    }

    fn properties(&mut self, fields: &[Field], around: &str) -> Map<String, Value> {
        let mut properties = Map::new();
        for field in fields {
            let path = match around {
                "" => field.name.clone(),
                around => format!("{around}.{}", field.name),
            };
            let property = self.property(field, &path);
            properties.insert(field.name.clone(), Value::Object(property));
        }
        properties
    }

    fn property(&mut self, field: &Field, path: &str) -> Map<String, Value> {
        let options = &field.options;
        let of_tag = |tag| OfTag::new(tag, self.subfields).with(options);
        match &field.kind {
            FieldKind::Scalar(scalar) => of_tag(scalar.tag)
                .variants(scalar.variants.as_deref())
                .custom(scalar.custom.as_ref())
                .property(),
            FieldKind::Map { values, .. } => {
                if !options.contains_key("dynamic") {
                    let mapping = OfTag::new(*values, self.subfields).property();
                    self.add_templates(path, &mapping);
                }
                let derived = property::of("object", [("dynamic", json!(true))]);
                property::laid_over(derived, options)
            }
            FieldKind::Geo { .. } => property::laid_over(property::of("geo_point", []), options),
            FieldKind::Object(fields) => self.object("object", fields, path, options),
            FieldKind::Constant(value) => property::constant(value, self.subfields, options),
            FieldKind::BelongsTo(join) | FieldKind::HasOne(join) => {
                self.object("object", &join.fields, path, options)
            }
            FieldKind::HasMany(join) | FieldKind::ManyToMany(join) => {
                self.object("nested", &join.fields, path, options)
            }
            FieldKind::Aggregate(aggregate) => match &aggregate.function {
                AggregateFunction::Count => property::laid_over(property::of("long", []), options),
                AggregateFunction::Avg(_) => {
                    property::laid_over(property::of("double", []), options)
                }
                AggregateFunction::Sum(_, tag)
                | AggregateFunction::Min(_, tag)
                | AggregateFunction::Max(_, tag)
                | AggregateFunction::Ids { element: tag, .. } => of_tag(*tag).property(),
            },
        }
    }

    fn object(
        &mut self,
        kind: &str,
        fields: &[Field],
        path: &str,
        options: &Map<String, Value>,
    ) -> Map<String, Value> {
        let mut object = property::laid_over(property::of(kind, []), options);
        let members = self.properties(fields, path);
        object.insert("properties".to_owned(), Value::Object(members));
        object
    }

    fn add_templates(&mut self, path: &str, mapping: &Map<String, Value>) {
        for json_type in TEMPLATE_TYPES {
            let name = self.template_name(path, json_type);
            let template = json!({
                "path_match": format!("{path}.*"),
                "match_mapping_type": json_type,
                "mapping": mapping,
            });
            self.templates.push(json!({ name: template }));
        }
    }

    /// Two paths can give one name (`a.b` and `a_b`): then a number is appended.
    fn template_name(&mut self, path: &str, json_type: &str) -> String {
        let plain = format!("{}__{json_type}", path.replace('.', "_"));
        let mut name = plain.clone();
        let mut number = 2_u32;
        while !self.template_names.insert(name.clone()) {
            name = format!("{plain}{number}");
            number = number.saturating_add(1);
        }
        name
    }
}

#[cfg(test)]
mod tests;
