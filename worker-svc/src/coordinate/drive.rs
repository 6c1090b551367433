//! One generation, step by step.
//! In: its record and the facts around it. Out: the step that was done.
//! Must hold: every step can be repeated after a crash at any point of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Announcement, Generation, Topics};
use runtime::kafka::Kafka;
use runtime::postgres::Postgres;

use super::control::Control;
use super::gating::{announcement, feed_state};
use super::positions::{self, Delay, Places};
use super::view::EpochWord;
use super::{now_us, source};
use crate::error::{Definite, SourceIdentity, Transient};
use crate::generation::{self, Facts, IndexFact, Progress, Step};
use crate::registry::{
    Birth, Changed, GenerationRecord, Incarnations, Registry, ServedRecord, State, VisibleFrom,
};

/// What all coordinators of a sink share.
#[derive(Debug, Clone)]
pub struct Context {
    /// The sink's registry.
    pub registry: Registry,
    /// The numbers of server runs.
    pub incarnations: Arc<Incarnations>,
    /// `{p}.control`.
    pub control: Control,
    /// Clients.
    pub kafka: Kafka,
    /// The deployment's topics.
    pub topics: Topics,
    /// Connections.
    pub postgres: Postgres,
    /// Root rows per chunk, about.
    pub seed_chunk_rows: u64,
    /// A feed whose delay is at most this has caught up.
    pub freshness: Duration,
}

/// Drives one generation. Keeps what it has seen of the group's delay.
#[derive(Debug)]
pub struct Coordinator {
    pub(super) context: Context,
    pub(super) index: String,
    pub(super) number: Generation,
    aliases: Vec<String>,
    places: Option<Places>,
    delay: Delay,
}

pub(super) type Done<T> = Result<Result<T, Definite>, Transient>;

/// Hands an inner error on, as `?` does an outer one.
macro_rules! definite {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(definite) => return Ok(Err(definite)),
        }
    };
}
pub(super) use definite;

impl Coordinator {
    /// A coordinator of generation `number` of `index`; `aliases` (full names, the main
    /// one first) move to it when it is done.
    #[must_use]
    pub fn new(
        context: Context,
        index: impl Into<String>,
        number: Generation,
        aliases: Vec<String>,
    ) -> Self {
        Coordinator {
            context,
            index: index.into(),
            number,
            aliases,
            places: None,
            delay: Delay::default(),
        }
    }

    /// Finds out what comes next and does it. Cancel-safe: a step left half-way is
    /// repeated.
    ///
    /// # Errors
    /// Something is not to be had just now; inside: the feed has to stop.
    pub async fn step(&mut self) -> Done<Step> {
        let Some(record) = definite!(self.record().await?) else {
            return Ok(Ok(Step::Rest));
        };
        if let Err(hazard) = self.hazards(&record) {
            return Ok(Err(hazard));
        }
        let facts = self.facts(&record).await?;
        let step = generation::next(&record, &facts);
        definite!(self.act(&record, &step).await?);
        Ok(Ok(step))
    }

    async fn record(&self) -> Done<Option<GenerationRecord>> {
        let id = GenerationRecord::id_of(&self.index, self.number);
        let entry = self.context.registry.get::<GenerationRecord>(&id).await?;
        Ok(entry.map(|entry| entry.map(|entry| entry.record)))
    }

    /// What a later version heals and this one stops for (R2): nothing passes silently.
    fn hazards(&self, record: &GenerationRecord) -> Result<(), Definite> {
        let (Some(birth), true) = (
            &record.birth,
            record.state.is_fed() || record.state == State::Planned,
        ) else {
            return Ok(());
        };
        if record.control.stop.is_some() {
            return Ok(());
        }
        let view = self.context.control.view();
        if let Some(word) = view.epoch().filter(|word| word.epoch > birth.epoch) {
            return Err(Definite::NewEpoch {
                was: birth.epoch,
                is: word.epoch,
                cause: word.cause,
                reason: word.reason,
            });
        }
        let concerns = |table: &Option<model::TableName>| {
            table
                .as_ref()
                .is_none_or(|table| record.tables.contains(table))
        };
        let mut repairs = view.repairs(birth.control_end);
        if let Some(word) = repairs.find(|word| word.epoch >= birth.epoch && concerns(&word.table))
        {
            return Err(Definite::RepairNeeded {
                table: word
                    .table
                    .map_or_else(|| String::from("all tables"), |table| table.to_string()),
                detail: word.detail,
            });
        }
        Ok(())
    }

    async fn facts(&mut self, record: &GenerationRecord) -> Result<Facts, Transient> {
        let index = self.index_fact(record).await?;
        let (announced, served) = {
            let view = self.context.control.view();
            let announced = view.feed(&record.group).is_some_and(|word| {
                word.revision == record.revision
                    && word.state == feed_state(record)
                    && *word.needs == record.needs
                    && word.scanning == record.scanning
            });
            (
                announced,
                view.served(
                    &record.group,
                    record.revision,
                    &record.needs,
                    &record.scanning,
                ),
            )
        };
        let is_written = record.plan.as_ref().is_some_and(|plan| plan.ends.is_some());
        let progress = if record.state == State::Building && is_written {
            Some(self.progress(record).await?)
        } else {
            None
        };
        Ok(Facts {
            index,
            announced,
            served,
            progress,
        })
    }

    async fn index_fact(&self, record: &GenerationRecord) -> Result<IndexFact, Transient> {
        if record.state == State::Retired {
            return Ok(IndexFact::Ours);
        }
        let found = self
            .context
            .registry
            .sink()
            .index_meta(&record.index_name)
            .await;
        let found = found.map_err(|source| Transient::Sink {
            doing: "looking at the index",
            source,
        })?;
        Ok(found.map_or(IndexFact::Absent, |meta| is_ours(&meta, record)))
    }

    async fn progress(&mut self, record: &GenerationRecord) -> Result<Progress, Transient> {
        let places = self.places(record)?;
        let topics = &self.context.topics;
        let backfill = positions::offsets(&places.committed(&topics.backfill()).await?);
        let ends = places.ends(&topics.changes()).await?;
        let changes = positions::offsets(&places.committed(&topics.changes()).await?);
        let delay = self.delay.observe(Instant::now(), ends, &changes);
        Ok(Progress {
            backfill,
            caught_up: delay <= self.context.freshness,
        })
    }

    pub(super) fn places(&mut self, record: &GenerationRecord) -> Result<Places, Transient> {
        if let Some(places) = &self.places {
            return Ok(places.clone());
        }
        let places = Places::new(&self.context.kafka, &record.group)?;
        self.places = Some(places.clone());
        Ok(places)
    }

    async fn act(&mut self, record: &GenerationRecord, step: &Step) -> Done<()> {
        match step {
            Step::MakeIndex => self.make_index(record).await,
            Step::IndexTaken => Ok(Err(Definite::IndexTaken {
                index: record.index_name.clone(),
            })),
            Step::Announce => self.announce(record).await,
            Step::TakePositions(served) => self.take_positions(record, served).await,
            Step::CommitPositions => self.commit_positions(record).await,
            Step::BeginBuilding => self.begin_building().await,
            Step::TakeVisibleFrom => self.take_visible_from().await,
            Step::MakePlan => self.make_plan(record).await,
            Step::WritePlan => self.write_plan(record).await,
            Step::Watch { percent, seeded } => self.note_progress(record, *percent, *seeded).await,
            Step::Finish => self.finish(record, &self.aliases).await,
            Step::EndScan => self.end_scan().await,
            Step::AwaitCapture(_) | Step::Halted | Step::IndexMissing | Step::Rest => Ok(Ok(())),
        }
    }

    /// Changes the generation's own record.
    pub(super) async fn change<F>(&self, change: F) -> Done<()>
    where
        F: FnMut(&mut GenerationRecord) -> Result<bool, Definite> + Send,
    {
        let id = GenerationRecord::id_of(&self.index, self.number);
        let changed = definite!(self.context.registry.update(&id, change).await?);
        if let Changed::Missing = changed {
            return Ok(Err(Definite::Registry {
                id,
                reason: String::from("it is gone"),
            }));
        }
        Ok(Ok(()))
    }

    async fn make_index(&self, record: &GenerationRecord) -> Done<()> {
        match self
            .context
            .registry
            .sink()
            .create_index(&record.index_name, &record.index_body)
            .await
        {
            // One that existed is looked at by the next step.
            Ok(_) => Ok(Ok(())),
            Err(failure) if failure.is_transient() => Err(Transient::Sink {
                doing: "making the index",
                source: failure,
            }),
            Err(failure) => Ok(Err(Definite::IndexRefused {
                index: record.index_name.clone(),
                reason: failure.to_string(),
            })),
        }
    }

    async fn announce(&self, record: &GenerationRecord) -> Done<()> {
        let announcement = announcement(record, feed_state(record));
        self.context.control.announce(&announcement).await?;
        Ok(Ok(()))
    }

    async fn take_positions(
        &mut self,
        record: &GenerationRecord,
        served: &ServedRecord,
    ) -> Done<()> {
        let control_end = self.context.control.view().end();
        let places = self.places(record)?;
        let taken = places
            .take(self.context.control.schemas(), &self.context.topics, served)
            .await?;
        let birth = Birth {
            epoch: served.epoch,
            control_end,
            topics: definite!(taken),
            at_us: now_us(),
            committed: false,
        };
        self.change(|record| {
            if record.birth.is_some() || record.state != State::Planned {
                return Ok(false);
            }
            record.birth = Some(birth.clone());
            record.served = Some(served.clone());
            Ok(true)
        })
        .await
    }

    async fn commit_positions(&mut self, record: &GenerationRecord) -> Done<()> {
        let Some(birth) = &record.birth else {
            return Ok(Ok(()));
        };
        self.places(record)?.commit(&birth.topics).await?;
        self.change(|record| match &mut record.birth {
            Some(birth) if !birth.committed => {
                birth.committed = true;
                Ok(true)
            }
            _ => Ok(false),
        })
        .await
    }

    async fn begin_building(&self) -> Done<()> {
        self.change(|record| {
            let is_due = record.state == State::Planned;
            if is_due {
                record.state = State::Building;
            }
            Ok(is_due)
        })
        .await
    }

    pub(super) fn epoch(&self) -> Result<EpochWord, Transient> {
        let word = self.context.control.view().epoch();
        word.ok_or_else(|| Transient::Waiting(String::from("capture-svc to announce its source")))
    }

    async fn take_visible_from(&self) -> Done<()> {
        const DOING: &str = "taking X0";
        let epoch = self.epoch()?;
        let session = self
            .context
            .postgres
            .connect("worker-svc coordinate")
            .await
            .map_err(postgres(DOING))?;
        let identity = runtime::postgres::Identity::read(&*session)
            .await
            .map_err(postgres(DOING))?;
        let is = SourceIdentity {
            system_identifier: identity.system_identifier,
            database_oid: identity.database_oid,
        };
        if is != epoch.source {
            return Ok(Err(Definite::SourceChanged {
                was: epoch.source,
                is,
            }));
        }
        let run = runtime::postgres::server_run(&*session)
            .await
            .map_err(postgres(DOING))?;
        if run.timeline != epoch.timeline {
            return Err(Transient::Waiting(format!(
                "the server on timeline {}; this one is on {}",
                epoch.timeline, run.timeline
            )));
        }
        let numbered = definite!(self.context.incarnations.number_of(run, now_us()).await?);
        if numbered.is_new {
            let registry = &self.context.registry;
            let announcement = Announcement::Incarnation {
                sink: registry.sink_name().to_owned(),
                index_prefix: registry.index_prefix().to_owned(),
                run,
                number: numbered.number,
                at_us: now_us(),
            };
            self.context.control.announce(&announcement).await?;
        }
        let xid = source::take_xid(&session).await?;
        let again = runtime::postgres::server_run(&*session)
            .await
            .map_err(postgres(DOING))?;
        if again != run {
            return Err(Transient::Waiting(String::from(
                "one run of the server from begin to end",
            )));
        }
        let visible_from = VisibleFrom {
            xid,
            incarnation: numbered.number,
        };
        self.change(|record| {
            let is_due = record.visible_from.is_none();
            record.visible_from.get_or_insert(visible_from);
            Ok(is_due)
        })
        .await
    }

    async fn note_progress(
        &self,
        record: &GenerationRecord,
        percent: f64,
        seeded: bool,
    ) -> Done<()> {
        let is_news = (record.seeded_percent - percent).abs() >= 0.1
            || (seeded && record.seeded_at_us.is_none());
        if !is_news {
            return Ok(Ok(()));
        }
        self.change(|record| {
            record.seeded_percent = percent;
            if seeded {
                record.seeded_at_us.get_or_insert(now_us());
            }
            Ok(true)
        })
        .await
    }

    async fn end_scan(&self) -> Done<()> {
        self.change(|record| {
            let is_due = !record.scanning.is_empty();
            if is_due {
                record.scanning.clear();
                record.revision = record.revision.saturating_add(1);
            }
            Ok(is_due)
        })
        .await
    }
}

/// An index is ours when it says so itself.
fn is_ours(meta: &serde_json::Value, record: &GenerationRecord) -> IndexFact {
    let meta = meta.get("flusso");
    let says = |key: &str| meta.and_then(|meta| meta.get(key));
    let same = says("index").and_then(serde_json::Value::as_str) == Some(&record.index)
        && says("generation").and_then(serde_json::Value::as_u64)
            == Some(u64::from(record.number.get()))
        && says("definition").and_then(serde_json::Value::as_str) == Some(&record.definition_hash);
    if same {
        IndexFact::Ours
    } else {
        IndexFact::Foreign
    }
}

pub(super) fn postgres(doing: &'static str) -> impl Fn(runtime::postgres::Error) -> Transient {
    move |error| Transient::Postgres {
        doing,
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::generation;
    use serde_json::json;

    #[test]
    fn r2_an_index_is_ours_only_when_it_names_this_generation_and_definition() {
        let record = generation();
        let meta = |index: &str, number: u32, definition: &str| json!({"flusso": {"index": index, "generation": number, "definition": definition}});
        assert_eq!(
            is_ours(&meta("users", 3, "sha256:00"), &record),
            IndexFact::Ours
        );
        for other in [
            meta("orders", 3, "sha256:00"),
            meta("users", 2, "sha256:00"),
            meta("users", 3, "sha256:01"),
            json!({}),
            json!(null),
        ] {
            assert_eq!(is_ours(&other, &record), IndexFact::Foreign, "{other}");
        }
    }
}
