//! Members that are read from the same rows: figures over a table, and the list of its rows.
//! Why together: `lines`, their number and the sum of their prices are one scan of the lines.

use std::collections::BTreeMap;

use model::ColumnName;

use super::super::resolved::{Level, Meets, Member, MemberValue};
use super::super::{key, value};
use super::document::{Aliases, End, Rows, Selected, select};
use crate::catalog::Table;
use crate::index::{AggregateFunction, Filter, Order, Tag};

/// The rows that a group reads.
#[derive(Clone, Copy)]
struct Source<'m> {
    meets: &'m Meets<'m>,
    table: &'m Table,
    filters: &'m [Filter],
}

/// A figure over them.
struct Figure<'m> {
    name: &'m str,
    key: &'m [ColumnName],
    function: &'m AggregateFunction,
}

/// The list of them.
struct List<'m> {
    name: &'m str,
    level: &'m Level<'m>,
    order: &'m [Order],
}

/// At least one figure; a list without a limit over the same rows, if there is one.
pub(super) struct Group<'m> {
    source: Source<'m>,
    figures: Vec<Figure<'m>>,
    list: Option<List<'m>>,
}

impl Source<'_> {
    fn is(&self, other: &Source<'_>) -> bool {
        self.table.name == other.table.name
            && self.filters == other.filters
            && match (self.meets, other.meets) {
                (
                    Meets::Columns { own, theirs, .. },
                    Meets::Columns {
                        own: other_own,
                        theirs: other_theirs,
                        ..
                    },
                ) => own == other_own && theirs == other_theirs,
                (
                    Meets::Through {
                        junction,
                        own,
                        left,
                        right,
                        theirs,
                    },
                    Meets::Through {
                        junction: other_junction,
                        own: other_own,
                        left: other_left,
                        right: other_right,
                        theirs: other_theirs,
                    },
                ) => {
                    junction.name == other_junction.name
                        && (own, left, right, theirs)
                            == (other_own, other_left, other_right, other_theirs)
                }
                (Meets::Columns { .. }, Meets::Through { .. })
                | (Meets::Through { .. }, Meets::Columns { .. }) => false,
            }
    }
}

/// The groups among the members of an object.
pub(super) fn of<'m>(members: &'m [Member<'m>]) -> Vec<Group<'m>> {
    let mut groups: Vec<Group<'m>> = Vec::new();
    for member in members {
        let MemberValue::Figure {
            meets,
            table,
            key,
            filters,
            function,
        } = &member.value
        else {
            continue;
        };
        let source = Source {
            meets,
            table,
            filters,
        };
        let figure = Figure {
            name: &member.name,
            key,
            function,
        };
        match groups.iter_mut().find(|group| group.source.is(&source)) {
            Some(group) => group.figures.push(figure),
            None => groups.push(Group {
                source,
                figures: vec![figure],
                list: None,
            }),
        }
    }
    for member in members {
        let MemberValue::Many {
            meets,
            level,
            order,
            limit: None,
        } = &member.value
        else {
            continue;
        };
        let source = Source {
            meets,
            table: level.table,
            filters: &level.filters,
        };
        let free = |group: &&mut Group<'_>| group.list.is_none() && group.source.is(&source);
        if let Some(group) = groups.iter_mut().find(free) {
            group.list = Some(List {
                name: &member.name,
                level,
                order,
            });
        }
    }
    groups
}

impl<'m> Group<'m> {
    /// A sub-select of one row, and the value that it has for each member.
    pub(super) fn sql(
        &self,
        outer: &str,
        aliases: &mut Aliases,
    ) -> (String, Vec<(&'m str, String)>) {
        let name = aliases.group();
        let Source {
            meets,
            table,
            filters,
        } = self.source;
        let rows = Rows::new(meets, table, filters, outer, aliases);
        let mut columns = Vec::new();
        let mut values = Vec::new();
        let (from, read) = match &self.list {
            None => (rows.from(&[]), Read::Row(&rows.alias)),
            Some(list) => {
                let carried = self.carried();
                columns.push("coalesce(json_agg(r.j), '[]'::json) AS f0".to_owned());
                values.push((list.name, format!("{name}.f0")));
                let from = format!("FROM ({}) AS r", list.sql(&rows, &carried, aliases));
                (from, Read::Carried(carried))
            }
        };
        for figure in &self.figures {
            let n = values.len();
            columns.push(format!("{} AS f{n}", figure.sql(table, &read)));
            let column = figure.column().and_then(|column| table.column(column));
            let value = value::shown(figure.function, column, &format!("{name}.f{n}"));
            values.push((figure.name, value));
        }
        let sql = format!("(SELECT {} {from}) AS {name}", columns.join(", "));
        (sql, values)
    }

    /// The columns that figures read, with the names under which the list hands them on.
    fn carried(&self) -> BTreeMap<&'m ColumnName, String> {
        let mut carried = BTreeMap::new();
        for figure in &self.figures {
            let ids = matches!(figure.function, AggregateFunction::Ids { .. });
            let key = if ids { figure.key } else { &[] };
            for column in figure.column().into_iter().chain(key) {
                let name = format!("c{}", carried.len() + 1);
                carried.entry(column).or_insert(name);
            }
        }
        carried
    }
}

/// Where figures find the columns of T.
enum Read<'a> {
    /// In the row of this alias.
    Row(&'a str),
    /// In what the list hands on.
    Carried(BTreeMap<&'a ColumnName, String>),
}

impl Read<'_> {
    fn column(&self, column: &ColumnName) -> String {
        match self {
            Self::Row(alias) => format!("{alias}.{}", column.sql()),
            Self::Carried(names) => names
                .get(column)
                .map_or_else(|| "NULL".to_owned(), |name| format!("r.{name}")),
        }
    }
}

impl List<'_> {
    /// Objects and columns of the rows, in the order of the list.
    fn sql(
        &self,
        rows: &Rows,
        carried: &BTreeMap<&ColumnName, String>,
        aliases: &mut Aliases,
    ) -> String {
        let Selected { columns, groups } = select(&self.level.members, &rows.alias, aliases);
        let from = if groups.is_empty() {
            String::new()
        } else {
            format!(" FROM {}", groups.join(", "))
        };
        let objects = format!("(SELECT {columns}{from}) AS o");
        let mut selected = vec!["row_to_json(o.*) AS j".to_owned()];
        for (column, name) in carried {
            selected.push(format!("{}.{} AS {name}", rows.alias, column.sql()));
        }
        let end = End::new(self.order, &self.level.key, &rows.alias, None);
        format!(
            "SELECT {} {}{}",
            selected.join(", "),
            rows.from(&[objects]),
            end.sql()
        )
    }
}

impl<'m> Figure<'m> {
    fn column(&self) -> Option<&'m ColumnName> {
        match self.function {
            AggregateFunction::Avg(name)
            | AggregateFunction::Sum(name, _)
            | AggregateFunction::Min(name, _)
            | AggregateFunction::Max(name, _) => Some(name),
            AggregateFunction::Count | AggregateFunction::Ids { .. } => None,
        }
    }

    fn sql(&self, table: &Table, read: &Read<'_>) -> String {
        if let AggregateFunction::Ids { element, .. } = self.function {
            return self.ids(*element, table, read);
        }
        let name = self.column();
        let sql = name.map(|name| read.column(name)).unwrap_or_default();
        let column = name.and_then(|name| table.column(name));
        value::figure(self.function, column, &sql)
    }

    fn ids(&self, element: Tag, table: &Table, read: &Read<'_>) -> String {
        let order: Vec<String> = self.key.iter().map(|name| read.column(name)).collect();
        let value = match self.key {
            [only] => table
                .column(only)
                .map(|column| value::id_element(element, column, &read.column(only)))
                .unwrap_or_default(),
            several => key::id(table, several, |name| read.column(name)),
        };
        format!(
            "coalesce(json_agg({value} ORDER BY {}), '[]'::json)",
            order.join(", ")
        )
    }
}
