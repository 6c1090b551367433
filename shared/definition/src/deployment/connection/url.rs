//! Reads a `postgres://` URL.

use std::path::Path;
use std::time::Duration;

use super::{ConnectionParameters, Host, RootCertificate, SslMode, Tls, TlsSettings, UrlProblem};

/// Postgres's port.
const DEFAULT_PORT: u16 = 5432;

/// A URL taken apart. The TLS settings are still apart from the rest.
pub(super) struct Parsed {
    pub(super) parameters: ConnectionParameters,
    pub(super) tls: TlsSettings,
}

/// Takes `text` apart; relative certificate paths start at `directory`.
pub(super) fn parse(text: &str, directory: &Path) -> Result<Parsed, UrlProblem> {
    let rest = text
        .trim()
        .strip_prefix("postgres://")
        .or_else(|| text.trim().strip_prefix("postgresql://"))
        .ok_or_else(|| unreadable("it starts neither with postgres:// nor with postgresql://"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (login, hosts),
        None => ("", authority),
    };
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(decode(password, "password")?)),
        None => (login, None),
    };
    let user = match decode(user, "user")? {
        user if user.is_empty() => "postgres".to_owned(),
        user => user,
    };
    let database = match decode(database, "database")? {
        database if database.is_empty() => user.clone(),
        database => database,
    };
    let mut parsed = Parsed {
        parameters: ConnectionParameters {
            hosts: hosts.split(',').map(host).collect::<Result<_, _>>()?,
            user,
            password,
            database,
            application_name: None,
            connect_timeout: None,
            options: None,
            channel_binding: None,
            tls: Tls {
                mode: SslMode::Prefer,
                root_certificate: RootCertificate::System,
                client_certificate: None,
            },
            ignored: Vec::new(),
        },
        tls: TlsSettings::default(),
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name, "parameter")?;
        let value = decode(value, "parameter")?;
        parameter(&mut parsed, &name, value, directory)?;
    }
    Ok(parsed)
}

/// Takes one parameter of the query in.
fn parameter(
    parsed: &mut Parsed,
    name: &str,
    value: String,
    directory: &Path,
) -> Result<(), UrlProblem> {
    let parameters = &mut parsed.parameters;
    match name {
        "sslmode" => {
            parsed.tls.sslmode = Some(SslMode::read(&value).ok_or_else(|| {
                unreadable(
                    "sslmode is none of disable, allow, prefer, require, verify-ca, verify-full",
                )
            })?);
        }
        "sslrootcert" if value == "system" => {
            parsed.tls.sslrootcert = Some(RootCertificate::System);
        }
        "sslrootcert" => {
            parsed.tls.sslrootcert = Some(RootCertificate::File(directory.join(value)));
        }
        "sslcert" => parsed.tls.sslcert = Some(directory.join(value)),
        "sslkey" => parsed.tls.sslkey = Some(directory.join(value)),
        "application_name" => parameters.application_name = Some(value),
        "connect_timeout" => {
            let seconds: u64 = value
                .parse()
                .map_err(|_| unreadable("connect_timeout is not a number of seconds"))?;
            // libpq: zero waits for ever, which is the same as not saying it.
            parameters.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        "options" => parameters.options = Some(value),
        "channel_binding" if ["disable", "prefer", "require"].contains(&value.as_str()) => {
            parameters.channel_binding = Some(value);
        }
        "channel_binding" => {
            return Err(unreadable(
                "channel_binding is none of disable, prefer, require",
            ));
        }
        _ => parameters.ignored.push(name.to_owned()),
    }
    Ok(())
}

/// One host of the list, with its port.
fn host(text: &str) -> Result<Host, UrlProblem> {
    let (name, port) = if let Some(inside) = text.strip_prefix('[') {
        let (name, after) = inside
            .split_once(']')
            .ok_or_else(|| unreadable("an IPv6 address lacks its closing bracket"))?;
        match after.strip_prefix(':') {
            Some(port) => (name, Some(port)),
            None if after.is_empty() => (name, None),
            None => return Err(unreadable("after an IPv6 address only a port may follow")),
        }
    } else {
        match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        }
    };
    let port = match port {
        None | Some("") => DEFAULT_PORT,
        Some(port) => port
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| port.parse().ok())
            .flatten()
            .filter(|port| *port > 0)
            .ok_or_else(|| unreadable("a port is not a number from 1 to 65535"))?,
    };
    let name = match decode(name, "host")? {
        name if name.is_empty() => "127.0.0.1".to_owned(),
        name => name,
    };
    Ok(Host { name, port })
}

/// Percent-decodes one part, exactly once.
fn decode(part: &str, what: &str) -> Result<String, UrlProblem> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|byte| char::from(byte).to_digit(16))
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(unreadable(&format!(
                "a % in the {what} is not followed by two hexadecimal digits"
            )));
        };
        bytes.push((high << 4) | low);
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable(&format!("the {what} is not UTF-8 when decoded")))?;
    if text.contains('\0') {
        return Err(unreadable(&format!("the {what} holds a NUL character")));
    }
    Ok(text)
}

fn unreadable(reason: &str) -> UrlProblem {
    UrlProblem::Unreadable(reason.to_owned())
}
