//! gzip by a writer who knows what repeats: lines of a page of metrics, packed without searching.
//!
//! Upstream: [`super::segments`]. Downstream: any reader of gzip (RFC 1952).
//!
//! A general compressor looks for repetitions, which costs more than writing the page. In a family of metrics each line is
//! the one before it but for an id and a number, so the two repetitions of a line are said straight away: one block of
//! deflate with the fixed codes (RFC 1951, section 3.2.6). The text itself is never held, only its checksum.

use crc32fast::Hasher;

/// Longest repetition that one code says, and the shortest (RFC 1951, section 3.2.5).
const MATCH_MAX: usize = 258;
const MATCH_MIN: usize = 3;

/// Farthest that a repetition may lie back, bytes. A line is some hundred.
const DISTANCE_MAX: usize = 32_768;

/// Shortest length, and bits that are added to it, of each code from 257 on.
#[rustfmt::skip]
const LENGTHS: [(u16, u32); 29] = [
    (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 1), (13, 1), (15, 1), (17, 1), (19, 2), (23, 2),
    (27, 2), (31, 2), (35, 3), (43, 3), (51, 3), (59, 3), (67, 4), (83, 4), (99, 4), (115, 4), (131, 5), (163, 5),
    (195, 5), (227, 5), (258, 0),
];

/// The same of distances.
#[rustfmt::skip]
const DISTANCES: [(u16, u32); 30] = [
    (1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (7, 1), (9, 2), (13, 2), (17, 3), (25, 3), (33, 4), (49, 4), (65, 5), (97, 5),
    (129, 6), (193, 6), (257, 7), (385, 7), (513, 8), (769, 8), (1_025, 9), (1_537, 9), (2_049, 10), (3_073, 10),
    (4_097, 11), (6_145, 11), (8_193, 12), (12_289, 12), (16_385, 13), (24_577, 13),
];

/// A code with its bits in the order in which they are written, and how many.
#[derive(Clone, Copy)]
struct Code {
    bits: u16,
    len: u32,
}

/// The fixed codes of literals and lengths.
static FIXED: [Code; 288] = fixed();

const fn fixed() -> [Code; 288] {
    let mut codes = [Code { bits: 0, len: 0 }; 288];
    let mut symbol = 0;
    while symbol < 288 {
        let (code, len) = match symbol {
            0..=143 => (0x30 + symbol, 8),
            144..=255 => (0x190 + symbol - 144, 9),
            256..=279 => (symbol - 256, 7),
            _ => (0xC0 + symbol - 280, 8),
        };
        codes[symbol] = Code { bits: (code as u16).reverse_bits() >> (16 - len), len };
        symbol += 1;
    }
    codes
}

/// A gzip file under construction.
pub struct Packer {
    out: Vec<u8>,
    /// Bits that do not fill a byte yet.
    bits: u64,
    count: u32,
    crc: Hasher,
    text_bytes: u32,
    /// The line before: what comes before its tail, and its tail.
    before: Vec<u8>,
    tail: Vec<u8>,
    /// Length of the line before, its number and end included.
    line_bytes: usize,
    /// The line as text, kept for its memory.
    line: Vec<u8>,
}

impl Default for Packer {
    fn default() -> Self {
        // ID, deflate, no flags, no time, fastest, unknown system.
        let out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
        let mut packer = Self {
            out,
            bits: 0,
            count: 0,
            crc: Hasher::new(),
            text_bytes: 0,
            before: Vec::new(),
            tail: Vec::new(),
            line_bytes: 0,
            line: Vec::new(),
        };
        // The last block, with the fixed codes.
        packer.put(0b011, 3);
        packer
    }
}

impl Packer {
    /// Text that repeats nothing, whole lines of it.
    pub fn text(&mut self, text: &[u8]) {
        self.literals(text);
        self.sum(text);
        (self.line_bytes, self.before, self.tail) = (0, Vec::new(), Vec::new());
    }

    /// The line `before` + `tail` + `value` and its end. What `before` shares with the line before, and `tail` if it is the
    /// same, is said as a repetition.
    pub fn line(&mut self, before: &[u8], tail: &[u8], value: &[u8]) {
        let shared = before.iter().zip(&self.before).take_while(|(a, b)| a == b).count();
        let own = self.repeat(before, shared, self.line_bytes);
        self.literals(&before[own..]);
        // From the tail of the line before to this one: what followed it there, and what came before it here.
        let back = (self.line_bytes + before.len()).saturating_sub(self.before.len());
        let same = if tail == self.tail { tail.len() } else { 0 };
        let own = self.repeat(tail, same, back);
        self.literals(&tail[own..]);
        self.literals(value);
        self.literals(b"\n");
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        for part in [before, tail, value, b"\n"] {
            line.extend_from_slice(part);
        }
        self.sum(&line);
        self.line_bytes = line.len();
        self.line = line;
        self.before.truncate(shared);
        self.before.extend_from_slice(&before[shared..]);
        if same == 0 {
            self.tail.clear();
            self.tail.extend_from_slice(tail);
        }
    }

    /// The file.
    pub fn finish(mut self) -> Vec<u8> {
        let end = FIXED[256];
        self.put(end.bits, end.len);
        while self.count > 0 {
            self.out.push(self.bits as u8);
            self.bits >>= 8;
            self.count = self.count.saturating_sub(8);
        }
        self.out.extend_from_slice(&self.crc.finalize().to_le_bytes());
        self.out.extend_from_slice(&self.text_bytes.to_le_bytes());
        self.out
    }

    /// Says that the first `same` bytes of `text` stand `back` bytes back; how many bytes were said.
    fn repeat(&mut self, text: &[u8], same: usize, back: usize) -> usize {
        if back == 0 || back > DISTANCE_MAX {
            return 0;
        }
        let mut said = 0;
        while same.min(text.len()) - said >= MATCH_MIN {
            let len = (same.min(text.len()) - said).min(MATCH_MAX);
            self.coded(&LENGTHS, len, |place| FIXED[257 + place]);
            // Fixed codes of distances are their places in five bits.
            self.coded(&DISTANCES, back, |place| Code { bits: (place as u16).reverse_bits() >> 11, len: 5 });
            said += len;
        }
        said
    }

    /// A length or distance: the code of its range, then where it lies in it.
    fn coded(&mut self, ranges: &[(u16, u32)], value: usize, code: impl Fn(usize) -> Code) {
        let place = ranges.partition_point(|range| usize::from(range.0) <= value) - 1;
        let (least, extra) = ranges[place];
        let code = code(place);
        self.put(code.bits, code.len);
        self.put((value - usize::from(least)) as u16, extra);
    }

    fn literals(&mut self, text: &[u8]) {
        for byte in text {
            let code = FIXED[usize::from(*byte)];
            self.put(code.bits, code.len);
        }
    }

    fn put(&mut self, bits: u16, len: u32) {
        self.bits |= u64::from(bits) << self.count;
        self.count += len;
        if self.count >= 32 {
            self.out.extend_from_slice(&(self.bits as u32).to_le_bytes());
            self.bits >>= 32;
            self.count -= 32;
        }
    }

    fn sum(&mut self, text: &[u8]) {
        self.crc.update(text);
        // Modulo 2^32, as the format has it.
        self.text_bytes = self.text_bytes.wrapping_add(text.len() as u32);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn unpacked(gzip: &[u8]) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(gzip).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn lines_come_back_and_repetitions_cost_little() {
        let (mut packer, mut expected) = (Packer::default(), String::new());
        packer.text("# HELP straße\n".as_bytes());
        expected += "# HELP straße\n";
        let head = format!("arterial_x{{long=\"{}\",segment=\"", "y".repeat(600));
        for n in 0..10_000 {
            let (before, value) = (format!("{head}{n}"), format!("{}", n % 7));
            packer.line(before.as_bytes(), b"\",window=\"5m\"} ", value.as_bytes());
            expected += &format!("{before}\",window=\"5m\"}} {value}\n");
        }
        let gzip = packer.finish();
        assert_eq!(unpacked(&gzip), expected);
        assert!(gzip.len() < expected.len() / 30, "{} of {}", gzip.len(), expected.len());
        assert_eq!(unpacked(&Packer::default().finish()), "");
    }

    proptest! {
        #[test]
        fn any_text_comes_back(
            lines in prop::collection::vec(("[a-c]{0,12}", "[}\", ]{0,9}|\\PC{0,300}", "[0-9.é]{0,5}", any::<bool>()), 0..60)
        ) {
            let (mut packer, mut expected) = (Packer::default(), String::new());
            for (before, tail, value, plain) in &lines {
                let line = format!("{before}{tail}{value}\n");
                match plain {
                    true => packer.text(line.as_bytes()),
                    false => packer.line(before.as_bytes(), tail.as_bytes(), value.as_bytes()),
                }
                expected += &line;
            }
            prop_assert_eq!(unpacked(&packer.finish()), expected);
        }
    }
}
