//! `apply`: compares files and registry, prints the plan, carries it out. Idempotent.
//! With `--wait` until the aliases moved; a generation that stops ends the wait.

use std::time::Duration;

use runtime::cli::{Exit, complain, print};
use serde_json::{Value, json};

use super::status::generations;
use super::{ApplyFlags, Invocation, failed, refused};
use crate::config::Config;
use crate::error::{Definite, Transient};
use crate::registry::{GenerationRecord, Registry, State};
use crate::service::{self, Change, Planned, Survey};

/// Between two looks at the registry while waiting.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn apply(invocation: &Invocation, flags: &ApplyFlags) -> Exit {
    let config = match invocation.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let registries = match registries(&config) {
        Ok(registries) => registries,
        Err(error) => return refused(&error),
    };
    match carry_out(invocation, flags, &config, &registries).await {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(&error),
    }
}

/// One registry per sink that is used.
pub(super) fn registries(config: &Config) -> Result<Vec<Registry>, Definite> {
    let sinks = config.sinks()?;
    let prefix = &config.deployment.prefix;
    Ok(sinks
        .into_iter()
        .map(|(name, _, client)| Registry::new(client, name, prefix.clone()))
        .collect())
}

type Done<T> = Result<Result<T, Definite>, Transient>;

async fn carry_out(
    invocation: &Invocation,
    flags: &ApplyFlags,
    config: &Config,
    registries: &[Registry],
) -> Done<Exit> {
    let survey = match service::survey(config, registries).await? {
        Ok(survey) => survey,
        Err(definite) => return Ok(Err(definite)),
    };
    if invocation.is_json() {
        print(&survey_json(&survey).to_string());
    } else {
        print(&survey_text(&survey));
    }
    if flags.dry_run {
        return Ok(Ok(Exit::Done));
    }
    let due: Vec<&Planned> = survey
        .planned
        .iter()
        .filter(|planned| matches!(planned.change, Change::First | Change::Definition { .. }))
        .collect();
    if !due.is_empty()
        && let Err(definite) = begin_all(config, registries, &due).await?
    {
        return Ok(Err(definite));
    }
    adjust_all(invocation, config, registries).await?;
    if flags.wait {
        wait(registries, &survey).await
    } else {
        Ok(Ok(Exit::Done))
    }
}

async fn begin_all(config: &Config, registries: &[Registry], due: &[&Planned]) -> Done<()> {
    let (postgres, _ignored) =
        match runtime::configured::postgres(&config.deployment.source, &config.environment) {
            Ok(made) => made,
            Err(error) => return Ok(Err(Definite::Setup(error.to_string()))),
        };
    let session = postgres
        .connect("worker-svc apply")
        .await
        .map_err(|error| Transient::Postgres {
            doing: "connecting",
            source: Box::new(error),
        })?;
    for planned in due {
        let Some(registry) = registries
            .iter()
            .find(|registry| registry.sink_name() == planned.sink)
        else {
            continue;
        };
        registry.open().await?;
        if let Err(definite) = service::begin(config, registry, &session, planned).await? {
            return Ok(Err(definite));
        }
    }
    Ok(Ok(()))
}

/// Settings that can change in place, of every seeded generation.
async fn adjust_all(
    invocation: &Invocation,
    config: &Config,
    registries: &[Registry],
) -> Result<(), Transient> {
    for registry in registries {
        // Damaged records were refused by the survey.
        let Ok(records) = generations(registry).await? else {
            continue;
        };
        let Some(sink) = config.deployment.sink(registry.sink_name()) else {
            continue;
        };
        for record in records
            .iter()
            .filter(|record| record.sink == registry.sink_name())
        {
            let Some(index) = config.deployment.index(&record.index) else {
                continue;
            };
            let changed = service::adjust(registry.sink(), sink, index, record)
                .await
                .map_err(|source| Transient::Sink {
                    doing: "changing the index settings",
                    source,
                })?;
            if !changed.is_empty() && !invocation.is_json() {
                print(&format!(
                    "changed  {}: {}",
                    record.feed(),
                    changed.join(", ")
                ));
            }
        }
    }
    Ok(())
}

/// Until every surveyed index has an active generation of its definition.
async fn wait(registries: &[Registry], survey: &Survey) -> Done<Exit> {
    loop {
        let mut records = Vec::new();
        for registry in registries {
            match generations(registry).await? {
                Ok(more) => records.extend(more),
                Err(definite) => return Ok(Err(definite)),
            }
        }
        let mut is_waiting = false;
        for planned in &survey.planned {
            match newest(&records, planned) {
                Some(record) if record.state == State::Active => {}
                Some(record) => {
                    if let Some(stop) = &record.control.stop {
                        complain(&std::io::Error::other(format!(
                            "{}: {}; {}",
                            record.feed(),
                            stop.reason,
                            stop.advice
                        )));
                        return Ok(Ok(Exit::Failed));
                    }
                    is_waiting = true;
                }
                None => is_waiting = true,
            }
        }
        if !is_waiting {
            return Ok(Ok(Exit::Done));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The newest generation of this definition that is not retired.
fn newest<'a>(records: &'a [GenerationRecord], planned: &Planned) -> Option<&'a GenerationRecord> {
    records
        .iter()
        .filter(|record| {
            record.index == planned.index
                && record.sink == planned.sink
                && record.definition_hash == planned.definition
        })
        .filter(|record| record.state != State::Retired)
        .max_by_key(|record| record.number)
}

fn words(planned: &Planned) -> (&'static str, String) {
    match &planned.change {
        Change::First => ("create", String::from("the first generation")),
        Change::Definition { of, .. } => (
            "rebuild",
            format!("the definition differs from generation {of}'s"),
        ),
        Change::Underway(number) => ("wait", format!("generation {number} is being built")),
        Change::None(number) => ("keep", format!("generation {number} is up to date")),
    }
}

pub(super) fn survey_text(survey: &Survey) -> String {
    let mut lines: Vec<String> = survey
        .planned
        .iter()
        .map(|planned| {
            let (action, why) = words(planned);
            format!("{action:<8} {}/{}: {why}", planned.sink, planned.index)
        })
        .collect();
    lines.extend(survey.left_over.iter().map(|index| {
        format!(
            "{:<8} {index}: not in the files any more; stays fed",
            "keep"
        )
    }));
    if lines.is_empty() {
        String::from("no index is configured")
    } else {
        lines.join("\n")
    }
}

pub(super) fn survey_json(survey: &Survey) -> Value {
    let changes: Vec<Value> = survey
        .planned
        .iter()
        .map(|planned| {
            let (action, reason) = words(planned);
            json!({"sink": planned.sink, "index": planned.index, "definition": planned.definition, "action": action, "reason": reason})
        })
        .collect();
    json!({ "changes": changes, "left_over": survey.left_over })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::generation;
    use model::Generation;

    fn planned(change: Change) -> Planned {
        Planned {
            index: "users".into(),
            sink: "main".into(),
            definition: "sha256:00".into(),
            change,
        }
    }

    #[test]
    fn the_plan_says_what_will_be_done_and_why() {
        let survey = Survey {
            planned: vec![
                planned(Change::First),
                planned(Change::Definition {
                    of: Generation::new(2),
                    was: "x".into(),
                }),
                planned(Change::None(Generation::new(2))),
            ],
            left_over: vec!["old".into()],
        };
        assert_eq!(
            survey_text(&survey),
            "create   main/users: the first generation\n\
             rebuild  main/users: the definition differs from generation 2's\n\
             keep     main/users: generation 2 is up to date\n\
             keep     old: not in the files any more; stays fed"
        );
        assert_eq!(survey_json(&survey)["changes"][1]["action"], "rebuild");
    }

    #[test]
    fn the_newest_generation_of_the_definition_is_waited_for() {
        let of = |number: u32, state| GenerationRecord {
            number: Generation::new(number),
            state,
            ..generation()
        };
        let records = [
            of(1, State::Active),
            of(2, State::Building),
            of(3, State::Retired),
        ];
        assert_eq!(
            newest(&records, &planned(Change::First)).unwrap().number,
            Generation::new(2)
        );
    }
}
