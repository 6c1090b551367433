//! `resume`: lets paused and stopped feeds of an index go on.

use runtime::cli::{Exit, complain, print};
use serde_json::json;

use super::{Invocation, Narrow, failed, refused};
use crate::error::{Definite, Transient};
use crate::registry::{Changed, GenerationRecord, Registry};

pub(super) async fn resume(invocation: &Invocation, index: &str, narrow: &Narrow) -> Exit {
    let config = match invocation.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let sinks = match config.sinks() {
        Ok(sinks) => sinks,
        Err(error) => return refused(&error),
    };
    let mut resumed = Vec::new();
    let mut found = false;
    for (name, _, client) in sinks.into_iter().filter(|(name, _, _)| narrow.takes(name)) {
        let registry = Registry::new(client, name, config.deployment.prefix.clone());
        match one(&registry, index).await {
            Ok(Ok(generations)) => {
                found = found || !generations.is_empty();
                resumed.extend(
                    generations
                        .into_iter()
                        .filter(|(_, changed)| *changed)
                        .map(|(feed, _)| feed),
                );
            }
            Ok(Err(error)) => return refused(&error),
            Err(error) => return failed(&error),
        }
    }
    if !found {
        complain(&std::io::Error::other(format!(
            "index {index} has no generation"
        )));
        return Exit::Failed;
    }
    if invocation.is_json() {
        print(&json!({ "resumed": resumed }).to_string());
    } else if resumed.is_empty() {
        print("nothing was paused or stopped");
    } else {
        print(&format!("resumed {}", resumed.join(", ")));
    }
    Exit::Done
}

/// Every generation of the index that is fed, and whether it had to be resumed.
pub(crate) async fn one(
    registry: &Registry,
    index: &str,
) -> Result<Result<Vec<(String, bool)>, Definite>, Transient> {
    let records = match registry.list::<GenerationRecord>().await? {
        Ok(records) => records,
        Err(definite) => return Ok(Err(definite)),
    };
    let mut resumed = Vec::new();
    for record in records.into_iter().map(|entry| entry.record) {
        if record.index != index || record.state == crate::registry::State::Retired {
            continue;
        }
        match registry.resume(index, record.number).await? {
            Ok(changed) => resumed.push((
                record.feed().to_string(),
                matches!(changed, Changed::Yes(_)),
            )),
            Err(definite) => return Ok(Err(definite)),
        }
    }
    Ok(Ok(resumed))
}
