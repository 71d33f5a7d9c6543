//! Who holds the reins of a replay: pause, go on, step, seek ahead, another speed, while it runs.
//!
//! Upstream: `arterial replay --control`. Downstream: [`super::replay`], which asks before each record.
//!
//! A step or a seek publishes everything on the way at full speed, so that what is counted behind it is true. Back is
//! not possible: what was published has been counted, and a second copy would be a duplicate.

use events::TimeMs;
use tokio::sync::watch;

use crate::pace::{Pacer, Speed};

/// What is wanted of a replay now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    pub paused: bool,
    pub speed: Speed,
    /// Records before this go out at full speed, paused or not.
    pub ahead_to: Option<TimeMs>,
}

/// Why a wish is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("{to} lies behind {at}, and what was published has been counted: a replay only goes ahead", to = .to.rfc3339(), at = .at.rfc3339())]
    Back { to: TimeMs, at: TimeMs },
    #[error("nothing was published yet, so there is no place to step from")]
    NotBegun,
}

/// The reins. Whoever has a reference may pull; the last one wins.
#[derive(Debug)]
pub struct Control {
    plan: watch::Sender<Plan>,
}

impl Control {
    /// Reins of a replay that begins like this.
    pub fn new(speed: Speed, paused: bool) -> Self {
        Self { plan: watch::Sender::new(Plan { paused, speed, ahead_to: None }) }
    }

    /// What is wanted now.
    pub fn plan(&self) -> Plan {
        *self.plan.borrow()
    }

    /// Stops before the next record, and gives up a seek that is under way.
    pub fn pause(&self) {
        self.plan.send_modify(|plan| {
            plan.paused = true;
            plan.ahead_to = None;
        });
    }

    /// Goes on at the present speed.
    pub fn resume(&self) {
        self.plan.send_modify(|plan| plan.paused = false);
    }

    /// From the next record on.
    pub fn set_speed(&self, speed: Speed) {
        self.plan.send_modify(|plan| plan.speed = speed);
    }

    /// Everything of the next so many milliseconds behind `at` at full speed, then pause.
    ///
    /// # Errors
    /// [`ControlError::NotBegun`] where nothing was published.
    pub fn step(&self, at: TimeMs, ms: u32) -> Result<(), ControlError> {
        if at.0 == 0 {
            return Err(ControlError::NotBegun);
        }
        // A record stands exactly at `at`; the step ends behind those that are `ms` later.
        let to = TimeMs(at.0.saturating_add(i64::from(ms)).saturating_add(1));
        self.plan.send_modify(|plan| {
            plan.paused = true;
            plan.ahead_to = Some(to);
        });
        Ok(())
    }

    /// Everything before `to` at full speed, then as it was.
    ///
    /// # Errors
    /// [`ControlError::Back`] where `to` was passed already.
    pub fn seek(&self, at: TimeMs, to: TimeMs) -> Result<(), ControlError> {
        if to <= at {
            return Err(ControlError::Back { to, at });
        }
        self.plan.send_modify(|plan| plan.ahead_to = Some(to));
        Ok(())
    }

    fn arrived(&self, at: TimeMs) {
        self.plan.send_if_modified(|plan| {
            let arrived = plan.ahead_to.is_some_and(|to| at >= to);
            plan.ahead_to = plan.ahead_to.filter(|_| !arrived);
            arrived
        });
    }
}

/// The side of the replay: lets records pass when they are due.
pub(super) struct Rein<'a> {
    control: &'a Control,
    wishes: watch::Receiver<Plan>,
    pacer: Pacer,
    paced_at: Speed,
}

impl<'a> Rein<'a> {
    pub(super) fn new(control: &'a Control) -> Self {
        let wishes = control.plan.subscribe();
        let paced_at = control.plan().speed;
        Self { control, wishes, pacer: Pacer::new(paced_at), paced_at }
    }

    /// Returns when a record of that time may go out; `last` is the time of the one before it.
    pub(super) async fn wait_for(&mut self, time: TimeMs, last: Option<TimeMs>) {
        loop {
            let plan = *self.wishes.borrow_and_update();
            if let Some(to) = plan.ahead_to {
                if time < to {
                    self.pacer = Pacer::new(plan.speed);
                    return;
                }
                self.control.arrived(time);
                self.restart(plan.speed, last).await;
                continue;
            }
            if plan.paused {
                // The sender lives in `control`, which outlives us.
                drop(self.wishes.changed().await);
                let speed = self.wishes.borrow().speed;
                self.restart(speed, last).await;
                continue;
            }
            if plan.speed != self.paced_at {
                self.restart(plan.speed, last).await;
            }
            tokio::select! {
                () = self.pacer.wait_for(time) => return,
                _ = self.wishes.changed() => {}
            }
        }
    }

    /// Time is counted from the last record again.
    async fn restart(&mut self, speed: Speed, last: Option<TimeMs>) {
        self.paced_at = speed;
        self.pacer = Pacer::new(speed);
        if let Some(last) = last {
            self.pacer.wait_for(last).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Whether a record may go out without any wait.
    async fn passes(rein: &mut Rein<'_>, ms: i64, last: Option<i64>) -> bool {
        // A timeout asks what it guards before it looks at the clock.
        tokio::time::timeout(Duration::ZERO, rein.wait_for(TimeMs(ms), last.map(TimeMs))).await.is_ok()
    }

    /// How many of these records pass before the reins hold.
    async fn pass(rein: &mut Rein<'_>, times: &[i64]) -> usize {
        for (i, ms) in times.iter().enumerate() {
            if !passes(rein, *ms, i.checked_sub(1).map(|last| times[last])).await {
                return i;
            }
        }
        times.len()
    }

    #[tokio::test]
    async fn a_step_ends_where_it_was_told_to() {
        let control = Control::new(Speed::Max, true);
        let mut rein = Rein::new(&control);
        let times = [1_000, 2_000, 3_000, 4_000];
        assert_eq!(pass(&mut rein, &times).await, 0, "paused");
        assert_eq!(control.step(TimeMs(0), 1), Err(ControlError::NotBegun));
        control.step(TimeMs(1_000), 2_000).unwrap();
        assert_eq!(pass(&mut rein, &times).await, 3, "the record at the end of the step is in it");
        assert_eq!(control.plan().ahead_to, None, "and the step is over");
        control.resume();
        assert_eq!(pass(&mut rein, &times[3..]).await, 1);
    }

    #[tokio::test]
    async fn a_seek_goes_ahead_only_and_leaves_the_pace_as_it_was() {
        let control = Control::new(Speed::RealTime(0.001), false);
        let mut rein = Rein::new(&control);
        assert!(matches!(control.seek(TimeMs(5_000), TimeMs(5_000)), Err(ControlError::Back { .. })));
        control.seek(TimeMs(0), TimeMs(3_600_000)).unwrap();
        assert_eq!(pass(&mut rein, &[1_000, 1_800_000, 3_599_999]).await, 3, "at full speed");
        assert!(!passes(&mut rein, 3_600_999, Some(3_599_999)).await, "and then in its own time");
        assert_eq!(control.plan(), Plan { paused: false, speed: Speed::RealTime(0.001), ahead_to: None });
    }

    #[tokio::test]
    async fn another_speed_holds_for_the_next_record() {
        let control = Control::new(Speed::RealTime(0.001), false);
        let mut rein = Rein::new(&control);
        assert!(passes(&mut rein, 10_000, None).await, "the first record begins the clock");
        assert!(!passes(&mut rein, 20_000, Some(10_000)).await);
        control.set_speed(Speed::Max);
        assert!(passes(&mut rein, 20_000, Some(10_000)).await);
        control.pause();
        assert!(!passes(&mut rein, 30_000, Some(20_000)).await);
    }
}
