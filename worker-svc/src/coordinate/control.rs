//! `{p}.control` itself: one reader for the whole process, and a writer.
//! In: the topic from its beginning on; announcements. Out: a [`View`] that everybody may
//! watch. Must hold: R2, so nobody acts before the topic was read to its end once.

use std::sync::Arc;
use std::time::Duration;

use model::wire::SCHEMA_KEY_PREFIX;
use model::{Announcement, Framing, Partition, Schemas, Topics, WireError};
use runtime::kafka::{
    Acknowledged, Kafka, Read, Reader, Record, Start, TopicPartition, only_partition,
};
use runtime::retry::{Backoff, Waited};
use runtime::shutdown::Shutdown;
use tokio::sync::watch;

use super::view::View;
use crate::error::{Definite, Transient};

/// Longest time for the first reading: the topic is compacted and holds some hundred records.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What everybody asks and tells. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    at: TopicPartition,
    kafka: Kafka,
    schemas: Arc<Schemas>,
    view: watch::Receiver<View>,
}

/// The reading half; its owner runs it.
#[derive(Debug)]
pub struct ControlReader {
    kafka: Kafka,
    at: TopicPartition,
    reader: Reader,
    schemas: Arc<Schemas>,
    view: watch::Sender<View>,
}

impl Control {
    /// Reads the topic to its end, and puts the schemas of this build into it before
    /// anything is written with them.
    ///
    /// # Errors
    /// Kafka does not answer, or the topic is not there yet; inside: it is another's.
    pub async fn open(
        kafka: &Kafka,
        topics: &Topics,
        schemas: Arc<Schemas>,
    ) -> Result<Result<(Self, ControlReader), Definite>, Transient> {
        let at = only_partition(&topics.control());
        let reader = kafka
            .reader(&at.topic, &[(at.partition, Start::Earliest)])
            .map_err(kafka_error("reading the control topic"))?;
        let records = reader
            .read_to_end(&[at.partition], READ_TIMEOUT)
            .await
            .map_err(kafka_error("reading the control topic"))?;
        let mut view = View::default();
        // All schemas before the first announcement: compaction keeps the last of two equal schema
        // records, so one may stand behind announcements that were written with it.
        let (known, announcements): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| is_schema(record));
        for record in known.iter().chain(&announcements) {
            if let Err(definite) = take(&schemas, &mut view, record)? {
                return Ok(Err(definite));
            }
        }
        let written: Vec<_> = known
            .iter()
            .filter_map(|record| record.key.clone())
            .collect();
        let (sender, receiver) = watch::channel(view);
        let control = Control {
            at: at.clone(),
            kafka: kafka.clone(),
            schemas: Arc::clone(&schemas),
            view: receiver,
        };
        let writer = control.writer()?;
        for (key, json) in schemas.control_records() {
            if !written.iter().any(|known| known == key.as_bytes()) {
                send(&writer, &at, key.as_bytes(), json.as_bytes()).await?;
            }
        }
        let reader = ControlReader {
            kafka: kafka.clone(),
            at,
            reader,
            schemas,
            view: sender,
        };
        Ok(Ok((control, reader)))
    }

    /// What the topic says now.
    #[must_use]
    pub fn view(&self) -> watch::Ref<'_, View> {
        self.view.borrow()
    }

    /// A handle that tells when it says something new.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// The schemas of this build and those found in the topic.
    #[must_use]
    pub fn schemas(&self) -> &Arc<Schemas> {
        &self.schemas
    }

    /// Writes an announcement and waits until Kafka has it.
    ///
    /// # Errors
    /// Kafka does not take it.
    pub async fn announce(&self, announcement: &Announcement) -> Result<(), Transient> {
        let bytes = self
            .schemas
            .encode(announcement, Framing::SingleObject)
            .map_err(|error| Transient::Kafka {
                doing: "writing an announcement",
                source: Box::new(error),
            })?;
        // Rare: a client of its own each time holds no connection in between, and starts
        // fresh after any trouble.
        let writer = self.writer()?;
        send(
            &writer,
            &self.at,
            announcement.record_key().as_bytes(),
            &bytes,
        )
        .await
    }

    fn writer(&self) -> Result<Acknowledged, Transient> {
        self.kafka
            .acknowledged()
            .map_err(kafka_error("writing an announcement"))
    }
}

async fn send(
    writer: &Acknowledged,
    at: &TopicPartition,
    key: &[u8],
    value: &[u8],
) -> Result<(), Transient> {
    writer
        .send(at, key, Some(value))
        .await
        .map(drop)
        .map_err(kafka_error("writing an announcement"))
}

impl ControlReader {
    /// Keeps the view up to date until stop is asked for. Broken readers are made anew
    /// where they stood.
    ///
    /// # Errors
    /// The topic holds what is no announcement.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Definite> {
        let mut backoff = Backoff::default();
        loop {
            let Some(read) = shutdown.or_stop(self.reader.next()).await else {
                return Ok(());
            };
            let trouble = match read {
                Ok(Read::CaughtUp(_)) => continue,
                Ok(Read::Record(record)) => match self.take(&record) {
                    Ok(result) => {
                        result?;
                        backoff.reset();
                        continue;
                    }
                    Err(unknown_schema) => unknown_schema,
                },
                Err(error) => kafka_error("reading the control topic")(error),
            };
            tracing::warn!(error = %crate::error::chain(&trouble), "the control topic cannot be read further; trying again");
            if backoff.wait(&shutdown, None).await == Waited::Stopping {
                return Ok(());
            }
            let from = self.view.borrow().end();
            match self
                .kafka
                .reader(&self.at.topic, &[(Partition::new(0), Start::At(from))])
            {
                Ok(reader) => self.reader = reader,
                Err(error) => tracing::warn!(%error, "no new reader of the control topic"),
            }
        }
    }

    fn take(&self, record: &Record) -> Result<Result<(), Definite>, Transient> {
        let mut taken = Ok(Ok(()));
        self.view
            .send_modify(|view| taken = take(&self.schemas, view, record));
        taken
    }
}

/// Takes a record into the view. An announcement whose schema is not known yet is waited
/// for: whoever wrote it wrote the schema first.
fn take(
    schemas: &Schemas,
    view: &mut View,
    record: &Record,
) -> Result<Result<(), Definite>, Transient> {
    // Without a value: deleted by an operator; what it said holds until the next start.
    let (Some(_), Some(payload)) = (&record.key, &record.payload) else {
        view.passed(record.offset);
        return Ok(Ok(()));
    };
    if is_schema(record) {
        let added = std::str::from_utf8(payload).map(|json| schemas.add(json));
        if !matches!(added, Ok(Ok(_))) {
            tracing::warn!(offset = %record.offset, "a schema in the control topic is not readable; records written with it are not either");
        }
        view.passed(record.offset);
        return Ok(Ok(()));
    }
    match schemas.decode::<Announcement>(payload) {
        Ok(announcement) => {
            view.apply(record.offset, announcement);
            Ok(Ok(()))
        }
        Err(error @ (WireError::UnknownFingerprint(_) | WireError::UnknownId(_))) => {
            Err(Transient::Kafka {
                doing: "reading an announcement",
                source: Box::new(error),
            })
        }
        Err(error) => Ok(Err(Definite::Unreadable {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            reason: error.to_string(),
        })),
    }
}

fn is_schema(record: &Record) -> bool {
    record
        .key
        .as_ref()
        .is_some_and(|key| key.starts_with(SCHEMA_KEY_PREFIX.as_bytes()))
}

pub(super) fn kafka_error(doing: &'static str) -> impl Fn(runtime::kafka::Error) -> Transient {
    move |error| Transient::Kafka {
        doing,
        source: Box::new(error),
    }
}
