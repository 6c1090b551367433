//! `status` and `indexes`: the generations of every index, as the registry has them.

use runtime::cli::{Exit, print};
use serde_json::{Value, json};

use super::{Invocation, Narrow, failed, refused};
use crate::error::{Definite, Transient};
use crate::http::generation_json;
use crate::registry::{GenerationRecord, Registry};

/// What each generation does, and why it does not.
pub(super) async fn status(invocation: &Invocation, narrow: &Narrow) -> Exit {
    show(invocation, narrow, table).await
}

/// What generations there are.
pub(super) async fn indexes(invocation: &Invocation, narrow: &Narrow) -> Exit {
    show(invocation, narrow, generations_table).await
}

async fn show(
    invocation: &Invocation,
    narrow: &Narrow,
    table: fn(&[GenerationRecord]) -> String,
) -> Exit {
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

fn generations_table(records: &[GenerationRecord]) -> String {
    /// As many digits as tell definitions apart.
    const DIGITS: usize = "sha256:0123456789ab".len();
    if records.is_empty() {
        return String::from("no generation yet");
    }
    let mut text = format!(
        "{:<24} {:>10} {:<12} {:<10} {:>7}  {:<19}  {}",
        "INDEX", "GENERATION", "SINK", "STATE", "SEEDED", "DEFINITION", "CREATED"
    );
    for record in records {
        let created = jiff::Timestamp::from_microsecond(record.created_at_us)
            .map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
            .unwrap_or_default();
        let definition: String = record.definition_hash.chars().take(DIGITS).collect();
        let line = format!(
            "\n{:<24} {:>10} {:<12} {:<10} {:>6.1}%  {definition:<19}  {created}",
            record.index,
            record.number.get(),
            record.sink,
            record.state.word(),
            record.seeded_percent,
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

    #[test]
    fn the_table_of_generations_tells_them_apart() {
        let mut record = generation();
        record.definition_hash = format!("sha256:{}", "0123456789abcdef".repeat(4));
        record.created_at_us = 1_767_225_600_000_000;
        record.seeded_percent = 100.0;
        record.state = State::Standby;
        let text = generations_table(&[record]);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            words,
            [
                "users",
                "3",
                "main",
                "standby",
                "100.0%",
                "sha256:0123456789ab",
                "2026-01-01",
                "00:00:00Z"
            ]
        );
    }
}
