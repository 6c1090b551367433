//! A session that is ready for commands.
//! In: a connected stream (TLS already set up by `runtime::postgres`).
//! Out: answers to simple commands, and at last a [`LogicalStream`].

use std::time::Duration;

use fallible_iterator::FallibleIterator;
use model::Lsn;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend;
use runtime::postgres::{Postgres, Route, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::Patience;
use super::error::{Definite, Error, Transient};
use super::login::{self, Login, unfit};
use super::stream::LogicalStream;
use super::wire::{Received, Wire, protocol};

/// A command is answered at once; a server that takes longer has gone, or
/// waits for something that may never come (`START_REPLICATION` does not).
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What `IDENTIFY_SYSTEM` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifiedSystem {
    /// The cluster.
    pub system_identifier: u64,
    /// The timeline its log is written on.
    pub timeline: u32,
    /// Its flush position.
    pub wal_end: Lsn,
    /// The database of this session.
    pub database: String,
}

/// A replication session that is ready for commands.
pub struct Session<S> {
    wire: Wire<S>,
}

impl<S> std::fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session<Stream> {
    /// Opens a session on the server that an SQL session found, so that both
    /// speak to the same primary.
    ///
    /// # Errors
    /// The server refuses, is gone, or takes too long.
    pub async fn open(postgres: &Postgres, route: &Route, name: &str) -> Result<Self, Error> {
        let stream = postgres.open(route).await.map_err(connecting)?;
        let end_point = postgres.channel_binding(&stream).map_err(connecting)?;
        Session::start(stream, &Login::to(postgres.target(), name, end_point)).await
    }
}

/// Sorts what kept a stream from being opened.
fn connecting(error: runtime::postgres::Error) -> Error {
    if error.is_transient() {
        Transient::Connect(error).into()
    } else {
        Definite::Connect(error).into()
    }
}

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Logs in on a connected stream.
    ///
    /// # Errors
    /// The server refuses, is gone, or takes too long.
    pub async fn start(stream: S, login: &Login) -> Result<Self, Error> {
        let mut wire = Wire::new(stream);
        within("logging in", login::login(&mut wire, login)).await?;
        Ok(Session { wire })
    }

    /// Asks who the server is.
    ///
    /// # Errors
    /// The session has ended, or the answer cannot be read.
    pub async fn identify_system(&mut self) -> Result<IdentifiedSystem, Error> {
        let rows = self.query("IDENTIFY_SYSTEM").await?;
        let mut columns = rows
            .into_iter()
            .next()
            .unwrap_or_default()
            .into_iter()
            .map(Option::unwrap_or_default);
        let mut next = || columns.next().unwrap_or_default();
        let unreadable = || protocol("the answer to IDENTIFY_SYSTEM cannot be read");
        Ok(IdentifiedSystem {
            system_identifier: next().parse().map_err(|_| unreadable())?,
            timeline: next().parse().map_err(|_| unreadable())?,
            wal_end: next().parse().map_err(|_| unreadable())?,
            database: next(),
        })
    }

    /// The server's `wal_sender_timeout` for this session; zero when it waits
    /// for ever.
    ///
    /// # Errors
    /// The session has ended, or the answer cannot be read.
    pub async fn wal_sender_timeout(&mut self) -> Result<Duration, Error> {
        let rows = self
            .query("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'")
            .await?;
        let setting = rows.into_iter().flatten().next().flatten();
        let ms = setting.and_then(|text| text.parse().ok());
        ms.map(Duration::from_millis)
            .ok_or_else(|| protocol("wal_sender_timeout cannot be read"))
    }

    /// Runs one command of the replication protocol or one SQL statement.
    ///
    /// # Errors
    /// The server refuses it, or the session has ended.
    pub async fn query(&mut self, command: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        frontend::query(command, self.wire.output()).map_err(|error| unfit(&error))?;
        within("asking the server", async {
            self.wire.flush().await?;
            let mut rows = Vec::new();
            loop {
                match self.wire.receive().await? {
                    Received::Message(Message::DataRow(row)) => rows.push(texts(&row)?),
                    Received::Message(
                        Message::RowDescription(_)
                        | Message::CommandComplete(_)
                        | Message::EmptyQueryResponse,
                    ) => {}
                    Received::Message(Message::ReadyForQuery(_)) => return Ok(rows),
                    Received::Copy(_) | Received::CopyBoth | Received::Message(_) => {
                        return Err(protocol("an unexpected message in an answer"));
                    }
                }
            }
        })
        .await
    }

    /// Starts to stream what the slot holds from `from` on. The server starts
    /// later, without a word, when it has confirmed more: compare with the
    /// slot's `confirmed_flush_lsn` once this has returned.
    ///
    /// # Errors
    /// The slot is busy, missing or lost, or the session has ended.
    pub async fn start_replication(
        mut self,
        slot: &str,
        publication: &str,
        from: Lsn,
        patience: Patience,
    ) -> Result<LogicalStream<S>, Error> {
        let command = start_command(slot, publication, from);
        frontend::query(&command, self.wire.output()).map_err(|error| unfit(&error))?;
        within("starting to stream", async {
            self.wire.flush().await?;
            match self.wire.receive().await? {
                Received::CopyBoth => Ok(()),
                Received::Copy(_) | Received::Message(_) => {
                    Err(protocol("an unexpected answer to START_REPLICATION"))
                }
            }
        })
        .await?;
        Ok(LogicalStream::new(self.wire, patience))
    }
}

/// The slot is an identifier; the publication an identifier inside a literal.
pub(super) fn start_command(slot: &str, publication: &str, from: Lsn) -> String {
    let slot = model::table::quote(slot);
    let publications = model::table::quote(publication).replace('\'', "''");
    format!(
        "START_REPLICATION SLOT {slot} LOGICAL {from} (proto_version '1', publication_names '{publications}')"
    )
}

/// The texts of a row.
fn texts(row: &DataRowBody) -> Result<Vec<Option<String>>, Error> {
    let unreadable = || protocol("a row that cannot be read");
    let mut values = Vec::new();
    let mut ranges = row.ranges();
    while let Some(range) = ranges.next().map_err(|_| unreadable())? {
        let value = match range {
            None => None,
            Some(range) => {
                let bytes = row.buffer().get(range).ok_or_else(unreadable)?;
                Some(
                    std::str::from_utf8(bytes)
                        .map_err(|_| unreadable())?
                        .to_owned(),
                )
            }
        };
        values.push(value);
    }
    Ok(values)
}

async fn within<T>(
    doing: &'static str,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(ANSWER_WITHIN, step).await.unwrap_or_else(|_| {
        Err(Transient::Silent {
            doing,
            after: ANSWER_WITHIN,
        }
        .into())
    })
}
