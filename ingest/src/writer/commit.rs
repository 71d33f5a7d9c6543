//! Making the open block durable, however often it takes, and then telling everybody.
//!
//! Upstream: the writer's loop. Downstream: the spool, the dead letters, the acknowledgements.

use std::time::Duration;

use super::Writer;
use crate::clock;
use crate::ready::Part;
use crate::spool::SpoolError;

impl Writer {
    /// Tries until the open block is durable, then releases its acknowledgements. False if it was told to stop
    /// while the disk failed: nothing is released then, and the senders will send again.
    pub(super) async fn commit(&mut self) -> bool {
        let mut pause = self.config.retry_min;
        loop {
            match self.attempt() {
                Ok(()) => break,
                Err(failure) => self.failed(&failure),
            }
            if self.stop.is_cancelled() {
                return false;
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = self.config.retry_max.min(pause.saturating_mul(2)).max(Duration::from_millis(1));
        }
        if self.ready.works(Part::Disk) {
            tracing::info!("the disk can be written again");
        }
        self.metrics.disk_failing.set(0);
        self.metrics.disk_full.set(0);
        self.metrics.spool_bytes.set(i64::try_from(self.spool.bytes()).unwrap_or(i64::MAX));
        self.metrics.set_fates(self.gate.fates());
        self.metrics.messages.inc_by(self.open.acks.len() as u64);
        self.metrics.waiting.sub(self.open.acks.len() as i64);
        self.open.acks.drain(..).for_each(super::Ack::release);
        self.open.rooms.clear();
        self.open.payload_bytes = 0;
        true
    }

    fn attempt(&mut self) -> Result<(), SpoolError> {
        if !self.open.batch_done {
            if !self.open.batch.is_empty() {
                self.spool.roll_if_old(clock::now())?;
                self.spool.append(&self.open.batch)?;
                self.metrics.blocks.inc();
            }
            self.open.batch.clear();
            self.open.batch_done = true;
        }
        let dropped = self.dead_letters.append(&self.open.letters)?;
        self.metrics.dead_letters_dropped.inc_by(dropped);
        self.metrics.dead_letters.inc_by(self.open.letters.len() as u64);
        self.open.letters.clear();
        self.open.batch_done = false;
        Ok(())
    }

    fn failed(&mut self, failure: &SpoolError) {
        self.metrics.commit_failures.inc();
        self.metrics.disk_failing.set(1);
        self.metrics.disk_full.set(i64::from(failure.is_full()));
        if self.ready.fails(Part::Disk, failure.to_string()) {
            tracing::error!(%failure, "nothing is acknowledged until the disk can be written");
        }
    }
}
