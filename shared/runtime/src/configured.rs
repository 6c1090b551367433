//! From the checked configuration to what the makers of clients want.
//! In: sections of [`definition::Deployment`] and the environment. Out: settings with secrets resolved.
//! Must hold: secrets are resolved here, at start, and nowhere earlier.

mod asked;
mod topics;
mod unresolved;

pub use asked::{catalog, identities, probed, server};
pub use topics::{TopicPlan, topic_plan};
pub use unresolved::{Part, unresolved};

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
                .map(|password| secret("source.connection_url.password", password, environment))
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

#[cfg(test)]
mod tests {
    use super::*;
    use definition::deployment::{AsynchronousCommit, OnSlotLoss, TlsSettings};
    use std::time::Duration;

    fn source(connection: Connection) -> Source {
        Source {
            connection,
            tls: TlsSettings::default(),
            directory: "/etc/flusso".into(),
            slot: "flusso".into(),
            slot_failover: false,
            publication: "flusso".into(),
            manage_publication: true,
            manage_replica_identity: true,
            allow_stale_parents: false,
            on_slot_loss: OnSlotLoss::Reseed,
            asynchronous_commit: AsynchronousCommit::Possible,
        }
    }

    #[test]
    fn a_url_from_the_environment_becomes_a_target() {
        let url =
            "postgres://u%40x:p%2541@a:5433,%2Frun%2Fpg/shop?connect_timeout=3&sslmode=disable&x=1";
        let environment = Environment::from([("SHOP_DB".into(), url.into())]);
        let source = source(Connection::Url(deployment::Secret::Env("SHOP_DB".into())));
        let (postgres, ignored) = postgres(&source, &environment).unwrap();
        let target = postgres.target();
        let hosts = [
            postgres::Host::new("a", 5433),
            postgres::Host::new("/run/pg", 5432),
        ];
        assert_eq!(target.hosts, hosts);
        assert_eq!(target.user, "u@x");
        // Decoded exactly once.
        assert_eq!(target.password.as_ref().map(Secret::expose), Some("p%41"));
        assert_eq!(target.database, "shop");
        assert_eq!(target.tls.mode, postgres::SslMode::Disable);
        assert_eq!(target.connect_timeout, Some(Duration::from_secs(3)));
        assert_eq!(ignored, ["x"]);
        assert!(!format!("{postgres:?}").contains("p%41"));
    }

    #[test]
    fn an_unset_variable_is_an_error_with_the_way_to_mend_it() {
        let source = source(Connection::Url(deployment::Secret::Env("SHOP_DB".into())));
        let error = postgres(&source, &Environment::new())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("source.connection_url") && error.contains("set it"),
            "{error}"
        );
    }

    #[test]
    fn parts_are_taken_literally() {
        let source = source(Connection::Parts {
            host: "db".into(),
            port: 5432,
            user: "u%41".into(),
            password: Some(deployment::Secret::Literal("p%41@:/".into())),
            database: "a/b".into(),
        });
        let (postgres, _) = postgres(&source, &Environment::new()).unwrap();
        let target = postgres.target();
        assert_eq!(
            (target.user.as_str(), target.database.as_str()),
            ("u%41", "a/b")
        );
        assert_eq!(
            target.password.as_ref().map(Secret::expose),
            Some("p%41@:/")
        );
        assert_eq!(target.tls.mode, postgres::SslMode::Prefer);
    }
}
