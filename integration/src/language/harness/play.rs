//! One case, from its empty database to its last step.
//! In: a case, perhaps a fault that is built into the product's side. Out: figures, or how it failed.
//! Must hold: after every transaction every document is compared, those that were not rebuilt too;
//! that is what catches a missing route. Must not: know how a fault works.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use capture_svc::route::{RouteError, Router};
use capture_svc::slot;
use model::{Change, Epoch, Needs};
use runtime::postgres::Pool;

use super::fault::Fault;
use super::feed::{Feed, compile};
use super::files;
use super::mentions::Mentions;
use super::records::{Published, Reader};
use super::stage::Stage;
use crate::language::Case;
use crate::oracle::{self, Documents};

/// What a case that went well has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Transactions.
    pub steps: u64,
    /// Rows that they touched.
    pub rows: u64,
    /// Statements that a constraint refused.
    pub refused: u64,
    /// Records that were published.
    pub published: u64,
    /// Updates that were not.
    pub suppressed: u64,
    /// Documents compared, over all steps.
    pub compared: u64,
    /// Documents built for changes.
    pub built: u64,
}

/// How a case failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// The step after which; `None` before the first.
    pub step: Option<usize>,
    /// In words, with the documents.
    pub detail: String,
}

/// What went wrong with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The database does not take its SQL.
    Case,
    /// The oracle does not know something.
    Oracle,
    /// The product does not take its files, or stops a feed.
    Refused,
    /// What was published is not what the reference says.
    Records,
    /// A document is not what the oracle says.
    Documents,
    /// A server or the harness fails.
    Broken,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Everything was equal.
    Well(Figures),
    /// Something was not.
    Failed(Failure),
    /// The fault has nothing to work on in this case.
    NotApplicable,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) => write!(f, "{:?}, after step {step}: {}", self.kind, self.detail),
            None => write!(f, "{:?}, before the first step: {}", self.kind, self.detail),
        }
    }
}

/// Why a case is not played on.
enum Stop {
    /// It has ended.
    Ended(Ended),
    /// The servers fail.
    Broken(anyhow::Error),
}

impl Stop {
    fn failed(kind: Kind, step: Option<usize>, detail: impl fmt::Display) -> Self {
        Self::Ended(Ended::Failed(Failure {
            kind,
            step,
            detail: detail.to_string(),
        }))
    }

    /// The product refuses to go on with an index.
    fn refused(feed: &Feed, step: Option<usize>, refusal: &str) -> Self {
        let detail = format!("index {}: {refusal}", feed.name);
        Self::failed(Kind::Refused, step, detail)
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

impl Stage {
    /// Plays `case` and compares after every step.
    ///
    /// # Errors
    /// The servers fail; the case is not to blame.
    pub async fn play(&mut self, case: &Case, fault: Option<&Fault>) -> Result<Ended> {
        match self.play_all(case, fault).await {
            Ok(figures) => Ok(Ended::Well(figures)),
            Err(Stop::Ended(ended)) => Ok(ended),
            Err(Stop::Broken(error)) => Err(error),
        }
    }

    async fn play_all(&mut self, case: &Case, fault: Option<&Fault>) -> Result<Figures, Stop> {
        self.renew().await?;
        let mut figures = Figures::default();
        if let Err(error) = case.create(&self.rows).await {
            return Err(Stop::failed(Kind::Case, None, format!("{error:#}")));
        }
        match case.load(&self.rows).await {
            Ok(outcome) => figures.refused += count(&outcome.refused),
            Err(error) => return Err(Stop::failed(Kind::Case, None, format!("{error:#}"))),
        }
        let pool = self.postgres.pool("worker", 1);
        let mut acts = self.begin(case, fault, &pool).await?;
        for feed in &mut acts.feeds {
            feed.documents = match feed.seed(self).await? {
                Ok(documents) => documents,
                Err(refusal) => return Err(Stop::refused(feed, None, &refusal)),
            };
        }
        acts.late = acts
            .feeds
            .iter()
            .map(|feed| feed.documents.clone())
            .collect();
        self.compare(&acts.feeds, None, &mut figures).await?;
        let mut all = Vec::new();
        for (number, step) in case.steps.iter().enumerate() {
            let outcome = match step.run(&self.rows).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    return Err(Stop::failed(Kind::Case, Some(number), format!("{error:#}")));
                }
            };
            figures.steps += 1;
            figures.rows += outcome.rows;
            figures.refused += count(&outcome.refused);
            let mut published = match self.read(&mut acts).await {
                Ok(published) => published,
                Err(error) if error.is::<RouteError>() => {
                    return Err(Stop::failed(Kind::Records, Some(number), error));
                }
                Err(error) => return Err(Stop::Broken(error)),
            };
            figures.published += count(&published.records);
            figures.suppressed += published.suppressed;
            if let Some(wrong) = published.wrong.first()
                && fault.is_none()
            {
                return Err(Stop::failed(Kind::Records, Some(number), wrong));
            }
            if let Some(fault) = fault {
                fault.tamper(&mut published.records);
            }
            for feed in &mut acts.feeds {
                if let Err(refusal) = feed.take(&published.records).await? {
                    return Err(Stop::refused(feed, Some(number), &refusal));
                }
            }
            self.compare(&acts.feeds, Some(number), &mut figures)
                .await?;
            all.append(&mut published.records);
        }
        figures.built = acts.feeds.iter().map(|feed| feed.built).sum();
        self.end(&mut acts, &all, case).await?;
        pool.close();
        Ok(figures)
    }

    /// Files, catalog, publication, feeds.
    async fn begin(
        &mut self,
        case: &Case,
        fault: Option<&Fault>,
        pool: &Pool,
    ) -> Result<Acts, Stop> {
        let schemas: Vec<_> = case
            .indexes
            .iter()
            .map(|file| (file.name.as_str(), file.yaml.as_str()))
            .collect();
        let mut deployment = match files::load(&self.name, &self.url, &schemas) {
            Ok(deployment) => deployment,
            Err(findings) => return Err(Stop::failed(Kind::Refused, None, findings)),
        };
        let mut happened = false;
        if let Some(fault) = fault {
            happened = fault.in_definitions(case.seed, &mut deployment.indexes);
        }
        let mut acts = Acts {
            feeds: Vec::new(),
            late: Vec::new(),
            mentions: Mentions::default(),
            relations: HashMap::new(),
            router: Router::new(Epoch::FIRST, Vec::new(), model::Xid::INVALID),
        };
        let mut needs = Needs::new();
        for (at, index) in deployment.indexes.iter().enumerate() {
            let file = case.indexes.get(at).context("an index without a file")?;
            acts.mentions.add(&file.yaml)?;
            let mut compiled = match compile(self, &index.definition).await? {
                Ok(compiled) => compiled,
                // A fault that the product itself refuses says nothing.
                Err(_) if happened => return Err(Stop::Ended(Ended::NotApplicable)),
                Err(refusal) => {
                    let refusal = format!("{}: {refusal}", index.name);
                    return Err(Stop::failed(Kind::Refused, None, refusal));
                }
            };
            acts.mentions.complete(&compiled.catalog);
            needs = needs.union(compiled.index.needs.clone());
            if let Some(fault) = fault
                && !happened
            {
                happened = fault.in_compiled(case.seed, &mut compiled);
            }
            let feed = Feed::new(self, pool, index, &file.yaml, compiled, case.seed);
            acts.feeds.push(feed);
        }
        let prepared = match self.prepare(needs.clone()).await {
            Ok(prepared) => prepared,
            Err(error) => return Err(Stop::failed(Kind::Refused, None, format!("{error:#}"))),
        };
        if let Some(fault) = fault
            && !happened
        {
            let catalogs = acts.feeds.iter().map(|feed| &feed.compiled.catalog);
            happened = fault.in_needs(case.seed, &mut needs, &catalogs);
        }
        if let Some(fault) = fault
            && !happened
            && !fault.is_in_records()
        {
            return Err(Stop::Ended(Ended::NotApplicable));
        }
        let end = slot::log_end(&self.session)
            .await
            .map_err(anyhow::Error::from)?;
        acts.router = Router::new(Epoch::FIRST, prepared.tables, end.xmax);
        acts.router
            .set_needs(needs, std::collections::BTreeSet::new());
        if let Some(mark) = self.mark_relation() {
            acts.router.take(mark).map_err(anyhow::Error::from)?;
        }
        Ok(acts)
    }

    /// Reads the stream up to the end of the last step.
    async fn read(&mut self, acts: &mut Acts) -> Result<Published> {
        let end = self.mark().await?;
        let schemas = Arc::clone(&self.schemas);
        let mut reader = Reader {
            router: &mut acts.router,
            schemas: &schemas,
            mentions: &acts.mentions,
            relations: &mut acts.relations,
            published: Published::default(),
        };
        self.read_to(end, |message| reader.take(message)).await?;
        Ok(reader.published)
    }

    /// Every document of every index against the oracle.
    async fn compare(
        &mut self,
        feeds: &[Feed],
        step: Option<usize>,
        figures: &mut Figures,
    ) -> Result<(), Stop> {
        for feed in feeds {
            let expected = self.expected(feed, step).await?;
            figures.compared += u64::try_from(expected.len()).unwrap_or(u64::MAX);
            compare(feed, &expected, &feed.documents, step, "")?;
        }
        Ok(())
    }

    async fn expected(&mut self, feed: &Feed, step: Option<usize>) -> Result<Documents, Stop> {
        match oracle::documents(&feed.yaml, &mut self.truth).await {
            Ok(documents) => Ok(documents),
            Err(error) => {
                let detail = format!("{}: {error:#}\n{}", feed.name, feed.yaml);
                Err(Stop::failed(Kind::Oracle, step, detail))
            }
        }
    }

    /// At the end: a fresh seed is equal too, and so is a worker that had slept through all steps
    /// and finds every record at once, in a few batches.
    async fn end(&mut self, acts: &mut Acts, all: &[Change], case: &Case) -> Result<(), Stop> {
        let last = case.steps.len().checked_sub(1);
        for (at, feed) in acts.feeds.iter().enumerate() {
            let expected = self.expected(feed, last).await?;
            match feed.seed(self).await? {
                Ok(fresh) => compare(feed, &expected, &fresh, last, ", seeded anew")?,
                Err(refusal) => return Err(Stop::refused(feed, last, &refusal)),
            }
            let Some(late) = acts.late.get_mut(at) else {
                continue;
            };
            let batch = usize::try_from(case.seed % 7).unwrap_or_default() * 3 + 1;
            for records in all.chunks(batch.max(all.len().div_ceil(4))) {
                if let Err(refusal) = feed.take_into(records, late).await? {
                    return Err(Stop::refused(feed, last, &refusal));
                }
            }
            compare(feed, &expected, late, last, ", fed late")?;
        }
        Ok(())
    }
}

/// What a case is played with.
struct Acts {
    feeds: Vec<Feed>,
    /// Documents of workers that sleep until the end.
    late: Vec<Documents>,
    mentions: Mentions,
    relations: HashMap<capture_svc::pgoutput::RelationOid, capture_svc::pgoutput::Relation>,
    router: Router,
}

fn compare(
    feed: &Feed,
    expected: &Documents,
    found: &Documents,
    step: Option<usize>,
    how: &str,
) -> Result<(), Stop> {
    let comparison = oracle::compare_documents(expected, found);
    if comparison.is_equal() {
        return Ok(());
    }
    Err(Stop::failed(
        Kind::Documents,
        step,
        format!("index {}{how}: {comparison}", feed.name),
    ))
}

fn count<T>(of: &[T]) -> u64 {
    u64::try_from(of.len()).unwrap_or(u64::MAX)
}
