//! Start-up and authentication.
//! Must hold: no password and no part of one in an error.

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use runtime::postgres::{ChannelBinding as Wanted, SESSION_SETTINGS, Target};
use runtime::secret::Secret;
use tokio::io::{AsyncRead, AsyncWrite};

use super::error::{Definite, Error};
use super::wire::{Received, Wire, protocol};

/// Who wants in, and where.
#[derive(Debug, Clone)]
pub struct Login {
    /// The role.
    pub user: String,
    /// Its password; `None` when the configuration has none.
    pub password: Option<Secret>,
    /// The database whose changes are read.
    pub database: String,
    /// How the session shows in `pg_stat_activity`: a standby tells by it
    /// whether a capture holds the slot.
    pub application_name: String,
    /// The connection URL's `options`.
    pub options: Option<String>,
    /// Whether the password exchange is bound to the TLS session.
    pub channel_binding: ChannelBinding,
}

/// The hash of the server's certificate (`tls-server-end-point`) that binds
/// the password exchange to the TLS session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ChannelBinding {
    /// No TLS, or not wanted.
    #[default]
    None,
    /// Bound where the server offers it.
    Offered(Vec<u8>),
    /// Bound, or no session.
    Required(Vec<u8>),
}

impl Login {
    /// How a target of the configuration is logged in to. `end_point` is the
    /// hash that binds to the stream's TLS session: [`Postgres::channel_binding`].
    /// The name is the one given here, whatever the connection URL says: a standby
    /// knows by it that a capture holds the slot.
    ///
    /// [`Postgres::channel_binding`]: runtime::postgres::Postgres::channel_binding
    #[must_use]
    pub fn to(target: &Target, application_name: &str, end_point: Option<Vec<u8>>) -> Self {
        let channel_binding = match (target.channel_binding, end_point) {
            (Wanted::Require, Some(hash)) => ChannelBinding::Required(hash),
            (Wanted::Prefer, Some(hash)) => ChannelBinding::Offered(hash),
            (Wanted::Disable | Wanted::Prefer | Wanted::Require, _) => ChannelBinding::None,
        };
        Login {
            user: target.user.clone(),
            password: target.password.clone(),
            database: target.database.clone(),
            application_name: application_name.to_owned(),
            options: target.options.clone(),
            channel_binding,
        }
    }
}

/// Starts the session and brings it to `ReadyForQuery`.
pub(super) async fn login<S>(wire: &mut Wire<S>, login: &Login) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut parameters = vec![
        ("user", login.user.as_str()),
        ("database", login.database.as_str()),
        ("replication", "database"),
        ("application_name", login.application_name.as_str()),
    ];
    if let Some(options) = &login.options {
        parameters.push(("options", options));
    }
    // How rows are written as text must not depend on the role's settings.
    parameters.extend(SESSION_SETTINGS);
    frontend::startup_message(parameters, wire.output()).map_err(|error| unfit(&error))?;
    wire.flush().await?;
    authenticate(wire, login).await?;
    loop {
        match wire.receive().await? {
            Received::Message(Message::BackendKeyData(_)) => {}
            Received::Message(Message::ReadyForQuery(_)) => return Ok(()),
            Received::Copy(_) | Received::CopyBoth | Received::Message(_) => {
                return Err(protocol("an unexpected message after authentication"));
            }
        }
    }
}

async fn authenticate<S>(wire: &mut Wire<S>, login: &Login) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if matches!(login.channel_binding, ChannelBinding::Required(_)) {
        // Only the SCRAM exchange can be bound.
        return match wire.receive().await? {
            Received::Message(Message::AuthenticationSasl(body)) => scram(wire, login, &body).await,
            Received::Copy(_) | Received::CopyBoth | Received::Message(_) => Err(unable(
                "channel binding is required, but the server does not ask for SCRAM",
            )),
        };
    }
    match wire.receive().await? {
        Received::Message(Message::AuthenticationOk) => return Ok(()),
        Received::Message(Message::AuthenticationCleartextPassword) => {
            send_password(wire, password(login)?.expose().as_bytes()).await?;
        }
        Received::Message(Message::AuthenticationMd5Password(body)) => {
            let password = password(login)?.expose().as_bytes();
            let hash = md5_hash(login.user.as_bytes(), password, body.salt());
            send_password(wire, hash.as_bytes()).await?;
        }
        Received::Message(Message::AuthenticationSasl(body)) => {
            return scram(wire, login, &body).await;
        }
        Received::Message(
            Message::AuthenticationGss
            | Message::AuthenticationSspi
            | Message::AuthenticationKerberosV5
            | Message::AuthenticationScmCredential,
        ) => {
            return Err(unable(
                "the server asks for GSSAPI, SSPI, Kerberos or a local credential; \
                 give the role a password (scram-sha-256) or a client certificate",
            ));
        }
        Received::Copy(_) | Received::CopyBoth | Received::Message(_) => {
            return Err(protocol("an unexpected message instead of authentication"));
        }
    }
    authenticated(wire).await
}

async fn send_password<S>(wire: &mut Wire<S>, password: &[u8]) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    frontend::password_message(password, wire.output()).map_err(|error| unfit(&error))?;
    wire.flush().await
}

async fn authenticated<S>(wire: &mut Wire<S>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    match wire.receive().await? {
        Received::Message(Message::AuthenticationOk) => Ok(()),
        Received::Copy(_) | Received::CopyBoth | Received::Message(_) => Err(protocol(
            "an unexpected message instead of the end of authentication",
        )),
    }
}

/// SCRAM-SHA-256, bound to the TLS session where both sides can.
async fn scram<S>(
    wire: &mut Wire<S>,
    login: &Login,
    body: &AuthenticationSaslBody,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mechanism, binding) = mechanism(&login.channel_binding, body)?;
    let mut scram = sasl::ScramSha256::new(password(login)?.expose().as_bytes(), binding);
    frontend::sasl_initial_response(mechanism, scram.message(), wire.output())
        .map_err(|error| unfit(&error))?;
    wire.flush().await?;
    let Received::Message(Message::AuthenticationSaslContinue(body)) = wire.receive().await? else {
        return Err(protocol("an unexpected message inside SCRAM"));
    };
    scram
        .update(body.data())
        .map_err(|error| distrust(&error))?;
    frontend::sasl_response(scram.message(), wire.output()).map_err(|error| unfit(&error))?;
    wire.flush().await?;
    let Received::Message(Message::AuthenticationSaslFinal(body)) = wire.receive().await? else {
        return Err(protocol("an unexpected message inside SCRAM"));
    };
    scram
        .finish(body.data())
        .map_err(|error| distrust(&error))?;
    authenticated(wire).await
}

fn mechanism(
    wanted: &ChannelBinding,
    body: &AuthenticationSaslBody,
) -> Result<(&'static str, sasl::ChannelBinding), Error> {
    let mut plain = false;
    let mut bound = false;
    let mut offered = body.mechanisms();
    while let Some(name) = offered
        .next()
        .map_err(|error| protocol(error.to_string()))?
    {
        plain |= name == sasl::SCRAM_SHA_256;
        bound |= name == sasl::SCRAM_SHA_256_PLUS;
    }
    match wanted {
        ChannelBinding::Offered(hash) | ChannelBinding::Required(hash) if bound => {
            let binding = sasl::ChannelBinding::tls_server_end_point(hash.clone());
            Ok((sasl::SCRAM_SHA_256_PLUS, binding))
        }
        ChannelBinding::Required(_) => Err(unable(
            "channel binding is required, but the server does not offer it",
        )),
        ChannelBinding::Offered(_) if plain => {
            // Tells the server that we could: it notices if its own offer was
            // taken out on the way.
            Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested()))
        }
        ChannelBinding::None if plain => {
            Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported()))
        }
        ChannelBinding::None | ChannelBinding::Offered(_) => {
            Err(unable("the server offers no SASL mechanism known here"))
        }
    }
}

fn password(login: &Login) -> Result<&Secret, Error> {
    login
        .password
        .as_ref()
        .ok_or_else(|| unable("the server asks for a password, but none is set"))
}

fn unable(reason: &str) -> Error {
    Definite::Authentication(reason.to_owned()).into()
}

/// The server could not prove that it knows the password either, or spoke
/// nonsense.
fn distrust(error: &std::io::Error) -> Error {
    Definite::Authentication(format!("the server's side of SCRAM is wrong: {error}")).into()
}

/// A name, password or query that cannot be put into a message: it holds a
/// zero byte.
pub(super) fn unfit(error: &std::io::Error) -> Error {
    Definite::Authentication(format!("a value cannot be sent: {error}")).into()
}
