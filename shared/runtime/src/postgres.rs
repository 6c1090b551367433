//! The only maker of Postgres connections.
//! In: where the database is ([`Target`]). Out: SQL sessions and a pool of them, and the
//! bare stream a replication session starts on, to the very server that SQL found.
//! Must hold: only a primary is accepted (a standby's snapshots cannot be trusted); every
//! SQL session writes values as text in one fixed way; no message shows a password, nor
//! a value of a row.
//! Must not: know what is asked of the database, except who it is (`server`).
//!
//! ```text
//!  Target ─▶ attempts: host × address × encryption, in order
//!               │ open: TCP or socket, then TLS          (dial, tls)
//!               ▼
//!            Stream ─▶ start-up, password, settings, "are you a primary?" ─▶ Session
//!               └────▶ the replication client does its own start-up (capture)
//! ```

pub mod target;
pub mod error;
pub mod stream;
mod tls;
mod dial;
mod session;
pub mod pool;
pub mod server;

use std::sync::Arc;

pub use error::{Error, ErrorKind};
pub use pool::{Pool, Pooled};
pub use server::{Identity, SERVER_RUN_SQL, server_run};
pub use session::{SESSION_SETTINGS, Session};
pub use stream::Stream;
pub use target::{
    ChannelBinding, ClientCertificate, Host, Parts, RootCertificate, SslMode, Target, Tls,
};

/// Makes connections to one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Postgres {
    target: Arc<Target>,
    connector: tls::Connector,
}

/// One way that worked: which host, and whether encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The host.
    pub host: Host,
    /// Whether TLS is used: after `prefer` fell back, it is not.
    pub encrypted: bool,
}

impl Postgres {
    /// Reads the certificates. Nothing is connected yet.
    ///
    /// # Errors
    /// A certificate or key cannot be read.
    pub fn new(target: Target) -> Result<Self, Error> {
        let connector = tls::Connector::new(&target.tls)?;
        Ok(Self {
            target: Arc::new(target),
            connector,
        })
    }

    /// Where the database is, and as whom.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Opens an SQL session on the first host that is a primary. `application_name` is
    /// how it shows in `pg_stat_activity`, unless the target names its own.
    ///
    /// # Errors
    /// No host is a primary that lets us in.
    pub async fn connect(&self, application_name: &str) -> Result<Session, Error> {
        session::connect(self, application_name).await
    }

    /// Opens a stream the way a session went, TLS done, nothing sent yet: for a
    /// replication session on the same server.
    ///
    /// # Errors
    /// The server cannot be reached that way any more.
    pub async fn open(&self, route: &Route) -> Result<Stream, Error> {
        dial::open(self, route).await
    }

    /// A pool of at most `size` sessions.
    #[must_use]
    pub fn pool(&self, application_name: &str, size: usize) -> Pool {
        Pool::new(self.clone(), application_name, size)
    }

    /// The bytes that bind the password exchange to a stream's TLS session, as the
    /// target wants it: for clients that do their own start-up.
    ///
    /// # Errors
    /// The target requires channel binding, and the stream has none.
    pub fn channel_binding(&self, stream: &Stream) -> Result<Option<Vec<u8>>, Error> {
        match (self.target.channel_binding, stream.channel_binding()) {
            (ChannelBinding::Disable, _) => Ok(None),
            (ChannelBinding::Require, None) => Err(Error::new(
                ErrorKind::TlsRefused,
                "cannot bind the password exchange",
                "channel_binding is \"require\", and the connection is not encrypted",
            )),
            (_, hash) => Ok(hash),
        }
    }
}

#[cfg(test)]
mod tests;
