//! What capture takes of the deployment.
//! In: the checked deployment and the environment. Out: clients' makers, addresses, indexes.
//! Must hold: secrets are resolved here, at start.

use std::sync::Arc;

use definition::deployment::{Broker, Capture, Source};
use definition::{Deployment, Index};
use model::Topics;
use runtime::Environment;
use runtime::configured::{self, Error};
use runtime::kafka::Kafka;
use runtime::postgres::Postgres;

use crate::confirm::SlotAck;

/// Everything that a running capture is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[source]`.
    pub source: Source,
    /// `[broker]`.
    pub broker: Broker,
    /// `[capture]`.
    pub capture: Capture,
    /// The enabled indexes, whose needs are served.
    pub indexes: Vec<Index>,
    /// Where the public surface listens.
    pub public_address: String,
    /// Maker of Postgres connections.
    pub postgres: Postgres,
    /// Maker of Kafka clients.
    pub kafka: Kafka,
    /// Names of the topics.
    pub topics: Arc<Topics>,
}

impl Config {
    /// Takes capture's part.
    ///
    /// # Errors
    /// A secret is not to be had, or a client's settings are refused.
    pub fn new(deployment: &Deployment, environment: &Environment) -> Result<Self, Error> {
        let (postgres, unread) = configured::postgres(&deployment.source, environment)?;
        if !unread.is_empty() {
            tracing::warn!(
                parameters = unread.join(", "),
                "parameters of the connection URL that are not read"
            );
        }
        Ok(Self {
            source: deployment.source.clone(),
            broker: deployment.broker.clone(),
            capture: deployment.capture.clone(),
            indexes: deployment
                .indexes
                .iter()
                .filter(|index| index.enabled)
                .cloned()
                .collect(),
            public_address: deployment.server.capture.public_address.to_string(),
            postgres,
            kafka: configured::kafka(&deployment.broker, crate::APPLICATION, environment)?,
            topics: Arc::new(Topics::new(deployment.broker.topic_prefix.as_str())),
        })
    }

    /// When the slot is confirmed.
    #[must_use]
    pub fn slot_ack(&self) -> SlotAck {
        match self.capture.slot_ack {
            definition::deployment::SlotAck::Sink => SlotAck::Sink,
            definition::deployment::SlotAck::Broker => SlotAck::Broker,
        }
    }

    /// `max_retained_wal` in bytes.
    #[must_use]
    pub fn max_retained_wal(&self) -> Option<u64> {
        self.capture
            .max_retained_wal
            .map(definition::deployment::ByteSize::get)
    }
}
