//! How to reach the database: a URL or parts, and TLS from both places.
//! In: [`Source`] and the resolved text of its URL. Out: [`ConnectionParameters`]
//! for the makers of SQL and replication connections.
//! Must hold: every part is percent-decoded exactly once; a TLS setting that
//! differs between URL and `[source]` is refused. Must not: quote any part of
//! the URL in an error (it may hold the password).

mod url;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Connection, Source};

/// Everything a connection needs but the password of a parts table, which the
/// caller resolves.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionParameters {
    /// Hosts, tried in order; at least one.
    pub hosts: Vec<Host>,
    /// User.
    pub user: String,
    /// Password of the URL; with parts always `None`.
    pub password: Option<String>,
    /// Database.
    pub database: String,
    /// `application_name` of the URL.
    pub application_name: Option<String>,
    /// `connect_timeout` of the URL.
    pub connect_timeout: Option<Duration>,
    /// `options` of the URL.
    pub options: Option<String>,
    /// `channel_binding` of the URL: `disable`, `prefer` or `require`.
    pub channel_binding: Option<String>,
    /// TLS, defaults filled in.
    pub tls: Tls,
    /// Parameters of the URL that are not read: each deserves a warning.
    pub ignored: Vec<String>,
}

impl fmt::Debug for ConnectionParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionParameters")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Name, address without brackets, or (with a leading `/`) socket directory.
    pub name: String,
    /// Port.
    pub port: u16,
}

impl Host {
    /// `true` when the name is a socket directory.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.name.starts_with('/')
    }
}

/// TLS settings as they are to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Whether and how TLS is used.
    pub mode: SslMode,
    /// Which certificates are trusted.
    pub root_certificate: RootCertificate,
    /// Our own certificate.
    pub client_certificate: Option<ClientCertificate>,
}

/// TLS settings as one place states them; `None`: not stated there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// `sslmode`.
    pub sslmode: Option<SslMode>,
    /// `sslrootcert`.
    pub sslrootcert: Option<RootCertificate>,
    /// `sslcert`.
    pub sslcert: Option<PathBuf>,
    /// `sslkey`.
    pub sslkey: Option<PathBuf>,
}

/// Whether and how TLS is used. `allow` is read as `prefer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// When the server offers it.
    Prefer,
    /// Always, any certificate.
    Require,
    /// Always, with a trusted certificate.
    VerifyCa,
    /// Always, with a trusted certificate of that host.
    VerifyFull,
}

impl SslMode {
    /// All words of the language.
    pub(crate) const WORDS: [(&'static str, SslMode); 6] = [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Prefer),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ];

    /// The word of the language.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SslMode::Disable => "disable",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        }
    }

    fn read(word: &str) -> Option<SslMode> {
        Self::WORDS
            .iter()
            .find(|(spelled, _)| *spelled == word)
            .map(|(_, mode)| *mode)
    }
}

/// Which certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCertificate {
    /// The system's.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

impl fmt::Display for RootCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootCertificate::System => f.write_str("system"),
            RootCertificate::File(path) => path.display().fmt(f),
        }
    }
}

/// A PEM certificate of ours with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate file.
    pub certificate: PathBuf,
    /// The key file.
    pub key: PathBuf,
}

/// Why a connection URL cannot be used. The messages quote nothing of it but
/// TLS settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// It cannot be read.
    #[error("source.connection_url is not a Postgres URL: {0}")]
    Unreadable(String),
    /// URL and `[source]` disagree.
    #[error("{key} is {url:?} in the connection URL, {file:?} in [source]")]
    Conflict {
        /// The setting.
        key: &'static str,
        /// Its value in the URL.
        url: String,
        /// Its value in `[source]`.
        file: String,
    },
    /// A client certificate without key, or the reverse.
    #[error("sslcert and sslkey belong together")]
    HalfCertificate,
}

impl UrlProblem {
    /// The code of the language's error list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            UrlProblem::Unreadable(_) => "E106",
            UrlProblem::Conflict { .. } => "E108",
            UrlProblem::HalfCertificate => "E210",
        }
    }

    /// How to mend it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            UrlProblem::Unreadable(_) => {
                "postgres://user:password@host:5432/database; escape special characters as %XX"
            }
            UrlProblem::Conflict { .. } => "keep one of them",
            UrlProblem::HalfCertificate => "give both or none",
        }
    }
}

impl ConnectionParameters {
    /// The parameters of `source`. `url` is the resolved text of its
    /// [`Connection::Url`]; with parts it is not looked at.
    ///
    /// # Errors
    /// The URL cannot be read, or contradicts `[source]`.
    pub fn new(source: &Source, url: &str) -> Result<Self, UrlProblem> {
        match &source.connection {
            Connection::Url(_) => {
                let parsed = url::parse(url, &source.directory)?;
                let mut parameters = parsed.parameters;
                parameters.tls = merge(&source.tls, &parsed.tls)?;
                Ok(parameters)
            }
            Connection::Parts {
                host,
                port,
                user,
                password: _,
                database,
            } => Ok(ConnectionParameters {
                hosts: vec![Host {
                    name: host.clone(),
                    port: *port,
                }],
                user: user.clone(),
                password: None,
                database: database.clone(),
                application_name: None,
                connect_timeout: None,
                options: None,
                channel_binding: None,
                tls: merge(&source.tls, &TlsSettings::default())?,
                ignored: Vec::new(),
            }),
        }
    }
}

/// Lays the settings of both places together and fills the defaults in.
fn merge(file: &TlsSettings, url: &TlsSettings) -> Result<Tls, UrlProblem> {
    let mode = one(
        "sslmode",
        file.sslmode.as_ref(),
        url.sslmode.as_ref(),
        |mode| mode.as_str().to_owned(),
    )?
    .unwrap_or(SslMode::Prefer);
    let root = one(
        "sslrootcert",
        file.sslrootcert.as_ref(),
        url.sslrootcert.as_ref(),
        ToString::to_string,
    )?;
    let show = |path: &PathBuf| path.display().to_string();
    let certificate = one("sslcert", file.sslcert.as_ref(), url.sslcert.as_ref(), show)?;
    let key = one("sslkey", file.sslkey.as_ref(), url.sslkey.as_ref(), show)?;
    // libpq's rule: who names a root certificate wants it checked.
    let mode = match (mode, &root) {
        (SslMode::Require, Some(_)) => SslMode::VerifyCa,
        (mode, _) => mode,
    };
    Ok(Tls {
        mode,
        root_certificate: root.unwrap_or(RootCertificate::System),
        client_certificate: match (certificate, key) {
            (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(UrlProblem::HalfCertificate),
        },
    })
}

/// The setting that at least one place states; both must agree.
fn one<T: Clone + PartialEq>(
    key: &'static str,
    file: Option<&T>,
    url: Option<&T>,
    show: impl Fn(&T) -> String,
) -> Result<Option<T>, UrlProblem> {
    match (file, url) {
        (Some(file), Some(url)) if file != url => Err(UrlProblem::Conflict {
            key,
            url: show(url),
            file: show(file),
        }),
        (Some(stated), _) | (None, Some(stated)) => Ok(Some(stated.clone())),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
