//! `capture-svc` and `worker-svc` as processes, so that they can be killed as a power cut would.
//! In: a folder with `flusso.toml`. Out: a process, its address, its log.
//! Must not: be stopped by anything but its pid.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::stack::get_json;

/// Longest time a service may take to start on a busy machine.
const START: Duration = Duration::from_secs(90);
/// Longest time a clean stop may take: the services promise 30 s.
const STOP: Duration = Duration::from_secs(45);
/// Between two looks at a service.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `capture-svc`.
    Capture,
    /// `worker-svc`.
    Worker,
}

impl Kind {
    fn binary(self) -> &'static str {
        match self {
            Self::Capture => "capture-svc",
            Self::Worker => "worker-svc",
        }
    }
}

/// The built binary: beside the folder that this test's own binary is in.
///
/// # Errors
/// When it was not built.
pub fn binary(kind: Kind) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let mut folder = own.parent().context("no folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("no folder")?;
    }
    let path = folder.join(kind.binary());
    ensure!(
        path.exists(),
        "{} is not built: cargo build --workspace",
        path.display()
    );
    Ok(path)
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    child: Child,
    kind: Kind,
    /// Its public address.
    pub url: String,
    /// Where its log goes.
    pub log: PathBuf,
}

impl Service {
    /// Starts a service and waits until it is ready.
    ///
    /// # Errors
    /// With the end of its log when it ends or does not become ready.
    pub async fn start(
        kind: Kind,
        name: &str,
        folder: &Path,
        environment: &[(String, String)],
        flags: &[&str],
    ) -> Result<Self> {
        let mut service = Self::spawn(kind, name, folder, environment, flags)?;
        service.wait_ready().await?;
        Ok(service)
    }

    /// Starts a service without waiting.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(
        kind: Kind,
        name: &str,
        folder: &Path,
        environment: &[(String, String)],
        flags: &[&str],
    ) -> Result<Self> {
        let address = free_address()?;
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(binary(kind)?)
            .args(["run", "--config"])
            .arg(folder.join("flusso.toml"))
            .args(["--public-address", &address])
            .args(flags)
            .envs(
                environment
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            )
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            child,
            kind,
            url: format!("http://{address}"),
            log,
        })
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended with {status}:\n{}",
                    self.kind.binary(),
                    self.log_end()
                );
            }
            if self.answers("/readyz").await {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{} is not ready after {START:?}:\n{}",
                self.kind.binary(),
                self.log_end()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether a path answers with success.
    pub async fn answers(&self, path: &str) -> bool {
        let Ok(client) = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .no_proxy()
            .build()
        else {
            return false;
        };
        client
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    }

    /// Its `/status`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<Value> {
        get_json(&format!("{}/status", self.url)).await
    }

    /// A metric of it: see [`metric`].
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metric(&self, start: &str) -> Result<f64> {
        metric(&self.url, start).await
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it was gone already: then the fault that a test wanted did not happen.
    pub async fn kill(mut self) -> Result<()> {
        ensure!(
            self.child.try_wait()?.is_none(),
            "{} was gone before it was killed:\n{}",
            self.kind.binary(),
            self.log_end()
        );
        self.child.kill().await?;
        Ok(())
    }

    /// Sends a signal by name, e.g. `STOP`.
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let pid = self.child.id().context("the process is gone")?;
        let status = Command::new("kill")
            .args(["-s", name, &pid.to_string()])
            .status()
            .await?;
        ensure!(status.success(), "kill -s {name} {pid}: {status}");
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        self.signal("TERM").await?;
        self.wait_end(STOP).await
    }

    /// Waits for the end by itself.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn wait_end(&mut self, patience: Duration) -> Result<ExitStatus> {
        match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!(
                "{} still runs after {patience:?}:\n{}",
                self.kind.binary(),
                self.log_end()
            ),
        }
    }

    /// Everything it logged.
    #[must_use]
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_end(&self) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(30))
            .copied()
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs a command of a service to its end.
///
/// # Errors
/// When it cannot be started, or does not end within a minute and a half.
pub async fn command(
    kind: Kind,
    arguments: &[&str],
    config: &Path,
    environment: &[(&str, &str)],
) -> Result<Outcome> {
    let mut command = Command::new(binary(kind)?);
    command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(START, command.output()).await;
    let output =
        ended.with_context(|| format!("{} {arguments:?} does not end", kind.binary()))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Outcome {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    })
}

/// The sum of the metric lines of a service whose name and labels start with `start`; 0 when there
/// is none yet.
///
/// # Errors
/// When it does not answer.
pub async fn metric(url: &str, start: &str) -> Result<f64> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .no_proxy()
        .build()?;
    let text = client
        .get(format!("{url}/metrics"))
        .send()
        .await?
        .text()
        .await?;
    let mut sum = 0.0;
    for line in text.lines().filter(|line| line.starts_with(start)) {
        sum += line.rsplit(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(sum)
}

/// An address that nobody listens on now. Below the range that the kernel gives to clients.
fn free_address() -> Result<String> {
    for _ in 0..100 {
        let port: u16 = rand::random_range(21_000..29_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(format!("127.0.0.1:{port}"));
        }
    }
    bail!("no free port in 100 tries")
}
