//! One random case as data: a failing one can be printed, replayed and shrunk.
//! In: a seed. Out: SQL that makes a database, files that describe documents of it, transactions
//! that change it.
//! Must hold: equal seeds give equal cases; every file is valid for its database.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

use super::generate::{self, Plan};

/// A database, the files over it, and what happens to its rows.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it was made from.
    pub seed: u64,
    /// Makes schemas, types and tables, in an empty database.
    pub ddl: Vec<String>,
    /// The rows before the first step, one statement each.
    pub rows: Vec<String>,
    /// One to three indexes over the same tables.
    pub indexes: Vec<IndexFile>,
    /// What happens afterwards, in order.
    pub steps: Vec<Step>,
    /// The typed form that the texts above are made from; shrinking works on it. A case
    /// written by hand has none.
    pub(super) plan: Option<Arc<Plan>>,
}

/// One `*.schema.yml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFile {
    /// The name of the index.
    pub name: String,
    /// The text of the file.
    pub yaml: String,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Without BEGIN and COMMIT; may hold SAVEPOINT and ROLLBACK TO.
    pub statements: Vec<String>,
    /// False: it is rolled back at the end.
    pub commit: bool,
}

/// How large a case is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 3 to 8 tables, up to 40 rows each, 8 to 15 steps.
    Small,
    /// Small, and nothing in it that OpenSearch refuses.
    Accepted,
    /// More of all.
    Large,
}

/// What became of a step.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Rows touched by the statements that stayed.
    pub rows: u64,
    /// Statements that the database refused: the transaction ran without them.
    pub refused: Vec<Refused>,
}

/// A statement that a constraint or a type did not allow.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The statement.
    pub statement: String,
    /// What the database said.
    pub error: String,
}

/// Schemas that cases use, `public` included.
pub const SCHEMAS: [&str; 3] = ["public", "crm", "Mixed Case"];

impl Case {
    /// The case of a seed.
    #[must_use]
    pub fn generate(seed: u64, size: Size) -> Self {
        generate::plan(seed, size).render()
    }

    /// Everything that a person needs to replay it: SQL and files.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("-- case of seed {}\n", self.seed);
        for statement in self.ddl.iter().chain(&self.rows) {
            writeln!(text, "{statement};").ok();
        }
        for file in &self.indexes {
            writeln!(text, "\n-- {}.schema.yml", file.name).ok();
            for line in file.yaml.lines() {
                writeln!(text, "--   {line}").ok();
            }
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(text, "\n-- step {number}\nBEGIN;").ok();
            for statement in &step.statements {
                writeln!(text, "{statement};").ok();
            }
            let end = if step.commit { "COMMIT" } else { "ROLLBACK" };
            writeln!(text, "{end};").ok();
        }
        text
    }

    /// Empties the database of what an earlier case left, and makes this one's tables.
    ///
    /// # Errors
    /// A statement that the database does not take, named: the generator's fault.
    pub async fn create(&self, database: &Client) -> Result<()> {
        let mut sql = String::from("SET client_min_messages = warning;");
        for schema in SCHEMAS {
            write!(sql, "DROP SCHEMA IF EXISTS \"{schema}\" CASCADE;")?;
        }
        sql.push_str("CREATE SCHEMA public;");
        database.batch_execute(&sql).await.context("emptying")?;
        for statement in &self.ddl {
            execute(database, statement).await?;
        }
        Ok(())
    }

    /// Puts in the rows before the first step.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn load(&self, database: &Client) -> Result<Outcome> {
        let rows = Step {
            statements: self.rows.clone(),
            commit: true,
        };
        rows.run(database).await
    }
}

impl Step {
    /// Runs the transaction. Statements that a constraint refuses are left out, and the
    /// transaction is run anew: what then commits never saw an error, so that no transaction
    /// has more subtransactions than it asks for.
    ///
    /// # Errors
    /// Any other error, with the statement.
    pub async fn run(&self, database: &Client) -> Result<Outcome> {
        let mut refused: Vec<(usize, String)> = Vec::new();
        'again: loop {
            let mut rows = 0;
            database.batch_execute("BEGIN").await?;
            for (at, statement) in self.statements.iter().enumerate() {
                if refused.iter().any(|(other, _)| *other == at) {
                    continue;
                }
                match database.execute(statement.as_str(), &[]).await {
                    Ok(count) => rows += count,
                    Err(error) if is_refusal(&error) => {
                        database.batch_execute("ROLLBACK").await?;
                        refused.push((at, describe(&error)));
                        continue 'again;
                    }
                    Err(error) => bail!("{}\n{statement}", describe(&error)),
                }
            }
            let end = if self.commit { "COMMIT" } else { "ROLLBACK" };
            match database.batch_execute(end).await {
                Ok(()) => {}
                // A deferred constraint: nothing of it stays.
                Err(error) if is_refusal(&error) => {
                    rows = 0;
                    refused.push((self.statements.len(), describe(&error)));
                }
                Err(error) => bail!("{}\n{end}", describe(&error)),
            }
            let refused = refused
                .into_iter()
                .map(|(at, error)| Refused {
                    statement: self
                        .statements
                        .get(at)
                        .map_or_else(|| end.to_owned(), Clone::clone),
                    error,
                })
                .collect();
            return Ok(Outcome { rows, refused });
        }
    }
}

async fn execute(database: &Client, statement: &str) -> Result<u64> {
    database
        .execute(statement, &[])
        .await
        .map_err(|error| anyhow::anyhow!("{}\n{statement}", describe(&error)))
}

/// Cardinality, data exceptions, violated constraints, keys too long for an index: what a random
/// statement may meet.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        ["21", "22", "23", "54"]
            .iter()
            .any(|class| code.code().starts_with(class))
    })
}

fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{} {}", error.code().code(), error.message()),
        None => error.to_string(),
    }
}
