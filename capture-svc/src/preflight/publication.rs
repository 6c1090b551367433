//! The publication: which tables, which operations, whole rows.
//! Must hold: a table is added only when its identity suffices or can be set
//! first.

use definition::Diagnostic;
use model::{ColumnName, TableNeeds};

use super::facts::Member;
use super::mend::{Repair, Repairs};
use super::{Blocked, Codes, Mendable, Preflight, Publication, Report, word};
use crate::relation::{Table, TableKind};

const MISSING: Codes = Codes {
    error: "E402",
    warning: "W402",
};
const OPTIONS: Codes = Codes {
    error: "E415",
    warning: "W415",
};

/// What the publication lacks, and who may give it that.
enum Lack<'a> {
    Publication,
    ViaRoot,
    Operations(&'a [String]),
    Table(&'a Table),
}

fn lacks(preflight: &Preflight) -> Vec<Lack<'_>> {
    let mut lacks = Vec::new();
    match &preflight.facts.publication {
        None => lacks.push(Lack::Publication),
        Some(publication) => {
            if !publication.via_root && any_partitioned(preflight) {
                lacks.push(Lack::ViaRoot);
            }
            if !publication.lacks.is_empty() {
                lacks.push(Lack::Operations(&publication.lacks));
            }
        }
    }
    for (table, _) in preflight.streamed() {
        let publication = preflight.facts.publication.as_ref();
        if publication
            .and_then(|publication| publication.member(&table.name))
            .is_none()
        {
            lacks.push(Lack::Table(table));
        }
    }
    lacks
}

fn any_partitioned(preflight: &Preflight) -> bool {
    preflight
        .streamed()
        .any(|(table, _)| table.kind == TableKind::Partitioned)
}

impl Lack<'_> {
    fn sql(&self, publication: &str, table: impl Fn(&Table) -> String) -> String {
        match self {
            Lack::Publication => format!(
                "CREATE PUBLICATION {publication} WITH (publish_via_partition_root = true);"
            ),
            Lack::ViaRoot => {
                format!("ALTER PUBLICATION {publication} SET (publish_via_partition_root = true);")
            }
            Lack::Operations(_) => format!(
                "ALTER PUBLICATION {publication} SET (publish = 'insert, update, delete, truncate');"
            ),
            Lack::Table(added) => format!(
                "ALTER PUBLICATION {publication} ADD TABLE {};",
                table(added)
            ),
        }
    }

    fn message(&self, preflight: &Preflight, mends: bool) -> String {
        let publication = preflight.settings.publication_word();
        let role = ColumnName::new(preflight.facts.role.as_str());
        let but = |what: &str| {
            if mends {
                String::new()
            } else {
                format!(", and role {role} may not {what} it")
            }
        };
        match self {
            Lack::Publication => format!("publication {publication} does not exist{}", but("make")),
            Lack::ViaRoot => format!(
                "publication {publication} names partitions instead of their roots{}",
                but("change")
            ),
            Lack::Operations(lacks) => format!(
                "publication {publication} does not publish {}{}",
                lacks.join(", "),
                but("change")
            ),
            Lack::Table(table) => format!(
                "publication {publication} lacks {}{}",
                table.name,
                but("change")
            ),
        }
    }

    fn blocks(&self) -> Blocked {
        match self {
            Lack::Publication | Lack::ViaRoot | Lack::Operations(_) => Blocked::Everything,
            Lack::Table(table) => Blocked::Table(table.name.clone()),
        }
    }

    /// Whether the role may, and is told to, mend it. Not so for what was
    /// chosen on purpose: which operations are published.
    fn mends(&self, preflight: &Preflight) -> bool {
        let facts = &preflight.facts;
        let owned = match &facts.publication {
            Some(publication) => publication.owned,
            None => facts.may_create,
        };
        let by_kind = match self {
            Lack::Publication | Lack::ViaRoot => true,
            Lack::Operations(_) => false,
            // Adding a table takes the right to alter it.
            Lack::Table(table) => table.owned,
        };
        preflight.settings.manage_publication && owned && by_kind
    }
}

pub(super) fn judge(preflight: &Preflight, report: &mut Report) {
    let publication = preflight.settings.publication_word();
    let is_missing = preflight.facts.publication.is_none();
    for lack in lacks(preflight) {
        let mends = lack.mends(preflight);
        // They come with the publication, by one statement; but a table that is not the role's
        // has to be added by somebody else although the role makes the publication.
        let comes_along = mends || !Lack::Publication.mends(preflight);
        if is_missing && comes_along && matches!(lack, Lack::Table(_)) {
            continue;
        }
        let sql = match lack {
            Lack::Publication => whole(preflight, &publication),
            Lack::ViaRoot | Lack::Operations(_) | Lack::Table(_) => {
                lack.sql(&publication, |table| word(&table.name))
            }
        };
        let codes = match lack {
            Lack::Publication | Lack::Table(_) => MISSING,
            Lack::ViaRoot | Lack::Operations(_) => OPTIONS,
        };
        let message = lack.message(preflight, mends);
        let mendable = Mendable {
            message,
            help: sql.clone(),
            sql,
            mends,
        };
        report.mendable(codes, lack.blocks(), mendable);
    }
    let Some(existing) = &preflight.facts.publication else {
        return;
    };
    for (table, needs) in preflight.streamed() {
        if let Some(member) = existing.member(&table.name) {
            judge_member(preflight, table, needs, &member, report);
        }
    }
    judge_leaves(preflight, existing, report);
}

/// The statement that makes the publication with every table, for people.
fn whole(preflight: &Preflight, publication: &str) -> String {
    let tables: Vec<String> = preflight
        .streamed()
        .map(|(table, _)| word(&table.name))
        .collect();
    let of = match tables.as_slice() {
        [] => String::new(),
        tables => format!(" FOR TABLE {}", tables.join(", ")),
    };
    format!("CREATE PUBLICATION {publication}{of} WITH (publish_via_partition_root = true);")
}

/// A row filter hides changes; a column list hides columns.
fn judge_member(
    preflight: &Preflight,
    table: &Table,
    needs: &TableNeeds,
    member: &Member,
    report: &mut Report,
) {
    let (publication, name) = (preflight.settings.publication_word(), &table.name);
    let again = format!(
        "ALTER PUBLICATION {publication} DROP TABLE {name}; ALTER PUBLICATION {publication} ADD TABLE {name};"
    );
    if member.row_filter {
        let message = format!(
            "publication {publication} has a row filter on {name}: changes would be missing"
        );
        report.push_for(
            name,
            Diagnostic::error("E416", message)
                .help(again.as_str())
                .sql(again.as_str()),
        );
    }
    let Some(published) = &member.columns else {
        return;
    };
    let mut hidden: Vec<String> = needed_columns(table, needs)
        .filter(|column| !published.contains(*column))
        .map(ToString::to_string)
        .collect();
    hidden.sort();
    hidden.dedup();
    if !hidden.is_empty() {
        let message = format!(
            "publication {publication} has a column list on {name} without {}",
            hidden.join(", ")
        );
        report.push_for(
            name,
            Diagnostic::error("E417", message)
                .help(again.as_str())
                .sql(again.as_str()),
        );
    }
}

fn needed_columns<'a>(
    table: &'a Table,
    needs: &'a TableNeeds,
) -> impl Iterator<Item = &'a ColumnName> {
    // A generated column is not in the stream anyway; what it is made of is.
    let all = needs
        .all_used
        .then_some(&table.columns)
        .into_iter()
        .flatten();
    let all = all.filter(|column| !table.generated.contains(*column));
    table
        .primary_key
        .iter()
        .chain(&needs.routing)
        .chain(&needs.used)
        .chain(all)
}

/// A leaf added by its own name beside its root is harmless with
/// `publish_via_partition_root`; its own row filter is not looked at then.
/// Nothing to say, but for a leaf whose root is not published: it would be
/// streamed under a name that nobody knows.
fn judge_leaves(preflight: &Preflight, publication: &Publication, report: &mut Report) {
    for (table, _) in preflight.streamed() {
        if table.kind != TableKind::Partitioned || publication.member(&table.name).is_some() {
            continue;
        }
        for leaf in table
            .leaves
            .iter()
            .filter(|leaf| publication.tables.contains_key(&leaf.name))
        {
            report.warning(
                "W418",
                format!(
                    "publication {} holds partition {} but not its root {}",
                    preflight.settings.publication_word(),
                    leaf.name,
                    table.name
                ),
                "the root is what has to be added",
            );
        }
    }
}

pub(super) fn plan(preflight: &Preflight, repairs: &mut Repairs) {
    let publication = model::table::quote(&preflight.settings.publication);
    for lack in lacks(preflight) {
        if !lack.mends(preflight) {
            continue;
        }
        let sql = lack.sql(&publication, |table| table.name.sql());
        repairs.push(match lack {
            Lack::Table(table) => Repair::Publish {
                table: table.name.clone(),
                sql,
            },
            Lack::Publication | Lack::ViaRoot | Lack::Operations(_) => Repair::Publication { sql },
        });
    }
}
