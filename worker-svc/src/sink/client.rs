//! The client: one transport per address, requests in turn.
//! Must hold: an address that failed is asked for a connection, with a time-out of its
//! own, before it gets a request again.

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opensearch::auth::{ClientCertificate, Credentials};
use opensearch::cert::{Certificate, CertificateValidation};
use opensearch::http::headers::{HeaderMap, HeaderName, HeaderValue};
use opensearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use opensearch::http::{Method, Url};

use super::{Authorization, Failure, Options, Reply, Tls};
use crate::error::{Definite, chain};
use crate::outcome;

/// Longest time for connecting to an address that failed before.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An address that failed is left out so long while another is up: a dead one may take the whole of
/// [`CONNECT_TIMEOUT`] to say so.
const REST: Duration = Duration::from_secs(30);

/// A client of one OpenSearch cluster. Cheap to clone.
#[derive(Clone)]
pub struct Sink {
    inner: Arc<Inner>,
}

struct Inner {
    nodes: Vec<Node>,
    turn: AtomicUsize,
    gzip: bool,
    timeout: Duration,
}

struct Node {
    /// Scheme, host and port, without credentials.
    name: String,
    host: String,
    port: u16,
    transport: Transport,
    /// The last request got through.
    up: AtomicBool,
    /// When it failed last; `None` when it never did.
    failed_at: Mutex<Option<Instant>>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<&str> = self
            .inner
            .nodes
            .iter()
            .map(|node| node.name.as_str())
            .collect();
        f.debug_tuple("Sink").field(&nodes).finish()
    }
}

/// The parts of a request.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// Path, each part already escaped, with a leading slash.
    pub(super) path: String,
    /// Query parameters.
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Option<Bytes>,
    pub(super) content_type: &'static str,
}

impl Sink {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    /// An address, header or certificate cannot be used.
    pub fn new(options: &Options) -> Result<Self, Definite> {
        if options.urls.is_empty() {
            return Err(Definite::Setup(String::from(
                "a sink needs at least one url",
            )));
        }
        let nodes = options
            .urls
            .iter()
            .map(|url| Node::new(url.expose(), options))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Sink {
            inner: Arc::new(Inner {
                nodes,
                turn: AtomicUsize::new(0),
                gzip: options.gzip,
                timeout: options.timeout,
            }),
        })
    }

    /// The addresses, without credentials.
    #[must_use]
    pub fn addresses(&self) -> Vec<&str> {
        self.inner
            .nodes
            .iter()
            .map(|node| node.name.as_str())
            .collect()
    }

    /// Sends one bulk request to `index`. Any answer, an error too, is a [`Reply`]:
    /// `outcome` judges it. The whole request ends within the sink's time-out.
    ///
    /// # Errors
    /// [`Failure::NotSent`] or [`Failure::Lost`].
    pub async fn bulk(
        &self,
        index: &str,
        pipeline: Option<&str>,
        body: Bytes,
    ) -> Result<Reply, Failure> {
        let mut query = vec![("filter_path", crate::bulk::FILTER_PATH)];
        if let Some(pipeline) = pipeline {
            query.push(("pipeline", pipeline));
        }
        let request = Request {
            method: Method::Post,
            path: format!("/{}/_bulk", segment(index)),
            query: &query,
            body: Some(body),
            content_type: "application/x-ndjson",
        };
        self.send(request).await.map(|(reply, _)| reply)
    }

    /// Sends a request and takes any answer.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<(Reply, String), Failure> {
        let node = self.next_node().await?;
        let started = Instant::now();
        let (headers, body) = self.encode(request.content_type, request.body)?;
        let sent = node
            .transport
            .send(
                request.method,
                &request.path,
                headers,
                Some(request.query),
                body,
                Some(self.inner.timeout),
            )
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => return Err(node.failed(&error)),
        };
        let status = response.status_code().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| runtime::retry::retry_after(value, jiff::Timestamp::now()));
        let body = response
            .bytes()
            .await
            .map_err(|error| node.failed(&error))?;
        Ok((
            Reply {
                status,
                retry_after,
                body,
                took: started.elapsed(),
            },
            node.name.clone(),
        ))
    }

    /// Sends a request and takes only a success.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<(Bytes, String), Failure> {
        let (reply, to) = self.send(request).await?;
        if (200..300).contains(&reply.status) {
            return Ok((reply.body, to));
        }
        let error = outcome::request_error(&reply.body);
        let reason = error.full_reason();
        Err(Failure::Answered {
            to,
            status: reply.status,
            error_type: error.error_type,
            reason,
            retry_after: reply.retry_after,
        })
    }

    /// The next address that is up; one that was not tried yet or has rested long enough is tried
    /// when its turn comes. Else the next that takes a connection.
    async fn next_node(&self) -> Result<&Node, Failure> {
        let count = self.inner.nodes.len();
        let start = self.inner.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn =
            || (0..count).filter_map(|n| self.inner.nodes.get(start.wrapping_add(n) % count));
        for node in in_turn() {
            let is_up = node.up.load(Ordering::Relaxed);
            if is_up || (node.has_rested() && node.connect().await.is_ok()) {
                return Ok(node);
            }
        }
        let mut last = None;
        for node in in_turn() {
            match node.connect().await {
                Ok(()) => return Ok(node),
                Err(failure) => last = Some(failure),
            }
        }
        Err(last.unwrap_or(Failure::NotSent {
            to: String::from("no address"),
            reason: String::new(),
        }))
    }

    fn encode(
        &self,
        content_type: &'static str,
        body: Option<Bytes>,
    ) -> Result<(HeaderMap, Option<Bytes>), Failure> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        let Some(body) = body else {
            return Ok((headers, None));
        };
        if !self.inner.gzip {
            return Ok((headers, Some(body)));
        }
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        Ok((headers, Some(gzip(&body)?)))
    }
}

/// Level 1: bulk bodies repeat themselves, so most of the gain comes from the first level.
fn gzip(body: &[u8]) -> Result<Bytes, Failure> {
    let mut encoder = flate2::write::GzEncoder::new(
        Vec::with_capacity(body.len() / 4),
        flate2::Compression::fast(),
    );
    let packed = encoder.write_all(body).and_then(|()| encoder.finish());
    // Writing into memory does not fail; if it ever does, nothing was sent.
    packed.map(Bytes::from).map_err(|error| Failure::NotSent {
        to: String::from("gzip"),
        reason: error.to_string(),
    })
}

impl Node {
    fn new(url: &str, options: &Options) -> Result<Self, Definite> {
        let bad = |what: String| Definite::Setup(format!("sink url: {what}"));
        let mut url = Url::parse(url).map_err(|error| bad(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(format!(
                "the scheme is {}, not http or https",
                url.scheme()
            )));
        }
        let host = url
            .host_str()
            .ok_or_else(|| bad(String::from("no host")))?
            .to_owned();
        let port = url
            .port_or_known_default()
            .ok_or_else(|| bad(String::from("no port")))?;
        let name = format!("{}://{host}:{port}", url.scheme());
        let in_url = credentials_in(&mut url);
        let transport = transport(url, in_url, options)?;
        Ok(Node {
            name,
            host,
            port,
            transport,
            up: AtomicBool::new(false),
            failed_at: Mutex::new(None),
        })
    }

    fn has_rested(&self) -> bool {
        let failed_at = *self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failed_at.is_none_or(|at| at.elapsed() >= REST)
    }

    fn goes_down(&self) {
        self.up.store(false, Ordering::Relaxed);
        *self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    async fn connect(&self) -> Result<(), Failure> {
        let failed = |reason: String| {
            self.goes_down();
            Failure::NotSent {
                to: self.name.clone(),
                reason,
            }
        };
        // An IPv6 host stands in brackets in a URL.
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let connecting = tokio::net::TcpStream::connect((host, self.port));
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(_stream)) => {
                self.up.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_elapsed) => Err(failed(format!(
                "no connection within {} s",
                CONNECT_TIMEOUT.as_secs()
            ))),
        }
    }

    /// Tells a connection that was never made from a reply that was lost. Whatever is
    /// not certain counts as lost.
    fn failed(&self, error: &opensearch::Error) -> Failure {
        self.goes_down();
        let to = self.name.clone();
        let reason = chain(error);
        if is_refused(error) {
            Failure::NotSent { to, reason }
        } else {
            Failure::Lost { to, reason }
        }
    }
}

fn is_refused(error: &opensearch::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let kind = error
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        if kind == Some(std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Takes user and password out of an address, so that no error text shows them.
fn credentials_in(url: &mut Url) -> Option<Credentials> {
    let text = |part: &str| {
        percent_encoding::percent_decode_str(part)
            .decode_utf8_lossy()
            .into_owned()
    };
    if url.username().is_empty() {
        return None;
    }
    let credentials = Credentials::Basic(
        text(url.username()),
        text(url.password().unwrap_or_default()),
    );
    // These two fail only for addresses without a host, which were refused before.
    let _cannot_fail = (url.set_username(""), url.set_password(None));
    Some(credentials)
}

fn transport(
    url: Url,
    in_url: Option<Credentials>,
    options: &Options,
) -> Result<Transport, Definite> {
    // The client would take a proxy from the process environment, which is not ours to read.
    let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url)).disable_proxy();
    builder = builder.headers(headers(options)?);
    if let Some(validation) = validation(&options.tls)? {
        builder = builder.cert_validation(validation);
    }
    // One kind of credentials per client; a password or token beside a client
    // certificate goes as a header (see `headers`).
    builder = match (&options.tls.client, &options.authorization, in_url) {
        (Some((chain, key)), _, _) => builder.auth(identity(chain, key.expose())?.into()),
        (None, Authorization::Basic { username, password }, _) => builder.auth(Credentials::Basic(
            username.expose().to_owned(),
            password.expose().to_owned(),
        )),
        (None, Authorization::None, Some(credentials)) => builder.auth(credentials),
        (None, _, _) => builder,
    };
    builder
        .build()
        .map_err(|error| Definite::Setup(format!("sink: {}", chain_of_build(&error))))
}

fn chain_of_build(error: &opensearch::http::transport::BuildError) -> String {
    chain(error)
}

fn headers(options: &Options) -> Result<HeaderMap, Definite> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        let bad = || Definite::Setup(format!("sink headers: {name} cannot be sent"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        headers.insert(header, secret_value(value.expose()).ok_or_else(bad)?);
    }
    let authorization = match &options.authorization {
        Authorization::ApiKey(key) => Some(format!("ApiKey {}", key.expose())),
        Authorization::Bearer(token) => Some(format!("Bearer {}", token.expose())),
        Authorization::Basic { username, password } if options.tls.client.is_some() => {
            let pair = format!("{}:{}", username.expose(), password.expose());
            Some(format!(
                "Basic {}",
                openssl::base64::encode_block(pair.as_bytes())
            ))
        }
        Authorization::Basic { .. } | Authorization::None => None,
    };
    if let Some(text) = authorization {
        let value = secret_value(&text).ok_or_else(|| {
            Definite::Setup(String::from(
                "sink: the key or token cannot be sent in a header",
            ))
        })?;
        headers.insert("authorization", value);
    }
    Ok(headers)
}

fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn validation(tls: &Tls) -> Result<Option<CertificateValidation>, Definite> {
    if !tls.verify {
        return Ok(Some(CertificateValidation::None));
    }
    let Some(pem) = &tls.roots else {
        return Ok(None);
    };
    let certificate = Certificate::from_pem(pem)
        .map_err(|error| Definite::Setup(format!("sink ca_file: {}", chain(&error))))?;
    Ok(Some(CertificateValidation::Full(certificate)))
}

/// The TLS stack takes a client certificate as PKCS#12 only.
fn identity(pem_chain: &[u8], pem_key: &str) -> Result<ClientCertificate, Definite> {
    let build = || -> Result<Vec<u8>, openssl::error::ErrorStack> {
        let mut certificates = openssl::x509::X509::stack_from_pem(pem_chain)?.into_iter();
        let key = openssl::pkey::PKey::private_key_from_pem(pem_key.as_bytes())?;
        let mut builder = openssl::pkcs12::Pkcs12::builder();
        builder.pkey(&key);
        if let Some(leaf) = certificates.next() {
            builder.cert(&leaf);
        }
        let mut rest = openssl::stack::Stack::new()?;
        for certificate in certificates {
            rest.push(certificate)?;
        }
        builder.ca(rest);
        builder.build2("")?.to_der()
    };
    let der = build()
        .map_err(|error| Definite::Setup(format!("sink client_cert, client_key: {error}")))?;
    Ok(ClientCertificate::Pkcs12(der, Some(String::new())))
}

/// What stands unescaped in a path: the unreserved characters of RFC 3986.
const SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// One part of a path, escaped: a document id may hold any character.
pub(super) fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, SEGMENT).to_string()
}
