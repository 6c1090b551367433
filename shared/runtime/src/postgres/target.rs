//! Where the database is, and as whom.
//! In: parts, taken literally (`configured` makes them from the configuration, which
//! reads URLs). Out: [`Target`].
//! Must hold: nothing printed shows the password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// Per address: connecting, TLS and start-up together. Longer than a busy server needs,
/// short enough for the next host to get its turn.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name or IP address, and a port.
    Tcp {
        /// Name or address.
        name: String,
        /// Port.
        port: u16,
    },
    /// The directory of a Unix socket, and the port that names the file in it.
    Socket {
        /// Directory.
        directory: PathBuf,
        /// Port.
        port: u16,
    },
}

impl Host {
    /// A leading `/` means a socket directory.
    #[must_use]
    pub fn new(name: &str, port: u16) -> Self {
        if name.starts_with('/') {
            Self::Socket {
                directory: PathBuf::from(name),
                port,
            }
        } else {
            Self::Tcp {
                name: name.to_owned(),
                port,
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, port } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Tcp { name, port } => write!(f, "{name}:{port}"),
            Self::Socket { directory, port } => {
                write!(f, "{}/.s.PGSQL.{port}", directory.display())
            }
        }
    }
}

/// What is asked of encryption, as libpq understands the words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server offers it; without it when it fails or is refused.
    #[default]
    Prefer,
    /// Always, any certificate.
    Require,
    /// Always, and the certificate must come from the root.
    VerifyCa,
    /// Always, and the certificate must also name the host.
    VerifyFull,
}

/// What a server's certificate is checked against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RootCertificate {
    /// What the system trusts.
    #[default]
    System,
    /// This PEM file.
    File(PathBuf),
}

/// A client's own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM file, the certificate first, then its chain.
    pub certificate: PathBuf,
    /// PEM file.
    pub key: PathBuf,
}

/// Encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// How much of it.
    pub mode: SslMode,
    /// What `verify-ca` and `verify-full` check against.
    pub root: RootCertificate,
    /// Shown to the server when it asks.
    pub client: Option<ClientCertificate>,
}

/// Whether the password exchange is bound to the TLS session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// If both sides can.
    #[default]
    Prefer,
    /// Else no connection.
    Require,
}

/// Where the database is, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// Tried in order.
    pub hosts: Vec<Host>,
    /// The role.
    pub user: String,
    /// Its password, if it needs one.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// Encryption.
    pub tls: Tls,
    /// Whether the password exchange is bound to the TLS session.
    pub channel_binding: ChannelBinding,
    /// From the URL; wins over the name a caller gives.
    pub application_name: Option<String>,
    /// Start-up options for the server, from the URL.
    pub options: Option<String>,
    /// Per address: connecting, TLS and start-up together. `None`: no limit.
    pub connect_timeout: Option<Duration>,
}

/// The parts of a target, taken literally.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Name, address, or (leading `/`) socket directory.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
}

impl Target {
    /// A target from its parts.
    #[must_use]
    pub fn from_parts(parts: Parts, tls: Tls) -> Self {
        Self {
            hosts: vec![Host::new(&parts.host, parts.port)],
            user: parts.user,
            password: parts.password,
            database: parts.database,
            tls,
            channel_binding: ChannelBinding::default(),
            application_name: None,
            options: None,
            connect_timeout: Some(DEFAULT_CONNECT_TIMEOUT),
        }
    }

    /// The hosts and the database, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        format!(
            "{} (database {}, user {})",
            hosts.join(", "),
            self.database,
            self.user
        )
    }
}
