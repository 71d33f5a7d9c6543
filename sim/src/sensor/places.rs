//! Where every point of a street is, and which way it leads: worked out once for each straight piece.
//!
//! Upstream: the network. Downstream: the sensors, which ask for a place with every report.

use events::HeadingDeg;
use roads::{Network, Piece, SegmentIndex};

/// A straight piece of a segment.
#[derive(Clone, Copy, Debug)]
struct Straight {
    piece: Piece,
    /// Tenths of a degree, below 3,600.
    heading_ddeg: u16,
}

/// The pieces of all segments, side by side; 56 bytes each.
#[derive(Debug)]
pub(super) struct Places {
    pieces: Vec<Straight>,
    /// By segment: its first piece; and one more, where the last ends.
    first: Vec<u32>,
}

impl Places {
    pub(super) fn new(network: &Network) -> Self {
        let (mut pieces, mut first) = (Vec::new(), vec![0]);
        for at in network.indices() {
            pieces.extend(
                network
                    .pieces(at)
                    .map(|piece| Straight { heading_ddeg: tenths(network.heading(at, piece.begin_m)), piece }),
            );
            first.push(pieces.len() as u32);
        }
        Self { pieces, first }
    }

    /// One segment.
    #[inline]
    pub(super) fn of(&self, segment: SegmentIndex) -> Street<'_> {
        let at = segment.at();
        Street(&self.pieces[self.first[at] as usize..self.first[at + 1] as usize])
    }
}

/// The pieces of one segment, at least one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Street<'a>(&'a [Straight]);

impl Street<'_> {
    /// Lon, lat, degrees, and the heading, tenths of a degree, `offset_m` along the segment, which is clamped to it.
    #[inline]
    pub(super) fn at(self, offset_m: f64) -> ([f64; 2], u16) {
        let (first, rest) = self.0.split_first().expect("a line has two vertices at least");
        // Most are straight; where one bends, few pieces have to be passed.
        let passed = rest.iter().take_while(|next| next.piece.begin_m <= offset_m).last();
        let Straight { piece, heading_ddeg } = passed.unwrap_or(first);
        (piece.place(offset_m), *heading_ddeg)
    }
}

fn tenths(heading: HeadingDeg) -> u16 {
    ((heading.get() * 10.0).round() as u16) % 3_600
}
