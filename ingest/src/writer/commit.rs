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
        self.metrics.spool_next_block.set(i64::try_from(self.spool.next_block().0).unwrap_or(i64::MAX));
        self.metrics.set_fates(self.gate.fates());
        self.metrics.messages.inc_by(self.open.messages as u64);
        self.metrics.waiting.sub(self.open.messages as i64);
        self.release();
        self.inbox.done();
        true
    }

    /// Tells everybody, and empties the block.
    fn release(&mut self) {
        self.acknowledge();
        let open = &mut self.open;
        (open.messages, open.payload_bytes, open.letter_bytes) = (0, 0, 0);
    }

    /// Tells everybody.
    pub(super) fn acknowledge(&mut self) {
        let open = &mut self.open;
        open.acks.drain(..).for_each(super::Ack::release);
        let mut ids = &open.ids[..];
        for (outbox, count) in open.clients.drain(..) {
            let (own, others) = ids.split_at(count);
            ids = others;
            outbox.acknowledge(own);
        }
        open.ids.clear();
    }

    fn attempt(&mut self) -> Result<(), SpoolError> {
        if !self.batch_done {
            let batch = &mut self.open.decoded.batch;
            if !batch.is_empty() {
                self.spool.roll_if_old(clock::now())?;
                self.spool.append(batch)?;
                self.metrics.blocks.inc();
            }
            batch.clear();
            self.batch_done = true;
        }
        let dropped = self.dead_letters.append(&self.open.letters)?;
        self.metrics.dead_letters_dropped.inc_by(dropped);
        self.metrics.dead_letters.inc_by(self.open.letters.len() as u64);
        self.open.letters.clear();
        self.batch_done = false;
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
