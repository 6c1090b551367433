//! Which run of the server has which number (design 5).
//! In: the run that a build read. Out: its incarnation, when it holds the highest
//! number; else it is registered above all others. Must hold: W2, R3.
//! Why a short memory of the answer is safe: a run that lost the highest place while it
//! was remembered writes versions of a lower incarnation, which lose against any newer
//! one (and are then told so by a conflict).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::{Incarnation, ServerRun};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::{Changed, Record, Registry};
use crate::error::{Definite, Transient};

/// How long an answer is believed without asking again: one small read a second.
const BELIEVED: Duration = Duration::from_secs(1);

/// How many runs are kept for people to read; only the last one counts.
const KEPT: usize = 100;

/// All numbers given out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunsRecord {
    /// The newest runs, rising; the last one holds the highest number.
    pub runs: Vec<RegisteredRun>,
    /// The highest timeline registered, by system identifier (as text: JSON has no other
    /// kind of key).
    #[serde(default)]
    pub timelines: BTreeMap<String, u32>,
    /// Members that a newer version wrote.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A run with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredRun {
    /// The run.
    pub run: ServerRun,
    /// Its number.
    pub number: Incarnation,
    /// When it got it, microseconds since 1970.
    pub at_us: i64,
}

impl RunsRecord {
    /// Its id.
    pub const ID: &'static str = "runs";

    /// The highest number and who holds it.
    #[must_use]
    pub fn highest(&self) -> Option<&RegisteredRun> {
        self.runs.last()
    }

    /// The number of `run` if it holds the highest one, and that is not below `floor`.
    #[must_use]
    pub fn number_of(&self, run: &ServerRun, floor: Option<Incarnation>) -> Option<Incarnation> {
        let highest = self.highest()?;
        (highest.run == *run && floor.is_none_or(|floor| highest.number >= floor))
            .then_some(highest.number)
    }

    /// The newest timeline of the cluster of `run`, if `run` is on an older one.
    #[must_use]
    pub fn newer_timeline(&self, run: &ServerRun) -> Option<u32> {
        self.timelines
            .get(&run.system_identifier.to_string())
            .copied()
            .filter(|newest| *newest > run.timeline)
    }

    /// Gives `run` the number above all others and above `floor`. Returns `false` when
    /// it holds that place already.
    fn register(
        &mut self,
        run: ServerRun,
        floor: Option<Incarnation>,
        at_us: i64,
    ) -> Result<bool, Definite> {
        if self.number_of(&run, floor).is_some() {
            return Ok(false);
        }
        let below = self.highest().map(|highest| highest.number).max(floor);
        let number = match below {
            None => Some(Incarnation::FIRST),
            Some(below) => below.next(),
        };
        let number = number.ok_or(Definite::NumbersUsedUp("incarnations"))?;
        self.runs.push(RegisteredRun { run, number, at_us });
        let surplus = self.runs.len().saturating_sub(KEPT);
        self.runs.drain(..surplus);
        let timeline = self
            .timelines
            .entry(run.system_identifier.to_string())
            .or_insert(run.timeline);
        *timeline = run.timeline.max(*timeline);
        Ok(true)
    }
}

impl Record for RunsRecord {
    const KIND: &'static str = "runs";

    fn id(&self) -> String {
        Self::ID.to_owned()
    }

    fn labels(&self) -> Map<String, Value> {
        Map::new()
    }
}

/// The number a run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// The number.
    pub number: Incarnation,
    /// It was given out just now: repeat it in `{p}.control` before it is used.
    pub is_new: bool,
}

/// Asks the registry for numbers; shared by all feeds of a sink.
#[derive(Debug)]
pub struct Incarnations {
    registry: Registry,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    record: RunsRecord,
    read_at: Option<Instant>,
    /// Numbers at or below it are taken: from `{p}.control`, or seen in an index.
    floor: Option<Incarnation>,
}

impl Incarnations {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Incarnations {
            registry,
            known: Mutex::new(Known::default()),
        }
    }

    /// A number seen elsewhere: in `{p}.control`, or in a conflict. Every run that does
    /// not hold it, or a higher one, is registered above it.
    pub async fn raise_floor(&self, seen: Incarnation) {
        let mut known = self.known.lock().await;
        known.floor = known.floor.max(Some(seen));
        known.read_at = None;
    }

    /// A stored version with a higher incarnation than ours was met: the next
    /// [`Incarnations::number_of`] lies above it, also for a run that is registered.
    ///
    /// # Errors
    /// No number lies above it.
    pub async fn register_above(&self, seen: Incarnation) -> Result<(), Definite> {
        let above = seen.next().ok_or(Definite::NumbersUsedUp("incarnations"))?;
        self.raise_floor(above).await;
        Ok(())
    }

    /// The number of `run`, registered first if needed.
    ///
    /// # Errors
    /// No answer, or an old primary that came back; inside: no numbers left, or a record
    /// that this version cannot read.
    pub async fn number_of(
        &self,
        run: ServerRun,
        at_us: i64,
    ) -> Result<Result<Numbered, Definite>, Transient> {
        let mut known = self.known.lock().await;
        if known.read_at.is_none_or(|at| at.elapsed() > BELIEVED)
            && let Err(definite) = self.refresh(&mut known).await?
        {
            return Ok(Err(definite));
        }
        if let Some(newest) = known.record.newer_timeline(&run) {
            return Err(Transient::OldPrimary { run, newest });
        }
        if let Some(number) = known.record.number_of(&run, known.floor) {
            return Ok(Ok(Numbered {
                number,
                is_new: false,
            }));
        }
        self.register(&mut known, run, at_us).await
    }

    async fn refresh(&self, known: &mut Known) -> Result<Result<(), Definite>, Transient> {
        let asked = Instant::now();
        match self.registry.get::<RunsRecord>(RunsRecord::ID).await? {
            Ok(Some(entry)) => known.record = entry.record,
            Ok(None) => known.record = RunsRecord::default(),
            Err(definite) => return Ok(Err(definite)),
        }
        known.read_at = Some(asked);
        Ok(Ok(()))
    }

    async fn register(
        &self,
        known: &mut Known,
        run: ServerRun,
        at_us: i64,
    ) -> Result<Result<Numbered, Definite>, Transient> {
        let floor = known.floor;
        // Created empty first, so that there is one way to change it.
        if known.record.runs.is_empty() {
            let _others_may_be_first = self.registry.create(RunsRecord::default()).await?;
        }
        let mut older = None;
        let changed = self
            .registry
            .update(RunsRecord::ID, |record: &mut RunsRecord| {
                older = record.newer_timeline(&run);
                if older.is_some() {
                    return Ok(false);
                }
                record.register(run, floor, at_us)
            })
            .await?;
        if let Some(newest) = older {
            return Err(Transient::OldPrimary { run, newest });
        }
        let record = match changed {
            Ok(Changed::Yes(entry) | Changed::Unneeded(entry)) => entry.record,
            Ok(Changed::Missing) => {
                return Err(Transient::Waiting(String::from(
                    "the registry's list of runs",
                )));
            }
            Err(definite) => return Ok(Err(definite)),
        };
        let number = record.number_of(&run, floor);
        known.record = record;
        known.read_at = Some(Instant::now());
        match number {
            // Also when another worker registered it a moment ago: its announcement may
            // not be out yet, and repeating it is harmless.
            Some(number) => Ok(Ok(Numbered {
                number,
                is_new: true,
            })),
            None => Err(Transient::Waiting(String::from(
                "the number of this server run",
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(timeline: u32, started: i64) -> ServerRun {
        ServerRun {
            system_identifier: 7,
            timeline,
            started_at_us: started,
            stats_reset_us: 0,
        }
    }

    #[test]
    fn w2_a_run_that_lost_the_highest_number_is_registered_again() {
        let mut record = RunsRecord::default();
        assert!(record.register(run(1, 1), None, 0).unwrap());
        assert!(!record.register(run(1, 1), None, 0).unwrap());
        assert!(record.register(run(1, 2), None, 0).unwrap());
        assert_eq!(record.number_of(&run(1, 1), None), None);
        assert!(record.register(run(1, 1), None, 0).unwrap());
        assert_eq!(
            record.number_of(&run(1, 1), None),
            Some(Incarnation::new(3))
        );
    }

    #[test]
    fn a_lost_registry_continues_above_what_was_announced() {
        let mut record = RunsRecord::default();
        record
            .register(run(1, 1), Some(Incarnation::new(41)), 0)
            .unwrap();
        assert_eq!(record.highest().unwrap().number, Incarnation::new(42));
    }

    #[test]
    fn r3_an_old_primary_that_came_back_is_noticed() {
        let mut record = RunsRecord::default();
        record.register(run(2, 1), None, 0).unwrap();
        assert_eq!(record.newer_timeline(&run(1, 9)), Some(2));
        assert_eq!(record.newer_timeline(&run(2, 9)), None);
        let elsewhere = ServerRun {
            system_identifier: 8,
            ..run(1, 1)
        };
        assert_eq!(record.newer_timeline(&elsewhere), None);
    }

    #[test]
    fn numbers_never_wrap() {
        let mut record = RunsRecord::default();
        let result = record.register(run(1, 1), Some(Incarnation::new(0x7FFF)), 0);
        assert_eq!(result, Err(Definite::NumbersUsedUp("incarnations")));
    }

    proptest! {
        #[test]
        fn numbers_rise_whatever_runs_come(starts in prop::collection::vec(0i64..4, 1..300)) {
            let mut record = RunsRecord::default();
            let mut highest = None;
            for start in starts {
                record.register(run(1, start), None, 0).unwrap();
                let now = record.highest().unwrap();
                prop_assert_eq!(now.run, run(1, start));
                prop_assert!(Some(now.number) >= highest);
                highest = Some(now.number);
            }
            prop_assert!(record.runs.len() <= KEPT);
        }
    }
}
