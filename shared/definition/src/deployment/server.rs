//! `[server]` and `[telemetry]`: what the services show of themselves.

use std::fmt;
use std::time::Duration;

use super::Secret;

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Addresses of capture-svc.
    pub capture: Surface,
    /// Addresses of worker-svc.
    pub worker: Surface,
    /// User of the private surface.
    pub admin_user: Secret,
    /// Its password.
    pub admin_password: Option<Secret>,
    /// Bearer token of the private surface. Without password and token the
    /// private surface is off.
    pub admin_token: Option<Secret>,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            capture: Surface {
                public_address: Address::local(9466),
                private_address: Address::local(9467),
            },
            worker: Surface {
                public_address: Address::local(9464),
                private_address: Address::local(9465),
            },
            admin_user: Secret::Literal("admin".to_owned()),
            admin_password: None,
            admin_token: None,
        }
    }
}

/// The two addresses of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surface {
    /// Without authentication.
    pub public_address: Address,
    /// With authentication.
    pub private_address: Address,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// IP address or host name (its first answer counts); `None`: all interfaces.
    pub host: Option<String>,
    /// Port; 0 picks a free one.
    pub port: u16,
}

impl Address {
    fn local(port: u16) -> Self {
        Address {
            host: Some("127.0.0.1".to_owned()),
            port,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            None => write!(f, ":{}", self.port),
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
        }
    }
}

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// Where to export to; `None`: nothing is exported.
    pub otlp_endpoint: Option<String>,
    /// With which protocol.
    pub otlp_protocol: OtlpProtocol,
    /// Request headers.
    pub otlp_headers: Vec<(String, Secret)>,
    /// Name of the service; `None`: the binary's.
    pub service_name: Option<String>,
    /// Time between exports of metrics.
    pub metrics_interval: Duration,
    /// Share of traces exported, 0 to 1.
    pub trace_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry {
            otlp_endpoint: None,
            otlp_protocol: OtlpProtocol::HttpProtobuf,
            otlp_headers: Vec::new(),
            service_name: None,
            metrics_interval: Duration::from_secs(10),
            trace_ratio: 1.0,
        }
    }
}

/// Protocol of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// `http/protobuf`.
    HttpProtobuf,
    /// `grpc`.
    Grpc,
}
