//! From the checked configuration to what the makers of clients want.
//! In: sections of [`definition::Deployment`] and the environment. Out: settings with secrets resolved.
//! Must hold: secrets are resolved here, at start, and nowhere earlier.

use definition::deployment::{self, Broker, Compression};

use crate::Environment;
use crate::kafka::{self, Kafka};
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
}

/// The text of a secret of the configuration.
///
/// # Errors
/// The variable is unset or empty, or the file cannot be read.
pub fn secret(key: &str, secret: &deployment::Secret, environment: &Environment) -> Result<Secret, secret::Error> {
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
        let value = secret(&format!("broker.kafka.{}", property.name), &property.value, environment)?;
        settings.properties.insert(property.name.clone(), value);
    }
    Ok(Kafka::new(settings)?)
}
