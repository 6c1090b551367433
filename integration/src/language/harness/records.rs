//! What is published for a step, and whether that is what the reference allows (4.1).
//! In: the messages of the stream. Out: the records as a worker reads them, and what is wrong with
//! them.
//! Must hold: the product decides what is published; here it is only compared with what the files
//! mention. Must not: repair anything.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, ensure};
use capture_svc::pgoutput::{Datum, Message, OldTuple, Relation, RelationOid, ReplicaIdentity};
use capture_svc::route::{Router, Skipped, Step};
use model::{
    Change, ColumnName, ColumnValue, Framing, Operation, Schemas, TableName, record_table,
};

use super::mentions::Mentions;

/// What happened to the rows of one step.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// The records, decoded from what a topic would hold.
    pub(super) records: Vec<Change>,
    /// Updates that were not published.
    pub(super) suppressed: u64,
    /// What should not be.
    pub(super) wrong: Vec<String>,
}

/// Reads messages with the router of the product.
pub(super) struct Reader<'a> {
    pub(super) router: &'a mut Router,
    pub(super) schemas: &'a Schemas,
    pub(super) mentions: &'a Mentions,
    pub(super) relations: &'a mut HashMap<RelationOid, Relation>,
    pub(super) published: Published,
}

impl Reader<'_> {
    /// Takes a message.
    ///
    /// # Errors
    /// The router does not know what to do with it.
    pub(super) fn take(&mut self, message: Message) -> Result<()> {
        if let Message::Relation(relation) = &message {
            self.relations.insert(relation.oid, relation.clone());
        }
        let touched = self.touched(&message);
        let changes = match self.router.take(message)? {
            Step::Publish(change) => vec![*change],
            Step::PublishAll(changes) => changes,
            Step::Skip(Skipped::NoUsedColumn) => {
                self.published.suppressed += 1;
                if let Some(touched) = touched {
                    self.suppressed(&touched);
                }
                return Ok(());
            }
            Step::Skip(Skipped::UnneededTable)
            | Step::Begun(_)
            | Step::Committed { .. }
            | Step::Noticed(_)
            | Step::Nothing => return Ok(()),
        };
        for change in changes {
            if let Some(touched) = &touched {
                self.updated(&change, touched);
            }
            self.columns(&change);
            let record = self.through_the_topic(&change)?;
            self.published.records.push(record);
        }
        Ok(())
    }

    /// The columns that an update changes; `None` unless all old values are known.
    fn touched(&self, message: &Message) -> Option<Touched> {
        let Message::Update { relation, old, new } = message else {
            return None;
        };
        let relation = self.relations.get(relation)?;
        if relation.identity != ReplicaIdentity::Full {
            return None;
        }
        let Some(OldTuple::Full(old)) = old else {
            return None;
        };
        let old: Vec<Datum<'_>> = old.iter().collect();
        let new: Vec<Datum<'_>> = new.iter().collect();
        let columns = relation.columns.iter().enumerate();
        let changed = columns
            .filter(|(at, _)| {
                new.get(*at) != Some(&Datum::Unchanged) && old.get(*at) != new.get(*at)
            })
            .map(|(_, column)| ColumnName::new(column.name.as_str()))
            .collect();
        Some(Touched {
            table: TableName::new(relation.schema.as_str(), relation.name.as_str()),
            changed,
        })
    }

    /// An update that touches no column any index uses is not published.
    fn updated(&mut self, change: &Change, touched: &Touched) {
        if change.op == Operation::Update && !self.mentions.touches(&change.table, &touched.changed)
        {
            self.published.wrong.push(format!(
                "an update of {} that changes {:?} was published, but no index uses that",
                change.table, touched.changed
            ));
        }
    }

    fn suppressed(&mut self, touched: &Touched) {
        if self.mentions.touches(&touched.table, &touched.changed) {
            self.published.wrong.push(format!(
                "an update of {} that changes {:?} was not published, but an index uses that",
                touched.table, touched.changed
            ));
        }
    }

    /// A record carries key and routing columns, nothing else.
    fn columns(&mut self, change: &Change) {
        if matches!(change.op, Operation::Truncate | Operation::Heartbeat) {
            return;
        }
        let key: Vec<&str> = names(&change.key);
        if let Some(wanted) = self.mentions.primary_key(&change.table)
            && key != wanted
        {
            self.published.wrong.push(format!(
                "a record of {} has the key {key:?}, not {wanted:?}",
                change.table
            ));
        }
        for side in [&change.before, &change.after].into_iter().flatten() {
            for column in names(side) {
                if !self.mentions.routes(&change.table, column) {
                    self.published.wrong.push(format!(
                        "a record of {} carries {column}, which nothing routes by",
                        change.table
                    ));
                }
            }
        }
    }

    /// As bytes in a topic, and read from there.
    fn through_the_topic(&self, change: &Change) -> Result<Change> {
        let bytes = self.schemas.encode(change, Framing::SingleObject)?;
        let record: Change = self.schemas.decode(&bytes)?;
        ensure!(record == *change, "{change:?} came back as {record:?}");
        let keys = std::iter::once(change.record_key()).chain(change.old_record_key());
        for key in keys {
            let table = change.table.to_string();
            ensure!(
                record_table(&key) == Some(table.as_str()),
                "the key of a record of {table} does not name it"
            );
        }
        Ok(record)
    }
}

struct Touched {
    table: TableName,
    changed: BTreeSet<ColumnName>,
}

fn names(values: &[ColumnValue]) -> Vec<&str> {
    values.iter().map(|value| value.name.as_str()).collect()
}
