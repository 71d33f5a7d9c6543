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

/// Codes of lengths by length, with the bits that are added.
static LENGTH_CODES: [Code; MATCH_MAX + 1] = length_codes();

const fn length_codes() -> [Code; MATCH_MAX + 1] {
    let codes = fixed();
    let mut by_length = [Code { bits: 0, len: 0 }; MATCH_MAX + 1];
    let mut place = 0;
    while place < LENGTHS.len() {
        let (least, extra) = LENGTHS[place];
        let Code { bits, len } = codes[257 + place];
        let mut more = 0;
        while more < 1 << extra && least as usize + more <= MATCH_MAX {
            by_length[least as usize + more] = Code { bits: bits | (more as u16) << len, len: len + extra };
            more += 1;
        }
        place += 1;
    }
    by_length
}

/// The text is summed up in pieces of this size, bytes.
const SUM_BYTES: usize = 16_384;

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
    /// Text that is not summed up yet.
    text: Vec<u8>,
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
            text: Vec::new(),
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
        self.text.extend_from_slice(text);
        self.sum();
        (self.line_bytes, self.before, self.tail) = (0, Vec::new(), Vec::new());
    }

    /// The line `before` + `tail` + `value` and its end. What `before` shares with the line before, and `tail` if it is the
    /// same, is said as a repetition.
    pub fn line(&mut self, before: &[u8], tail: &[u8], value: &[u8]) {
        let shared = shared(before, &self.before);
        let own = self.repeat(before, shared, self.line_bytes);
        self.literals(&before[own..]);
        // From the tail of the line before to this one: what followed it there, and what came before it here.
        let back = (self.line_bytes + before.len()).saturating_sub(self.before.len());
        let same = if tail == self.tail { tail.len() } else { 0 };
        let own = self.repeat(tail, same, back);
        self.literals(&tail[own..]);
        self.literals(value);
        self.literals(b"\n");
        for part in [before, tail, value, b"\n"] {
            self.text.extend_from_slice(part);
        }
        self.line_bytes = before.len() + tail.len() + value.len() + 1;
        if self.text.len() >= SUM_BYTES {
            self.sum();
        }
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
        self.sum();
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
            let code = LENGTH_CODES[len];
            self.put(code.bits, code.len);
            self.distance(back);
            said += len;
        }
        said
    }

    /// A distance: two codes for each power of two, and then the bits that they leave open. Fixed codes of distances are
    /// their own numbers in five bits.
    fn distance(&mut self, back: usize) {
        let from_one = back as u32 - 1;
        let (place, extra) = match from_one {
            0..=3 => (from_one, 0),
            _ => {
                let power = from_one.ilog2();
                (2 * power + (from_one >> (power - 1) & 1), power - 1)
            }
        };
        self.put((place as u16).reverse_bits() >> 11, 5);
        self.put((from_one & ((1 << extra) - 1)) as u16, extra);
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

    fn sum(&mut self) {
        self.crc.update(&self.text);
        // Modulo 2^32, as the format has it.
        self.text_bytes = self.text_bytes.wrapping_add(self.text.len() as u32);
        self.text.clear();
    }
}

/// How many bytes two texts begin with alike; eight at a time, since most of a line is alike.
fn shared(a: &[u8], b: &[u8]) -> usize {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("a chunk has eight bytes"));
    let mut same = 0;
    for (one, other) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let different = word(one) ^ word(other);
        if different != 0 {
            return same + different.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    same + a[same..].iter().zip(&b[same..]).take_while(|(one, other)| one == other).count()
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

    #[test]
    fn repetitions_of_every_length_from_every_distance_come_back() {
        for length in (0..=70).chain([114, 130, 131, 256, 257, 258, 259, 260, 515, 600]) {
            for filling in [0, 1, 2, 5, 30, 95, 300, 1_000, 4_000, 9_000, 20_000, 32_700, 40_000] {
                let (mut packer, mut expected) = (Packer::default(), String::new());
                let before: String = (0..length).map(|at| char::from(b'a' + (at * 7 % 23) as u8)).collect();
                for value in ["z".repeat(filling), "1".to_owned(), "22".to_owned()] {
                    packer.line(before.as_bytes(), b"}\",", value.as_bytes());
                    expected += &format!("{before}}}\",{value}\n");
                }
                assert_eq!(unpacked(&packer.finish()), expected, "{length} after {filling}");
            }
        }
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
