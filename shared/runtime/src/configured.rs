//! From the checked configuration to what the makers of clients want.
//! In: sections of [`definition::Deployment`] and the environment. Out: settings with secrets resolved.
//! Must hold: secrets are resolved here, at start, and nowhere earlier.

use definition::deployment::{self, Broker, Compression, Connection, ConnectionParameters, Source};

use crate::Environment;
use crate::kafka::{self, Kafka};
use crate::postgres::{self, Postgres, Target};
use crate::secret::{self, Secret, SecretSource};

/// The configuration cannot be turned into a client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A secret is not to be had.
    #[error("{0}: {help}", help = .0.help())]
    Secret(#[from] secret::Error),
    /// A Kafka property is refused.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// The connection URL cannot be used.
    #[error("{0}: {help}", help = .0.help())]
    Url(#[from] deployment::UrlProblem),
    /// A certificate cannot be used.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
}

/// The text of a secret of the configuration.
///
/// # Errors
/// The variable is unset or empty, or the file cannot be read.
pub fn secret(
    key: &str,
    secret: &deployment::Secret,
    environment: &Environment,
) -> Result<Secret, secret::Error> {
    source(secret).resolve(key, environment)
}

/// Where a secret of the configuration is to be had.
#[must_use]
pub fn source(secret: &deployment::Secret) -> SecretSource {
    match secret {
        deployment::Secret::Literal(text) => SecretSource::literal(text.clone()),
        deployment::Secret::Env(name) => SecretSource::Env(name.clone()),
        deployment::Secret::File(path) => SecretSource::File(path.clone()),
    }
}

/// The maker of Kafka clients that `[broker]` describes. `client_id` names the service to the
/// brokers.
///
/// # Errors
/// A secret is not to be had, or a property is refused.
pub fn kafka(broker: &Broker, client_id: &str, environment: &Environment) -> Result<Kafka, Error> {
    let mut settings = kafka::Settings::new(broker.bootstrap_servers.join(","), client_id);
    settings.compression = match broker.compression {
        Compression::None => kafka::Compression::None,
        Compression::Gzip => kafka::Compression::Gzip,
        Compression::Snappy => kafka::Compression::Snappy,
        Compression::Lz4 => kafka::Compression::Lz4,
        Compression::Zstd => kafka::Compression::Zstd,
    };
    for property in &broker.kafka {
        let value = secret(
            &format!("broker.kafka.{}", property.name),
            &property.value,
            environment,
        )?;
        settings.properties.insert(property.name.clone(), value);
    }
    Ok(Kafka::new(settings)?)
}

/// The maker of Postgres connections that `[source]` describes, and the parameters of its
/// URL that are not read (each deserves a warning). Call it again after an authentication
/// failure: secrets in files may have been rotated.
///
/// # Errors
/// A secret is not to be had, the URL contradicts `[source]`, or a certificate is unusable.
pub fn postgres(
    source: &Source,
    environment: &Environment,
) -> Result<(Postgres, Vec<String>), Error> {
    let (url, password) = match &source.connection {
        Connection::Url(url) => (
            Some(secret("source.connection_url", url, environment)?),
            None,
        ),
        Connection::Parts { password, .. } => {
            let password = password
                .as_ref()
                .map(|password| secret("source.password", password, environment))
                .transpose()?;
            (None, password)
        }
    };
    let parameters = ConnectionParameters::new(source, url.as_ref().map_or("", Secret::expose))?;
    let ignored = parameters.ignored.clone();
    Ok((Postgres::new(target(parameters, password))?, ignored))
}

fn target(parameters: ConnectionParameters, password: Option<Secret>) -> Target {
    Target {
        hosts: parameters
            .hosts
            .iter()
            .map(|host| postgres::Host::new(&host.name, host.port))
            .collect(),
        user: parameters.user,
        password: password.or_else(|| parameters.password.map(Secret::new)),
        database: parameters.database,
        tls: tls(parameters.tls),
        channel_binding: match parameters.channel_binding.as_deref() {
            Some("disable") => postgres::ChannelBinding::Disable,
            Some("require") => postgres::ChannelBinding::Require,
            _ => postgres::ChannelBinding::Prefer,
        },
        application_name: parameters.application_name,
        options: parameters.options,
        // Zero waits for ever, as in libpq.
        connect_timeout: match parameters.connect_timeout {
            None => Some(postgres::target::DEFAULT_CONNECT_TIMEOUT),
            Some(limit) => Some(limit).filter(|limit| !limit.is_zero()),
        },
    }
}

fn tls(tls: deployment::Tls) -> postgres::Tls {
    postgres::Tls {
        mode: match tls.mode {
            deployment::SslMode::Disable => postgres::SslMode::Disable,
            deployment::SslMode::Prefer => postgres::SslMode::Prefer,
            deployment::SslMode::Require => postgres::SslMode::Require,
            deployment::SslMode::VerifyCa => postgres::SslMode::VerifyCa,
            deployment::SslMode::VerifyFull => postgres::SslMode::VerifyFull,
        },
        root: match tls.root_certificate {
            deployment::RootCertificate::System => postgres::RootCertificate::System,
            deployment::RootCertificate::File(path) => postgres::RootCertificate::File(path),
        },
        client: tls
            .client_certificate
            .map(|client| postgres::ClientCertificate {
                certificate: client.certificate,
                key: client.key,
            }),
    }
}
