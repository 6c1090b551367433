//! The last step: searchable, settings restored, alias moved, *active*.
//! Must hold: R1. The alias moves after everything is refreshed, in one request, and the
//! generation's own state changes last: a crash in between repeats the step, and each
//! part of it finds itself done.

use model::Generation;

use super::drive::{Coordinator, definite};
use super::now_us;
use crate::error::{Definite, Transient};
use crate::registry::{Changed, GenerationRecord, IndexRecord, Registry, State};
use crate::sink::{AliasChange, Failure};

type Done<T> = Result<Result<T, Definite>, Transient>;

impl Coordinator {
    pub(super) async fn finish(&self, record: &GenerationRecord, aliases: &[String]) -> Done<()> {
        let registry = &self.context.registry;
        // A newer generation was swapped in meanwhile: this one is out of date.
        let index = definite!(
            registry
                .get::<IndexRecord>(&IndexRecord::id_of(&self.index))
                .await?
        );
        let is_wanted = index.is_some_and(|entry| {
            entry.record.building == Some(self.number) || entry.record.active == Some(self.number)
        });
        if !is_wanted {
            return Ok(Ok(()));
        }
        let sink = registry.sink();
        sink.refresh(&record.index_name)
            .await
            .map_err(failed("refreshing"))?;
        if !record.settings_when_seeded.is_null() {
            sink.put_settings(&record.index_name, &record.settings_when_seeded)
                .await
                .map_err(failed("restoring the index settings"))?;
        }
        definite!(move_aliases(registry, &record.index_name, aliases).await?);
        definite!(note_active(registry, &self.index, self.number, aliases).await?);
        self.change(|record| {
            if record.state != State::Building {
                return Ok(false);
            }
            let now = now_us();
            record.state = State::Active;
            record.seeded_percent = 100.0;
            record.seeded_at_us.get_or_insert(now);
            record.activated_at_us = Some(now);
            record.scanning.clear();
            record.revision = record.revision.saturating_add(1);
            Ok(true)
        })
        .await
    }
}

/// Points every alias to `index` and to nothing else.
async fn move_aliases(registry: &Registry, index: &str, aliases: &[String]) -> Done<()> {
    let sink = registry.sink();
    let mut changes = Vec::new();
    for alias in aliases {
        if sink
            .index(alias)
            .await
            .map_err(failed("looking at an alias"))?
            .is_some()
        {
            return Ok(Err(Definite::AliasTaken {
                alias: alias.clone(),
            }));
        }
        let holders = sink
            .alias(alias)
            .await
            .map_err(failed("looking at an alias"))?;
        changes.extend(alias_changes(alias, index, &holders));
    }
    if changes.is_empty() {
        return Ok(Ok(()));
    }
    // 404: somebody moved an alias since it was looked at. Look again.
    sink.change_aliases(&changes)
        .await
        .map_err(failed("moving the alias"))?;
    Ok(Ok(()))
}

fn alias_changes(alias: &str, index: &str, holders: &[String]) -> Vec<AliasChange> {
    let mut changes: Vec<AliasChange> = holders
        .iter()
        .filter(|holder| *holder != index)
        .map(|holder| AliasChange::Remove {
            index: holder.clone(),
            alias: alias.to_owned(),
        })
        .collect();
    if !holders.iter().any(|holder| holder == index) {
        changes.push(AliasChange::Add {
            index: index.to_owned(),
            alias: alias.to_owned(),
        });
    }
    changes
}

/// Notes in the index's record that `number` is active, and makes the one before it standby.
async fn note_active(
    registry: &Registry,
    index: &str,
    number: Generation,
    aliases: &[String],
) -> Done<()> {
    let id = IndexRecord::id_of(index);
    let changed = definite!(
        registry
            .update(&id, |record: &mut IndexRecord| Ok(set_active(
                record, number, aliases
            )))
            .await?
    );
    let entry = match changed {
        Changed::Yes(entry) | Changed::Unneeded(entry) => entry,
        Changed::Missing => {
            return Ok(Err(Definite::Registry {
                id,
                reason: String::from("it is gone"),
            }));
        }
    };
    let Some(standby) = entry.record.standby else {
        return Ok(Ok(()));
    };
    let changed = registry
        .update(
            &GenerationRecord::id_of(index, standby),
            |record: &mut GenerationRecord| {
                let is_due = record.state == State::Active;
                if is_due {
                    record.state = State::Standby;
                }
                Ok(is_due)
            },
        )
        .await?;
    Ok(changed.map(drop))
}

fn set_active(record: &mut IndexRecord, number: Generation, aliases: &[String]) -> bool {
    if record.active == Some(number) {
        return false;
    }
    record.standby = record.active;
    record.active = Some(number);
    if record.building == Some(number) {
        record.building = None;
    }
    record.aliases = aliases.to_vec();
    true
}

fn failed(doing: &'static str) -> impl Fn(Failure) -> Transient {
    move |source| Transient::Sink { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_an_alias_leaves_every_other_index_in_the_same_request() {
        let holders = ["u-g1".to_owned(), "old".to_owned()];
        assert_eq!(
            alias_changes("u", "u-g2", &holders),
            [
                AliasChange::Remove {
                    index: "u-g1".into(),
                    alias: "u".into()
                },
                AliasChange::Remove {
                    index: "old".into(),
                    alias: "u".into()
                },
                AliasChange::Add {
                    index: "u-g2".into(),
                    alias: "u".into()
                },
            ]
        );
        assert_eq!(alias_changes("u", "u-g2", &["u-g2".to_owned()]), []);
    }

    #[test]
    fn the_one_before_becomes_standby_and_a_repeat_changes_nothing() {
        let mut record = IndexRecord::new("u", "main", Generation::new(3));
        record.active = Some(Generation::new(1));
        record.building = Some(Generation::new(2));
        assert!(set_active(
            &mut record,
            Generation::new(2),
            &["u".to_owned()]
        ));
        assert_eq!(
            (record.active, record.standby, record.building),
            (Some(Generation::new(2)), Some(Generation::new(1)), None)
        );
        assert!(!set_active(
            &mut record,
            Generation::new(2),
            &["u".to_owned()]
        ));
        assert_eq!(record.standby, Some(Generation::new(1)));
    }
}
