//! Which paths of a document are never null, for readers of `_meta`.

use model::{ColumnName, TableName};

use crate::catalog::{Catalog, Table};
use crate::index::{Aggregate, AggregateFunction, Field, FieldKind, IndexDefinition, Join};

/// Dotted paths, in the order of the file. A path inside a join or object is meant where that
/// object is there.
pub(super) fn paths(definition: &IndexDefinition, catalog: &Catalog) -> Vec<String> {
    let mut paths = Vec::new();
    let key = key(&definition.root, definition.primary_key.as_deref(), catalog);
    collect(&definition.fields, &key, "", catalog, &mut paths);
    paths
}

/// The key as written, else the primary key; empty when the catalog does not know the table.
fn key(table: &TableName, written: Option<&[ColumnName]>, catalog: &Catalog) -> Vec<ColumnName> {
    let primary = || catalog.table(table).and_then(Table::primary_key);
    written.or_else(primary).unwrap_or_default().to_vec()
}

fn collect(
    fields: &[Field],
    row_key: &[ColumnName],
    around: &str,
    catalog: &Catalog,
    paths: &mut Vec<String>,
) {
    for field in fields {
        let path = match around {
            "" => field.name.clone(),
            around => format!("{around}.{}", field.name),
        };
        if is_never_null(&field.kind, row_key) {
            paths.push(path.clone());
        }
        match &field.kind {
            FieldKind::Object(fields) => collect(fields, row_key, &path, catalog, paths),
            FieldKind::BelongsTo(join)
            | FieldKind::HasOne(join)
            | FieldKind::HasMany(join)
            | FieldKind::ManyToMany(join) => {
                let key = key(&join.table, join.primary_key.as_deref(), catalog);
                collect(&join.fields, &key, &path, catalog, paths);
            }
            FieldKind::Scalar(_)
            | FieldKind::Map { .. }
            | FieldKind::Geo { .. }
            | FieldKind::Constant(_)
            | FieldKind::Aggregate(_) => {}
        }
    }
}

fn is_never_null(kind: &FieldKind, row_key: &[ColumnName]) -> bool {
    match kind {
        FieldKind::Scalar(scalar) => {
            scalar.required || scalar.default.is_some() || row_key.contains(&scalar.column)
        }
        FieldKind::Map { required, .. } | FieldKind::Geo { required, .. } => *required,
        FieldKind::BelongsTo(Join { required, .. }) | FieldKind::HasOne(Join { required, .. }) => {
            *required
        }
        FieldKind::Object(_) | FieldKind::HasMany(_) | FieldKind::ManyToMany(_) => true,
        FieldKind::Constant(value) => !value.is_null(),
        FieldKind::Aggregate(Aggregate { function, .. }) => matches!(
            function,
            AggregateFunction::Count | AggregateFunction::Ids { .. }
        ),
    }
}
