//! What every client does with librdkafka's own voice.
//! Must hold: a broker that is down is a WARN here, never an ERROR: whoever needs the
//! broker decides what a person must do.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;

use super::error::{Error, ErrorKind, kind_of};

/// The last thing the client said about its connections.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    last: Mutex<Option<(ErrorKind, String)>>,
}

impl Voice {
    /// Logs a line of librdkafka.
    pub(crate) fn line(level: RDKafkaLogLevel, facility: &str, line: &str) {
        match level {
            // "property X is a consumer property": one map of properties serves all
            // kinds of clients, so this is always said and never of use.
            RDKafkaLogLevel::Warning if facility == "CONFWARN" => {
                tracing::debug!(target: "librdkafka", facility, "{line}");
            }
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", facility, "{line}");
            }
            RDKafkaLogLevel::Notice => tracing::info!(target: "librdkafka", facility, "{line}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", facility, "{line}");
            }
        }
    }

    /// Notes and logs an error of the whole client; the same one said twice in a row
    /// (librdkafka's wrapper repeats the producer's) is logged once.
    pub(crate) fn error(&self, error: &KafkaError, reason: &str) -> Error {
        let kind = error.rdkafka_error_code().map_or(ErrorKind::Other, kind_of);
        // A reader that is told where its partition ends; not an error at all.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return Error::new(kind, "Kafka", reason);
        }
        // "All brokers down" follows the reason and would hide it.
        let follows = reason.ends_with("brokers are down");
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_ref().is_some_and(|(_, text)| text == reason);
        if !known {
            tracing::warn!(target: "librdkafka", error = %error, "{reason}");
            if !follows || last.is_none() {
                *last = Some((kind, reason.to_owned()));
            }
        }
        Error::new(kind, "Kafka", reason)
    }

    pub(crate) fn last(&self) -> Option<(ErrorKind, String)> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The context of clients without events of their own.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    pub(crate) voice: Voice,
}

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        Voice::line(level, facility, line);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.error(&error, reason);
    }
}

impl ConsumerContext for Plain {}

/// Lets a client that nobody polls say why something failed: its complaints wait in a
/// queue until then, behind log lines.
pub(crate) fn hear(client: &BaseConsumer<Plain>) {
    for _ in 0..20 {
        let heard = client.poll(Duration::from_millis(20)).is_some();
        if heard && client.context().voice.last().is_some() {
            return;
        }
    }
}
