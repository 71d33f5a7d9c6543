//! Positions as JSON batches, from whole numbers, eight digits at a time, without an allocation per event.
//!
//! Upstream: reports. Downstream: MQTT; at its other end [`events::codec::json::decode`] reads the same events. One
//! row is built in a buffer that begins with what all rows share. `events::codec::json::encode` costs about fifteen
//! times as much, because it prints the shortest decimal of a binary fraction and goes through `fmt`.

use events::Event;
use events::codec::json;
use roads::{Network, SegmentIndex};

use super::report::PositionReport;

/// Longest row, bytes: the longest gateway and the widest numbers take less than 400.
const ROW_BYTES: usize = 512;

/// Bytes of a row as most are, to make room for a batch at once.
const ROW_BYTES_USUAL: usize = 144;

/// Writes batches.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// `,{"source":"{gateway}.v`, and room for the rest.
    row: [u8; ROW_BYTES],
    head: usize,
    /// Segment ids as text, if positions say them.
    edges: Vec<[u8; 16]>,
}

impl Encoder {
    /// For the sources of a gateway, whose name is one that can be in a topic.
    pub fn new(gateway: &str, network: &Network, with_edge: bool) -> Self {
        let name = quoted(&format!("{gateway}.v"));
        let mut row = [0; ROW_BYTES];
        let mut head = 0;
        put(&mut row, &mut head, b",{\"source\":");
        // Without the closing quote: the number follows.
        let name = &name[..name.len() - 1];
        row[head..head + name.len()].copy_from_slice(name);
        head += name.len();
        let id = |at: SegmentIndex| {
            let mut text = [b'0'; 16];
            let id = network.segment(at).id.to_string();
            text[..id.len().min(16)].copy_from_slice(&id.as_bytes()[..id.len().min(16)]);
            text
        };
        let edges = if with_edge { network.indices().map(id).collect() } else { Vec::new() };
        Self { row, head, edges }
    }

    /// Adds a batch to `out`. The caller keeps it within 1 to [`events::codec::BATCH_EVENTS_MAX`].
    pub fn positions(&mut self, reports: &[PositionReport], out: &mut Vec<u8>) {
        out.reserve(reports.len() * ROW_BYTES_USUAL + 2);
        // The first row brings a comma where the batch has its bracket.
        let begin = out.len();
        for report in reports {
            let end = self.row(report);
            out.extend_from_slice(&self.row[..end]);
        }
        if begin == out.len() {
            out.push(b'[');
        } else {
            out[begin] = b'[';
        }
        out.push(b']');
    }

    /// Adds a batch of other events to `out`.
    pub fn others(&self, events: &[Event], out: &mut Vec<u8>) {
        json::encode_batch(events, out);
    }

    /// Writes one row and gives its length.
    #[inline]
    fn row(&mut self, report: &PositionReport) -> usize {
        let (row, mut at) = (&mut self.row, self.head);
        number(row, &mut at, report.vehicle);
        put(row, &mut at, b"\",\"seq\":");
        number(row, &mut at, u64::from(report.seq));
        put(row, &mut at, b",\"ts_ms\":");
        signed(row, &mut at, report.time_ms);
        put(row, &mut at, b",\"lon_deg\":");
        degrees(row, &mut at, report.lon_e7);
        put(row, &mut at, b",\"lat_deg\":");
        degrees(row, &mut at, report.lat_e7);
        put(row, &mut at, b",\"speed_mps\":");
        thousandths(row, &mut at, report.speed_mm_s);
        put(row, &mut at, b",\"heading_deg\":");
        number(row, &mut at, u64::from(report.heading_ddeg / 10));
        put(row, &mut at, &[b'.', b'0' + (report.heading_ddeg % 10) as u8]);
        if let Some(edge) = self.edges.get(report.segment as usize) {
            put(row, &mut at, b",\"edge\":{\"id\":\"");
            put(row, &mut at, edge);
            put(row, &mut at, b"\",\"pos_m\":");
            thousandths(row, &mut at, report.offset_mm);
            put(row, &mut at, b"}");
        }
        put(row, &mut at, b"}");
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
    row[*at..*at + N].copy_from_slice(what);
    *at += N;
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
    let quarters = hundreds | (halves - 100 * hundreds) << 16;
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    (tens | (quarters - 10 * tens) << 8) + 0x3030_3030_3030_3030
}

/// A whole number without leading zeros.
#[inline]
fn number(row: &mut [u8; ROW_BYTES], at: &mut usize, n: u64) {
    if n >= 100_000_000 {
        number_wide(row, at, n);
        return;
    }
    let digits = digits8(n as u32);
    // The last digit stays, also of 0.
    let zeros = ((digits ^ 0x3030_3030_3030_3030) | 1 << 56).trailing_zeros() / 8;
    put(row, at, &(digits >> (8 * zeros)).to_le_bytes());
    *at -= zeros as usize;
}

fn number_wide(row: &mut [u8; ROW_BYTES], at: &mut usize, n: u64) {
    number(row, at, n / 100_000_000);
    put(row, at, &digits8((n % 100_000_000) as u32).to_le_bytes());
}

#[inline]
fn signed(row: &mut [u8; ROW_BYTES], at: &mut usize, n: i64) {
    if n < 0 {
        put(row, at, b"-");
    }
    number(row, at, n.unsigned_abs());
}

/// Ten-millionths of a degree with all seven decimals.
#[inline]
fn degrees(row: &mut [u8; ROW_BYTES], at: &mut usize, e7: i32) {
    if e7 < 0 {
        put(row, at, b"-");
    }
    let n = e7.unsigned_abs();
    number(row, at, u64::from(n / 10_000_000));
    // Eight digits, of which the first is 0: the point takes its place.
    let decimals = digits8(n % 10_000_000) - u64::from(b'0') + u64::from(b'.');
    put(row, at, &decimals.to_le_bytes());
}

/// Thousandths with all three decimals.
#[inline]
fn thousandths(row: &mut [u8; ROW_BYTES], at: &mut usize, n: u32) {
    number(row, at, u64::from(n / 1_000));
    let decimals = (digits8(n % 1_000) >> 32) as u32 - u32::from(b'0') + u32::from(b'.');
    put(row, at, &decimals.to_le_bytes());
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
    }

    #[test]
    fn a_batch_is_decoded_to_the_events_that_it_was_made_of() {
        let network = roads::city(&roads::CityPlan::default());
        let seed = 77;
        let draw = |who: u64, what: u64, bound: u64| below(bound, seed, who, what, Stream::Fleet);
        let one = |who: u64| PositionReport {
            vehicle: if who % 7 == 0 { u64::MAX - who } else { draw(who, 0, 1 << (who % 40)) },
            seq: draw(who, 1, 1 << 32) as u32,
            time_ms: draw(who, 2, 4_000_000_000_000) as i64,
            arrival_ms: 0,
            lon_e7: (draw(who, 3, 3_600_000_001) as i64 - 1_800_000_000) as i32,
            lat_e7: (draw(who, 4, 1_800_000_001) as i64 - 900_000_000) as i32,
            speed_mm_s: draw(who, 5, 90_001) as u32,
            heading_ddeg: draw(who, 6, 3_600) as u16,
            segment: draw(who, 7, network.segments().len() as u64) as u32,
            offset_mm: draw(who, 8, 500_000) as u32,
        };
        let reports: Vec<PositionReport> = (0..1_000).map(one).collect();
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
