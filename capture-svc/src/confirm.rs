//! The only place that raises the LSN that the slot is told (C1, C2).
//! In: what the gate says is durable in the sinks, what the broker acknowledged, what this
//! connection received. Out: the LSN for the next status message.
//! Must hold: C1, the LSN never passes what is durable; C2, it never goes down within an epoch.
//! Must not: find out what is durable; that is `gate` and `publish`.
//!
//! Why the two further bounds: the server takes a position beyond its own end of WAL and then
//! sends nothing below it, so nothing above what this connection received may be told; and a slot
//! above the lowest partition tail looks like a gap after a restart, because WAL that a tail still
//! needs to be checked against would be gone.

use model::{Lsn, invariant};

use crate::error::Definite;

/// Below this share of `max_retained_wal` the sinks rule again.
const RELIEF_ENDS_AT: u64 = 2;

/// When the slot is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotAck {
    /// When every gating feed has made the changes durable.
    Sink,
    /// When Kafka has acknowledged them.
    Broker,
}

/// Positions that bound the confirmed LSN, as they stand now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Everything below is durable in every gating sink; `None` when a gating feed has not said.
    pub sinks: Option<Lsn>,
    /// Everything below is acknowledged by the broker, in every partition; `None` while a
    /// partition is empty.
    pub broker: Option<Lsn>,
    /// The end of what this connection has received.
    pub received: Lsn,
}

/// The confirmed LSN of one connection to the slot.
#[derive(Debug)]
pub struct Confirm {
    confirmed: Lsn,
    ack: SlotAck,
    /// `None`: no relief, however much WAL the slot retains.
    max_retained_wal: Option<u64>,
    relief: bool,
}

/// What a call of [`Confirm::raise`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// The LSN to tell.
    pub confirmed: Lsn,
    /// The relief valve opened or closed with this call.
    pub relief_changed: Option<bool>,
}

impl Confirm {
    /// Starts from the slot's own `confirmed_flush_lsn`.
    #[must_use]
    pub fn new(slot_confirmed: Lsn, ack: SlotAck, max_retained_wal: Option<u64>) -> Self {
        Self {
            confirmed: slot_confirmed,
            ack,
            max_retained_wal,
            relief: false,
        }
    }

    /// The LSN to tell the server.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.confirmed
    }

    /// Whether the broker's position counts although the sinks' is configured.
    #[must_use]
    pub fn is_relieved(&self) -> bool {
        self.relief
    }

    /// Raises the LSN as far as the bounds allow. `end_of_wal` is where the server writes now: the
    /// distance to it is what the slot makes it keep.
    ///
    /// # Errors
    /// When a guarantee would be broken.
    pub fn raise(&mut self, bounds: Bounds, end_of_wal: Lsn) -> Result<Raised, Definite> {
        let relief_changed = self.turn_valve(end_of_wal);
        let durable = match (self.ack, self.relief) {
            (SlotAck::Sink, false) => bounds.sinks,
            (SlotAck::Sink, true) | (SlotAck::Broker, _) => bounds.broker,
        };
        let (Some(durable), Some(tails)) = (durable, bounds.broker) else {
            return Ok(Raised {
                confirmed: self.confirmed,
                relief_changed,
            });
        };
        let target = durable.min(tails).min(bounds.received);
        // A feed that starts again from an older position holds the slot, it does not pull it back.
        if target > self.confirmed {
            self.set(target, durable)?;
        }
        Ok(Raised {
            confirmed: self.confirmed,
            relief_changed,
        })
    }

    fn set(&mut self, target: Lsn, durable: Lsn) -> Result<(), Definite> {
        invariant!(
            C1,
            target <= durable,
            "asked to confirm {target}, durable is {durable}"
        );
        invariant!(
            C2,
            target >= self.confirmed,
            "asked to go from {} to {target}",
            self.confirmed
        );
        self.confirmed = target;
        Ok(())
    }

    fn turn_valve(&mut self, end_of_wal: Lsn) -> Option<bool> {
        let limit = self.max_retained_wal?;
        let retained = end_of_wal.bytes_since(self.confirmed);
        let open = if self.relief {
            retained > limit / RELIEF_ENDS_AT
        } else {
            retained > limit
        };
        let changed = open != self.relief;
        self.relief = open;
        changed.then_some(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lsn(at: u64) -> Lsn {
        Lsn::new(at)
    }

    fn bounds(sinks: Option<u64>, broker: Option<u64>, received: u64) -> Bounds {
        Bounds {
            sinks: sinks.map(lsn),
            broker: broker.map(lsn),
            received: lsn(received),
        }
    }

    #[test]
    fn c1_nothing_is_confirmed_before_every_sink_and_every_partition_has_spoken() {
        let mut confirm = Confirm::new(lsn(10), SlotAck::Sink, None);
        for bounds in [
            bounds(None, Some(90), 100),
            bounds(Some(90), None, 100),
            bounds(None, None, 100),
        ] {
            assert_eq!(confirm.raise(bounds, lsn(100)).unwrap().confirmed, lsn(10));
        }
    }

    #[test]
    fn c1_the_lowest_bound_rules() {
        for (sinks, broker, received) in [(20, 30, 40), (30, 20, 40), (40, 30, 20)] {
            let mut confirm = Confirm::new(lsn(10), SlotAck::Sink, None);
            let raised = confirm
                .raise(bounds(Some(sinks), Some(broker), received), lsn(100))
                .unwrap();
            assert_eq!(raised.confirmed, lsn(20));
        }
    }

    #[test]
    fn the_valve_opens_above_the_limit_and_closes_below_half_of_it() {
        // GIVEN a stopped feed and a limit of 100 bytes.
        let mut confirm = Confirm::new(lsn(1000), SlotAck::Sink, Some(100));
        let stopped = |received| bounds(Some(1000), Some(received), received);
        assert_eq!(
            confirm
                .raise(stopped(1100), lsn(1100))
                .unwrap()
                .relief_changed,
            None
        );
        // WHEN the slot retains more, THEN the broker's position counts, and it is said once.
        let raised = confirm.raise(stopped(1101), lsn(1101)).unwrap();
        assert_eq!(
            raised,
            Raised {
                confirmed: lsn(1101),
                relief_changed: Some(true)
            }
        );
        // WHEN it retains less than half, THEN the sinks rule again.
        let raised = confirm.raise(stopped(1150), lsn(1150)).unwrap();
        assert_eq!(
            raised,
            Raised {
                confirmed: lsn(1101),
                relief_changed: Some(false)
            }
        );
        assert!(!confirm.is_relieved());
    }

    #[test]
    #[should_panic(expected = "guarantee C2")]
    fn c2_going_down_is_caught() {
        let mut confirm = Confirm::new(lsn(10), SlotAck::Sink, None);
        let _stopped = confirm.set(lsn(9), lsn(100));
    }

    #[test]
    #[should_panic(expected = "guarantee C1")]
    fn c1_passing_what_is_durable_is_caught() {
        let mut confirm = Confirm::new(lsn(10), SlotAck::Sink, None);
        let _stopped = confirm.set(lsn(30), lsn(20));
    }

    proptest! {
        #[test]
        fn c1_c2_whatever_the_bounds_the_lsn_only_rises_and_never_passes_them(
            steps in prop::collection::vec((0u64..500, 0u64..500, 0u64..500, 0u64..1000), 1..60),
            limit in prop::option::of(1u64..400),
        ) {
            let mut confirm = Confirm::new(lsn(50), SlotAck::Sink, limit);
            for (sinks, broker, received, end) in steps {
                let before = confirm.lsn();
                confirm.raise(bounds(Some(sinks), Some(broker), received), lsn(end)).unwrap();
                let after = confirm.lsn();
                prop_assert!(after >= before);
                if after > before {
                    prop_assert!(after <= lsn(received) && after <= lsn(broker));
                    prop_assert!(confirm.is_relieved() || after <= lsn(sinks));
                }
            }
        }
    }
}
