//! The user's librdkafka properties, and ours on top.
//! Must hold: a property of [`SET_BY_THE_PRODUCT`] never comes from the user, for each of them
//! carries a guarantee; no value of a property is ever printed.

use std::collections::BTreeMap;
use std::time::Duration;

use definition::deployment::SET_BY_THE_PRODUCT;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use crate::secret::Secret;

/// librdkafka's default for `session.timeout.ms`.
const DEFAULT_SESSION_TIMEOUT: Duration = Duration::from_secs(45);

/// How a producer compresses its batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    #[default]
    Zstd,
}

impl Compression {
    /// The name in librdkafka and in the configuration language.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// All that is configured about the brokers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port`, several with commas.
    pub bootstrap: String,
    /// How this process shows in the brokers' logs, e.g. `capture-svc`.
    pub client_id: String,
    /// The user's librdkafka properties. Values may be secrets.
    pub properties: BTreeMap<String, Secret>,
    /// Of the records this process writes.
    pub compression: Compression,
    /// Longest time one request to the brokers may take before it counts as failed.
    pub request_timeout: Duration,
}

/// A property that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// The product depends on its own value.
    #[error("kafka: `{name}` is set by the product")]
    SetByProduct {
        /// The property.
        name: String,
    },
    /// librdkafka has no property of this name.
    #[error("kafka: librdkafka knows no property `{name}`")]
    Unknown {
        /// The property.
        name: String,
    },
    /// librdkafka does not take the value. The value is not shown: it may be secret.
    #[error("kafka: librdkafka does not take the value of `{name}`")]
    Value {
        /// The property.
        name: String,
    },
}

impl PropertyError {
    /// The code of the configuration language's error list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "E109"
    }

    /// The property's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::SetByProduct { name } | Self::Unknown { name } | Self::Value { name } => name,
        }
    }

    /// One sentence: how to mend it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::SetByProduct { .. } => "remove it",
            Self::Unknown { .. } => "see librdkafka's CONFIGURATION.md for the names",
            Self::Value { .. } => "see librdkafka's CONFIGURATION.md for its range",
        }
    }
}

impl Settings {
    /// Settings without user properties.
    #[must_use]
    pub fn new(bootstrap: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            client_id: client_id.into(),
            properties: BTreeMap::new(),
            compression: Compression::default(),
            request_timeout: super::REQUEST_TIMEOUT,
        }
    }

    /// Asks librdkafka, offline, about each of the user's properties.
    #[must_use]
    pub fn verify(&self) -> Vec<PropertyError> {
        self.properties
            .iter()
            .filter_map(|(name, value)| verify_property(name, value.expose()).err())
            .collect()
    }

    /// How long the group waits for a silent member.
    #[must_use]
    pub fn session_timeout(&self) -> Duration {
        self.properties
            .get("session.timeout.ms")
            .and_then(|value| value.expose().parse().ok())
            .map_or(DEFAULT_SESSION_TIMEOUT, Duration::from_millis)
    }

    /// Whether the newer group protocol (KIP-848) is asked for: then assignment and
    /// time-outs are the broker's, and must not be set here.
    #[must_use]
    pub(crate) fn broker_side_groups(&self) -> bool {
        self.properties
            .get("group.protocol")
            .is_some_and(|value| value.expose().eq_ignore_ascii_case("consumer"))
    }

    /// What all clients share.
    pub(crate) fn base(&self) -> ClientConfig {
        let mut config = empty();
        config
            .set("client.id", &self.client_id)
            // A broker that comes back is noticed within seconds.
            .set("reconnect.backoff.max.ms", "3000")
            .set("socket.keepalive.enable", "true");
        for (name, value) in &self.properties {
            config.set(name, value.expose());
        }
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }
}

#[expect(clippy::disallowed_methods, reason = "the one maker of clients")]
fn empty() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Asks librdkafka, offline, about one property.
///
/// # Errors
/// It is the product's own, unknown, or has a value out of range.
pub fn verify_property(name: &str, value: &str) -> Result<(), PropertyError> {
    let name_owned = || name.to_owned();
    if SET_BY_THE_PRODUCT.contains(&name) {
        return Err(PropertyError::SetByProduct { name: name_owned() });
    }
    let mut config = empty();
    config.set(name, value);
    match config.create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Err(PropertyError::Unknown { name: name_owned() })
        }
        Err(_) => Err(PropertyError::Value { name: name_owned() }),
    }
}
