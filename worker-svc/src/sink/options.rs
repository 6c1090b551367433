//! What a client of one sink is made from, with every secret already resolved.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use runtime::secret::Secret;

/// Everything that belongs to the connection.
#[derive(Debug, Clone)]
pub struct Options {
    /// Base addresses, `http(s)://host:port[/path]`; taken in turn. At least one. May hold
    /// credentials, so they count as secret.
    pub urls: Vec<Secret>,
    /// How to log in.
    pub authorization: Authorization,
    /// Further headers of every request.
    pub headers: BTreeMap<String, Secret>,
    /// Certificates.
    pub tls: Tls,
    /// Compress request bodies.
    pub gzip: bool,
    /// Longest whole request.
    pub timeout: Duration,
}

impl Options {
    /// Defaults of the configuration language for one address.
    #[must_use]
    pub fn for_url(url: impl Into<String>) -> Self {
        Options {
            urls: vec![Secret::new(url)],
            authorization: Authorization::None,
            headers: BTreeMap::new(),
            tls: Tls::default(),
            gzip: false,
            timeout: Duration::from_secs(30),
        }
    }
}

/// How to log in.
#[derive(Debug, Clone, Default)]
pub enum Authorization {
    /// Not at all.
    #[default]
    None,
    /// User and password.
    Basic {
        /// The user.
        username: Secret,
        /// The password; may be empty.
        password: Secret,
    },
    /// `Authorization: ApiKey …`, taken as it is written.
    ApiKey(Secret),
    /// `Authorization: Bearer …`.
    Bearer(Secret),
}

/// Certificates of a TLS connection.
#[derive(Clone)]
pub struct Tls {
    /// Accept only a valid certificate.
    pub verify: bool,
    /// PEM certificates, added to the system's.
    pub roots: Option<Vec<u8>>,
    /// PEM certificate chain and PEM key of the client.
    pub client: Option<(Vec<u8>, Secret)>,
}

impl Default for Tls {
    fn default() -> Self {
        Tls {
            verify: true,
            roots: None,
            client: None,
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("verify", &self.verify)
            .field("roots", &self.roots.is_some())
            .field("client", &self.client.is_some())
            .finish()
    }
}
