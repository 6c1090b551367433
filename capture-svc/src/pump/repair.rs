//! Rows that may have changed without a change in the stream: their feeds are told (R2).

use model::{Announcement, Lsn, RepairCause, TableName};

use super::{Beside, Pump};
use crate::error::Failure;
use crate::relation::{Table, TableKind, changed_leaves, leaves_of};
use crate::replication::ReplicationStream;

impl<S: ReplicationStream> Pump<S> {
    /// Announces a repair pass for every table whose old values were not sent: its former parents
    /// cannot be found, and the workers must not take that for *none*.
    pub(super) async fn distrust(&mut self, beside: &mut Beside<'_>) -> Result<(), Failure> {
        while let Some(table) = self.distrusted.pop_first() {
            let detail = "its replica identity did not carry the old routing values".to_owned();
            self.repair(beside, table, RepairCause::OldValuesUnknown, detail)
                .await?;
            self.reload.notify_one();
        }
        Ok(())
    }

    async fn repair(
        &self,
        beside: &mut Beside<'_>,
        table: TableName,
        cause: RepairCause,
        detail: String,
    ) -> Result<(), Failure> {
        tracing::warn!(%table, ?cause, detail, "rows may have changed unseen: feeds that use the table repair it");
        let announcement = Announcement::Repair {
            table: Some(table),
            cause,
            detail,
            epoch: self.epoch,
            lsn: self.progress.received(),
            at_us: jiff::Timestamp::now().as_microsecond(),
        };
        beside.control.announce(announcement).await
    }

    /// Compares the partitions with those announced last: what came or went with a leaf is in no
    /// stream.
    pub(super) async fn compare_leaves(
        &self,
        beside: &mut Beside<'_>,
        tables: &[Table],
        lsn: Lsn,
    ) -> Result<(), Failure> {
        for table in tables {
            let known = beside.control.state().table(&table.name).cloned();
            let leaves = leaves_of(table);
            if let Some(known) = known.filter(|known| known.oid == table.oid) {
                if known.leaves == leaves {
                    continue;
                }
                let is_partitioned = table.kind == TableKind::Partitioned;
                for change in changed_leaves(&known.leaves, &table.leaves, is_partitioned) {
                    self.repair(beside, table.name.clone(), change.cause, change.leaf)
                        .await?;
                }
            }
            let announcement = Announcement::TableState {
                table: table.name.clone(),
                oid: table.oid,
                leaves,
                epoch: self.epoch,
                lsn,
                at_us: jiff::Timestamp::now().as_microsecond(),
            };
            beside.control.announce(announcement).await?;
        }
        Ok(())
    }
}
