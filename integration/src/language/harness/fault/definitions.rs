//! Definitions that say something else than their files.

use std::sync::Arc;

use definition::index::Aggregate;
use definition::{Field, FieldKind, Filter, Index, IndexDefinition, Join, Link};

use super::{FaultKind, pick};

/// A place in a definition where a fault may work.
enum Site<'d> {
    Root(&'d mut IndexDefinition),
    Join(&'d mut Join),
    Aggregate(&'d mut Aggregate),
}

/// Changes one definition in one place; says which.
pub(super) fn mutate(kind: FaultKind, seed: u64, indexes: &mut [Index]) -> Option<String> {
    let mut places = Vec::new();
    for (at, index) in indexes.iter().enumerate() {
        let mut copy = IndexDefinition::clone(&index.definition);
        let mut number = 0_usize;
        visit(&mut copy, &mut |site| {
            if change(kind, site) {
                places.push((at, number));
            }
            number += 1;
        });
    }
    let (at, chosen) = *pick(seed, &places)?;
    let index = indexes.get_mut(at)?;
    let mut number = 0_usize;
    visit(Arc::make_mut(&mut index.definition), &mut |site| {
        if number == chosen {
            change(kind, site);
        }
        number += 1;
    });
    Some(format!("{kind:?} at place {chosen} of {}", index.name))
}

/// `true` when it changed something.
fn change(kind: FaultKind, site: Site<'_>) -> bool {
    match kind {
        FaultKind::LostFilter => match site {
            Site::Root(definition) => lose(&mut definition.filters),
            Site::Join(join) => lose(&mut join.filters),
            Site::Aggregate(aggregate) => lose(&mut aggregate.filters),
        },
        FaultKind::LostLimit => match site {
            Site::Join(join) => join.limit.take().is_some(),
            Site::Root(_) | Site::Aggregate(_) => false,
        },
        FaultKind::LostOrder => match site {
            Site::Join(join) => {
                let had = !join.order_by.is_empty();
                join.order_by.clear();
                had
            }
            Site::Root(_) | Site::Aggregate(_) => false,
        },
        FaultKind::LostWhen => match site {
            Site::Root(definition) => definition
                .soft_delete
                .as_mut()
                .is_some_and(|delete| lose(&mut delete.when)),
            Site::Join(_) | Site::Aggregate(_) => false,
        },
        FaultKind::SwappedCompositeKey => match site {
            Site::Join(join) => cross(&mut join.link),
            Site::Aggregate(aggregate) => cross(&mut aggregate.link),
            Site::Root(_) => false,
        },
        FaultKind::LeftForRight => match site {
            Site::Join(join) => exchange(&mut join.link),
            Site::Aggregate(aggregate) => exchange(&mut aggregate.link),
            Site::Root(_) => false,
        },
        FaultKind::DroppedRoute
        | FaultKind::WrongParentColumn
        | FaultKind::WrongRoutingColumn
        | FaultKind::OldValuesIgnored
        | FaultKind::DeletesIgnored
        | FaultKind::UsedColumnForgotten => false,
    }
}

fn lose(filters: &mut Vec<Filter>) -> bool {
    let had = !filters.is_empty();
    filters.clear();
    had
}

/// Pairs the first two columns of a composite key crosswise.
fn cross(link: &mut Link) -> bool {
    let columns = match link {
        Link::Column { column, .. } => column,
        Link::ForeignKey { foreign_key, .. } => foreign_key,
        Link::Through(through) if through.left_key.len() > 1 => &mut through.left_key,
        Link::Through(through) => &mut through.right_key,
    };
    if columns.len() < 2 {
        return false;
    }
    columns.swap(0, 1);
    true
}

fn exchange(link: &mut Link) -> bool {
    let Link::Through(through) = link else {
        return false;
    };
    if through.left_key.len() != through.right_key.len() || through.left_key == through.right_key {
        return false;
    }
    std::mem::swap(&mut through.left_key, &mut through.right_key);
    true
}

fn visit(definition: &mut IndexDefinition, act: &mut dyn FnMut(Site<'_>)) {
    act(Site::Root(definition));
    visit_fields(&mut definition.fields, act);
}

fn visit_fields(fields: &mut [Field], act: &mut dyn FnMut(Site<'_>)) {
    for field in fields {
        match &mut field.kind {
            FieldKind::Object(fields) => visit_fields(fields, act),
            FieldKind::BelongsTo(join)
            | FieldKind::HasOne(join)
            | FieldKind::HasMany(join)
            | FieldKind::ManyToMany(join) => {
                act(Site::Join(join));
                visit_fields(&mut join.fields, act);
            }
            FieldKind::Aggregate(aggregate) => act(Site::Aggregate(aggregate)),
            FieldKind::Scalar(_)
            | FieldKind::Map { .. }
            | FieldKind::Geo { .. }
            | FieldKind::Constant(_) => {}
        }
    }
}
