//! The HTTP surfaces of a service.
//! In: loops that turn, parts that start, a status, a metrics registry, further routes.
//! Out: `/healthz`, `/readyz`, `/status`, `/metrics` without authentication; and a private
//! listener where every route wants a password or a token.
//! Must hold: `/healthz` fails only for the process's own fault; waiting for a dependency is
//! healthy. An error has the one body all clients know.
//! Must not: know what the status says.

pub mod health;
pub mod auth;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub use auth::Credentials;
pub use health::{Liveness, Loop, Part, Readiness};

use crate::shutdown::Shutdown;
use crate::task::{Task, TaskError, spawn};

/// Requests under way get this long once stop is asked for.
const GRACE: Duration = Duration::from_secs(5);

/// Makes the body of `/status`; called for every request, must not block.
pub type Status = Arc<dyn Fn() -> Value + Send + Sync>;

/// An error as every client of both services gets it:
/// `{"error": {"code": "unknown_index", "message": "…"}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl ApiError {
    /// An error.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        (self.status, Json(body)).into_response()
    }
}

/// Why a surface cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is in use.
    #[error(
        "{surface} address {address} is in use by another process: stop it, or set [server] {surface}_address to another one (port 0 picks a free one)"
    )]
    Occupied {
        /// `public` or `private`.
        surface: &'static str,
        /// As configured.
        address: String,
    },
    /// The address cannot be bound for another reason.
    #[error("cannot listen on {surface} address {address}: {source}")]
    Bind {
        /// `public` or `private`.
        surface: &'static str,
        /// As configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The listener broke while serving.
    #[error("the {surface} surface ended")]
    Ended {
        /// `public` or `private`.
        surface: &'static str,
        /// Why.
        source: TaskError,
    },
}

/// What the public surface shows.
#[derive(Clone)]
pub struct Surface {
    liveness: Liveness,
    readiness: Readiness,
    status: Status,
    registry: Arc<Registry>,
    routes: Router,
}

impl fmt::Debug for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surface")
            .field("liveness", &self.liveness)
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

impl Surface {
    /// A surface with the routes that both services have.
    #[must_use]
    pub fn new(
        liveness: Liveness,
        readiness: Readiness,
        registry: Arc<Registry>,
        status: impl Fn() -> Value + Send + Sync + 'static,
    ) -> Self {
        Self {
            liveness,
            readiness,
            status: Arc::new(status),
            registry,
            routes: Router::new(),
        }
    }

    /// Adds public routes.
    #[must_use]
    pub fn merge(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// All its routes; for tests that call them without a listener.
    pub fn router(self) -> Router {
        let routes = self.routes.clone();
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/status", get(status))
            .route("/metrics", get(metrics))
            .with_state(Arc::new(self))
            .merge(routes)
            .fallback(not_found)
    }

    /// Listens on `address` (`host:port`; `:port` means all interfaces, port 0 a free one)
    /// until stop is asked for.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn serve(self, address: &str, shutdown: &Shutdown) -> Result<Serving, Error> {
        serve("public", address, self.router(), shutdown).await
    }
}

/// Listens on `address` with routes that all want one of the credentials.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve_private(
    address: &str,
    routes: Router,
    credentials: Credentials,
    shutdown: &Shutdown,
) -> Result<Serving, Error> {
    serve(
        "private",
        address,
        auth::protect(routes.fallback(not_found), credentials),
        shutdown,
    )
    .await
}

/// A surface that is being served.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    surface: &'static str,
    task: Task<()>,
}

impl Serving {
    /// The address that was bound: with port 0, the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has ended after stop was asked for. Cancel-safe.
    ///
    /// # Errors
    /// It ended by a bug.
    pub async fn ended(&mut self) -> Result<(), Error> {
        let surface = self.surface;
        self.task
            .join()
            .await
            .map_err(|source| Error::Ended { surface, source })
    }
}

async fn serve(
    surface: &'static str,
    address: &str,
    routes: Router,
    shutdown: &Shutdown,
) -> Result<Serving, Error> {
    let failed = |source: io::Error| {
        let address = address.to_owned();
        if source.kind() == io::ErrorKind::AddrInUse {
            Error::Occupied { surface, address }
        } else {
            Error::Bind {
                surface,
                address,
                source,
            }
        }
    };
    let listener = bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(surface, address = %bound, "listening");
    let shutdown = shutdown.clone();
    let task = spawn(format!("{surface} surface"), async move {
        let stop = shutdown.clone();
        let served = axum::serve(listener, routes)
            .with_graceful_shutdown(async move { stop.requested().await })
            .into_future();
        let overdue = async {
            shutdown.requested().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            // `axum::serve` retries failed accepts itself and ends only when asked to.
            served = served => drop(served),
            () = overdue => tracing::info!(surface, "requests cut off"),
        }
    });
    Ok(Serving {
        address: bound,
        surface,
        task,
    })
}

async fn bind(address: &str) -> io::Result<TcpListener> {
    match address.strip_prefix(':') {
        // All interfaces; where there is no IPv6, those of IPv4.
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(format!("0.0.0.0:{port}")).await
            }
            bound => bound,
        },
        None => TcpListener::bind(address).await,
    }
}

async fn healthz(State(surface): State<Arc<Surface>>) -> Response {
    let stuck = surface.liveness.stuck();
    if stuck.is_empty() {
        return Json(json!({"status": "ok"})).into_response();
    }
    let loops: Vec<Value> = stuck
        .iter()
        .map(|(name, silent)| json!({"loop": name, "silent_seconds": silent.as_secs()}))
        .collect();
    let body = json!({"status": "stuck", "loops": loops});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

async fn readyz(State(surface): State<Arc<Surface>>) -> Response {
    let waiting = surface.readiness.waiting();
    if surface.readiness.is_stopping() {
        let body = json!({"status": "stopping"});
        (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
    } else if waiting.is_empty() {
        Json(json!({"status": "ready"})).into_response()
    } else {
        let body = json!({"status": "starting", "waiting_for": waiting});
        (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
    }
}

async fn status(State(surface): State<Arc<Surface>>) -> Response {
    Json((surface.status)()).into_response()
}

async fn metrics(State(surface): State<Arc<Surface>>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &surface.registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "metrics",
            "the metrics cannot be written as text",
        )
        .into_response(),
    }
}

async fn not_found() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing at this path",
    )
}

#[cfg(test)]
mod tests;
