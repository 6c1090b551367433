//! Messages of the stream to records of `{p}.changes`.
//!
//! ```text
//!  Message ─▶ Router ─▶ Step ─▶ pump
//!              │ Begin … Commit   position: (epoch, commit LSN, seq of the row as received)
//!              │ needs            which tables, which columns
//!              └ relations        keys, and which old values can be trusted
//! ```
//!
//! Must hold: C3 (the record key is the primary key, and the former one too
//! when it changed); W4 (old routing values are stated as known only where the
//! identity carried them; a value that was not sent is never written as NULL);
//! an update is suppressed only when every used value is known to be the same,
//! and never while its table is scanned.
//! Must not: know partitions, documents or a clock. Pure.
//! Why `seq` counts what is received, published or not: it is then the same in
//! every run, whatever the needs are, and the tails can be compared with it.

use std::collections::{BTreeSet, HashMap};

use model::{Change, ColumnName, Epoch, Lsn, Needs, Operation, Position, Seq, TableName, Xid};

use crate::pgoutput::{Begin, Commit, Message, RelationOid, Truncate};
use crate::relation::{Noticed, Relations, Table};

mod plan;
mod row;

use plan::Plan;

/// What the pump has to do with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A transaction starts.
    Begun(Transaction),
    /// It has ended: all its records have been handed out.
    Committed {
        /// Which.
        transaction: Transaction,
        /// Confirming this releases it.
        end_lsn: Lsn,
    },
    /// A row to be published.
    Publish(Box<Change>),
    /// A row of a TRUNCATE of several tables: one record each.
    PublishAll(Vec<Change>),
    /// A row that is not published.
    Skip(Skipped),
    /// A relation was announced.
    Noticed(Noticed),
    /// Nothing to do.
    Nothing,
}

/// Why a row is not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skipped {
    /// No index cares for its table.
    UnneededTable,
    /// An update that touched no used column.
    NoUsedColumn,
}

/// The transaction that rows belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// Where its commit record starts.
    pub commit_lsn: Lsn,
    /// Its id.
    pub xid: Xid,
    /// When it committed, microseconds since 1970.
    pub commit_ts_us: i64,
}

/// A message that has no place where it stands. The stream or this program is
/// at fault; a new session may do better.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// A row or an end outside a transaction, or a start inside one.
    #[error("{0} out of its place in a transaction")]
    OutOfPlace(&'static str),
    /// The end names another transaction than the start.
    #[error("a transaction that began for {began} ended at {ended}")]
    OtherCommit {
        /// The LSN at its start.
        began: Lsn,
        /// The LSN at its end.
        ended: Lsn,
    },
    /// A row of a relation that was not announced.
    #[error("a row of relation {0:?}, which was not announced")]
    Unannounced(RelationOid),
    /// A row under a leaf's own oid: the publication lost
    /// `publish_via_partition_root`.
    #[error("a row of leaf {0:?} under its own name; set publish_via_partition_root = true")]
    LeafRow(RelationOid),
    /// A tuple with another number of columns than its relation.
    #[error("a row of {table} with {found} columns instead of {expected}")]
    ColumnCount {
        /// Where.
        table: TableName,
        /// In the tuple.
        found: usize,
        /// In the relation.
        expected: usize,
    },
    /// A value that is not UTF-8, although the session asks for it.
    #[error("a value of {table} that is not UTF-8")]
    NotUtf8 {
        /// Where.
        table: TableName,
    },
}

/// Turns messages into records, one after the other.
#[derive(Debug)]
pub struct Router {
    epoch: Epoch,
    relations: Relations,
    needs: Needs,
    /// Tables under a plan or a verify: nothing of them is suppressed.
    scanning: BTreeSet<TableName>,
    plans: HashMap<RelationOid, Option<Plan>>,
    current: Option<(Transaction, Seq)>,
    /// The highest transaction id seen, or a current one at the start.
    near: Xid,
}

impl Router {
    /// A router for one session. `near` is the xmax of a current snapshot.
    #[must_use]
    pub fn new(epoch: Epoch, tables: Vec<Table>, near: Xid) -> Self {
        Router {
            epoch,
            relations: Relations::new(tables),
            needs: Needs::new(),
            scanning: BTreeSet::new(),
            plans: HashMap::new(),
            current: None,
            near,
        }
    }

    /// From the next row on, these needs are served.
    pub fn set_needs(&mut self, needs: Needs, scanning: BTreeSet<TableName>) {
        self.needs = needs;
        self.scanning = scanning;
        self.plans.clear();
    }

    /// Takes a newly read catalog.
    pub fn load(&mut self, tables: Vec<Table>) {
        self.relations.load(tables);
        self.plans.clear();
    }

    /// A new session starts, in this epoch: the stream begins again, and
    /// announces its relations anew.
    pub fn restart(&mut self, epoch: Epoch, near: Xid) {
        self.epoch = epoch;
        self.near = near;
        self.current = None;
        self.relations.reset();
        self.plans.clear();
    }

    /// What is known of the relations.
    #[must_use]
    pub fn relations(&self) -> &Relations {
        &self.relations
    }

    /// The position of the last row received; `None` outside a transaction and
    /// before its first row.
    #[must_use]
    pub fn last_row(&self) -> Option<Position> {
        let (transaction, next) = self.current?;
        let last = next.get().checked_sub(1).filter(|last| *last >= 0)?;
        Some(Position::new(
            self.epoch,
            transaction.commit_lsn,
            Seq::new(last),
        ))
    }

    /// `true` between a transaction's start and its end.
    #[must_use]
    pub fn is_inside_transaction(&self) -> bool {
        self.current.is_some()
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// When it has no place where it stands.
    pub fn take(&mut self, message: Message) -> Result<Step, RouteError> {
        match message {
            Message::Begin(begin) => self.begin(begin),
            Message::Commit(commit) => self.commit(commit),
            Message::Relation(relation) => {
                // A leaf changes what its root is trusted for.
                self.plans.clear();
                Ok(Step::Noticed(self.relations.note(&relation)))
            }
            Message::Insert { relation, new } => self.row("an insert", relation, |plan, at| {
                plan.insert(&new, at).map(Some)
            }),
            Message::Update { relation, old, new } => {
                self.row("an update", relation, |plan, at| {
                    plan.update(old.as_ref().map(crate::pgoutput::OldTuple::tuple), &new, at)
                })
            }
            Message::Delete { relation, old } => self.row("a delete", relation, |plan, at| {
                plan.delete(old.tuple(), at).map(Some)
            }),
            Message::Truncate(truncate) => self.truncate(&truncate),
            Message::Origin(_) | Message::Type(_) | Message::Logical(_) => Ok(Step::Nothing),
        }
    }

    fn begin(&mut self, begin: Begin) -> Result<Step, RouteError> {
        if self.current.is_some() {
            return Err(RouteError::OutOfPlace("a start"));
        }
        let xid = Xid::widen(begin.xid, self.near);
        self.near = self.near.max(xid);
        let transaction = Transaction {
            commit_lsn: begin.commit_lsn,
            xid,
            commit_ts_us: begin.commit_ts_us,
        };
        self.current = Some((transaction, Seq::new(0)));
        Ok(Step::Begun(transaction))
    }

    fn commit(&mut self, commit: Commit) -> Result<Step, RouteError> {
        let (transaction, _) = self
            .current
            .take()
            .ok_or(RouteError::OutOfPlace("an end"))?;
        if transaction.commit_lsn != commit.commit_lsn {
            return Err(RouteError::OtherCommit {
                began: transaction.commit_lsn,
                ended: commit.commit_lsn,
            });
        }
        Ok(Step::Committed {
            transaction,
            end_lsn: commit.end_lsn,
        })
    }

    /// The place of the next row message, counted whatever becomes of it.
    fn next_place(&mut self, what: &'static str) -> Result<Place, RouteError> {
        let (transaction, next) = self.current.as_mut().ok_or(RouteError::OutOfPlace(what))?;
        let seq = *next;
        *next = Seq::new(seq.get().saturating_add(1));
        let position = Position::new(self.epoch, transaction.commit_lsn, seq);
        Ok(Place {
            position,
            transaction: *transaction,
        })
    }

    fn row(
        &mut self,
        what: &'static str,
        relation: RelationOid,
        route: impl FnOnce(&Plan, Place) -> Result<Option<Change>, RouteError>,
    ) -> Result<Step, RouteError> {
        let at = self.next_place(what)?;
        let Some(plan) = self.plan(relation)? else {
            return Ok(Step::Skip(Skipped::UnneededTable));
        };
        Ok(match route(plan, at)? {
            Some(change) => Step::Publish(Box::new(change)),
            None => Step::Skip(Skipped::NoUsedColumn),
        })
    }

    fn truncate(&mut self, truncate: &Truncate) -> Result<Step, RouteError> {
        let mut changes = Vec::new();
        for relation in &truncate.relations {
            let at = self.next_place("a truncate")?;
            if let Some(plan) = self.plan(*relation)? {
                changes.push(plan.bare(Operation::Truncate, at));
            }
        }
        Ok(match changes.pop() {
            None => Step::Skip(Skipped::UnneededTable),
            Some(only) if changes.is_empty() => Step::Publish(Box::new(only)),
            Some(last) => {
                changes.push(last);
                Step::PublishAll(changes)
            }
        })
    }

    /// How rows of this relation are routed; `None` when nobody needs them.
    fn plan(&mut self, oid: RelationOid) -> Result<Option<&Plan>, RouteError> {
        self.relations.row_passed(oid);
        // Not by `entry`: that would hold the relations while they are asked.
        if !self.plans.contains_key(&oid) {
            let plan = self.make_plan(oid)?;
            self.plans.insert(oid, plan);
        }
        Ok(self.plans.get(&oid).and_then(Option::as_ref))
    }

    fn make_plan(&self, oid: RelationOid) -> Result<Option<Plan>, RouteError> {
        let Some(table) = self.relations.table(oid) else {
            let error = if self.relations.is_leaf(oid) {
                RouteError::LeafRow(oid)
            } else {
                RouteError::Unannounced(oid)
            };
            return Err(error);
        };
        let Some(needs) = self.needs.table(&table.name) else {
            return Ok(None);
        };
        Ok(Some(Plan::new(
            table,
            needs,
            self.scanning.contains(&table.name),
        )))
    }

    /// The tables whose former rows cannot be told, with the columns that
    /// their identity lacks. By what the stream has announced so far.
    #[must_use]
    pub fn stale_tables(&self) -> Vec<(TableName, Vec<ColumnName>)> {
        let mut stale = Vec::new();
        for table in self.relations.tables() {
            let Some(needs) = self.needs.table(&table.name) else {
                continue;
            };
            let lacking = Plan::new(table, needs, false).uncovered();
            if !lacking.is_empty() {
                stale.push((table.name.clone(), lacking));
            }
        }
        stale.sort();
        stale
    }
}

/// Where a row stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    position: Position,
    transaction: Transaction,
}

#[cfg(test)]
mod tests;
