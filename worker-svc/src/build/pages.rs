//! The keys of a large fan-out, page by page, never all at once.
//! In: changes. Out: pages in a bounded channel. Must hold: W3.
//! Why rows are streamed: the connection stops reading while the channel is full, and
//! Postgres with it.

use futures_util::{StreamExt, pin_mut};
use model::Change;
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;

use super::failed::{Failed, Tried, failed};
use super::gate::Gate;
use super::rows::key_of;
use super::session::Session;
use super::transaction::{Ended, Opened, Transaction};
use super::{Attempt, Builder};
use crate::fanout::Page;
use crate::resolve::{DocumentKey, Hop, Resolution};
use crate::{Definite, Transient};

/// Keys of one page: seconds of work for one worker.
const PAGE_KEYS: usize = 1_000;
/// Bytes of one page: keys can be long texts, and a record must stay small.
const PAGE_BYTES: usize = 256 << 10;

/// How the paging ended.
#[derive(Debug)]
pub enum Paged {
    /// All pages were taken.
    All,
    /// Not; pages that were taken are harmless.
    Not(Attempt),
}

impl Builder {
    /// Sends the keys of all documents that `changes` affect to `pages`.
    ///
    /// # Errors
    /// As for [`Builder::attempt`].
    pub async fn pages(
        &self,
        changes: &[&Change],
        gate: &Gate,
        pages: mpsc::Sender<Page>,
    ) -> Result<Result<Paged, Definite>, Transient> {
        let source = self.source()?;
        let registered = match self.still_registered().await? {
            Ok(registered) => registered,
            Err(definite) => return Ok(Err(definite)),
        };
        let resolution = match self.paths.resolve(changes.iter().copied()) {
            Ok(resolution) => resolution,
            Err(definite) => return Ok(Err(definite)),
        };
        let session = Session::open(&self.pool).await?;
        let transaction = Transaction {
            builder: self,
            session: &session,
            gate,
            source,
            registered,
        };
        let ended = transaction.page(resolution, pages).await;
        let other = match ended {
            Ok(None) => {
                session.done();
                return Ok(Ok(Paged::All));
            }
            Ok(Some(Ended::Attempt(attempt))) => {
                session.roll_back().await;
                return Ok(Ok(Paged::Not(attempt)));
            }
            Ok(Some(Ended::OtherRun(run))) => {
                session.roll_back().await;
                run
            }
            Err(error) => {
                return match error {
                    Failed::Attempt(attempt) => {
                        session.roll_back().await;
                        Ok(Ok(Paged::Not(*attempt)))
                    }
                    Failed::Definite(definite) => Ok(Err(definite)),
                    Failed::Transient(transient) => Err(transient),
                };
            }
        };
        match self.register(other).await? {
            Ok(_) => Ok(Ok(Paged::Not(Attempt::RunChanged))),
            Err(definite) => Ok(Err(definite)),
        }
    }
}

impl Transaction<'_> {
    async fn page(
        &self,
        resolution: Resolution<'_>,
        pages: mpsc::Sender<Page>,
    ) -> Tried<Option<Ended>> {
        let (opened, _) = self.open(&[]).await?;
        let opened = match opened {
            Ok(opened) => opened,
            Err(other) => return Ok(Some(Ended::OtherRun(other))),
        };
        if let Some(unseen) =
            self.gate
                .unseen(&opened.snapshot, self.source.epoch, opened.incarnation)
        {
            return Ok(Some(Ended::Attempt(Attempt::Unseen(unseen))));
        }
        let mut filling = Filling {
            keys: Vec::new(),
            bytes: 0,
            opened: &opened,
            transaction: self,
            pages,
        };
        for key in resolution.keys {
            filling.take(key).await?;
        }
        for hop in &resolution.hops {
            self.page_hop(hop, &mut filling).await?;
        }
        filling.send().await?;
        self.close().await?;
        Ok(None)
    }

    async fn page_hop(&self, hop: &Hop<'_>, filling: &mut Filling<'_>) -> Tried<()> {
        let doing = "finding the documents of a large batch";
        let statement = self.prepare(hop.sql).await?;
        let parameters: Vec<&(dyn ToSql + Sync)> = hop
            .arrays
            .iter()
            .map(|array| -> &(dyn ToSql + Sync) { array })
            .collect();
        let rows = self
            .session
            .client()?
            .query_raw(&statement, parameters)
            .await
            .map_err(failed(doing))?;
        pin_mut!(rows);
        while let Some(row) = rows.next().await {
            let row = row.map_err(failed(doing))?;
            if let Some(key) = key_of(&row, 0).map_err(failed(doing))? {
                filling.take(key).await?;
            }
        }
        Ok(())
    }
}

struct Filling<'a> {
    keys: Vec<DocumentKey>,
    bytes: usize,
    opened: &'a Opened,
    transaction: &'a Transaction<'a>,
    pages: mpsc::Sender<Page>,
}

impl Filling<'_> {
    async fn take(&mut self, key: DocumentKey) -> Tried<()> {
        self.bytes = self.bytes.saturating_add(key.bytes());
        self.keys.push(key);
        if self.keys.len() >= PAGE_KEYS || self.bytes >= PAGE_BYTES {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Tried<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let page = Page {
            keys: std::mem::take(&mut self.keys),
            epoch: self.transaction.source.epoch,
            incarnation: self.opened.incarnation,
        };
        // The publisher failed; its own error says why.
        let gone = |_| Transient::Waiting(String::from("the fan-out topic"));
        self.pages.send(page).await.map_err(gone)?;
        Ok(())
    }
}
