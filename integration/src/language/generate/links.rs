//! The ways from a row to rows of other tables, after the relations of the schema.

use super::model::{Link, Plan};

/// A way from P to a table T.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) table: usize,
    pub(super) link: Link,
    /// P names the row of T: only `belongs_to` can be written.
    pub(super) is_reference: bool,
}

/// Every way from the table `from`.
pub(super) fn all(plan: &Plan, from: usize) -> Vec<Candidate> {
    let mut found = Vec::new();
    for relation in &plan.table(from).relations {
        found.push(Candidate {
            table: relation.table,
            link: Link::Column {
                own: relation.columns.clone(),
                theirs: relation.references.clone(),
            },
            is_reference: true,
        });
    }
    for (at, table) in plan
        .tables
        .iter()
        .enumerate()
        .filter(|(_, table)| !table.is_removed)
    {
        for (number, relation) in table.relations.iter().enumerate() {
            if relation.table != from {
                continue;
            }
            found.push(Candidate {
                table: at,
                link: Link::ForeignKey {
                    own: relation.references.clone(),
                    theirs: relation.columns.clone(),
                },
                is_reference: false,
            });
            // At most one row of T: it can be written the other way round.
            if table.is_unique(&relation.columns) {
                found.push(Candidate {
                    table: at,
                    link: Link::Column {
                        own: relation.references.clone(),
                        theirs: relation.columns.clone(),
                    },
                    is_reference: true,
                });
            }
            for (other, far) in table.relations.iter().enumerate() {
                if other == number {
                    continue;
                }
                found.push(Candidate {
                    table: far.table,
                    link: Link::Through {
                        junction: at,
                        own: relation.references.clone(),
                        left: relation.columns.clone(),
                        right: far.columns.clone(),
                        theirs: far.references.clone(),
                    },
                    is_reference: false,
                });
            }
        }
    }
    found
}
