//! A model of what the world may rely on, walked at random beside the real thing: spool, duplicate memory and the
//! frontier of acknowledgements, over a disk that dies in the middle of any step and loses what was not synced.
//!
//! The model is small: what was acknowledged stays, once; nothing appears that was not sent; and when in the end
//! everything is sent again, the accepted set is what was sent, whichever crashes lay in between.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use events::TimeMs;
use ingest::dead_letter::{DeadLetter, files_in};
use ingest::{Ack, Disk, Faults, Guard, Incoming, Ingest, IngestConfig, IngestError, SpoolError};
use prometheus::Registry;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tokio::sync::oneshot;

use crate::support::{metric, payload, rows_by_time, until};

/// What may be sent: a sound message or a poisonous one, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Sound(i64),
    Poison(i64),
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<Item>),
    /// The disk behaves differently from now on.
    Disk(Disk),
    /// Ingest ends, whatever it was doing; the power fails if asked; it starts on a disk that may die at once.
    Restart {
        power_fails: bool,
        draw: u64,
        then: Disk,
    },
}

/// What was sent so far.
#[derive(Clone, Debug, Default)]
struct Sent(BTreeSet<Item>);

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![6 => (0i64..60).prop_map(Item::Sound), 1 => (0i64..10).prop_map(Item::Poison)]
}

fn dying() -> impl Strategy<Value = Disk> {
    (0u64..14, any::<bool>()).prop_map(|(steps, done)| Disk::DiesAfter { steps, done })
}

fn disk() -> impl Strategy<Value = Disk> {
    prop_oneof![
        2 => Just(Disk::Works),
        1 => Just(Disk::Fails(5)),
        1 => Just(Disk::Fails(28)),
        1 => Just(Disk::SyncFails(5)),
        4 => dying(),
    ]
}

impl ReferenceStateMachine for Sent {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        prop_oneof![
            5 => prop::collection::vec(item(), 1..8).prop_map(Step::Send),
            3 => disk().prop_map(Step::Disk),
            3 => (any::<bool>(), any::<u64>(), prop_oneof![2 => Just(Disk::Works), 1 => dying()])
                .prop_map(|(power_fails, draw, then)| Step::Restart { power_fails, draw, then }),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        if let Step::Send(items) = step {
            state.0.extend(items);
        }
        state
    }
}

/// The real thing. `BROKEN` leaves the sync before the acknowledgement out.
struct Real<const BROKEN: bool> {
    dir: tempfile::TempDir,
    running: Option<Running>,
    acknowledged: BTreeSet<Item>,
}

struct Running {
    ingest: Ingest,
    registry: Registry,
    faults: Faults,
    waiting: Vec<(Item, oneshot::Receiver<()>)>,
}

impl Running {
    /// Starts on a disk that may die in the middle of recovery.
    fn start(dir: &std::path::Path, faults: Faults) -> Option<Self> {
        let mut config = IngestConfig::new(dir);
        config.faults = faults.clone();
        config.writer.block_wait = std::time::Duration::ZERO;
        config.writer.retry_max = std::time::Duration::from_millis(1);
        // Rolls often, so that crashes fall between files, too.
        config.spool.file_bytes_max = 6_000;
        config.dead_letters.file_bytes_max = 600;
        let mut started = None;
        until("the folder is free", || {
            let registry = Registry::new();
            match Ingest::start(config.clone(), &registry) {
                // A process that another test starts at this moment holds our lock until it has begun.
                Err(IngestError::Spool(SpoolError::Locked { .. })) => return false,
                Ok(ingest) => started = Some((ingest, registry)),
                Err(died) => eprintln!("{died}"),
            }
            true
        });
        let (ingest, registry) = started?;
        Some(Self { ingest, registry, faults, waiting: Vec::new() })
    }

    fn send(&mut self, items: &[Item]) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let messages = items.iter().map(|item| {
            let (tell, told) = oneshot::channel();
            self.waiting.push((*item, told));
            let (source, payload) = match item {
                Item::Sound(n) => (n % 3, payload(*n)),
                Item::Poison(n) => (9, format!("poison {n}")),
            };
            Incoming {
                topic: format!("arterial/v1/test/position/bus-{source}"),
                payload: Bytes::from(payload),
                received: TimeMs(1_000_000),
                ack: Ack::Told(tell),
            }
        });
        runtime.block_on(self.ingest.writer().send(messages.collect())).unwrap();
    }

    /// Waits until everything is told, or the disk refuses.
    fn settle(&mut self, acknowledged: &mut BTreeSet<Item>) {
        until("told, or the disk refuses", || {
            self.hear(acknowledged);
            self.waiting.is_empty() || !self.ingest.ready().is_ready()
        });
    }

    fn hear(&mut self, acknowledged: &mut BTreeSet<Item>) {
        self.waiting.retain_mut(|(item, told)| {
            let heard = told.try_recv().is_ok();
            if heard {
                acknowledged.insert(*item);
            }
            !heard
        });
    }
}

impl<const BROKEN: bool> Real<BROKEN> {
    fn faults(disk: Disk) -> Faults {
        Faults::planned(disk, BROKEN.then_some(Guard::SyncBeforeAck))
    }

    fn restart(&mut self, power_fails: bool, mut draw: u64, then: Disk) {
        if let Some(mut running) = self.running.take() {
            running.hear(&mut self.acknowledged);
            let mut waiting = std::mem::take(&mut running.waiting);
            // It says what it could not write; the senders still have it.
            let _unwritten = running.ingest.stop();
            waiting.retain_mut(|(item, told)| told.try_recv().is_ok() && self.acknowledged.insert(*item));
            if power_fails {
                running.faults.lose_power(&mut |below| xorshift(&mut draw) % below.max(1)).unwrap();
            }
        }
        let faults = Self::faults(then);
        self.running = Running::start(self.dir.path(), faults.clone());
        if self.running.is_none() {
            // It died while it recovered: the power is back.
            faults.lose_power(&mut |below| xorshift(&mut draw) % below.max(1)).unwrap();
            self.running = Running::start(self.dir.path(), Self::faults(Disk::Works));
        }
        assert!(self.running.is_some(), "what a crash left can be recovered");
    }

    fn stored(&self) -> (BTreeMap<i64, usize>, BTreeSet<i64>) {
        let letters = ingest::start::dead_letter_dir(self.dir.path());
        let mut poison = BTreeSet::new();
        for path in files_in(&letters).unwrap() {
            for line in std::fs::read_to_string(path).unwrap().lines() {
                let letter: DeadLetter = serde_json::from_str(line).unwrap();
                poison.insert(letter.payload.unwrap().strip_prefix("poison ").unwrap().parse().unwrap());
            }
        }
        (rows_by_time(self.dir.path()), poison)
    }

    fn check_stored(&self, sent: &Sent) {
        let (rows, letters) = self.stored();
        let lost: Vec<_> = self
            .acknowledged
            .iter()
            .filter(|item| match item {
                Item::Sound(n) => !rows.contains_key(n),
                Item::Poison(n) => !letters.contains(n),
            })
            .collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        for (n, times) in &rows {
            assert!(sent.0.contains(&Item::Sound(*n)) && *times == 1, "{n} is stored {times} times");
        }
    }
}

impl<const BROKEN: bool> StateMachineTest for Real<BROKEN> {
    type SystemUnderTest = (Self, Sent);
    type Reference = Sent;

    fn init_test(_: &Sent) -> (Self, Sent) {
        let mut real = Self { dir: tempfile::tempdir().unwrap(), running: None, acknowledged: BTreeSet::new() };
        real.restart(false, 1, Disk::Works);
        (real, Sent::default())
    }

    fn apply((mut real, _): (Self, Sent), sent: &Sent, step: Step) -> (Self, Sent) {
        let running = real.running.as_mut().unwrap();
        match step {
            Step::Send(items) => {
                running.send(&items);
                running.settle(&mut real.acknowledged);
            }
            Step::Disk(disk) => {
                running.faults.set(disk);
                if disk == Disk::Works && !running.ingest.ready().is_ready() && !running.faults.is_dead() {
                    let ready = running.ingest.ready();
                    until("it goes on", || ready.is_ready());
                    running.settle(&mut real.acknowledged);
                }
            }
            Step::Restart { power_fails, draw, then } => {
                real.restart(power_fails, draw | 1, then);
                real.check_stored(sent);
            }
        }
        (real, sent.clone())
    }

    /// Everything is sent again on a sound disk: what is accepted then is what was sent.
    fn teardown((mut real, sent): (Self, Sent)) {
        real.restart(true, 7, Disk::Works);
        real.check_stored(&sent);
        let all: Vec<_> = sent.0.iter().copied().collect();
        let running = real.running.as_mut().unwrap();
        running.send(&all);
        running.settle(&mut real.acknowledged);
        assert!(running.waiting.is_empty());
        assert_eq!(metric(&running.registry, "arterial_ingest_commit_failures_total"), 0.0);
        let (rows, letters) = real.stored();
        let sound = |item: &Item| if let Item::Sound(n) = item { Some((*n, 1)) } else { None };
        assert_eq!(rows, sent.0.iter().filter_map(sound).collect());
        let poison = |item: &Item| if let Item::Poison(n) = item { Some(*n) } else { None };
        assert_eq!(letters, sent.0.iter().filter_map(poison).collect());
        assert_eq!(real.acknowledged, sent.0);
        real.running.take().unwrap().ingest.stop().unwrap();
    }
}

fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn walk<const BROKEN: bool>(cases: u32) -> Result<(), String> {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: if BROKEN { 8 } else { 200 },
        ..Config::default()
    };
    let mut runner = TestRunner::new(config.clone());
    let walks = Sent::sequential_strategy(1..30);
    let walked = runner.run(&walks, |(sent, steps, seen)| {
        Real::<BROKEN>::test_sequential(config.clone(), sent, steps, seen);
        Ok(())
    });
    walked.map_err(|found| found.to_string())
}

/// Proptest prints the walk that fails.
#[test]
fn whatever_crashes_lie_between_what_was_acknowledged_is_there_once() {
    if let Err(found) = walk::<false>(96) {
        panic!("{found}");
    }
}

#[test]
fn the_model_notices_an_acknowledgement_before_the_sync() {
    let found = walk::<true>(96).expect_err("the walk is blind");
    assert!(found.contains("acknowledged and lost"), "{found}");
}
