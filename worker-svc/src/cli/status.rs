//! `status`: the generations of every index, as the registry has them.

use runtime::cli::{Exit, print};
use serde_json::{Value, json};

use super::{Invocation, Narrow, failed, refused};
use crate::error::{Definite, Transient};
use crate::http::generation_json;
use crate::registry::{GenerationRecord, Registry};

pub(super) async fn status(invocation: &Invocation, narrow: &Narrow) -> Exit {
    let config = match invocation.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let sinks = match config.sinks() {
        Ok(sinks) => sinks,
        Err(error) => return refused(&error),
    };
    let mut records = Vec::new();
    for (name, _, client) in sinks.into_iter().filter(|(name, _, _)| narrow.takes(name)) {
        let registry = Registry::new(client, name, config.deployment.prefix.clone());
        match generations(&registry).await {
            Ok(Ok(more)) => records.extend(more),
            Ok(Err(error)) => return refused(&error),
            Err(error) => return failed(&error),
        }
    }
    if invocation.is_json() {
        let generations: Vec<Value> = records.iter().map(generation_json).collect();
        print(&json!({ "generations": generations }).to_string());
    } else {
        print(&table(&records));
    }
    Exit::Done
}

/// Every generation of a registry, by index and number.
pub(crate) async fn generations(
    registry: &Registry,
) -> Result<Result<Vec<GenerationRecord>, Definite>, Transient> {
    let listed = registry.list::<GenerationRecord>().await?;
    Ok(listed.map(|entries| {
        let mut records: Vec<GenerationRecord> =
            entries.into_iter().map(|entry| entry.record).collect();
        records.sort_by(|a, b| (&a.index, a.number).cmp(&(&b.index, b.number)));
        records
    }))
}

fn table(records: &[GenerationRecord]) -> String {
    if records.is_empty() {
        return String::from("no generation yet");
    }
    let mut text = format!(
        "{:<24} {:<12} {:<10} {:>7}  {}",
        "INDEX", "SINK", "STATE", "SEEDED", "NOTE"
    );
    for record in records {
        let note = match &record.control.stop {
            Some(stop) => format!("stopped: {} ({})", stop.reason, stop.advice),
            None if record.control.paused => String::from("paused"),
            None => String::new(),
        };
        let line = format!(
            "\n{:<24} {:<12} {:<10} {:>6.1}%  {note}",
            record.index_name,
            record.sink,
            record.state.word(),
            record.seeded_percent
        );
        text.push_str(line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::generation;
    use crate::registry::{State, Stop};

    #[test]
    fn the_table_names_the_reason_and_what_to_do() {
        let mut record = generation();
        record.state = State::Building;
        record.seeded_percent = 12.5;
        record.control.stop = Some(Stop {
            code: "truncated".into(),
            reason: "public.users was truncated".into(),
            advice: "make a new generation".into(),
            at_us: 0,
        });
        let text = table(&[record]);
        let line = text.lines().nth(1).unwrap();
        assert!(line.starts_with("users-g3"), "{line}");
        assert!(
            line.contains("building") && line.contains("12.5%"),
            "{line}"
        );
        assert!(
            line.ends_with("stopped: public.users was truncated (make a new generation)"),
            "{line}"
        );
        assert_eq!(table(&[]), "no generation yet");
    }
}
