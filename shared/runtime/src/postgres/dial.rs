//! From a host to a stream on which the start-up message may be sent.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::error::{Error, ErrorKind};
use super::stream::Stream;
use super::target::{Host, SslMode};
use super::{Postgres, Route};

/// Probes begin after this much silence: a firewall that forgot an idle connection is
/// noticed within two minutes, not two hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// Unacknowledged bytes for this long mean the server is gone.
const USER_TIMEOUT: Duration = Duration::from_mins(1);

/// The routes to try, in order. `prefer` has a second, plain one for each host.
pub(super) fn routes(postgres: &Postgres) -> Vec<Route> {
    let mode = postgres.target.tls.mode;
    let mut routes = Vec::new();
    for host in &postgres.target.hosts {
        let encrypted = match host {
            // Postgres offers no TLS on sockets; libpq ignores the mode there too.
            Host::Socket { .. } => &[false][..],
            Host::Tcp { .. } => match mode {
                SslMode::Disable => &[false][..],
                SslMode::Prefer => &[true, false],
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[true],
            },
        };
        routes.extend(encrypted.iter().map(|&encrypted| Route {
            host: host.clone(),
            encrypted,
        }));
    }
    routes
}

/// What is being tried, for messages.
pub(super) fn doing(postgres: &Postgres, host: &Host) -> String {
    let target = &postgres.target;
    format!(
        "cannot connect to Postgres at {host} (database {}, user {})",
        target.database, target.user
    )
}

/// Opens a stream, within the time for connecting.
pub(super) async fn open(postgres: &Postgres, route: &Route) -> Result<Stream, Error> {
    let doing = doing(postgres, &route.host);
    within(postgres, &doing, open_unbounded(postgres, route, &doing)).await
}

/// Bounds any step of connecting.
pub(super) async fn within<T>(
    postgres: &Postgres,
    doing: &str,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match postgres.target.connect_timeout {
        None => step.await,
        Some(limit) => tokio::time::timeout(limit, step)
            .await
            .unwrap_or_else(|_elapsed| {
                Err(Error::new(
                    ErrorKind::Timeout,
                    doing,
                    format!("no answer within {limit:?}"),
                ))
            }),
    }
}

async fn open_unbounded(postgres: &Postgres, route: &Route, doing: &str) -> Result<Stream, Error> {
    match &route.host {
        Host::Socket { directory, port } => {
            let path = directory.join(format!(".s.PGSQL.{port}"));
            let stream = UnixStream::connect(path)
                .await
                .map_err(|error| Error::from_io(doing, &error))?;
            Ok(Stream::socket(stream))
        }
        Host::Tcp { name, port } => {
            let stream = connect_tcp(doing, name, *port).await?;
            if route.encrypted {
                encrypt(postgres, doing, name, stream).await
            } else {
                Ok(Stream::tcp(stream))
            }
        }
    }
}

async fn connect_tcp(doing: &str, name: &str, port: u16) -> Result<TcpStream, Error> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name, port))
        .await
        .map_err(|error| {
            Error::new(
                ErrorKind::Unreachable,
                doing,
                format!("cannot resolve {name}: {error}"),
            )
        })?
        .collect();
    let mut last = Error::new(
        ErrorKind::Unreachable,
        doing,
        format!("{name} has no address"),
    );
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                prepare(&stream).map_err(|error| Error::from_io(doing, &error))?;
                return Ok(stream);
            }
            Err(error) => last = Error::from_io(doing, &error),
        }
    }
    Err(last)
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_RETRIES),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// Asks for TLS. A server that declines ends `require` and above; `prefer` goes on in
/// the open on the same stream.
async fn encrypt(
    postgres: &Postgres,
    doing: &str,
    name: &str,
    mut stream: TcpStream,
) -> Result<Stream, Error> {
    let mut request = bytes::BytesMut::new();
    postgres_protocol::message::frontend::ssl_request(&mut request);
    let broken = |error: std::io::Error| Error::from_io(doing, &error);
    stream.write_all(&request).await.map_err(broken)?;
    match stream.read_u8().await.map_err(broken)? {
        b'S' => {
            let stream = postgres.connector.handshake(doing, name, stream).await?;
            Ok(Stream::tls(stream))
        }
        b'N' if postgres.target.tls.mode == SslMode::Prefer => Ok(Stream::tcp(stream)),
        b'N' => Err(Error::new(
            ErrorKind::TlsRefused,
            doing,
            "the server does not offer TLS",
        )),
        _ => Err(Error::new(
            ErrorKind::Unexpected,
            doing,
            "what answers there is not a Postgres server",
        )),
    }
}
