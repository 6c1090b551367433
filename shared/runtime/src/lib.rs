//! Plumbing that both services use. Knows neither changes nor documents.
//!
//! ```text
//!  secret     where a credential comes from → its text, never printed
//!  telemetry  log lines on stderr
//!  task       the only place that starts tasks and threads; each has a name and an owner
//!  shutdown   stop is asked for once and reaches everything
//!  retry      back off, try again, end at once when stopping
//!  http       the surfaces: liveness, readiness, status, metrics, private routes
//!  failpoint  named places where a test may break the process
//!  kafka      the only maker of Kafka clients
//!  postgres   the only maker of Postgres connections
//!  configured from the checked configuration to the settings of both
//!  cli        flags, reports and exit codes that both services share
//! ```
//!
//! Nothing here is global: the environment, the metrics registry and the
//! failpoints are values that the caller owns, so a test can run two services
//! in one process.

pub mod secret;
pub mod telemetry;
pub mod task;
pub mod shutdown;
pub mod retry;
pub mod http;
pub mod failpoint;
pub mod kafka;
pub mod postgres;
pub mod configured;
pub mod cli;

/// The variables a process was started with, as read once by `main`. Passed in
/// everywhere, so that a test can give each service its own.
pub type Environment = std::collections::BTreeMap<String, String>;
