//! Stops, resumes and replans of a generation, each one compare-and-set.
//! Must hold: a stop that rests on a state before a resume is not written; a replan that
//! rests on an older plan is not noted.

use model::Generation;

use super::{Changed, GenerationRecord, Registry, Replan, Stop};
use crate::error::{Definite, Transient};

impl Registry {
    /// Notes that a generation's feed halted itself. `resumes` is the count that the feed
    /// started with. The first reason stays.
    ///
    /// # Errors
    /// No answer; inside: a record that this version cannot read.
    pub async fn stop(
        &self,
        index: &str,
        number: Generation,
        resumes: u64,
        stop: &Stop,
    ) -> Result<Result<Changed<GenerationRecord>, Definite>, Transient> {
        self.update(
            &GenerationRecord::id_of(index, number),
            |record: &mut GenerationRecord| Ok(set_stop(record, resumes, stop)),
        )
        .await
    }

    /// Lets a paused or stopped feed go on.
    ///
    /// # Errors
    /// As [`Registry::stop`].
    pub async fn resume(
        &self,
        index: &str,
        number: Generation,
    ) -> Result<Result<Changed<GenerationRecord>, Definite>, Transient> {
        self.update(
            &GenerationRecord::id_of(index, number),
            |record: &mut GenerationRecord| Ok(set_resumed(record)),
        )
        .await
    }

    /// Asks for the whole root table to be planned anew, durably: the offset of the chunk
    /// that noticed the rewrite may move afterwards.
    ///
    /// # Errors
    /// As [`Registry::stop`].
    pub async fn request_replan(
        &self,
        index: &str,
        number: Generation,
        plan: &str,
        noticed: &Replan,
    ) -> Result<Result<Changed<GenerationRecord>, Definite>, Transient> {
        self.update(
            &GenerationRecord::id_of(index, number),
            |record: &mut GenerationRecord| Ok(add_replan(record, plan, noticed)),
        )
        .await
    }
}

fn set_stop(record: &mut GenerationRecord, resumes: u64, stop: &Stop) -> bool {
    if record.control.resumes != resumes || record.control.stop.is_some() {
        return false;
    }
    record.control.stop = Some(stop.clone());
    true
}

fn set_resumed(record: &mut GenerationRecord) -> bool {
    if !record.control.paused && record.control.stop.is_none() {
        return false;
    }
    record.control.paused = false;
    record.control.stop = None;
    record.control.resumes = record.control.resumes.saturating_add(1);
    true
}

fn add_replan(record: &mut GenerationRecord, plan: &str, noticed: &Replan) -> bool {
    let Some(current) = record.plan.as_mut().filter(|current| current.id == plan) else {
        return false;
    };
    let known = |one: &Replan| one.oid == noticed.oid && one.file_node == noticed.file_node;
    if current.replan.iter().any(known) {
        return false;
    }
    current.replan.push(noticed.clone());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::generation;

    fn stop(code: &str) -> Stop {
        Stop {
            code: code.into(),
            reason: "r".into(),
            advice: "a".into(),
            at_us: 0,
        }
    }

    #[test]
    fn the_first_reason_stays_until_a_resume() {
        let mut record = generation();
        assert!(set_stop(&mut record, 0, &stop("refused")));
        assert!(!set_stop(&mut record, 0, &stop("truncated")));
        assert_eq!(record.control.stop.as_ref().unwrap().code, "refused");
        assert!(set_resumed(&mut record));
        assert!(!set_resumed(&mut record));
        assert_eq!(record.control.resumes, 1);
    }

    #[test]
    fn a_late_stop_does_not_undo_a_resume() {
        let mut record = generation();
        set_stop(&mut record, 0, &stop("refused"));
        set_resumed(&mut record);
        assert!(!set_stop(&mut record, 0, &stop("refused")));
        assert_eq!(record.control.stop, None);
    }

    #[test]
    fn a_rewrite_is_noted_once_and_only_for_the_plan_it_was_met_in() {
        let mut record = generation();
        let noticed = Replan {
            table: record.root.clone(),
            oid: 1,
            file_node: 2,
            found: Some(3),
            at_us: 0,
        };
        assert!(!add_replan(&mut record, "seed-1", &noticed));
        record.plan = Some(crate::registry::PlanRecord {
            id: "seed-1".into(),
            attempt: 0,
            chunk_rows: 1,
            leaves: vec![],
            chunks: 0,
            partitions: 1,
            starts: vec![],
            ends: None,
            at_us: 0,
            replan: vec![],
        });
        assert!(add_replan(&mut record, "seed-1", &noticed));
        assert!(!add_replan(&mut record, "seed-1", &noticed));
        assert!(!add_replan(&mut record, "seed-0", &noticed));
    }
}
