//! Repeats new incarnations in `{p}.control`, so that a registry that is lost continues
//! above them.

use futures_util::future::BoxFuture;
use model::{Announcement, Incarnation, ServerRun};

use super::{Announce, now_us};
use crate::Transient;
use crate::coordinate::Control;

/// Announces for one registry.
#[derive(Debug, Clone)]
pub struct Announcer {
    /// The topic.
    pub control: Control,
    /// The sink that keeps the registry.
    pub sink: String,
    /// The registry's index prefix.
    pub index_prefix: String,
}

impl Announce for Announcer {
    fn incarnation(
        &self,
        run: ServerRun,
        number: Incarnation,
    ) -> BoxFuture<'_, Result<(), Transient>> {
        Box::pin(async move {
            let announcement = Announcement::Incarnation {
                sink: self.sink.clone(),
                index_prefix: self.index_prefix.clone(),
                run,
                number,
                at_us: now_us(),
            };
            self.control.announce(&announcement).await
        })
    }
}
