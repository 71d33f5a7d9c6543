//! Matchers side by side: each vehicle belongs to one of them, each runs on a thread of its own.
//!
//! Upstream: [`crate::engine`] with batches. Downstream: [`crate::pane`], which adds changes in any order, since they are
//! whole numbers. A vehicle's fixes are matched in their order whatever the number of threads is, and what is forgotten
//! is forgotten between the same two batches, so cells do not depend on threads.
//!
//! Bounded: a matcher that is [`PIECES_AHEAD`] pieces ahead of the adding waits. Every matcher remembers routes of its own
//! (192 MiB at most, [`super::routes`]).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use events::{HeadingDeg, LonLat};
use ingest::batch::Positions;
use roads::Network;

use crate::incident::head::Seen;

use super::{Change, MatchConfig, MatchCounts, Matcher, Observed};

/// Changes handed over in one piece, 64 KB.
const PIECE: usize = 2_048;

/// Pieces that a matcher may be ahead of the adding.
const PIECES_AHEAD: usize = 8;

/// Fewer positions than this are not worth starting threads for.
const THREADED_ROWS_MIN: usize = 4_096;

/// One batch, and what to forget after it.
pub(crate) struct Turn<'a> {
    pub(crate) rows: &'a Positions,
    /// The rows that count.
    pub(crate) counted: Vec<u32>,
    /// Vehicles that are silent at this moment of event time are forgotten.
    pub(crate) forget_ms: Option<i64>,
}

/// What comes out of the matchers, batch after batch.
pub(crate) enum Outcome<'a> {
    Changes(&'a [Change]),
    /// Where the vehicles of a batch were when a pane ended.
    Seen(&'a [Seen]),
    /// Everything of a batch has been told.
    Done,
}

/// A piece of what a matcher tells; [`Piece::Done`] ends a batch.
enum Piece {
    Changes(Vec<Change>),
    Seen(Vec<Seen>),
    Done,
}

impl Piece {
    fn tell(&self, tell: &mut impl FnMut(Outcome<'_>)) {
        match self {
            Self::Changes(changes) => tell(Outcome::Changes(changes)),
            Self::Seen(seen) => tell(Outcome::Seen(seen)),
            Self::Done => {}
        }
    }
}

/// The matchers of all vehicles.
pub struct Shards {
    pub(super) matchers: Vec<Matcher>,
}

impl Shards {
    /// So many matchers without any vehicle yet, at least one.
    pub fn new(network: &Arc<Network>, config: &MatchConfig, threads: usize) -> Self {
        let matcher = |_| Matcher::new(Arc::clone(network), config.clone()).that_looks();
        Self { matchers: (0..threads.max(1)).map(matcher).collect() }
    }

    /// What became of fixes and steps so far.
    pub fn counts(&self) -> MatchCounts {
        self.matchers.iter().fold(MatchCounts::default(), |sum, matcher| sum.plus(matcher.counts()))
    }

    /// Vehicles in memory.
    pub fn vehicles(&self) -> usize {
        self.matchers.iter().map(Matcher::vehicles).sum()
    }

    /// Takes batches in and tells what follows from each; the batches are told in their order.
    pub(crate) fn observe(&mut self, turns: &[Turn<'_>], mut tell: impl FnMut(Outcome<'_>)) {
        let rows: usize = turns.iter().map(|turn| turn.counted.len()).sum();
        let shards = self.matchers.len();
        if shards == 1 || rows < THREADED_ROWS_MIN {
            for turn in turns {
                for (shard, matcher) in self.matchers.iter_mut().enumerate() {
                    run(matcher, turn, (shard, shards), |piece| piece.tell(&mut tell));
                }
                tell(Outcome::Done);
            }
            return;
        }
        std::thread::scope(|scope| {
            let start = |(shard, matcher)| -> Receiver<Piece> {
                let (give, take) = sync_channel(PIECES_AHEAD);
                scope.spawn(move || work(matcher, turns, (shard, shards), &give));
                take
            };
            let pieces: Vec<Receiver<Piece>> = self.matchers.iter_mut().enumerate().map(start).collect();
            for _ in turns {
                for of_shard in &pieces {
                    // A matcher that died ends its channel; the scope then hands its panic on.
                    while let Ok(piece @ (Piece::Changes(_) | Piece::Seen(_))) = of_shard.recv() {
                        piece.tell(&mut tell);
                    }
                }
                tell(Outcome::Done);
            }
        });
    }
}

/// One matcher's way through all batches; it ends early when nobody takes its changes any more.
fn work(matcher: &mut Matcher, turns: &[Turn<'_>], place: (usize, usize), give: &SyncSender<Piece>) {
    for turn in turns {
        let mut is_taken = true;
        run(matcher, turn, place, |piece| is_taken &= give.send(piece).is_ok());
        if !is_taken || give.send(Piece::Done).is_err() {
            return;
        }
    }
}

/// Matches the rows of one batch that belong to one of so many shards.
fn run(matcher: &mut Matcher, turn: &Turn<'_>, (shard, shards): (usize, usize), mut give: impl FnMut(Piece)) {
    let mut piece = Vec::with_capacity(PIECE);
    let rows = turn.counted.iter().map(|&row| row as usize);
    for row in rows.filter(|&row| shard_of(turn.rows.vehicle[row], shards) == shard) {
        matcher.observe(&observed(turn.rows, row), |change| piece.push(change));
        // A fix can change a whole track; there is room for most.
        if piece.len() + 64 > PIECE {
            give(Piece::Changes(std::mem::replace(&mut piece, Vec::with_capacity(PIECE))));
        }
    }
    if let Some(now_ms) = turn.forget_ms {
        matcher.forget_silent(now_ms, |change| piece.push(change));
    }
    if !piece.is_empty() {
        give(Piece::Changes(piece));
    }
    let seen = matcher.take_seen();
    if !seen.is_empty() {
        give(Piece::Seen(seen));
    }
}

/// Pseudonyms are hashes, but those of tests and recordings need not be: the high bits of a product are (Knuth, The Art
/// of Computer Programming 3, 6.4).
pub(super) fn shard_of(vehicle: u64, shards: usize) -> usize {
    (vehicle.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as usize % shards
}

fn observed(rows: &Positions, row: usize) -> Observed {
    let at = LonLat::new(rows.lon_deg[row], rows.lat_deg[row]).expect("the gate let only valid places through");
    Observed {
        vehicle: rows.vehicle[row],
        time_ms: rows.time_ms[row],
        at,
        speed_mps: rows.speed_mps[row],
        heading: rows.heading_deg[row].map(HeadingDeg::wrapped),
        edge: rows.edge[row].clone(),
    }
}
