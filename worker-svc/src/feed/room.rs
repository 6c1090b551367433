//! How many bulk requests of a feed are under way.
//! In: requests that want to go. Out: a permit each, as soon as the limit allows it.
//! Must hold: a permit that is dropped, for whatever reason, makes room.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::limit::{Limit, Sent};

/// Lets as many requests through as the limit allows; shared by the batches of a feed.
#[derive(Debug)]
pub(super) struct Room {
    most: usize,
    inner: Mutex<Inside>,
    left: Notify,
}

#[derive(Debug)]
struct Inside {
    limit: Limit,
    under_way: usize,
}

impl Room {
    pub(super) fn new(most: usize) -> Self {
        let inner = Inside {
            limit: Limit::new(most),
            under_way: 0,
        };
        Room {
            most: most.max(1),
            inner: Mutex::new(inner),
            left: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn allowed(&self) -> usize {
        self.lock().limit.allowed()
    }

    pub(super) async fn enter(&self) -> Permit<'_> {
        loop {
            let left = self.left.notified();
            futures_util::pin_mut!(left);
            // Registered before the look, so that no departure in between is missed.
            left.as_mut().enable();
            {
                let mut inside = self.lock();
                if inside.under_way < inside.limit.allowed() {
                    inside.under_way = inside.under_way.saturating_add(1);
                    let sent = inside.limit.sent();
                    return Permit {
                        room: self,
                        sent: Some(sent),
                    };
                }
            }
            left.await;
        }
    }
}

pub(super) struct Permit<'a> {
    room: &'a Room,
    sent: Option<Sent>,
}

impl Permit<'_> {
    pub(super) fn succeeded(mut self) {
        if let Some(sent) = self.sent.take() {
            self.room.lock().limit.succeeded(sent);
        }
    }

    pub(super) fn overloaded(mut self) {
        if let Some(sent) = self.sent.take() {
            self.room.lock().limit.overloaded(sent);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut inside = self.room.lock();
        inside.under_way = inside.under_way.saturating_sub(1);
        drop(inside);
        // All look again: the limit may have risen by more than one.
        self.room.left.notify_waiters();
    }
}
