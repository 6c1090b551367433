//! Topics: what they are like, making them, how far they reach, their last records.
//! Must not: create a topic by asking about it. Metadata is therefore always asked for
//! all topics, which no broker answers by creating one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Offset, Partition};
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic as NativeNewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;

use super::Kafka;
use super::context::{Plain, hear};
use super::error::{Error, ErrorKind, kind_of};
use super::reader::{Read, Start};
use super::record::{Record, Watermarks};
use crate::task;

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its full name.
    pub name: String,
    /// Its partitions.
    pub partitions: u16,
    /// Copies of each record; `None`: the broker's default.
    pub replication: Option<u16>,
    /// Its settings, e.g. `retention.ms`.
    pub settings: BTreeMap<String, String>,
}

/// One partition as the brokers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPart {
    /// The partition.
    pub partition: Partition,
    /// Brokers that hold it.
    pub replicas: usize,
    /// Of these, how many are in sync.
    pub in_sync: usize,
    /// Whether a broker leads it: without one it can be neither read nor written.
    pub has_leader: bool,
}

/// A topic as the brokers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its full name.
    pub name: String,
    /// Its partitions in order.
    pub partitions: Vec<TopicPart>,
    /// Its settings in force, defaults included.
    pub settings: BTreeMap<String, String>,
}

impl TopicDescription {
    /// The fewest copies any partition has.
    #[must_use]
    pub fn replication(&self) -> usize {
        self.partitions
            .iter()
            .map(|part| part.replicas)
            .min()
            .unwrap_or(0)
    }
}

/// Asks about topics and makes them. Cheap to clone.
#[derive(Clone)]
pub struct Topics {
    kafka: Kafka,
    admin: Arc<AdminClient<Plain>>,
    // Asks for metadata and watermarks. Not the admin client: only a consumer's own
    // queue can be polled for the reason when brokers do not answer.
    probe: Arc<BaseConsumer<Plain>>,
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topics({})", self.kafka.bootstrap())
    }
}

impl Topics {
    pub(super) fn new(kafka: &Kafka) -> Result<Self, Error> {
        let failed = |error| Error::from_kafka("cannot make a Kafka client", &error);
        let mut config = kafka.base();
        config.set("allow.auto.create.topics", "false");
        let admin = config
            .create_with_context(Plain::default())
            .map_err(failed)?;
        config.remove("group.instance.id").remove("group.protocol");
        let probe = config
            .create_with_context(Plain::default())
            .map_err(failed)?;
        Ok(Self {
            kafka: kafka.clone(),
            admin: Arc::new(admin),
            probe: Arc::new(probe),
        })
    }

    /// The number of brokers that are there: the cheapest proof that one answers.
    ///
    /// # Errors
    /// None answers, or it refuses us. The message says which of both.
    pub async fn brokers(&self) -> Result<usize, Error> {
        let doing = format!("cannot reach Kafka at {}", self.kafka.bootstrap());
        let timeout = self.kafka.request_timeout();
        self.probe(doing, move |probe| {
            Ok(probe.fetch_metadata(None, timeout)?.brokers().len())
        })
        .await
    }

    /// Describes those of the topics that exist.
    ///
    /// # Errors
    /// The brokers do not answer, or refuse to show the settings.
    pub async fn describe(&self, names: &[&str]) -> Result<Vec<TopicDescription>, Error> {
        let mut found = self.metadata(names).await?;
        let existing: Vec<String> = found.iter().map(|topic| topic.name.clone()).collect();
        if existing.is_empty() {
            return Ok(found);
        }
        let resources: Vec<ResourceSpecifier<'_>> = existing
            .iter()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        let doing = "cannot read the settings of topics";
        let described = self
            .admin
            .describe_configs(&resources, &self.options())
            .await
            .map_err(|error| Error::from_kafka(doing, &error))?;
        for resource in described {
            let resource = resource.map_err(|code| Error::from_code(doing, code))?;
            let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = &resource.specifier else {
                continue;
            };
            if let Some(topic) = found.iter_mut().find(|topic| &topic.name == name) {
                topic.settings = resource
                    .entries
                    .into_iter()
                    .filter_map(|entry| Some((entry.name, entry.value?)))
                    .collect();
            }
        }
        Ok(found)
    }

    /// The partition count of a topic; `None` when it does not exist.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub async fn partitions(&self, name: &str) -> Result<Option<usize>, Error> {
        let found = self.metadata(&[name]).await?;
        Ok(found.first().map(|topic| topic.partitions.len()))
    }

    async fn metadata(&self, names: &[&str]) -> Result<Vec<TopicDescription>, Error> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let doing = format!("cannot reach Kafka at {}", self.kafka.bootstrap());
        let timeout = self.kafka.request_timeout();
        self.probe(doing, move |probe| {
            let metadata = probe.fetch_metadata(None, timeout)?;
            let known = metadata.topics().iter().filter(|topic| {
                names.iter().any(|name| name == topic.name()) && !topic.partitions().is_empty()
            });
            Ok(known.map(description).collect())
        })
        .await
    }

    /// Makes topics. One answer per topic, in order; [`ErrorKind::TopicExists`] where it
    /// was there already.
    ///
    /// # Errors
    /// The brokers do not answer at all.
    pub async fn create(&self, topics: &[NewTopic]) -> Result<Vec<Result<(), Error>>, Error> {
        let native: Vec<NativeNewTopic<'_>> = topics.iter().map(native).collect();
        let doing = "cannot create topics";
        let results = self
            .admin
            .create_topics(&native, &self.options())
            .await
            .map_err(|error| self.unreachable(doing, &error))?;
        let mut answers: BTreeMap<String, Result<(), Error>> = results
            .into_iter()
            .map(|result| match result {
                Ok(name) => (name, Ok(())),
                Err((name, code)) => {
                    let error = Error::from_code(format!("cannot create topic {name}"), code);
                    (name, Err(error))
                }
            })
            .collect();
        Ok(topics
            .iter()
            .map(|topic| {
                answers.remove(&topic.name).unwrap_or_else(|| {
                    Err(Error::new(
                        ErrorKind::Other,
                        format!("cannot create topic {}", topic.name),
                        "the broker did not answer for it",
                    ))
                })
            })
            .collect())
    }

    /// Removes topics; one that is not there counts as removed. For tests and `topics`
    /// that were made by mistake.
    ///
    /// # Errors
    /// The brokers do not answer, or refuse.
    pub async fn delete(&self, names: &[&str]) -> Result<(), Error> {
        let doing = "cannot delete topics";
        let results = self
            .admin
            .delete_topics(names, &self.options())
            .await
            .map_err(|error| self.unreachable(doing, &error))?;
        for result in results {
            if let Err((name, code)) = result
                && kind_of(code) != ErrorKind::TopicMissing
            {
                return Err(Error::from_code(
                    format!("cannot delete topic {name}"),
                    code,
                ));
            }
        }
        Ok(())
    }

    /// How far each partition reaches, in the order asked for.
    ///
    /// # Errors
    /// The brokers do not answer, or the topic is missing.
    pub async fn watermarks(
        &self,
        topic: &str,
        partitions: &[Partition],
    ) -> Result<Vec<Watermarks>, Error> {
        let (name, partitions) = (topic.to_owned(), partitions.to_vec());
        let timeout = self.kafka.request_timeout();
        self.probe(
            format!("cannot read the watermarks of {topic}"),
            move |probe| {
                partitions
                    .iter()
                    .map(|&partition| {
                        let (low, high) =
                            probe.fetch_watermarks(&name, partition.get(), timeout)?;
                        Ok(Watermarks {
                            partition,
                            low: Offset::new(low),
                            high: Offset::new(high),
                        })
                    })
                    .collect()
            },
        )
        .await
    }

    /// The last record of each partition, in the order asked for; `None` where the
    /// partition is empty. Without transactions it lies directly below the end.
    ///
    /// # Errors
    /// The brokers do not answer, or a record was deleted while being read (try again).
    pub async fn last_records(
        &self,
        topic: &str,
        partitions: &[Partition],
        timeout: Duration,
    ) -> Result<Vec<Option<Record>>, Error> {
        let watermarks = self.watermarks(topic, partitions).await?;
        let from: Vec<(Partition, Start)> = watermarks
            .iter()
            .filter(|marks| !marks.is_empty())
            .map(|marks| {
                (
                    marks.partition,
                    Start::At(Offset::new(marks.high.get() - 1)),
                )
            })
            .collect();
        let mut found = BTreeMap::new();
        if !from.is_empty() {
            let reader = self.kafka.reader(topic, &from)?;
            let all = async {
                while found.len() < from.len() {
                    match reader.next().await {
                        Ok(Read::Record(record)) => {
                            // Newer ones may follow; the last as of the question is wanted.
                            found.entry(record.partition.get()).or_insert(record);
                        }
                        Ok(Read::CaughtUp(partition)) if !found.contains_key(&partition.get()) => {
                            return Err(Error::new(
                                ErrorKind::Passing,
                                format!("cannot read the last record of {topic}"),
                                format!("partition {} ended before it", partition.get()),
                            ));
                        }
                        Ok(Read::CaughtUp(_)) => {}
                        Err(error) if error.is_transient() => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            };
            tokio::time::timeout(timeout, all)
                .await
                .unwrap_or_else(|_elapsed| {
                    Err(Error::new(
                        ErrorKind::Timeout,
                        format!("cannot read the last records of {topic}"),
                        format!("not within {timeout:?}"),
                    ))
                })?;
        }
        Ok(partitions
            .iter()
            .map(|partition| found.remove(&partition.get()))
            .collect())
    }

    fn options(&self) -> AdminOptions {
        let timeout = self.kafka.request_timeout();
        AdminOptions::new()
            .request_timeout(Some(timeout))
            .operation_timeout(Some(timeout))
    }

    fn unreachable(&self, doing: &str, error: &KafkaError) -> Error {
        Error::from_kafka(doing, error).with_last_seen(self.probe.context().voice.last())
    }

    async fn probe<T, F>(&self, doing: String, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&BaseConsumer<Plain>) -> Result<T, KafkaError> + Send + 'static,
    {
        let probe = Arc::clone(&self.probe);
        let done = task::blocking("kafka probe", move || {
            let result = body(&probe);
            if result.is_err() {
                hear(&probe);
            }
            result
        })
        .await;
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.unreachable(&doing, &error)),
            Err(error) => Err(Error::new(ErrorKind::Other, doing, error.to_string())),
        }
    }
}

fn native(topic: &NewTopic) -> NativeNewTopic<'_> {
    // −1 is the protocol's word for "the broker's default".
    let replication = topic.replication.map_or(-1, i32::from);
    let mut new = NativeNewTopic::new(
        &topic.name,
        i32::from(topic.partitions),
        TopicReplication::Fixed(replication),
    );
    for (name, value) in &topic.settings {
        new = new.set(name, value);
    }
    new
}

fn description(topic: &rdkafka::metadata::MetadataTopic) -> TopicDescription {
    let mut partitions: Vec<TopicPart> = topic
        .partitions()
        .iter()
        .map(|part| TopicPart {
            partition: Partition::new(part.id()),
            replicas: part.replicas().len(),
            in_sync: part.isr().len(),
            has_leader: part.leader() >= 0,
        })
        .collect();
    partitions.sort_by_key(|part| part.partition.get());
    TopicDescription {
        name: topic.name().to_owned(),
        partitions,
        settings: BTreeMap::new(),
    }
}
