//! The JSON Schema of `*.schema.yml`.

use serde_json::{Map, Value, json};

use super::{
    DIALECT, Key, any_of, boolean, integer, key, list, object, pattern, reference, some, table,
    text, with, words,
};

const TEXTS: [&str; 4] = ["text", "identifier", "keyword", "enum"];

/// Scalar tags with no key of their own.
const PLAIN: [&str; 13] = [
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

/// Tags that an aggregate's result may have.
const RESULTS: [&str; 15] = [
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
    "decimal",
    "date",
    "timestamp",
];

/// Tags that the values of a map may have.
const MAP_VALUES: [&str; 13] = [
    "text",
    "identifier",
    "keyword",
    "enum",
    "uuid",
    "short",
    "integer",
    "long",
    "float",
    "double",
    "decimal",
    "date",
    "timestamp",
];

/// The schema of `*.schema.yml`.
#[must_use]
pub fn index_schema() -> Value {
    let mut schema = table(vec![
        key("version", "Of the format.", json!({"const": 1})).required(),
        key("table", "The root table: one document per row.", text()).required(),
        key("schema", "The database schema of the table.", text()).default("public"),
        key(
            "primary_key",
            "Columns that make the document's id; else the table's primary key.",
            reference("columns"),
        ),
        key(
            "soft_delete",
            "When a root row counts as deleted.",
            reference("soft_delete"),
        ),
        key(
            "filters",
            "Conditions a root row must meet to have a document.",
            reference("filters"),
        ),
        key(
            "fields",
            "Members of the document, in their order.",
            list(&reference("field")),
        )
        .required(),
    ]);
    with(&mut schema, "$schema", DIALECT.into());
    with(&mut schema, "title", "*.schema.yml".into());
    with(
        &mut schema,
        "description",
        "A search document of flusso: its root table, its fields, the related tables that fold in."
            .into(),
    );
    let mut defs = Map::new();
    let mut define = |name: &str, schema: Value| {
        defs.insert(name.to_owned(), schema);
    };
    define("columns", any_of(&[text(), some(&text())]));
    define("name", pattern(r"^\s*[A-Za-z_][A-Za-z0-9_]{0,62}\s*$"));
    define("scalar", json!({"type": ["string", "number", "boolean"]}));
    define("soft_delete", soft_delete());
    define("filters", list(&reference("filter")));
    define("filter", filter());
    define("order", order());
    define("through", through());
    define("fields", some(&reference("field")));
    let mut branches = Vec::new();
    for (tag, schema) in tags() {
        let name = format!("field_{tag}");
        branches.push(reference(&name));
        define(&name, schema);
    }
    define("field", json!({ "oneOf": branches }));
    with(&mut schema, "$defs", defs.into());
    schema
}

/// Every tag with the schema of a field of it.
fn tags() -> Vec<(&'static str, Value)> {
    let mut tags = Vec::new();
    for tag in TEXTS {
        tags.push((tag, text_field(tag)));
    }
    for tag in PLAIN {
        let mut keys = vec![tag_key(tag)];
        keys.extend(scalar_keys(tag));
        tags.push((tag, table(keys)));
    }
    tags.push(("custom", custom()));
    tags.push(("geo", geo()));
    tags.push(("map", map()));
    tags.push((
        "object",
        table(vec![
            tag_key("object"),
            key("fields", "Members, over the same row.", reference("fields")).required(),
            options(),
        ]),
    ));
    tags.push(("constant", constant()));
    for verb in ["belongs_to", "has_one", "has_many", "many_to_many"] {
        tags.push((verb, join(verb)));
    }
    for figure in ["count", "avg", "sum", "min", "max", "ids"] {
        tags.push((figure, aggregate(figure)));
    }
    tags
}

/// The key that is the tag: its value names the member.
fn tag_key(tag: &'static str) -> Key {
    let about = match tag {
        "text" => "Full text.",
        "identifier" => "A code or number that is searched by its parts.",
        "keyword" => "Exact text; takes a column of nearly any type.",
        "enum" => "Exact text out of a list, sorted by it.",
        "uuid" => "A uuid.",
        "time" => "A time of day.",
        "boolean" => "true or false.",
        "short" => "A 16-bit integer.",
        "integer" => "A 32-bit integer.",
        "long" => "A 64-bit integer.",
        "float" => "A 32-bit float.",
        "double" => "A 64-bit float.",
        "binary" => "Bytes, as base64.",
        "decimal" => "An exact decimal number.",
        "date" => "A date.",
        "timestamp" => "A moment.",
        "json" => "JSON as it is stored; returned, not searched.",
        "custom" => "Any other mapping.",
        "geo" => "A point.",
        "map" => "A JSON object whose keys are searched alike.",
        "object" => "A nested object over the same row.",
        "constant" => "A fixed value.",
        "belongs_to" => "The row that this row's column names: an object or null.",
        "has_one" => "The first row that names this row: an object or null.",
        "has_many" => "All rows that name this row: an array.",
        "many_to_many" => "All rows over a junction table: an array.",
        "count" => "How many rows name this row.",
        "avg" => "Mean of a column of the rows that name this row.",
        "sum" => "Sum of a column of the rows that name this row.",
        "min" => "Least value of a column of the rows that name this row.",
        "max" => "Greatest value of a column of the rows that name this row.",
        _ => "Keys of the rows that name this row, ascending.",
    };
    let about = format!("{about} The value is the member's name.");
    key(tag, &about, reference("name")).required()
}

fn options() -> Key {
    key(
        "options",
        "Mapping parameters laid over the derived ones.",
        object(),
    )
    .default(json!({}))
}

/// To-many joins alone choose between two types of objects.
fn join_options(verb: &str) -> Key {
    let mut options = options();
    if matches!(verb, "has_many" | "many_to_many") {
        let kind = json!({"type": {
            "enum": ["nested", "object"],
            "default": "nested",
            "description": "`object`: the members of all rows are searched as one.",
        }});
        with(&mut options.schema, "properties", kind);
    }
    options
}

fn required() -> Key {
    key(
        "required",
        "The value is never null; for metadata and checks only.",
        boolean(),
    )
    .default(false)
}

fn column() -> Key {
    key(
        "column",
        "The column; else that of the field's name.",
        text(),
    )
}

fn scalar_keys(tag: &str) -> Vec<Key> {
    let value = if tag == "json" {
        json!({"not": {"type": "null"}})
    } else {
        reference("scalar")
    };
    vec![
        column(),
        required(),
        options(),
        key("default", "Replaces null.", value),
    ]
}

fn text_field(tag: &'static str) -> Value {
    let mut keys = vec![tag_key(tag)];
    keys.extend(scalar_keys(tag));
    keys.push(
        key(
            "transforms",
            "Applied in order.",
            list(&words(&["lowercase", "trim"])),
        )
        .default(json!([])),
    );
    if tag == "enum" {
        keys.push(key(
            "variants",
            "The values in their sort order.",
            json!({"type": "array", "items": pattern(r"\S"), "maxItems": 1000, "uniqueItems": true}),
        ));
    }
    table(keys)
}

fn custom() -> Value {
    let mut keys = vec![tag_key("custom")];
    keys.extend(scalar_keys("custom"));
    keys.push(
        key(
            "postgres",
            "Accepted column types, without modifiers.",
            any_of(&[pattern(r"\S"), some(&pattern(r"\S"))]),
        )
        .required(),
    );
    keys.push(
        key(
            "opensearch",
            "The mapping, or its type alone.",
            any_of(&[
                text(),
                json!({"type": "object", "properties": {"type": text()}, "required": ["type"]}),
            ]),
        )
        .required(),
    );
    table(keys)
}

fn geo() -> Value {
    let mut geo = table(vec![
        tag_key("geo"),
        key("lat", "Column of the latitude; with `lon`.", text()),
        key("lon", "Column of the longitude; with `lat`.", text()),
        key(
            "column",
            "A json or text column that holds the point, instead of `lat` and `lon`.",
            text(),
        ),
        required(),
        options(),
    ]);
    with(
        &mut geo,
        "oneOf",
        json!([{"required": ["lat", "lon"], "not": {"required": ["column"]}},
               {"required": ["column"], "not": {"anyOf": [{"required": ["lat"]}, {"required": ["lon"]}]}}]),
    );
    geo
}

fn map() -> Value {
    table(vec![
        tag_key("map"),
        key("values", "The tag of each value.", words(&MAP_VALUES)).required(),
        key(
            "column",
            "The json or jsonb column; else that of the field's name.",
            text(),
        ),
        required(),
        options(),
    ])
}

fn constant() -> Value {
    let of = |kind: &str| json!({"type": "array", "items": {"type": kind}});
    table(vec![
        tag_key("constant"),
        key(
            "value",
            "The value; a list holds values of one kind.",
            any_of(&[
                json!({"type": ["string", "number", "boolean", "null", "object"]}),
                of("string"),
                of("number"),
                of("boolean"),
                of("object"),
            ]),
        )
        .required(),
        options(),
    ])
}

/// The table that a join or aggregate reads.
fn joined() -> [Key; 2] {
    [
        key("table", "The related table.", text()).required(),
        key(
            "schema",
            "Its database schema; else that of the table around.",
            text(),
        ),
    ]
}

fn filters() -> Key {
    key(
        "filters",
        "Conditions on the related rows; all must be true.",
        reference("filters"),
    )
    .default(json!([]))
}

fn foreign_key() -> Key {
    key(
        "foreign_key",
        "Columns of the related table that name this row.",
        reference("columns"),
    )
}

fn references() -> Key {
    key(
        "references",
        "Columns that the foreign key names; else the key.",
        reference("columns"),
    )
}

fn through_key() -> Key {
    key("through", "The junction table.", reference("through"))
}

fn primary_key() -> Key {
    key(
        "primary_key",
        "Key of the related table; else its primary key.",
        reference("columns"),
    )
}

fn join(verb: &'static str) -> Value {
    let mut keys = vec![tag_key(verb)];
    keys.extend(joined());
    keys.extend([primary_key(), filters(), join_options(verb)]);
    keys.push(
        key(
            "fields",
            "Members of the joined object.",
            reference("fields"),
        )
        .required(),
    );
    match verb {
        "belongs_to" => keys.extend([
            key(
                "column",
                "Columns of this row that name the other; else that of the field's name.",
                reference("columns"),
            ),
            references(),
        ]),
        "many_to_many" => keys.push(through_key().required()),
        _ => keys.extend([foreign_key().required(), references()]),
    }
    if matches!(verb, "belongs_to" | "has_one") {
        keys.push(required());
    }
    if verb != "belongs_to" {
        keys.push(
            key(
                "order_by",
                "Order of the rows; the key ascending comes last.",
                list(&reference("order")),
            )
            .default(json!([])),
        );
    }
    if matches!(verb, "has_many" | "many_to_many") {
        keys.push(key("limit", "At most so many rows; else all.", integer(1)));
    }
    table(keys)
}

fn aggregate(figure: &'static str) -> Value {
    let mut keys = vec![tag_key(figure)];
    keys.extend(joined());
    keys.extend([
        foreign_key(),
        references(),
        through_key(),
        filters(),
        options(),
    ]);
    match figure {
        "count" => {
            keys.push(key("column", "Has no effect: rows are counted.", json!({})).ignored());
        }
        "ids" => keys.extend([
            primary_key(),
            key("element_type", "The tag of each key.", words(&RESULTS)).required(),
        ]),
        _ => keys.push(key("column", "The column of the related table.", text()).required()),
    }
    if matches!(figure, "sum" | "min" | "max") {
        keys.push(key("value_type", "The tag of the result.", words(&RESULTS)).required());
    }
    if matches!(figure, "count" | "avg") {
        keys.push(key("value_type", "Has no effect.", json!({})).ignored());
    }
    let mut aggregate = table(keys);
    with(
        &mut aggregate,
        "oneOf",
        json!([{"required": ["foreign_key"], "not": {"required": ["through"]}},
               {"required": ["through"], "not": {"anyOf": [{"required": ["foreign_key"]}, {"required": ["references"]}]}}]),
    );
    aggregate
}

fn through() -> Value {
    table(vec![
        key("table", "The junction table.", text()).required(),
        key(
            "schema",
            "Its database schema; else that of the related table.",
            text(),
        ),
        key(
            "left_key",
            "Its columns that name this row.",
            reference("columns"),
        )
        .required(),
        key(
            "right_key",
            "Its columns that name the related row.",
            reference("columns"),
        )
        .required(),
        key(
            "left_references",
            "Columns of this row; else its key.",
            reference("columns"),
        ),
        key(
            "right_references",
            "Columns of the related table; else its key.",
            reference("columns"),
        ),
    ])
}

fn soft_delete() -> Value {
    let mut soft_delete = table(vec![
        key(
            "column",
            "The marker: a boolean that is true, or a value that is not null.",
            text(),
        ),
        key(
            "field",
            "A scalar field of the root row whose column is the marker.",
            text(),
        ),
        key(
            "when",
            "Further conditions; all must be true.",
            reference("filters"),
        ),
    ]);
    with(
        &mut soft_delete,
        "oneOf",
        json!([{"required": ["column"]}, {"required": ["field"]}]),
    );
    soft_delete
}

fn order() -> Value {
    table(vec![
        key("column", "Column of the related table.", text()).required(),
        key(
            "direction",
            "Ascending or descending.",
            words(&["asc", "desc"]),
        )
        .default("asc"),
        key(
            "nulls",
            "Where NULL stands; else last, with `desc` first.",
            words(&["first", "last"]),
        ),
    ])
}

fn filter() -> Value {
    let column = || key("column", "The column.", text()).required();
    let of = |operators: &[&str], value: Option<Value>| {
        let mut keys = vec![
            column(),
            key("op", "The operator.", words(operators)).required(),
        ];
        keys.extend(value.map(|value| key("value", "What it is compared with.", value).required()));
        table(keys)
    };
    let raw = table(vec![
        key(
            "raw",
            "An SQL condition over the filtered table.",
            pattern(r"\S"),
        )
        .required(),
    ]);
    let two = json!({"type": "array", "items": reference("scalar"), "minItems": 2, "maxItems": 2});
    json!({ "oneOf": [
        raw,
        of(&["is_null", "is_not_null"], None),
        of(&["eq", "neq", "lt", "lte", "gt", "gte"], Some(reference("scalar"))),
        of(&["like", "ilike"], Some(text())),
        of(&["in", "not_in"], Some(some(&reference("scalar")))),
        of(&["between"], Some(two)),
    ]})
}
