//! Positions as JSON batches, from whole numbers, eight digits at a time, without an allocation per event.
//!
//! Upstream: reports. Downstream: MQTT; at its other end [`events::codec::json::decode`] reads the same events. What
//! all rows share is copied in front of each. `events::codec::json::encode` costs several times as much, because it
//! finds the shortest decimals of binary fractions and goes through `fmt`; `bench/sim/publish.py` counts instructions.

use events::Event;
use events::codec::json;
use roads::{Network, SegmentIndex};

use super::report::PositionReport;

/// Room for a row, bytes. The longest gateway, the widest numbers and an edge take less than 400, so that
/// [`PLACE_MASK`] changes no place; with it the compiler sees that no write is out of bounds.
const ROW_BYTES: usize = 1_024;

/// A head of so many bytes is copied at once; a longer one is rare, and copied as it is.
const HEAD_BYTES: usize = 32;

/// Bytes of a row as most are, to make room for a batch at once.
const ROW_BYTES_USUAL: usize = 144;

/// See [`ROW_BYTES`].
const PLACE_MASK: usize = 511;

/// Before the first: no report is of this moment.
const NO_MOMENT: (i64, [u8; 13]) = (i64::MIN, [b'0'; 13]);

/// Numbers below 1,000 as text: the digits from the lowest byte on, and how many in the highest.
const SMALL: [u32; 1_000] = small_numbers();

/// A point and three digits: thousandths below 1.
const POINT: [u32; 1_000] = point_and_digits();

/// Writes batches.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// `,{"source":"{gateway}.v`, filled up to [`HEAD_BYTES`] with anything.
    head: Vec<u8>,
    head_bytes: usize,
    /// Where rows are built before several are copied at once: less than [`ROW_BYTES`], and room for one more.
    built: [u8; 2 * ROW_BYTES],
    /// The last moment that was written, and its digits.
    moment: (i64, [u8; 13]),
    /// Segment ids as text, if positions say them.
    edges: Vec<[u8; 16]>,
}

impl Encoder {
    /// For the sources of a gateway, whose name is one that can be in a topic.
    pub fn new(gateway: &str, network: &Network, with_edge: bool) -> Self {
        let mut head = b",{\"source\":".to_vec();
        head.extend_from_slice(&quoted(&format!("{gateway}.v")));
        // The number of the vehicle follows before the closing quote.
        let head_bytes = head.len() - 1;
        debug_assert!(head_bytes < PLACE_MASK - 256, "a name in a topic has at most 128 bytes");
        head.resize(head.len().max(HEAD_BYTES), b' ');
        let id = |at: SegmentIndex| {
            let mut text = [b'0'; 16];
            let id = network.segment(at).id.to_string();
            text[..id.len().min(16)].copy_from_slice(&id.as_bytes()[..id.len().min(16)]);
            text
        };
        let edges = if with_edge { network.indices().map(id).collect() } else { Vec::new() };
        Self { head, head_bytes, built: [0; 2 * ROW_BYTES], moment: NO_MOMENT, edges }
    }

    /// Adds a batch to `out`. The caller keeps it within 1 to [`events::codec::BATCH_EVENTS_MAX`].
    pub fn positions(&mut self, reports: &[PositionReport], out: &mut Vec<u8>) {
        out.reserve(reports.len() * ROW_BYTES_USUAL + 2);
        let begin = out.len();
        let mut at = 0;
        for report in reports {
            at += self.row(report, at);
            if at >= ROW_BYTES {
                out.extend_from_slice(&self.built[..at]);
                at = 0;
            }
        }
        out.extend_from_slice(&self.built[..at]);
        // The first row brings a comma where the batch has its bracket.
        match out.get_mut(begin) {
            Some(comma) => *comma = b'[',
            None => out.push(b'['),
        }
        out.push(b']');
    }

    /// Adds a batch of other events to `out`.
    pub fn others(&self, events: &[Event], out: &mut Vec<u8>) {
        json::encode_batch(events, out);
    }

    /// Writes one row from that byte on, and gives its length.
    #[inline]
    fn row(&mut self, report: &PositionReport, begin: usize) -> usize {
        let room = self.built[begin..].first_chunk_mut::<ROW_BYTES>();
        let row = room.expect("there is room for one more row whenever one is written");
        let mut at = self.head_bytes;
        match self.head.first_chunk::<HEAD_BYTES>() {
            Some(head) if at <= HEAD_BYTES => row[..HEAD_BYTES].copy_from_slice(head),
            Some(_) | None => row[..at].copy_from_slice(&self.head[..at]),
        }
        number(row, &mut at, report.vehicle);
        put(row, &mut at, b"\",\"seq\":");
        number(row, &mut at, u64::from(report.seq));
        put(row, &mut at, b",\"ts_ms\":");
        time(row, &mut at, report.time_ms, &mut self.moment);
        put(row, &mut at, b",\"lon_deg\":");
        degrees(row, &mut at, report.lon_e7, report.rest_e9[0]);
        put(row, &mut at, b",\"lat_deg\":");
        degrees(row, &mut at, report.lat_e7, report.rest_e9[1]);
        put(row, &mut at, b",\"speed_mps\":");
        thousandths(row, &mut at, report.speed_mm_s);
        put(row, &mut at, b",\"heading_deg\":");
        small(row, &mut at, usize::from(report.heading_ddeg) / 10);
        put(row, &mut at, &[b'.', b'0' + (report.heading_ddeg % 10) as u8, b'}']);
        if let Some(edge) = self.edges.get(report.segment as usize) {
            at -= 1;
            put(row, &mut at, b",\"edge\":{\"id\":\"");
            put(row, &mut at, edge);
            put(row, &mut at, b"\",\"pos_m\":");
            thousandths(row, &mut at, report.offset_mm);
            put(row, &mut at, b"}}");
        }
        at
    }
}

/// A text in quotes, as JSON has it.
fn quoted(text: &str) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text.bytes() {
        // Control characters cannot be in a name.
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    out
}

#[inline]
fn put<const N: usize>(row: &mut [u8; ROW_BYTES], at: &mut usize, what: &[u8; N]) {
    let begin = *at & PLACE_MASK;
    row[begin..begin + N].copy_from_slice(what);
    *at = begin + N;
}

/// Eight decimal digits of a number below 10^8, the first in the lowest byte.
///
/// Three divisions at once in parts of one word (D. Lemire, "Converting integers to fix-digit representations
/// quickly", 2021): by 10,000, then both halves by 100, then all four quarters by 10.
#[inline]
fn digits8(n: u32) -> u64 {
    let n = u64::from(n);
    let halves = (n / 10_000) | ((n % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = hundreds | ((halves - 100 * hundreds) << 16);
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    (tens | ((quarters - 10 * tens) << 8)) + 0x3030_3030_3030_3030
}

/// Three digits of a number below 1,000.
#[inline]
fn digits3(n: usize) -> u32 {
    POINT[n] >> 8
}

/// A whole number without leading zeros: by the table below a million, where most are.
#[inline]
fn number(row: &mut [u8; ROW_BYTES], at: &mut usize, n: u64) {
    if n >= 1_000_000 {
        number_wide(row, at, n);
        return;
    }
    let (thousands, rest) = (n as usize / 1_000, n as usize % 1_000);
    if thousands == 0 {
        small(row, at, rest);
        return;
    }
    small(row, at, thousands);
    put(row, at, &digits3(rest).to_le_bytes());
    *at -= 1;
}

/// The same below 1,000.
#[inline]
fn small(row: &mut [u8; ROW_BYTES], at: &mut usize, n: usize) {
    let text = SMALL[n];
    put(row, at, &text.to_le_bytes());
    *at -= 4 - (text >> 24) as usize;
}

fn number_wide(row: &mut [u8; ROW_BYTES], at: &mut usize, n: u64) {
    if n >= 100_000_000 {
        number_wide(row, at, n / 100_000_000);
        put(row, at, &digits8((n % 100_000_000) as u32).to_le_bytes());
        return;
    }
    let digits = digits8(n as u32);
    // The last digit stays, also of 0.
    let zeros = ((digits ^ 0x3030_3030_3030_3030) | (1 << 56)).trailing_zeros() / 8;
    put(row, at, &(digits >> (8 * zeros)).to_le_bytes());
    *at -= zeros as usize;
}

/// Milliseconds since 1970. Most reports of a batch are of the same moment, or at least of the same second.
#[inline]
fn time(row: &mut [u8; ROW_BYTES], at: &mut usize, ms: i64, moment: &mut (i64, [u8; 13])) {
    if ms == moment.0 || remember(ms, moment) {
        put(row, at, &moment.1);
        return;
    }
    if ms < 0 {
        put(row, at, b"-");
    }
    number(row, at, ms.unsigned_abs());
}

/// Keeps the digits of a moment if they are thirteen: from September 2001 to November 2286.
fn remember(ms: i64, moment: &mut (i64, [u8; 13])) -> bool {
    if !(1_000_000_000_000..10_000_000_000_000).contains(&ms) {
        return false;
    }
    let (whole, rest) = (ms / 1_000, ms % 1_000);
    if whole != moment.0 / 1_000 {
        let (high, low) = (SMALL[(whole / 100_000_000) as usize], digits8((whole % 100_000_000) as u32));
        moment.1[..2].copy_from_slice(&high.to_le_bytes()[..2]);
        moment.1[2..10].copy_from_slice(&low.to_le_bytes());
    }
    moment.1[10..].copy_from_slice(&digits3(rest as usize).to_le_bytes()[..3]);
    moment.0 = ms;
    true
}

const fn small_numbers() -> [u32; 1_000] {
    let mut all = [0; 1_000];
    let mut n = 0;
    while n < 1_000 {
        let (a, b, c) = (n / 100, n / 10 % 10, n % 10);
        let text = 0x30_3030 + (a | (b << 8) | (c << 16));
        let digits = if n >= 100 { 3 } else { 1 + (n >= 10) as u32 };
        all[n as usize] = (text >> (8 * (3 - digits))) | (digits << 24);
        n += 1;
    }
    all
}

const fn point_and_digits() -> [u32; 1_000] {
    let mut all = [0; 1_000];
    let mut n = 0;
    while n < 1_000 {
        all[n as usize] = 0x3030_302e + (((n / 100) << 8) | ((n / 10 % 10) << 16) | ((n % 10) << 24));
        n += 1;
    }
    all
}

/// Ten-millionths of a degree with all seven decimals, and two more where they are not 0.
#[inline]
fn degrees(row: &mut [u8; ROW_BYTES], at: &mut usize, e7: i32, rest_e9: i8) {
    if e7 < 0 || rest_e9 < 0 {
        put(row, at, b"-");
    }
    let n = e7.unsigned_abs();
    small(row, at, n as usize / 10_000_000);
    // The point and nine digits; the last two are overwritten where they are none.
    let decimals = n % 10_000_000 * 100 + u32::from(rest_e9.unsigned_abs());
    put(row, at, &POINT[decimals as usize / 1_000_000].to_le_bytes());
    let (then, last) = (digits3(decimals as usize / 1_000 % 1_000), digits3(decimals as usize % 1_000));
    put(row, at, &(u64::from(then) | (u64::from(last) << 24)).to_le_bytes());
    *at -= if rest_e9 == 0 { 4 } else { 2 };
}

/// Thousandths with all three decimals.
#[inline]
fn thousandths(row: &mut [u8; ROW_BYTES], at: &mut usize, n: u32) {
    number(row, at, u64::from(n / 1_000));
    put(row, at, &POINT[n as usize % 1_000].to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, below};
    use events::Topic;

    #[test]
    fn eight_digits_are_those_of_the_number() {
        for n in (0..100_000_000).step_by(9_973).chain([0, 9, 10, 99, 100, 9_999, 10_000, 99_999_999]) {
            assert_eq!(digits8(n).to_le_bytes(), format!("{n:08}").as_bytes(), "{n}");
        }
        for n in [0, 1, 99_999_999, 100_000_000, 1_767_596_400_123, u64::MAX] {
            let (mut row, mut at) = ([0; ROW_BYTES], 0);
            number(&mut row, &mut at, n);
            assert_eq!(&row[..at], n.to_string().as_bytes());
        }
        for n in 0..2_000_u32 {
            let (mut row, mut at) = ([0; ROW_BYTES], 0);
            number(&mut row, &mut at, u64::from(n));
            put(&mut row, &mut at, b" ");
            thousandths(&mut row, &mut at, 7 * n);
            let expected = format!("{n} {}.{:03}", 7 * n / 1_000, 7 * n % 1_000);
            assert_eq!(&row[..at], expected.as_bytes());
        }
        let mut moment = NO_MOMENT;
        for ms in
            [0, -1, 999, -1_000, 999_999_999_999, 1_000_000_000_000, 1_767_596_400_007, 1_767_596_400_999, i64::MAX]
        {
            let (mut row, mut at) = ([0; ROW_BYTES], 0);
            time(&mut row, &mut at, ms, &mut moment);
            assert_eq!(&row[..at], ms.to_string().as_bytes());
        }
    }

    #[test]
    fn a_batch_is_decoded_to_the_events_that_it_was_made_of() {
        let network = roads::city(&roads::CityPlan::default());
        let seed = 77;
        let draw = |who: u64, what: u64, bound: u64| below(bound, seed, who, what, Stream::Fleet);
        let one = |who: u64| PositionReport {
            vehicle: if who.is_multiple_of(7) { u64::MAX - who } else { draw(who, 0, 1 << (who % 40)) },
            seq: draw(who, 1, 1 << 32) as u32,
            time_ms: draw(who, 2, 4_000_000_000_000) as i64,
            arrival_ms: 0,
            lon_e7: (draw(who, 3, 3_600_000_001) as i64 - 1_800_000_000) as i32,
            lat_e7: (draw(who, 4, 1_800_000_001) as i64 - 900_000_000) as i32,
            rest_e9: [0; 2],
            speed_mm_s: draw(who, 5, 90_001) as u32,
            heading_ddeg: draw(who, 6, 3_600) as u16,
            segment: draw(who, 7, network.segments().len() as u64) as u32,
            offset_mm: draw(who, 8, 500_000) as u32,
        };
        // Every third is exact: two more digits, of the sign of the others.
        let fine = |report: PositionReport| {
            let rest = |e7: i32, what| (draw(report.vehicle, what, 100) as i8) * if e7 < 0 { -1 } else { 1 };
            let is_exact = report.vehicle.is_multiple_of(3) && report.lon_e7.abs() < 1_799_999_999;
            let rest_e9 = if is_exact && report.lat_e7.abs() < 899_999_999 {
                [rest(report.lon_e7, 9), rest(report.lat_e7, 10)]
            } else {
                [0; 2]
            };
            PositionReport { rest_e9, ..report }
        };
        let reports: Vec<PositionReport> = (0..1_000).map(one).map(fine).collect();
        for (gateway, with_edge) in [("sim", false), ("gate \"2\" \\ é", true)] {
            let mut payload = Vec::new();
            Encoder::new(gateway, &network, with_edge).positions(&reports, &mut payload);
            let topic = Topic { city: "c", kind: events::Kind::Position, source: gateway };
            let mut fates = Vec::new();
            json::decode(&topic, &payload, &mut fates);
            assert_eq!(fates.len(), reports.len());
            for (fate, report) in fates.into_iter().zip(&reports) {
                assert_eq!(fate.unwrap(), report.event(gateway, &network, with_edge), "seed {seed}");
            }
        }
        let mut nothing = Vec::new();
        Encoder::new("sim", &network, false).positions(&[], &mut nothing);
        assert_eq!(nothing, b"[]");
    }
}
