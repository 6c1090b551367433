//! The servers that tests run against, as `deploy/up` started them.
//! In: `STACK_*` of the environment. Out: addresses, connections, and further servers for tests
//! that stop or kill theirs.
//! Must not: know the services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Socket};

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default()
}

/// Addresses of running servers.
#[derive(Debug, Clone)]
pub struct Stack {
    /// URL of a superuser's database.
    pub postgres: String,
    /// `host:port` of a broker.
    pub kafka: String,
    /// URL of `OpenSearch`.
    pub opensearch: String,
    /// Certificate of the authority that signed the Postgres server's, if it speaks TLS.
    pub postgres_ca: Option<String>,
}

impl Stack {
    /// Reads the environment.
    ///
    /// # Errors
    /// Says how to set it when a name is missing.
    pub fn from_env() -> Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is where tests learn of their servers"
        )]
        let read = |name: &str| {
            std::env::var(name).with_context(|| {
                format!(
                    "{name} is not set: run deploy/test, or deploy/up and then `source .stack/env`"
                )
            })
        };
        Ok(Self {
            postgres: read("STACK_POSTGRES_URL")?,
            kafka: read("STACK_KAFKA_BOOTSTRAP")?,
            opensearch: read("STACK_OPENSEARCH_URL")?,
            postgres_ca: read("STACK_POSTGRES_CA")
                .ok()
                .filter(|path| !path.is_empty()),
        })
    }
}

/// One server of a test's own, to be stopped and killed. It is removed with this value.
#[derive(Debug)]
pub struct OwnServer {
    script: PathBuf,
    dir: PathBuf,
    /// What `start` printed, e.g. `POSTGRES_URL`.
    pub facts: BTreeMap<String, String>,
}

impl OwnServer {
    /// Starts a server with further settings; `kind` is `postgres`, `kafka` or `opensearch`.
    ///
    /// # Errors
    /// With the script's own words when the server does not start.
    pub async fn start(kind: &str, name: &str, settings: &[&str]) -> Result<Self> {
        let root = repository();
        let dir = root
            .join(".stack")
            .join("own")
            .join(format!("{name}-{}", std::process::id()));
        let mut server = Self {
            script: root.join("deploy/local").join(kind),
            dir,
            facts: BTreeMap::new(),
        };
        server.facts = server.call("start", settings).await?;
        Ok(server)
    }

    /// One of the facts.
    ///
    /// # Errors
    /// When the script did not print it.
    pub fn fact(&self, name: &str) -> Result<&str> {
        self.facts
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("{} printed no {name}", self.script.display()))
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.dir
    }

    /// Stops it in order; the data stay.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop(&self) -> Result<()> {
        self.call("stop", &[]).await.map(drop)
    }

    /// Kills it as a power cut would.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&self) -> Result<()> {
        self.call("kill", &[]).await.map(drop)
    }

    /// Starts it again on the same ports and data.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&self) -> Result<()> {
        self.call("start", &[]).await.map(drop)
    }

    async fn call(&self, action: &str, settings: &[&str]) -> Result<BTreeMap<String, String>> {
        let output = Command::new(&self.script)
            .arg(action)
            .arg(&self.dir)
            .args(settings)
            .output()
            .await?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{} {action}: {words}",
            self.script.display()
        );
        let facts = String::from_utf8_lossy(&output.stdout);
        Ok(facts
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // A test that failed half-way must not leave a server behind either.
        let _removed = std::process::Command::new(&self.script)
            .arg("wipe")
            .arg(&self.dir)
            .output();
    }
}

/// A connection whose other half is driven in the background.
///
/// # Errors
/// When the server cannot be reached.
pub async fn connect<T>(url: &str, tls: T) -> Result<Client>
where
    T: MakeTlsConnect<Socket> + Send + 'static,
    T::Stream: Send,
{
    let (client, connection) = tokio_postgres::connect(url, tls)
        .await
        .with_context(|| format!("cannot reach {url}"))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "its end shows as an error of the next statement; a test's runtime owns it"
    )]
    tokio::spawn(async move {
        let _ended = connection.await;
    });
    Ok(client)
}

/// A JSON answer of a service.
///
/// # Errors
/// When nobody answers within 10 s, or not with JSON.
pub async fn get_json(url: &str) -> Result<Value> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .no_proxy()
        .build()?;
    let answer = client
        .get(url)
        .send()
        .await
        .with_context(|| url.to_owned())?;
    let status = answer.status();
    let body = answer.text().await?;
    match serde_json::from_str(&body) {
        Ok(value) => Ok(value),
        Err(_) => bail!("{url} answered {status}: {body}"),
    }
}
