//! What a command of this service is started with.
//! In: the checked deployment and the environment. Out: clients' settings with secrets
//! resolved. Must hold: secrets are resolved here, at start, and shown nowhere.

use std::path::Path;
use std::sync::Arc;

use definition::deployment::{self, OpenSearch};
use definition::{Deployment, Index, SinkKind};
use model::Topics;
use runtime::Environment;
use runtime::configured;
use runtime::secret::Secret;

use crate::error::Definite;
use crate::sink::{Authorization, Options, Sink, Tls};

/// Everything a command needs; made by `cli`, or by a test.
#[derive(Debug, Clone)]
pub struct Config {
    /// The checked files.
    pub deployment: Arc<Deployment>,
    /// The variables of the process.
    pub environment: Environment,
    /// Only these indexes are fed; empty means all.
    pub only: Vec<String>,
    /// A changed definition gets a new generation without being asked for.
    pub auto_apply: bool,
}

impl Config {
    /// All indexes of a deployment, nothing applied by itself.
    #[must_use]
    pub fn new(deployment: Deployment, environment: Environment) -> Self {
        Config {
            deployment: Arc::new(deployment),
            environment,
            only: Vec::new(),
            auto_apply: false,
        }
    }

    /// The deployment's topics.
    #[must_use]
    pub fn topics(&self) -> Topics {
        Topics::new(self.deployment.broker.topic_prefix.clone())
    }

    /// The indexes that are fed: enabled, and named by `--only` if anything is.
    pub fn indexes(&self) -> impl Iterator<Item = &Index> {
        self.deployment.indexes.iter().filter(|index| {
            index.enabled && (self.only.is_empty() || self.only.contains(&index.name))
        })
    }

    /// The sinks, with their clients; nothing is connected yet.
    ///
    /// # Errors
    /// A secret is not to be had, a certificate cannot be used, or a kind of sink that
    /// this version does not have.
    pub fn sinks(&self) -> Result<Vec<(String, OpenSearch, Sink)>, Definite> {
        self.used_sinks()
            .map(|sink| {
                let open_search = open_search(sink)?;
                let client = client(&sink.name, open_search, &self.environment)?;
                Ok((sink.name.clone(), open_search.clone(), client))
            })
            .collect()
    }

    /// The sinks that can be asked something: OpenSearch clusters, with their clients.
    ///
    /// # Errors
    /// A secret is not to be had, or a certificate cannot be used.
    pub fn clusters(&self) -> Result<Vec<(String, Sink)>, Definite> {
        self.used_sinks()
            .filter_map(|sink| match &sink.kind {
                SinkKind::OpenSearch(open_search) => Some((sink, open_search)),
                SinkKind::Stdout { .. } => None,
            })
            .map(|(sink, open_search)| {
                let client = client(&sink.name, open_search, &self.environment)?;
                Ok((sink.name.clone(), client))
            })
            .collect()
    }

    fn used_sinks(&self) -> impl Iterator<Item = &deployment::Sink> {
        let used =
            |sink: &&deployment::Sink| self.indexes().any(|index| index.sinks.contains(&sink.name));
        self.deployment.sinks.iter().filter(used)
    }
}

/// The settings of a sink, if it is an OpenSearch cluster.
///
/// # Errors
/// It is a kind that this version does not have.
pub fn open_search(sink: &deployment::Sink) -> Result<&OpenSearch, Definite> {
    match &sink.kind {
        SinkKind::OpenSearch(open_search) => Ok(open_search),
        SinkKind::Stdout { .. } => Err(Definite::Setup(format!(
            "sink {}: type \"stdout\" is not supported by this version yet; use type = \"opensearch\"",
            sink.name
        ))),
    }
}

/// A client of a sink.
///
/// # Errors
/// A secret is not to be had, or a certificate or address cannot be used.
pub fn client(name: &str, sink: &OpenSearch, environment: &Environment) -> Result<Sink, Definite> {
    Sink::new(&options(name, sink, environment)?)
}

fn options(name: &str, sink: &OpenSearch, environment: &Environment) -> Result<Options, Definite> {
    let secret = |key: &str, secret: &deployment::Secret| {
        configured::secret(&format!("sinks.{name}.{key}"), secret, environment)
            .map_err(|error| Definite::Setup(format!("{error}: {}", error.help())))
    };
    let urls = sink
        .urls
        .iter()
        .map(|url| secret("url", url))
        .collect::<Result<_, _>>()?;
    let authorization = match &sink.authorization {
        deployment::Authorization::None => Authorization::None,
        deployment::Authorization::Basic { username, password } => Authorization::Basic {
            username: secret("username", username)?,
            password: password.as_ref().map_or_else(
                || Ok(Secret::new("")),
                |password| secret("password", password),
            )?,
        },
        deployment::Authorization::ApiKey(key) => Authorization::ApiKey(secret("api_key", key)?),
        deployment::Authorization::Bearer(token) => {
            Authorization::Bearer(secret("bearer_token", token)?)
        }
    };
    let headers = sink
        .headers
        .iter()
        .map(|(header, value)| Ok((header.clone(), secret(&format!("headers.{header}"), value)?)))
        .collect::<Result<_, Definite>>()?;
    Ok(Options {
        urls,
        authorization,
        headers,
        tls: tls(name, sink)?,
        gzip: sink.gzip,
        timeout: sink.timeout,
    })
}

fn tls(name: &str, sink: &OpenSearch) -> Result<Tls, Definite> {
    let file = |key: &str, path: &Path| {
        std::fs::read(path).map_err(|error| {
            Definite::Setup(format!(
                "sinks.{name}.{key}: cannot read {}: {error}",
                path.display()
            ))
        })
    };
    let roots = sink
        .ca_file
        .as_deref()
        .map(|path| file("ca_file", path))
        .transpose()?;
    let client = sink
        .client_certificate
        .as_ref()
        .map(|client| {
            let key = String::from_utf8(file("client_key", &client.key)?)
                .map_err(|_| Definite::Setup(format!("sinks.{name}.client_key is not PEM")))?;
            Ok::<_, Definite>((file("client_cert", &client.certificate)?, Secret::new(key)))
        })
        .transpose()?;
    Ok(Tls {
        verify: sink.tls_verify,
        roots,
        client,
    })
}
