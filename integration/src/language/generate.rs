//! Makes a case from a seed: tables, rows, files and changes as typed values, then their texts.
//! In: a seed. Out: a [`Plan`], which renders to a case.
//! Must hold: every file follows the language reference, whose rules are written down here anew;
//! nothing asks the product.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "there are 42 types, and most questions concern a few"
)]

mod changes;
mod conditions;
mod dice;
mod files;
mod links;
pub(super) mod model;
mod names;
mod render_files;
mod render_sql;
mod scalars;
mod schema;
mod store;
mod types;
mod values;
pub(super) mod yaml;

use std::sync::Arc;

use self::dice::Dice;
use super::case::{Case, IndexFile, Size, Step};

pub(super) use self::model::Plan;

/// The typed case of a seed.
pub(super) fn plan(seed: u64, size: Size) -> Plan {
    let mut dice = Dice::new(seed);
    let empty = Plan {
        seed,
        size,
        has_citext: false,
        enums: Vec::new(),
        domains: Vec::new(),
        tables: Vec::new(),
        rows: Vec::new(),
        indexes: Vec::new(),
        steps: Vec::new(),
        cuts_tried: 0,
    };
    let mut schema = schema::Schema {
        dice: &mut dice,
        plan: empty,
    };
    schema.types();
    schema.tables();
    let mut plan = schema.plan;
    plan.indexes = files::indexes(&mut dice, &plan);
    let mut store = store::Store::new(&plan);
    let rows = changes::rows(&mut dice, &plan, &mut store);
    let steps = changes::steps(&mut dice, &plan, &plan.indexes, store);
    plan.rows = rows;
    plan.steps = steps;
    plan
}

impl Plan {
    /// The texts.
    pub(super) fn render(self) -> Case {
        let steps = self.steps.iter().map(|step| Step {
            statements: step.ops.iter().map(|op| self.statement(op)).collect(),
            commit: step.commit,
        });
        let mut writer = render_files::Writer {
            plan: &self,
            dice: Dice::new(self.seed),
        };
        let indexes = self.indexes.iter().map(|index| IndexFile {
            name: index.name.clone(),
            yaml: writer.file(index),
        });
        Case {
            seed: self.seed,
            ddl: self.ddl(),
            rows: self.rows.iter().map(|op| self.statement(op)).collect(),
            indexes: indexes.collect(),
            steps: steps.collect(),
            plan: Some(Arc::new(self.clone())),
        }
    }
}

/// Columns of both sides of a relation, in pairs; they are equally many.
fn pairs(own: &[usize], theirs: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let theirs = theirs.iter().copied();
    #[expect(clippy::disallowed_methods, reason = "both sides are made together")]
    own.iter().copied().zip(theirs)
}

#[cfg(test)]
mod tests;
