//! Whole tables in memory, every value as Postgres' text, and which rows meet which.
//! In: tables and the questions that are asked of each row. Out: [`Tables`].

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use tokio_postgres::Transaction;

use super::catalog::{Column, Described, Kind, Name, Rows, Type, ask, quoted};
use super::shape::TableAt;

/// A place in a row: its columns come first, then the answers to questions.
pub(super) type Slot = usize;

/// Row numbers on the right, for each row number on the left.
pub(super) type Pairs = Vec<Vec<usize>>;

/// A row's own name in this snapshot.
const ROW_ID: &str = "tableoid::text || ctid::text";

/// What is read of a table.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) name: Name,
    pub(super) described: Described,
    /// SQL expressions over one row.
    questions: Vec<String>,
}

impl Asked {
    pub(super) fn new(name: Name, described: Described) -> Self {
        Self {
            name,
            described,
            questions: Vec::new(),
        }
    }

    /// Where a column stands, and its type.
    pub(super) fn column(&self, name: &str) -> Result<(Slot, Rc<Type>)> {
        let (at, column) = self.find(name)?;
        Ok((at, Rc::clone(&column.kind)))
    }

    /// What stands for a column in a condition.
    pub(super) fn operand(&self, name: &str) -> Result<String> {
        Ok(self.find(name)?.1.operand(""))
    }

    fn find(&self, name: &str) -> Result<(Slot, &Column)> {
        self.described
            .columns
            .iter()
            .enumerate()
            .find(|(_, column)| column.name == name)
            .with_context(|| format!("table {}.{} has no column {name}", self.name.0, self.name.1))
    }

    /// Asks an expression of every row; the same question is asked once.
    pub(super) fn ask(&mut self, question: String) -> Slot {
        let columns = self.described.columns.len();
        if let Some(at) = self.questions.iter().position(|asked| *asked == question) {
            return columns + at;
        }
        self.questions.push(question);
        columns + self.questions.len() - 1
    }

    fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.name.0), quoted(&self.name.1))
    }

    /// The whole table. Nothing but the table is in scope, as raw conditions expect.
    fn select(&self) -> String {
        let columns = self.described.columns.iter().map(|c| quoted(&c.name));
        let questions = self
            .questions
            .iter()
            .map(|question| format!("({question})"));
        let list: Vec<String> = columns.chain(questions).collect();
        format!("SELECT {} FROM {}", list.join(", "), self.sql())
    }
}

/// How two columns are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Equality {
    /// Equal values have equal texts.
    Text,
    /// Exact numbers: equal but for zeros at the end of the fraction.
    Number,
    /// Only Postgres knows.
    Asked,
}

/// One pair of columns of a link.
#[derive(Debug, PartialEq)]
pub(super) struct Meeting {
    left: Slot,
    right: Slot,
    equality: Equality,
    /// The same in SQL, with the tables as `l` and `r`.
    sql: String,
}

impl Meeting {
    pub(super) fn new(left: &Asked, own: &str, right: &Asked, theirs: &str) -> Result<Self> {
        const TEXTS: [&str; 3] = ["text", "varchar", "name"];
        const SAME: [&str; 7] = [
            "uuid",
            "bool",
            "date",
            "time",
            "timestamp",
            "timestamptz",
            "bytea",
        ];
        const NUMBERS: [&str; 5] = ["int2", "int4", "int8", "oid", "numeric"];
        let (left_slot, left) = left.find(own)?;
        let (right_slot, right) = right.find(theirs)?;
        let names = left.kind.known().zip(right.kind.known());
        let equality = match names {
            Some((left, right)) if NUMBERS.contains(&left) && NUMBERS.contains(&right) => {
                Equality::Number
            }
            Some((one, other)) if SAME.contains(&one) && one == other => Equality::Text,
            None if left.kind == right.kind && left.kind.kind == Kind::Enum => Equality::Text,
            Some((one, other))
                if TEXTS.contains(&one)
                    && TEXTS.contains(&other)
                    && left.is_bytewise
                    && right.is_bytewise =>
            {
                Equality::Text
            }
            _ => Equality::Asked,
        };
        Ok(Self {
            left: left_slot,
            right: right_slot,
            equality,
            sql: format!("{} = {}", left.operand("l."), right.operand("r.")),
        })
    }
}

/// Rows of one table that meet rows of another.
#[derive(Debug, PartialEq)]
pub(super) struct Link {
    left: TableAt,
    right: TableAt,
    meetings: Vec<Meeting>,
    /// When Postgres is asked: where the two tables hold the names of their rows.
    asked: Option<(Slot, Slot)>,
}

impl Link {
    pub(super) fn new(
        left: TableAt,
        right: TableAt,
        meetings: Vec<Meeting>,
        tables: &mut [Asked],
    ) -> Result<Self> {
        let mut row_id = |at: TableAt| -> Result<Slot> {
            let table = tables.get_mut(at).context("an unknown table")?;
            Ok(table.ask(ROW_ID.to_owned()))
        };
        let is_asked = meetings
            .iter()
            .any(|meeting| meeting.equality == Equality::Asked);
        let asked = if is_asked {
            Some((row_id(left)?, row_id(right)?))
        } else {
            None
        };
        Ok(Self {
            left,
            right,
            meetings,
            asked,
        })
    }

    /// The pairs, by the names of the rows.
    fn select(&self, tables: &[Asked]) -> Result<String> {
        let table = |at: TableAt| tables.get(at).context("an unknown table").map(Asked::sql);
        let on: Vec<&str> = self.meetings.iter().map(|m| m.sql.as_str()).collect();
        Ok(format!(
            "SELECT l.tableoid::text || l.ctid::text, r.tableoid::text || r.ctid::text FROM {} l, {} r WHERE {}",
            table(self.left)?,
            table(self.right)?,
            on.join(" AND ")
        ))
    }

    /// The pairs by hashing, when texts tell.
    fn meet(&self, left: &Rows, right: &Rows) -> Pairs {
        let mut index: HashMap<Vec<&str>, Vec<usize>> = HashMap::new();
        for (at, row) in right.iter().enumerate() {
            if let Some(key) = self.key(row, |meeting| meeting.right) {
                index.entry(key).or_default().push(at);
            }
        }
        left.iter()
            .map(|row| {
                self.key(row, |meeting| meeting.left)
                    .and_then(|key| index.get(&key).cloned())
                    .unwrap_or_default()
            })
            .collect()
    }

    /// The values of one side, or nothing when one is NULL: NULL meets nothing.
    fn key<'r>(
        &self,
        row: &'r [Option<String>],
        side: impl Fn(&Meeting) -> Slot,
    ) -> Option<Vec<&'r str>> {
        self.meetings
            .iter()
            .map(|meeting| {
                let text = row.get(side(meeting))?.as_deref()?;
                Some(match meeting.equality {
                    Equality::Number => without_zeros(text),
                    Equality::Text | Equality::Asked => text,
                })
            })
            .collect()
    }
}

/// `1.50` and `1.5` are one number, `10` stays `10`.
fn without_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

/// Everything that was read.
#[derive(Debug)]
pub(super) struct Tables {
    /// The rows of each table.
    pub(super) rows: Vec<Rows>,
    /// The pairs of each link.
    pub(super) pairs: Vec<Pairs>,
}

impl Tables {
    pub(super) async fn load(
        snapshot: &Transaction<'_>,
        tables: &[Asked],
        links: &[Link],
    ) -> Result<Self> {
        let mut statements: Vec<String> = tables.iter().map(Asked::select).collect();
        for link in links.iter().filter(|link| link.asked.is_some()) {
            statements.push(link.select(tables)?);
        }
        let mut rows = ask(snapshot, &statements.join(";\n")).await?;
        ensure!(
            rows.len() == statements.len(),
            "{} answers to {} statements",
            rows.len(),
            statements.len()
        );
        let mut asked = rows.split_off(tables.len()).into_iter();
        let side = |at: TableAt| rows.get(at).context("an unknown table");
        let mut pairs = Vec::new();
        for link in links {
            let (left, right) = (side(link.left)?, side(link.right)?);
            pairs.push(match link.asked {
                None => link.meet(left, right),
                Some((left_id, right_id)) => {
                    let found = asked.next().context("no pairs")?;
                    by_row_id((left, left_id), (right, right_id), &found)?
                }
            });
        }
        Ok(Self { rows, pairs })
    }
}

fn by_row_id(left: (&Rows, Slot), right: (&Rows, Slot), found: &Rows) -> Result<Pairs> {
    let by_id = |(rows, slot): (&Rows, Slot)| -> HashMap<Option<String>, usize> {
        let ids = rows.iter().map(|row| row.get(slot).cloned().flatten());
        ids.enumerate().map(|(at, id)| (id, at)).collect()
    };
    let mut pairs = vec![Vec::new(); left.0.len()];
    let (left, right) = (by_id(left), by_id(right));
    for pair in found {
        let (own, theirs) = pair.first().zip(pair.get(1)).context("half a pair")?;
        let own = left.get(own).context("a row that was not read")?;
        let theirs = right.get(theirs).context("a row that was not read")?;
        pairs
            .get_mut(*own)
            .context("a row that was not read")?
            .push(*theirs);
    }
    Ok(pairs)
}
