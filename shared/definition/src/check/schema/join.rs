//! Joins and aggregates: how a table T hangs on the row P.

use model::{ColumnName, TableName};

use super::field::{Draft, Figure, Verb, words};
use super::{Parent, Walk};
use crate::check::value;
use crate::index::{Aggregate, AggregateFunction, FieldKind, Join, Link, Tag, Through};
use crate::raw::Table;

impl Walk<'_> {
    pub(super) fn join(
        &mut self,
        draft: &mut Draft<'_>,
        verb: Verb,
        parent: &Parent,
    ) -> Option<FieldKind> {
        let misplaced = self.misplaced_key(draft, verb);
        let table = self.joined_table(&mut draft.table, &parent.table.schema);
        let primary_key = self.columns(&mut draft.table, "primary_key");
        let inner = Parent {
            table: table
                .clone()
                .unwrap_or_else(|| TableName::new(parent.table.schema.clone(), "")),
            key: primary_key.clone(),
        };
        let link = match verb {
            Verb::BelongsTo if !misplaced => self.column_link(draft, &inner),
            Verb::HasOne | Verb::HasMany if !misplaced => {
                self.foreign_key_link(&mut draft.table, parent)
            }
            Verb::ManyToMany if !misplaced => self.through_link(&mut draft.table, parent, &inner),
            Verb::BelongsTo | Verb::HasOne | Verb::HasMany | Verb::ManyToMany => {
                // Still allowed, so that only the misplaced key is an error.
                for key in ["references", "through"] {
                    draft.table.hide(key);
                }
                None
            }
        };
        let required = match verb {
            Verb::BelongsTo | Verb::HasOne => {
                value::boolean(&mut self.reader, &mut draft.table, "required").unwrap_or(false)
            }
            Verb::HasMany | Verb::ManyToMany => false,
        };
        let filters = self.filters(&mut draft.table, "filters");
        let order_by = match verb {
            Verb::BelongsTo => Vec::new(),
            Verb::HasOne | Verb::HasMany | Verb::ManyToMany => self.order_by(&mut draft.table),
        };
        let limit = match verb {
            Verb::BelongsTo | Verb::HasOne => None,
            Verb::HasMany | Verb::ManyToMany => self.limit(&mut draft.table),
        };
        let fields = self.inner_fields(draft, &inner);
        let join = Join {
            table: table?,
            primary_key,
            link: link?,
            filters,
            order_by,
            limit,
            required,
            fields: fields?,
        };
        Some(match verb {
            Verb::BelongsTo => FieldKind::BelongsTo(join),
            Verb::HasOne => FieldKind::HasOne(join),
            Verb::HasMany => FieldKind::HasMany(join),
            Verb::ManyToMany => FieldKind::ManyToMany(join),
        })
    }

    pub(super) fn aggregate(
        &mut self,
        draft: &mut Draft<'_>,
        figure: Figure,
        parent: &Parent,
    ) -> Option<Aggregate> {
        let table = self.joined_table(&mut draft.table, &parent.table.schema);
        let primary_key = match figure {
            Figure::Ids => self.columns(&mut draft.table, "primary_key"),
            Figure::Count | Figure::Avg | Figure::Sum | Figure::Min | Figure::Max => None,
        };
        let inner = Parent {
            table: table
                .clone()
                .unwrap_or_else(|| TableName::new(parent.table.schema.clone(), "")),
            key: primary_key.clone(),
        };
        let link = self.aggregate_link(draft, parent, &inner);
        let filters = self.filters(&mut draft.table, "filters");
        let function = self.function(draft, figure, primary_key);
        Some(Aggregate {
            function: function?,
            table: table?,
            link: link?,
            filters,
        })
    }

    fn aggregate_link(
        &mut self,
        draft: &mut Draft<'_>,
        parent: &Parent,
        inner: &Parent,
    ) -> Option<Link> {
        let stated = ["foreign_key", "through"].map(|key| draft.table.get(key).is_some());
        match stated {
            [true, true] => {
                draft.table.hide("references");
                self.reader.error_help(
                    "E210",
                    &draft.span,
                    format!("{} takes `foreign_key` or `through`, found both", draft.tag),
                    "remove one of them",
                );
                None
            }
            [false, false] => {
                draft.table.hide("references");
                self.reader.error_help(
                    "E110",
                    &draft.span,
                    format!("{} needs a `foreign_key` or a `through`", draft.tag),
                    "foreign_key: the columns of the table that name this row",
                );
                None
            }
            [true, false] => self.foreign_key_link(&mut draft.table, parent),
            [false, true] => {
                if let Some(entry) = draft.table.entry("references") {
                    self.reader.error_help(
                        "E210",
                        &entry.key_span,
                        "`references` belongs to `foreign_key`, found `through`",
                        "use left_references inside `through`",
                    );
                }
                self.through_link(&mut draft.table, parent, inner)
            }
        }
    }

    fn function(
        &mut self,
        draft: &mut Draft<'_>,
        figure: Figure,
        primary_key: Option<Vec<ColumnName>>,
    ) -> Option<AggregateFunction> {
        match figure {
            Figure::Count => {
                self.ignored(
                    draft,
                    "column",
                    "count counts rows: `column` is ignored",
                    "remove it; filter with is_not_null to count values",
                );
                self.ignored(
                    draft,
                    "value_type",
                    "count is a long: `value_type` is ignored",
                    "remove it",
                );
                Some(AggregateFunction::Count)
            }
            Figure::Avg => {
                self.ignored(
                    draft,
                    "value_type",
                    "avg is a double: `value_type` is ignored",
                    "remove it",
                );
                self.needed_column(draft).map(AggregateFunction::Avg)
            }
            Figure::Sum | Figure::Min | Figure::Max => {
                let column = self.needed_column(draft);
                let tag = self.result_tag(draft, "value_type");
                let (column, tag) = (column?, tag?);
                Some(match figure {
                    Figure::Sum => AggregateFunction::Sum(column, tag),
                    Figure::Min => AggregateFunction::Min(column, tag),
                    Figure::Max | Figure::Count | Figure::Avg | Figure::Ids => {
                        AggregateFunction::Max(column, tag)
                    }
                })
            }
            Figure::Ids => {
                let element = self.result_tag(draft, "element_type")?;
                if primary_key.as_ref().is_some_and(|key| key.len() > 1) && element != Tag::Keyword
                {
                    let span = draft
                        .table
                        .peek("element_type")
                        .map_or_else(|| draft.span.clone(), |entry| entry.value.span.clone());
                    self.reader.error_help(
                        "E210",
                        &span,
                        "a key of several columns is written as one text",
                        "element_type: keyword",
                    );
                    return None;
                }
                Some(AggregateFunction::Ids {
                    primary_key,
                    element,
                })
            }
        }
    }

    /// A key that flusso 0.15 took and did not read.
    fn ignored(&mut self, draft: &mut Draft<'_>, key: &'static str, message: &str, help: &str) {
        if let Some(entry) = draft.table.peek(key) {
            draft.table.hide(key);
            self.reader.warning("W217", &entry.key_span, message, help);
        }
    }

    fn needed_column(&mut self, draft: &mut Draft<'_>) -> Option<ColumnName> {
        draft.table.required(&mut self.reader, "column")?;
        self.column(&mut draft.table, "column")
    }

    fn result_tag(&mut self, draft: &mut Draft<'_>, key: &'static str) -> Option<Tag> {
        let node = draft.table.required(&mut self.reader, key)?;
        let words = words(|tag| !matches!(tag, Tag::Json | Tag::Binary | Tag::Custom));
        value::as_word(&mut self.reader, node, key, &words)
    }

    /// `true` when the verb's own key is missing and another verb's stands there.
    fn misplaced_key(&mut self, draft: &mut Draft<'_>, verb: Verb) -> bool {
        let (own, others): (_, &[(&'static str, &str)]) = match verb {
            Verb::BelongsTo => (
                "column",
                &[
                    ("foreign_key", "has_one and has_many"),
                    ("through", "many_to_many"),
                ],
            ),
            Verb::HasOne | Verb::HasMany => (
                "foreign_key",
                &[("column", "belongs_to"), ("through", "many_to_many")],
            ),
            Verb::ManyToMany => (
                "through",
                &[
                    ("foreign_key", "has_one and has_many"),
                    ("column", "belongs_to"),
                ],
            ),
        };
        let missing = draft.table.peek(own).is_none();
        let mut misplaced = false;
        for (key, owner) in others {
            if let Some(entry) = draft.table.peek(key) {
                draft.table.hide(key);
                misplaced = true;
                self.reader.error_help(
                    "E208",
                    &entry.key_span,
                    format!("{} takes `{own}`, found `{key}`", draft.tag),
                    format!("`{key}` belongs to {owner}"),
                );
            }
        }
        misplaced && missing
    }

    fn joined_table(&mut self, table: &mut Table<'_>, schema: &str) -> Option<TableName> {
        let schema = self
            .identifier(table, "schema", "schema")
            .unwrap_or_else(|| schema.to_owned());
        table.required(&mut self.reader, "table")?;
        let name = self.identifier(table, "table", "table")?;
        Some(TableName::new(schema, name))
    }

    fn column_link(&mut self, draft: &mut Draft<'_>, inner: &Parent) -> Option<Link> {
        let column = if draft.table.get("column").is_some() {
            self.columns(&mut draft.table, "column")
        } else {
            Some(vec![ColumnName::new(draft.name.to_ascii_lowercase())])
        };
        let references = self.columns(&mut draft.table, "references");
        let column = column?;
        let target = references.as_deref().or(inner.key.as_deref());
        let name = inner.table.name.clone();
        self.same_length(&draft.table, "column", &column, &name, target);
        Some(Link::Column { column, references })
    }

    fn foreign_key_link(&mut self, table: &mut Table<'_>, parent: &Parent) -> Option<Link> {
        let stated = table.required(&mut self.reader, "foreign_key").is_some();
        let foreign_key = if stated {
            self.columns(table, "foreign_key")
        } else {
            None
        };
        let references = self.columns(table, "references");
        let foreign_key = foreign_key?;
        let target = references.as_deref().or(parent.key.as_deref());
        self.same_length(
            table,
            "foreign_key",
            &foreign_key,
            &parent.table.name,
            target,
        );
        Some(Link::ForeignKey {
            foreign_key,
            references,
        })
    }

    fn through_link(
        &mut self,
        table: &mut Table<'_>,
        parent: &Parent,
        inner: &Parent,
    ) -> Option<Link> {
        let node = table.required(&mut self.reader, "through")?;
        let mut through = self
            .reader
            .table(node, "through", "in through", "through.")?;
        let junction = self.joined_table(&mut through, &inner.table.schema);
        let left_key = self.needed_columns(&mut through, "left_key");
        let right_key = self.needed_columns(&mut through, "right_key");
        let left_references = self.columns(&mut through, "left_references");
        let right_references = self.columns(&mut through, "right_references");
        if let Some(key) = &left_key {
            let referenced = left_references.as_deref().or(parent.key.as_deref());
            self.same_length(&through, "left_key", key, &parent.table.name, referenced);
        }
        if let Some(key) = &right_key {
            let referenced = right_references.as_deref().or(inner.key.as_deref());
            self.same_length(&through, "right_key", key, &inner.table.name, referenced);
        }
        through.finish(&mut self.reader);
        Some(Link::Through(Through {
            table: junction?,
            left_key: left_key?,
            right_key: right_key?,
            left_references,
            right_references,
        }))
    }

    fn needed_columns(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Option<Vec<ColumnName>> {
        table.required(&mut self.reader, key)?;
        self.columns(table, key)
    }

    fn limit(&mut self, table: &mut Table<'_>) -> Option<u64> {
        let findings = self.reader.findings.len();
        let limit = value::integer(&mut self.reader, table, "limit", 1..=u64::MAX);
        // The one range whose remedy is not another number.
        if let Some(finding) = self.reader.findings.get_mut(findings)
            && finding.code == "E202"
        {
            finding.help = Some("leave it out for no limit".to_owned());
        }
        limit
    }
}
