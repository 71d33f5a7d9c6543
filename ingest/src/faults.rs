//! Faults on purpose: a disk that fails, crawls or loses power, and guards that are left out.
//!
//! What is shipped never makes a plan: no flag, variable or file leads here, only the tests' own code. So what is
//! tested is the very code that runs in a city, and it pays one look at an `Option` for each step to the disk.
//! A proof that nothing is lost is worth as much as its power to fail: [`Guard`] names what a test may leave out
//! to see that it notices.
//!
//! Upstream: [`crate::start`], which hands the plan of a test to everything below it. Downstream: the spool and the
//! dead letters take every step to the disk through here; the writer and the broker's guard ask what to leave out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a test may leave out, to see that it notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Acknowledge only after fdatasync.
    SyncBeforeAck,
    /// Drop acknowledgements and events of a broker connection that is gone.
    Epoch,
}

/// What the disk does to the next steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disk {
    /// What it was asked for.
    #[default]
    Works,
    /// Every write and sync fails with this number of the operating system (5 is EIO, 28 is ENOSPC). Half of what
    /// should be written gets there.
    Fails(i32),
    /// Only syncs fail.
    SyncFails(i32),
    /// Every sync takes so much longer.
    Slow(Duration),
    /// Writes and syncs after so many others wait until the plan is set anew.
    Holds { steps: u64 },
    /// The step after so many others is the last one: `done` says whether it still takes effect.
    DiesAfter { steps: u64, done: bool },
}

/// The plan of a test; without one, everything works. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    left_out: Option<Guard>,
    state: Mutex<State>,
    /// The disk was set anew.
    anew: Condvar,
}

#[derive(Debug, Default)]
struct State {
    disk: Disk,
    dead: bool,
    steps: u64,
    /// A step waits.
    held: bool,
    /// Durable length of every file with unsynced bytes.
    unsynced: BTreeMap<PathBuf, u64>,
    /// New files whose folder was not synced since.
    made: BTreeSet<PathBuf>,
}

/// What a step has to do.
enum Order {
    Do,
    /// Take effect by half, if the step is a write, and fail.
    Fail(io::Error),
    /// Nothing reaches the disk any more.
    Nothing,
    /// The process is as good as dead after this step; nothing is reported as done.
    DoAndDie,
}

impl Faults {
    /// A plan that a test can change while ingest runs.
    pub fn planned(disk: Disk, left_out: Option<Guard>) -> Self {
        let state = Mutex::new(State { disk, ..State::default() });
        Self(Some(Arc::new(Plan { left_out, state, anew: Condvar::new() })))
    }

    /// What the disk does from now on. Does nothing where there is no plan.
    pub fn set(&self, disk: Disk) {
        if let Some(plan) = &self.0 {
            let mut state = plan.lock();
            (state.disk, state.steps) = (disk, 0);
            plan.anew.notify_all();
        }
    }

    /// Whether the disk has died.
    pub fn is_dead(&self) -> bool {
        self.0.as_ref().is_some_and(|plan| plan.lock().dead)
    }

    /// Whether a step waits at a disk that holds.
    pub fn holds(&self) -> bool {
        self.0.as_ref().is_some_and(|plan| plan.lock().held)
    }

    /// Steps to the disk since the plan was made or set.
    pub fn steps(&self) -> u64 {
        self.0.as_ref().map_or(0, |plan| plan.lock().steps)
    }

    /// Whether this guard is left out.
    pub(crate) fn leave_out(&self, guard: Guard) -> bool {
        self.0.as_ref().is_some_and(|plan| plan.left_out == Some(guard))
    }

    /// Does to the files what a loss of power may do: of what was written and not synced, a part that `draw`
    /// chooses is there, a part is zeros and a part is gone; a new file whose folder was not synced may be gone.
    /// `draw` gives a number below its argument.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn lose_power(&self, draw: &mut dyn FnMut(u64) -> u64) -> io::Result<()> {
        let Some(plan) = &self.0 else { return Ok(()) };
        let state = std::mem::take(&mut *plan.lock());
        for (path, durable) in state.unsynced {
            let Ok(file) = File::options().write(true).open(&path) else { continue };
            let bytes = file.metadata()?.len();
            let durable = durable.min(bytes);
            let kept = durable + draw(bytes.saturating_sub(durable) + 1);
            file.set_len(kept)?;
            if draw(2) == 0 {
                file.set_len(kept + draw(bytes.saturating_sub(kept) + 1))?;
            }
        }
        for path in state.made.iter().filter(|_| draw(2) == 0) {
            match fs::remove_file(path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Writes all bytes.
    pub(crate) fn write(&self, path: &Path, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        let Some(plan) = &self.0 else { return file.write_all(bytes) };
        let mut state = plan.may_go();
        if !state.unsynced.contains_key(path) {
            state.unsynced.insert(path.to_owned(), file.metadata()?.len());
        }
        match state.order(false) {
            Order::Do => file.write_all(bytes),
            Order::Fail(cause) => {
                file.write_all(&bytes[..bytes.len() / 2])?;
                Err(cause)
            }
            Order::Nothing => Err(dead()),
            Order::DoAndDie => {
                file.write_all(bytes)?;
                Err(dead())
            }
        }
    }

    /// Makes the bytes of a file durable, by `sync`.
    pub(crate) fn sync(&self, path: &Path, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let Some(plan) = &self.0 else { return sync() };
        plan.step(true, |state| {
            sync()?;
            state.unsynced.remove(path);
            Ok(())
        })
    }

    /// Makes the entries of a folder durable.
    pub(crate) fn sync_folder(&self, dir: &Path) -> io::Result<()> {
        let sync = || File::open(dir)?.sync_all();
        let Some(plan) = &self.0 else { return sync() };
        plan.step(true, |state| {
            sync()?;
            state.made.retain(|path| path.parent() != Some(dir));
            Ok(())
        })
    }

    /// Takes note of a file that is about to be made.
    pub(crate) fn make(&self, path: &Path) -> io::Result<()> {
        let Some(plan) = &self.0 else { return Ok(()) };
        plan.step(false, |state| {
            let durable = fs::metadata(path).map_or(0, |there| there.len());
            state.unsynced.entry(path.to_owned()).or_insert(durable);
            if !path.exists() {
                state.made.insert(path.to_owned());
            }
            Ok(())
        })
    }

    /// Cuts a file to its good bytes.
    pub(crate) fn cut(&self, file: &File, bytes: u64) -> io::Result<()> {
        let Some(plan) = &self.0 else { return file.set_len(bytes) };
        plan.step(false, |_| file.set_len(bytes))
    }
}

impl Plan {
    fn step(&self, sync: bool, act: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.may_go();
        if let Disk::Slow(longer) = state.disk
            && sync
        {
            drop(state);
            std::thread::sleep(longer);
            state = self.lock();
        }
        match state.order(sync) {
            Order::Do => act(&mut state),
            Order::Fail(cause) => Err(cause),
            Order::Nothing => Err(dead()),
            Order::DoAndDie => {
                act(&mut state)?;
                Err(dead())
            }
        }
    }

    /// Waits while the disk holds this step.
    fn may_go(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while let Disk::Holds { steps } = state.disk
            && state.steps >= steps
        {
            state.held = true;
            state = self.anew.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.held = false;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn order(&mut self, sync: bool) -> Order {
        if self.dead {
            return Order::Nothing;
        }
        let step = self.steps;
        self.steps += 1;
        match self.disk {
            Disk::Fails(number) => Order::Fail(io::Error::from_raw_os_error(number)),
            Disk::SyncFails(number) if sync => Order::Fail(io::Error::from_raw_os_error(number)),
            Disk::DiesAfter { steps, done } if step >= steps => {
                self.dead = true;
                if done { Order::DoAndDie } else { Order::Fail(dead()) }
            }
            Disk::Works | Disk::SyncFails(_) | Disk::Slow(_) | Disk::Holds { .. } | Disk::DiesAfter { .. } => Order::Do,
        }
    }
}

fn dead() -> io::Error {
    io::Error::other("the power is off (a fault on purpose)")
}
