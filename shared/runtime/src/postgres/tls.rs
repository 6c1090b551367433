//! TLS towards Postgres.
//! Must hold: `verify-ca` and `verify-full` check what they say; a mode never silently
//! becomes a weaker one. (`prefer` becomes plain openly: that is its meaning.)

use std::fmt;
use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslRef, SslVerifyMode};
use openssl::x509::X509VerifyResult;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::error::{Error, ErrorKind};
use super::target::{RootCertificate, SslMode, Tls};

/// Turns a TCP stream into an encrypted one.
#[derive(Clone)]
pub(super) struct Connector {
    inner: SslConnector,
    checks_name: bool,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("checks_name", &self.checks_name)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads the certificate files.
    pub(super) fn new(tls: &Tls) -> Result<Self, Error> {
        let unusable = |what: String| {
            move |error: ErrorStack| Error::new(ErrorKind::Settings, what, error.to_string())
        };
        let mut builder = SslConnector::builder(SslMethod::tls_client())
            .map_err(unusable("cannot prepare TLS".to_owned()))?;
        if let RootCertificate::File(path) = &tls.root {
            // Only this root: the system's would widen what is trusted.
            let mut store = openssl::x509::store::X509StoreBuilder::new()
                .map_err(unusable("cannot prepare TLS".to_owned()))?;
            let doing = format!("cannot use sslrootcert {}", path.display());
            let pem = std::fs::read(path).map_err(|error| {
                Error::new(ErrorKind::Settings, doing.clone(), error.to_string())
            })?;
            let roots =
                openssl::x509::X509::stack_from_pem(&pem).map_err(unusable(doing.clone()))?;
            if roots.is_empty() {
                return Err(Error::new(
                    ErrorKind::Settings,
                    doing,
                    "it holds no certificate",
                ));
            }
            for root in roots {
                store.add_cert(root).map_err(unusable(doing.clone()))?;
            }
            builder.set_cert_store(store.build());
        }
        if let Some(client) = &tls.client {
            builder
                .set_certificate_chain_file(&client.certificate)
                .map_err(unusable(format!(
                    "cannot use sslcert {}",
                    client.certificate.display()
                )))?;
            builder
                .set_private_key_file(&client.key, SslFiletype::PEM)
                .map_err(unusable(format!(
                    "cannot use sslkey {}",
                    client.key.display()
                )))?;
        }
        let verifies = match tls.mode {
            SslMode::Disable | SslMode::Prefer | SslMode::Require => false,
            SslMode::VerifyCa | SslMode::VerifyFull => true,
        };
        builder.set_verify(if verifies {
            SslVerifyMode::PEER
        } else {
            SslVerifyMode::NONE
        });
        Ok(Self {
            inner: builder.build(),
            checks_name: tls.mode == SslMode::VerifyFull,
        })
    }

    /// The handshake. `name` is the host as configured.
    pub(super) async fn handshake(
        &self,
        doing: &str,
        name: &str,
        stream: TcpStream,
    ) -> Result<SslStream<TcpStream>, Error> {
        let failed = |error: ErrorStack| Error::new(ErrorKind::TlsFailed, doing, error.to_string());
        let mut settings = self.inner.configure().map_err(failed)?;
        settings.set_verify_hostname(self.checks_name);
        let ssl = settings.into_ssl(name).map_err(failed)?;
        let mut stream = SslStream::new(ssl, stream).map_err(failed)?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            let verified = stream.ssl().verify_result();
            let message = if verified == X509VerifyResult::OK {
                format!("TLS handshake failed: {error}")
            } else {
                format!(
                    "the server's certificate is refused: {}",
                    verified.error_string()
                )
            };
            return Err(Error::new(ErrorKind::TlsFailed, doing, message));
        }
        Ok(stream)
    }
}

/// The hash of the server's certificate that binds a password exchange to this session
/// (`tls-server-end-point`, RFC 5929: the certificate's own hash, but at least SHA-256).
pub(super) fn server_end_point(ssl: &SslRef) -> Option<Vec<u8>> {
    let certificate = ssl.peer_certificate()?;
    let signature = certificate.signature_algorithm().object().nid();
    let digest = match signature.signature_algorithms()?.digest {
        Nid::MD5 | Nid::SHA1 => MessageDigest::sha256(),
        other => MessageDigest::from_nid(other)?,
    };
    certificate.digest(digest).ok().map(|bytes| bytes.to_vec())
}
