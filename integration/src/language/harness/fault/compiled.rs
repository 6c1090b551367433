//! Routes that lead astray.

use definition::compile::How;
use model::{ColumnName, TableName, table::quote};
use worker_svc::compiled::Compiled;

use super::{FaultKind, pick};

/// Changes one route; says which.
pub(super) fn mutate(kind: FaultKind, seed: u64, compiled: &mut Compiled) -> Option<String> {
    match kind {
        FaultKind::DroppedRoute => drop_route(seed, compiled),
        FaultKind::WrongParentColumn => wrong_parent_column(seed, compiled),
        FaultKind::WrongRoutingColumn => wrong_routing_column(seed, compiled),
        FaultKind::OldValuesIgnored
        | FaultKind::DeletesIgnored
        | FaultKind::UsedColumnForgotten
        | FaultKind::SwappedCompositeKey
        | FaultKind::LeftForRight
        | FaultKind::LostFilter
        | FaultKind::LostLimit
        | FaultKind::LostOrder
        | FaultKind::LostWhen => None,
    }
}

/// Every route by its table and place.
fn places(compiled: &Compiled) -> Vec<(TableName, usize)> {
    compiled
        .index
        .routes
        .iter()
        .flat_map(|(table, routes)| (0..routes.len()).map(|at| (table.clone(), at)))
        .collect()
}

fn drop_route(seed: u64, compiled: &mut Compiled) -> Option<String> {
    let places = places(compiled);
    let (table, at) = pick(seed, &places)?;
    let routes = compiled.index.routes.get_mut(table)?;
    let route = routes.remove(*at);
    Some(format!("dropped: {table} {route}"))
}

fn wrong_parent_column(seed: u64, compiled: &mut Compiled) -> Option<String> {
    let mut choices = Vec::new();
    for (table, at) in places(compiled) {
        let route = compiled.index.routes.get(&table)?.get(at)?;
        if let How::Query(sql) = &route.how {
            for wrong in other_parent_columns(sql, compiled) {
                choices.push((table.clone(), at, wrong));
            }
        }
    }
    let (table, at, wrong) = pick(seed, &choices)?.clone();
    let route = compiled.index.routes.get_mut(&table)?.get_mut(at)?;
    route.how = How::Query(wrong.clone());
    Some(format!("{table} {}: {wrong}", route.path))
}

/// The statement with another column of the first parent, of the same type.
fn other_parent_columns(sql: &str, compiled: &Compiled) -> Vec<String> {
    let mut found = Vec::new();
    for name in &compiled.index.tables {
        let start = format!(" JOIN {} AS p0 ON p0.", name.sql());
        let Some(table) = compiled.catalog.table(name) else {
            continue;
        };
        for is in &table.columns {
            let is_there = format!("{start}{} = ", quote(is.name.as_str()));
            if !sql.contains(&is_there) {
                continue;
            }
            for other in table.columns.iter().filter(|other| other.cast == is.cast) {
                if other.name != is.name {
                    let wrong = format!("{start}{} = ", quote(other.name.as_str()));
                    found.push(sql.replacen(&is_there, &wrong, 1));
                }
            }
        }
    }
    found
}

fn wrong_routing_column(seed: u64, compiled: &mut Compiled) -> Option<String> {
    let mut choices: Vec<(TableName, usize, ColumnName)> = Vec::new();
    for (table, at) in places(compiled) {
        let route = compiled.index.routes.get(&table)?.get(at)?;
        let described = compiled.catalog.table(&table)?;
        let carried = described
            .primary_key()
            .unwrap_or_default()
            .iter()
            .chain(&compiled.index.needs.table(&table)?.routing);
        let Some(first) = route
            .columns
            .first()
            .and_then(|first| described.column(first))
        else {
            continue;
        };
        for other in carried.filter_map(|name| described.column(name)) {
            if other.cast == first.cast && !route.columns.contains(&other.name) {
                choices.push((table.clone(), at, other.name.clone()));
            }
        }
    }
    let (table, at, wrong) = pick(seed, &choices)?.clone();
    let route = compiled.index.routes.get_mut(&table)?.get_mut(at)?;
    *route.columns.first_mut()? = wrong;
    Some(format!("instead of its own columns: {table} {route}"))
}
