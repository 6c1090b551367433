//! `run`: everything of one process, wired.
//! In: the configuration and a stop. Out: surfaces, and a keeper per generation.
//! Must hold: nothing is started before the topic of announcements was read to its end and
//! the source is the accepted one (R2); one broken generation never affects another.
//! Must not: decide what a generation needs; that is `generation`.
//!
//! ```text
//!  connect ─▶ sinks, Kafka, {p}.control, Postgres      (each waited for, shown in /status)
//!     └─▶ every second: registry ─▶ one keeper per generation
//!                       files    ─▶ first generations; changed ones with --auto-apply
//! ```

mod connect;
mod ensure;
mod settings;
mod keeper;
mod supervise;

use std::sync::Arc;

use runtime::http::{Credentials, Liveness, Readiness, Surface, serve_private};
use runtime::shutdown::Shutdown;
use runtime::task::Tasks;

use crate::config::Config;
use crate::error::{Definite, Transient};
use crate::http::{Board, Registries, private};
use crate::metrics::Metrics;
use crate::registry::Registry;

pub use connect::Connections;
pub use ensure::{Change, Planned, Survey, begin, options_of, survey};
pub use settings::adjust;
pub(crate) use supervise::aliases;

/// Why the service ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The set-up cannot be used.
    #[error(transparent)]
    Definite(#[from] Definite),
    /// An address cannot be bound.
    #[error(transparent)]
    Http(#[from] runtime::http::Error),
    /// A part of the process ended by a bug.
    #[error(transparent)]
    Task(#[from] runtime::task::TaskError),
    /// Something that had to work at the start did not.
    #[error(transparent)]
    Transient(#[from] Transient),
}

/// The addresses that were bound; with port 0, the ports that were picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Health, status, metrics.
    pub public: std::net::SocketAddr,
    /// The private surface, if it is on.
    pub private: Option<std::net::SocketAddr>,
}

/// Feeds the indexes until stop is asked for. `bound` hears of the addresses.
///
/// # Errors
/// The set-up cannot be used, or a part of the process broke.
pub async fn run(
    config: Config,
    shutdown: Shutdown,
    bound: impl FnOnce(Bound),
) -> Result<(), RunError> {
    let board = Board::new();
    let metrics = Metrics::new();
    let (liveness, readiness) = (Liveness::new(), Readiness::new(&shutdown));
    let clients = config.sinks()?;
    let kafka =
        runtime::configured::kafka(&config.deployment.broker, "worker-svc", &config.environment)
            .map_err(|error| Definite::Setup(error.to_string()))?;
    let (postgres, ignored) =
        runtime::configured::postgres(&config.deployment.source, &config.environment)
            .map_err(|error| Definite::Setup(error.to_string()))?;
    if !ignored.is_empty() {
        tracing::warn!(
            ignored = ignored.join(", "),
            "parameters of the connection URL that are not read"
        );
    }
    let registries: Vec<Registry> = clients
        .iter()
        .map(|(name, _, client)| {
            Registry::new(
                client.clone(),
                name.clone(),
                config.deployment.prefix.clone(),
            )
        })
        .collect();

    let parts = connect::Parts::new(&readiness);
    let public = serve_public(&config, &board, &metrics, &liveness, &readiness, &shutdown).await?;
    let private = serve_closed(&config, &registries, &shutdown).await?;
    bound(Bound {
        public: public.address(),
        private: private.as_ref().map(runtime::http::Serving::address),
    });

    let outcome = {
        let connections = connect::Connections {
            config: Arc::new(config),
            kafka,
            postgres,
            registries,
        };
        Box::pin(feed_all(
            &connections,
            parts,
            &board,
            &metrics,
            &liveness,
            &shutdown,
        ))
        .await
    };
    shutdown.trigger();
    end_of(public).await?;
    if let Some(private) = private {
        end_of(private).await?;
    }
    outcome
}

async fn end_of(mut serving: runtime::http::Serving) -> Result<(), RunError> {
    Ok(serving.ended().await?)
}

async fn feed_all(
    connections: &connect::Connections,
    parts: connect::Parts,
    board: &Board,
    metrics: &Metrics,
    liveness: &Liveness,
    shutdown: &Shutdown,
) -> Result<(), RunError> {
    let mut tasks = Tasks::new();
    let Some(connected) =
        connect::connect(connections, parts, board, metrics, &mut tasks, shutdown).await?
    else {
        return Ok(());
    };
    let ended = supervise::Supervisor::new(
        connections,
        connected,
        board.clone(),
        metrics.clone(),
        liveness,
    )
    .run(shutdown)
    .await;
    shutdown.trigger();
    for failure in tasks.join_all(std::time::Duration::from_secs(10)).await {
        tracing::error!(error = %crate::error::chain(&failure), "a part of the process ended by a bug");
    }
    ended
}

async fn serve_public(
    config: &Config,
    board: &Board,
    metrics: &Metrics,
    liveness: &Liveness,
    readiness: &Readiness,
    shutdown: &Shutdown,
) -> Result<runtime::http::Serving, RunError> {
    let shown = board.clone();
    let surface = Surface::new(
        liveness.clone(),
        readiness.clone(),
        metrics.registry(),
        move || shown.status(),
    );
    let address = config.deployment.server.worker.public_address.to_string();
    let serving = surface.serve(&address, shutdown).await?;
    tracing::info!(address = %serving.address(), "health, status and metrics are served");
    Ok(serving)
}

async fn serve_closed(
    config: &Config,
    registries: &[Registry],
    shutdown: &Shutdown,
) -> Result<Option<runtime::http::Serving>, RunError> {
    let server = &config.deployment.server;
    let secret = |key: &str, secret: &definition::Secret| {
        runtime::configured::secret(&format!("server.{key}"), secret, &config.environment)
            .map_err(|error| Definite::Setup(format!("{error}: {}", error.help())))
    };
    let user = secret("admin_user", &server.admin_user)?;
    let password = server
        .admin_password
        .as_ref()
        .map(|password| secret("admin_password", password))
        .transpose()?;
    let token = server
        .admin_token
        .as_ref()
        .map(|token| secret("admin_token", token))
        .transpose()?;
    let Some(credentials) = Credentials::new(user, password, token) else {
        tracing::warn!(
            "the private surface is off: no admin_password and no admin_token is configured"
        );
        return Ok(None);
    };
    let routes = private(Registries(Arc::new(registries.to_vec())));
    let address = server.worker.private_address.to_string();
    let serving = serve_private(&address, routes, credentials, shutdown).await?;
    tracing::info!(address = %serving.address(), "the private surface is served");
    Ok(Some(serving))
}
