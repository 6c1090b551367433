//! What the server is told: the confirmed LSN, as far as the gate and the ledger allow.

use model::Lsn;

use super::{Pump, Snapshot, status, stream_failure};
use crate::confirm::Bounds;
use crate::error::Failure;
use crate::gate::Observed;
use crate::metrics::gauge;
use crate::replication::{ReplicationStream, Status as Report};

impl<S: ReplicationStream> Pump<S> {
    pub(super) async fn gate_moved(&mut self, observed: &Observed) -> Result<(), Failure> {
        if self.expected.is_some() {
            return Ok(());
        }
        let received = self.progress.received();
        let broker = self
            .publisher
            .ledger()
            .lowest_tail(self.partitions)
            .map(|position| position.lsn);
        let bounds = Bounds {
            sinks: observed.durable.in_sinks(broker),
            broker,
            received,
        };
        let before = self.confirm.lsn();
        let raised = self.confirm.raise(bounds, observed.end_of_wal)?;
        match raised.relief_changed {
            Some(true) => tracing::warn!(
                confirmed = %raised.confirmed, end_of_wal = %observed.end_of_wal,
                "the slot retains more than max_retained_wal: what Kafka has is confirmed, although a feed is behind"
            ),
            Some(false) => {
                tracing::info!("the slot retains little again: the feeds are waited for");
            }
            None => {}
        }
        self.show(observed, received);
        if raised.confirmed > before {
            self.report().await
        } else {
            Ok(())
        }
    }

    fn show(&self, observed: &Observed, received: Lsn) {
        let confirmed = self.confirm.lsn();
        self.metrics.positions(confirmed, received);
        let retained = observed.end_of_wal.bytes_since(confirmed);
        self.metrics.retained_bytes.set(gauge(retained));
        self.metrics.relieved.set(self.confirm.is_relieved().into());
        for holder in &observed.durable.held_back_by {
            self.metrics.held_back(
                &holder.group,
                received.bytes_since(holder.durable.unwrap_or(confirmed)),
            );
        }
        self.status.set(Snapshot {
            confirmed,
            received,
            retained_bytes: retained,
            relieved: self.confirm.is_relieved(),
            held_back_by: status::holding(&observed.durable, received),
        });
    }

    pub(super) async fn report(&mut self) -> Result<(), Failure> {
        let in_flight = self.publisher.ledger().in_flight();
        self.metrics.in_flight(in_flight);
        let report = self.position();
        self.stream.report(report).await.map_err(stream_failure)
    }

    pub(super) fn position(&self) -> Report {
        let flushed = self.confirm.lsn();
        Report {
            written: self.progress.received().max(flushed),
            flushed,
            applied: flushed,
        }
    }
}
