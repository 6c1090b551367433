//! SQL sessions.
//! Must hold: values are written as text in one fixed way in every session, whatever the
//! role's settings; the server is a primary.

use std::fmt;
use std::future::poll_fn;
use std::ops::{Deref, DerefMut};

use tokio_postgres::config::{self, SslNegotiation};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, SimpleQueryMessage};

use super::dial::{doing, open, routes, within};
use super::error::{Error, ErrorKind};
use super::stream::{Done, Stream};
use super::target::{ChannelBinding, SslMode, Target};
use super::{Postgres, Route};
use crate::task::{self, Task};

/// How values are written as text, in every session: names and values as `SET` takes
/// them. A replication session may send them as start-up parameters.
pub const SESSION_SETTINGS: [(&str, &str); 6] = [
    ("client_encoding", "UTF8"),
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "iso_8601"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
];

/// Reads `pg_stat_wal` afresh inside a transaction too (PostgreSQL 15 and later know the
/// setting): a run of the server must not be read from a cache.
const FRESH_STATISTICS: &str = "SELECT set_config(name, 'none', false) FROM pg_settings \
                                WHERE name = 'stats_fetch_consistency'";

/// Statements that build documents have many small expressions, and a chunk of rows costs enough
/// to be compiled to machine code each time: 2 s to save a fraction of 0.7 s (7,500 documents over
/// eight tables).
const NOT_COMPILED: &str = "SET jit = off; ";

/// An SQL session; dereferences to the client. Ends when dropped.
pub struct Session {
    client: Client,
    route: Route,
    driver: Task<()>,
    postgres: Postgres,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("route", &self.route)
            .field("closed", &self.client.is_closed())
            .finish_non_exhaustive()
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Session {
    /// The way that worked.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Waits until the connection is gone, whoever ended it. Cancel-safe.
    pub async fn closed(&mut self) {
        // However its driver ended, the connection is gone.
        drop(self.driver.join().await);
    }

    /// Asks the server to cancel what this session is running.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn cancel(&self) -> Result<(), Error> {
        let token = self.client.cancel_token();
        let stream = open(&self.postgres, &self.route).await?;
        token
            .cancel_query_raw(stream, Done)
            .await
            .map_err(|error| Error::from_sql("cannot cancel a statement", &error))
    }

    pub(super) fn into_parts(self) -> (Client, Task<()>) {
        (self.client, self.driver)
    }
}

/// Connects to the first host that is a primary.
pub(super) async fn connect(postgres: &Postgres, name: &str) -> Result<Session, Error> {
    let mut errors: Vec<Error> = Vec::new();
    let mut fallback_allowed = true;
    for route in routes(postgres) {
        let is_fallback = postgres.target.tls.mode == SslMode::Prefer
            && !route.encrypted
            && matches!(route.host, super::Host::Tcp { .. });
        if is_fallback && !fallback_allowed {
            continue;
        }
        let doing = doing(postgres, &route.host);
        let attempt = within(postgres, &doing, start(postgres, &route, name, &doing)).await;
        match attempt {
            Ok(session) => return Ok(session),
            Err(error) => {
                // Plain text is tried after a failed handshake, or when the server lets
                // this role in only without TLS; not after a wrong password.
                fallback_allowed =
                    matches!(error.kind(), ErrorKind::TlsFailed | ErrorKind::NotAllowed);
                if is_fallback {
                    // The plain attempt repeats the complaint about the same host.
                    errors.pop();
                }
                errors.push(error);
            }
        }
    }
    Err(Error::none_of(&postgres.target.describe(), errors))
}

async fn start(
    postgres: &Postgres,
    route: &Route,
    name: &str,
    doing: &str,
) -> Result<Session, Error> {
    let stream = open(postgres, route).await?;
    let route = Route {
        host: route.host.clone(),
        encrypted: stream.is_encrypted(),
    };
    let config = startup(&postgres.target, name, route.encrypted);
    let has_password = postgres.target.password.is_some();
    let (client, connection) = config
        .connect_raw(stream, Done)
        .await
        .map_err(|error| Error::from_startup(doing, &error, has_password))?;
    let driver = task::spawn(format!("postgres {name}"), drive(connection));
    prepare(&client, doing).await?;
    Ok(Session {
        client,
        route,
        driver,
        postgres: postgres.clone(),
    })
}

fn startup(target: &Target, name: &str, encrypted: bool) -> Config {
    let mut config = Config::new();
    config
        .user(&target.user)
        .dbname(&target.database)
        .application_name(target.application_name.as_deref().unwrap_or(name))
        .channel_binding(match target.channel_binding {
            ChannelBinding::Disable => config::ChannelBinding::Disable,
            ChannelBinding::Prefer => config::ChannelBinding::Prefer,
            ChannelBinding::Require => config::ChannelBinding::Require,
        });
    if encrypted {
        // The stream has its TLS already: nothing is to be negotiated on it.
        config
            .ssl_mode(config::SslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct);
    } else {
        config.ssl_mode(config::SslMode::Disable);
    }
    if let Some(password) = &target.password {
        config.password(password.expose());
    }
    if let Some(options) = &target.options {
        config.options(options);
    }
    config
}

/// Pins the settings and checks that the server is a primary, in one round trip.
async fn prepare(client: &Client, doing: &str) -> Result<(), Error> {
    let mut batch = String::new();
    for (name, value) in SESSION_SETTINGS {
        batch.extend(["SET ", name, " = '", value, "'; "]);
    }
    batch.push_str(NOT_COMPILED);
    batch.push_str(FRESH_STATISTICS);
    batch.push_str("; SELECT pg_is_in_recovery()");
    let answer = client
        .simple_query(&batch)
        .await
        .map_err(|error| Error::from_sql(doing, &error))?;
    let in_recovery = answer.iter().rev().find_map(|message| {
        if let SimpleQueryMessage::Row(row) = message {
            Some(row.get(0) == Some("t"))
        } else {
            None
        }
    });
    match in_recovery {
        Some(false) => Ok(()),
        Some(true) => Err(Error::new(
            ErrorKind::NotPrimary,
            doing,
            "the server is a standby; changes and snapshots are read from the primary only",
        )),
        None => Err(Error::new(
            ErrorKind::Unexpected,
            doing,
            "no answer to pg_is_in_recovery()",
        )),
    }
}

/// Moves the connection's bytes until it ends.
async fn drive(mut connection: Connection<Stream, Stream>) {
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await {
            None => return,
            Some(Ok(AsyncMessage::Notice(notice))) => {
                // Without its text: an application's notice may quote data.
                tracing::debug!(
                    severity = notice.severity(),
                    code = notice.code().code(),
                    "notice from Postgres"
                );
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                let error = Error::from_sql("the connection to Postgres broke", &error);
                // The owner's next statement fails and says what that means.
                tracing::debug!(%error, "connection ended");
                return;
            }
        }
    }
}
