//! `{p}.control` itself: read from its beginning to its end and then on; written record by record.

use std::time::Duration;

use model::wire::SCHEMA_KEY_PREFIX;
use model::{Announcement, Framing, Partition, Schemas, Topics, WireError};
use runtime::kafka::{
    Acknowledged, ErrorKind, Kafka, Read, Reader, Start, TopicPartition, only_partition,
};

use super::ControlState;
use crate::error::{Definite, Failure, Transient};

/// Longest time for reading the topic: it is compacted, so it holds a few hundred records.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The topic, read to its end at least once.
#[derive(Debug)]
pub struct Control {
    at: TopicPartition,
    reader: Reader,
    writer: Acknowledged,
    schemas: Schemas,
    state: ControlState,
}

impl Control {
    /// Reads the topic to its end and writes the schemas of this build into it, before anything is
    /// written with them.
    ///
    /// # Errors
    /// Kafka does not answer, or a record cannot be read.
    pub async fn open(kafka: &Kafka, topics: &Topics) -> Result<Self, Failure> {
        let at = only_partition(&topics.control());
        let partition = Partition::new(0);
        let reader = kafka
            .reader(&at.topic, &[(partition, Start::Earliest)])
            .map_err(failure)?;
        let records = reader
            .read_to_end(&[partition], READ_TIMEOUT)
            .await
            .map_err(failure)?;
        let writer = kafka.acknowledged().map_err(failure)?;
        let schemas = Schemas::new().map_err(|error| Definite::SetUp(error.to_string()))?;
        let mut control = Self {
            at,
            reader,
            writer,
            schemas,
            state: ControlState::default(),
        };
        // All schemas before the first announcement: compaction keeps the last of two equal schema
        // records, so one may stand behind announcements that were written with it.
        let (schemas, announcements): (Vec<_>, Vec<_>) = records
            .into_iter()
            .partition(|record| is_schema(record.key.as_deref()));
        let known: Vec<_> = schemas
            .iter()
            .filter_map(|record| record.key.clone())
            .collect();
        for record in schemas.iter().chain(&announcements) {
            control.take(record.key.as_deref(), record.payload.as_deref())?;
        }
        for (key, json) in control.schemas.control_records() {
            if !known.iter().any(|known| known == key.as_bytes()) {
                control.write(key.as_bytes(), json.as_bytes()).await?;
            }
        }
        Ok(control)
    }

    /// The last word on everything.
    #[must_use]
    pub fn state(&self) -> &ControlState {
        &self.state
    }

    /// The schemas known by now.
    #[must_use]
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Ends when an announcement has changed the state. Cancel-safe.
    ///
    /// # Errors
    /// Kafka does not answer, or a record cannot be read.
    pub async fn changed(&mut self) -> Result<(), Failure> {
        loop {
            match self.reader.next().await.map_err(failure)? {
                Read::Record(record) => {
                    if self.take(record.key.as_deref(), record.payload.as_deref())? {
                        return Ok(());
                    }
                }
                Read::CaughtUp(_) => {}
            }
        }
    }

    /// Writes an announcement and waits until it is durable. It holds from then on.
    ///
    /// # Errors
    /// Kafka does not take it.
    pub async fn announce(&mut self, announcement: Announcement) -> Result<(), Failure> {
        let bytes = self
            .schemas
            .encode(&announcement, Framing::SingleObject)
            .map_err(|error| Definite::SetUp(error.to_string()))?;
        self.write(announcement.record_key().as_bytes(), &bytes)
            .await?;
        // It comes back through the reader, too; taking it in twice changes nothing.
        self.state.apply(announcement);
        Ok(())
    }

    async fn write(&self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        self.writer
            .send(&self.at, key, Some(value))
            .await
            .map_err(failure)?;
        Ok(())
    }

    /// Takes a record in; whether it changed something.
    fn take(&mut self, key: Option<&[u8]>, payload: Option<&[u8]>) -> Result<bool, Failure> {
        // A record without a value is a deletion by an operator: what it said holds until restart.
        let (Some(key), Some(payload)) = (key, payload) else {
            return Ok(false);
        };
        if is_schema(Some(key)) {
            if let Ok(json) = std::str::from_utf8(payload)
                && let Err(error) = self.schemas.add(json)
            {
                tracing::warn!(%error, "a schema in the control topic is not readable; records written with it are not either");
            }
            return Ok(false);
        }
        match self.schemas.decode::<Announcement>(payload) {
            Ok(announcement) => Ok(self.state.apply(announcement)),
            Err(error @ (WireError::UnknownFingerprint(_) | WireError::UnknownId(_))) => {
                Err(Transient::Kafka(format!("an announcement in {} cannot be read yet: {error}", self.at)).into())
            }
            Err(error) => Err(Definite::SetUp(format!(
                "an announcement in {} cannot be read: {error}; is the topic used by something else?",
                self.at
            ))
            .into()),
        }
    }
}

fn is_schema(key: Option<&[u8]>) -> bool {
    key.is_some_and(|key| key.starts_with(SCHEMA_KEY_PREFIX.as_bytes()))
}

/// Kafka's errors are the world's unless they are about the set-up.
#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
pub(crate) fn failure(error: runtime::kafka::Error) -> Failure {
    let help = error
        .help()
        .map(|help| format!(" ({help})"))
        .unwrap_or_default();
    let text = format!("{error}{help}");
    if error.kind() == ErrorKind::Settings {
        Definite::SetUp(text).into()
    } else {
        Transient::Kafka(text).into()
    }
}
