//! Files against registry: which generations are missing, which definitions changed.
//! Used by `run`, `apply` and `check`. Must not: act unless [`begin`] is called.

use definition::Index;
use definition::deployment::{IndexOptions, Sink};
use model::Generation;
use tokio_postgres::Client;

use crate::compiled::{self, Compiled};
use crate::config::Config;
use crate::coordinate::create::{self, Begun};
use crate::error::{Definite, Transient};
use crate::registry::{Cause, GenerationRecord, IndexRecord, Registry, State};

type Done<T> = Result<Result<T, Definite>, Transient>;

/// What `apply` would do about one index in one sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has no generation: make the first one.
    First,
    /// Its definition is another one: make a new generation.
    Definition {
        /// The generation that has the old one.
        of: Generation,
        /// The old definition's hash.
        was: String,
    },
    /// A generation of this definition is on its way.
    Underway(Generation),
    /// Nothing.
    None(Generation),
}

/// One index in one sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The index.
    pub index: String,
    /// The sink.
    pub sink: String,
    /// The hash of the definition in the files.
    pub definition: String,
    /// What is to be done.
    pub change: Change,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// Every enabled index in each of its sinks.
    pub planned: Vec<Planned>,
    /// Indexes of the registry that the files do not name: they stay fed.
    pub left_over: Vec<String>,
}

/// The options of an index in a sink.
#[must_use]
pub fn options_of(sink: &Sink, index: &Index) -> IndexOptions {
    sink.index_options(&index.overrides)
}

/// Compares files and registries.
///
/// # Errors
/// No answer; inside: a record that this version cannot read.
pub async fn survey(config: &Config, registries: &[Registry]) -> Done<Survey> {
    let mut survey = Survey::default();
    for registry in registries {
        let Some(sink) = config.deployment.sink(registry.sink_name()) else {
            continue;
        };
        let indexes = match registry.list::<IndexRecord>().await? {
            Ok(indexes) => indexes,
            Err(definite) => return Ok(Err(definite)),
        };
        let generations = match registry.list::<GenerationRecord>().await? {
            Ok(generations) => generations,
            Err(definite) => return Ok(Err(definite)),
        };
        let generations: Vec<GenerationRecord> =
            generations.into_iter().map(|entry| entry.record).collect();
        for index in config
            .indexes()
            .filter(|index| index.sinks.contains(&sink.name))
        {
            let definition =
                definition::definition_hash(&index.definition, &options_of(sink, index));
            let record = indexes
                .iter()
                .map(|entry| &entry.record)
                .find(|record| record.index == index.name);
            let change = change(&definition, record, &generations);
            survey.planned.push(Planned {
                index: index.name.clone(),
                sink: sink.name.clone(),
                definition,
                change,
            });
        }
        let is_named = |name: &str| config.deployment.index(name).is_some();
        let left_over = indexes
            .iter()
            .map(|entry| entry.record.index.clone())
            .filter(|name| !is_named(name));
        survey.left_over.extend(left_over);
    }
    Ok(Ok(survey))
}

fn change(
    definition: &str,
    record: Option<&IndexRecord>,
    generations: &[GenerationRecord],
) -> Change {
    let Some(record) = record else {
        return Change::First;
    };
    let of = |number: Generation| {
        generations
            .iter()
            .find(|generation| generation.index == record.index && generation.number == number)
            .filter(|generation| generation.state != State::Retired)
    };
    if let Some(building) = record.building.and_then(of) {
        return if building.definition_hash == definition {
            Change::Underway(building.number)
        } else {
            Change::Definition {
                of: building.number,
                was: building.definition_hash.clone(),
            }
        };
    }
    match record.active.and_then(of) {
        None => Change::First,
        Some(active) if active.definition_hash == definition => Change::None(active.number),
        Some(active) => Change::Definition {
            of: active.number,
            was: active.definition_hash.clone(),
        },
    }
}

/// Claims the generation that [`Planned`] asks for. `None`: there is nothing to do.
///
/// # Errors
/// No answer; inside: the definition does not fit the database, or one is being built.
pub async fn begin(
    config: &Config,
    registry: &Registry,
    client: &Client,
    planned: &Planned,
) -> Done<Option<Begun>> {
    let cause = match planned.change {
        Change::First => Cause::First,
        Change::Definition { .. } => Cause::Definition,
        Change::Underway(_) | Change::None(_) => return Ok(Ok(None)),
    };
    let (Some(index), Some(sink)) = (
        config.deployment.index(&planned.index),
        config.deployment.sink(&planned.sink),
    ) else {
        return Ok(Ok(None));
    };
    let compiled: Compiled = match compiled::read(client, &index.definition).await? {
        Ok(compiled) => compiled,
        Err(definite) => return Ok(Err(definite)),
    };
    let identity = runtime::postgres::Identity::read(client)
        .await
        .map_err(|error| Transient::Postgres {
            doing: "reading which cluster answers",
            source: Box::new(error),
        })?;
    let options = options_of(sink, index);
    let blueprint = compiled.blueprint(
        &index.name,
        &config.deployment.broker.topic_prefix,
        &index.definition,
        &options,
        identity.system_identifier,
    );
    let begun = create::begin(registry, &blueprint, cause).await?;
    Ok(begun.map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::generation;

    fn index(active: Option<u32>, building: Option<u32>) -> IndexRecord {
        let mut record = IndexRecord::new("users", "main", Generation::new(9));
        record.active = active.map(Generation::new);
        record.building = building.map(Generation::new);
        record
    }

    fn with(number: u32, state: State, hash: &str) -> GenerationRecord {
        GenerationRecord {
            number: Generation::new(number),
            state,
            definition_hash: hash.into(),
            ..generation()
        }
    }

    #[test]
    fn an_index_without_a_generation_gets_its_first() {
        assert_eq!(change("a", None, &[]), Change::First);
        assert_eq!(change("a", Some(&index(None, None)), &[]), Change::First);
        assert_eq!(
            change(
                "a",
                Some(&index(Some(3), None)),
                &[with(3, State::Retired, "a")]
            ),
            Change::First
        );
    }

    #[test]
    fn a_changed_definition_is_told_from_an_unchanged_one() {
        let generations = [with(3, State::Active, "a"), with(4, State::Building, "b")];
        assert_eq!(
            change("a", Some(&index(Some(3), None)), &generations),
            Change::None(Generation::new(3))
        );
        assert_eq!(
            change("b", Some(&index(Some(3), None)), &generations),
            Change::Definition {
                of: Generation::new(3),
                was: "a".into()
            }
        );
        // What is on its way counts, not what serves.
        assert_eq!(
            change("b", Some(&index(Some(3), Some(4))), &generations),
            Change::Underway(Generation::new(4))
        );
        assert!(matches!(
            change("a", Some(&index(Some(3), Some(4))), &generations),
            Change::Definition { .. }
        ));
    }
}
