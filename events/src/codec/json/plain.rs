//! The short way through JSON: positions that are written plainly, read in one pass, nothing copied.
//!
//! Upstream: ingest, which tries this first. Downstream: columns. Plain is what [`super::encode`] and nearly every
//! other program writes: no escapes, no exponents, no value nested but `edge`. Whatever is not plain, and whatever
//! would be refused, is none of this file's business: it says so, and [`super::decode`] reads the message again.
//! So this file never refuses anything, and a test holds what it does read against the long way.

use std::str;

use crate::codec::{BATCH_EVENTS_MAX, MESSAGE_BYTES_MAX};
use crate::time::TimeMs;
use crate::topic::is_name;
use crate::units::{HeadingDeg, LonLat, MetresPerSecond};

use super::EDGE_ID_BYTES_MAX;

/// A position whose texts still lie in the payload or in the topic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainPosition<'a> {
    pub source: &'a str,
    pub seq: Option<u64>,
    pub time: TimeMs,
    pub at: LonLat,
    pub speed: Option<MetresPerSecond>,
    pub heading: Option<HeadingDeg>,
    /// The source's own edge and the metres from its beginning.
    pub edge: Option<(&'a str, f64)>,
}

/// Gives each position of a message on the topic of `own`, in order; whether the whole message was plain and sound.
/// If not, nothing is decided: whatever was given is to be taken back, and the message to be decoded the long way.
pub fn plain_positions<'a>(own: &'a str, payload: &'a [u8], mut each: impl FnMut(PlainPosition<'a>)) -> bool {
    if payload.len() > MESSAGE_BYTES_MAX {
        return false;
    }
    let mut plain = Plain { text: payload, at: 0, beyond_ascii: false };
    // Outside of strings only ASCII was read, and it is rare inside of them too.
    plain.message(own, &mut each).is_some() && (!plain.beyond_ascii || str::from_utf8(payload).is_ok())
}

/// A place in the text, moving forward. `None` from any of its functions means "not plain".
struct Plain<'a> {
    text: &'a [u8],
    at: usize,
    /// A string had bytes beyond ASCII, which are yet to be shown to be UTF-8.
    beyond_ascii: bool,
}

/// The fields of a position; of other fields only that they are others.
enum Key {
    Source,
    Seq,
    TsMs,
    LonDeg,
    LatDeg,
    SpeedMps,
    HeadingDeg,
    Edge,
    Other,
}

/// A number as it is written: no exponent, at most 19 digits.
struct Decimal<'a> {
    negative: bool,
    /// All digits as one whole number.
    digits: u64,
    /// How many of them follow the point.
    after_point: usize,
    text: &'a [u8],
}

impl<'a> Plain<'a> {
    fn message(&mut self, own: &'a str, each: &mut impl FnMut(PlainPosition<'a>)) -> Option<()> {
        if self.here()? == b'{' {
            each(self.position(own)?);
        } else {
            self.take(b'[')?;
            for n in 0.. {
                if n == BATCH_EVENTS_MAX {
                    return None;
                }
                each(self.position(own)?);
                if self.took(b']') {
                    break;
                }
                self.take(b',')?;
            }
        }
        (self.at == self.text.len()).then_some(())
    }

    fn position(&mut self, own: &'a str) -> Option<PlainPosition<'a>> {
        self.take(b'{')?;
        let (mut source, mut seq, mut time) = (own, None, None);
        let (mut lon_deg, mut lat_deg) = (None, None);
        let (mut speed, mut heading, mut edge) = (None, None, None);
        loop {
            match self.key()? {
                Key::Source => source = self.source(own)?,
                Key::Seq => seq = Some(self.whole()?),
                Key::TsMs => time = Some(TimeMs::new(i64::try_from(self.whole()?).ok()?).ok()?),
                Key::LonDeg => lon_deg = Some(self.decimal()?.double()?),
                Key::LatDeg => lat_deg = Some(self.decimal()?.double()?),
                Key::SpeedMps => {
                    let mps = self.decimal()?.single()?;
                    speed = MetresPerSecond::reported(f64::from(mps)).ok()?;
                }
                Key::HeadingDeg => heading = Some(HeadingDeg::new(self.decimal()?.single()?).ok()?),
                Key::Edge => edge = Some(self.edge()?),
                Key::Other => self.skip()?,
            }
            if self.took(b'}') {
                break;
            }
            self.take(b',')?;
        }
        let at = LonLat::new(lon_deg?, lat_deg?).ok()?;
        Some(PlainPosition { source, seq, time: time?, at, speed, heading, edge })
    }

    /// The next key, with its colon.
    fn key(&mut self) -> Option<Key> {
        // Comparisons with constants, which are one or two instructions each; the first letter leaves at most three.
        let rest = &self.text[self.at..];
        let known = match rest.get(1)? {
            b's' if rest.starts_with(b"\"speed_mps\":") => Some((Key::SpeedMps, 12)),
            b's' if rest.starts_with(b"\"source\":") => Some((Key::Source, 9)),
            b's' if rest.starts_with(b"\"seq\":") => Some((Key::Seq, 6)),
            b't' if rest.starts_with(b"\"ts_ms\":") => Some((Key::TsMs, 8)),
            // Counts only where `ts_ms` is absent; whoever writes both is read the long way.
            b't' if rest.starts_with(b"\"ts\"") => return None,
            b'l' if rest.starts_with(b"\"lon_deg\":") => Some((Key::LonDeg, 10)),
            b'l' if rest.starts_with(b"\"lat_deg\":") => Some((Key::LatDeg, 10)),
            b'h' if rest.starts_with(b"\"heading_deg\":") => Some((Key::HeadingDeg, 14)),
            // Buses are few beside cars: who says his line is read the long way.
            b'r' if rest.starts_with(b"\"route\"") => return None,
            b'e' if rest.starts_with(b"\"edge\":") => Some((Key::Edge, 7)),
            _ => None,
        };
        let Some((key, length)) = known else {
            self.take(b'"')?;
            self.rest_of_string()?;
            self.take(b':')?;
            return Some(Key::Other);
        };
        self.at += length;
        self.at += usize::from(self.here() == Some(b' '));
        Some(key)
    }

    /// The topic's own name, or one that a gateway may speak for.
    fn source(&mut self, own: &'a str) -> Option<&'a str> {
        self.take(b'"')?;
        let name = self.rest_of_string()?;
        if name == own.as_bytes() {
            return Some(own);
        }
        let rest = name.strip_prefix(own.as_bytes())?;
        let name = str::from_utf8(name).ok()?;
        (rest.len() > 1 && rest[0] == b'.' && is_name(name)).then_some(name)
    }

    fn edge(&mut self) -> Option<(&'a str, f64)> {
        self.take(b'{')?;
        self.take_all(b"\"id\":")?;
        self.take(b'"')?;
        let id = str::from_utf8(self.rest_of_string()?).ok()?;
        self.take(b',')?;
        self.take_all(b"\"pos_m\":")?;
        let pos_m = self.decimal()?;
        let sound = (1..=EDGE_ID_BYTES_MAX).contains(&id.len()) && !pos_m.negative;
        let pos_m = pos_m.double().filter(|pos_m| sound && pos_m.is_finite())?;
        self.took(b'}').then_some((id, pos_m))
    }

    /// Passes over a value that says nothing to us.
    fn skip(&mut self) -> Option<()> {
        match self.here()? {
            b'"' => {
                self.at += 1;
                self.rest_of_string().map(|_| ())
            }
            b't' => self.take_all(b"true"),
            b'n' => self.take_all(b"null"),
            b'f' => self.take_all(b"false"),
            _ => self.decimal().map(|_| ()),
        }
    }

    /// A number of digits only.
    #[inline]
    fn whole(&mut self) -> Option<u64> {
        let start = self.at;
        let number = self.run_of_digits(0);
        let count = self.at - start;
        let no_zero_in_front = count == 1 || self.text.get(start) != Some(&b'0');
        let ends = !matches!(self.here(), Some(b'.' | b'e' | b'E'));
        ((1..=19).contains(&count) && no_zero_in_front && ends).then_some(number)
    }

    // Its result is six words, which a call would pass through memory.
    #[inline(always)]
    fn decimal(&mut self) -> Option<Decimal<'a>> {
        let start = self.at;
        let negative = self.took(b'-');
        let first = self.at;
        // One by one, since two or three are usual here; the fraction is longer.
        let mut digits: u64 = 0;
        while let Some(digit) = self.digit() {
            digits = digits.wrapping_mul(10).wrapping_add(digit);
        }
        let before = self.at - first;
        // RFC 8259: at least one digit, and no 0 in front of others.
        if before == 0 || (before > 1 && self.text[first] == b'0') {
            return None;
        }
        let mut after_point = 0;
        if self.here() == Some(b'.') {
            self.at += 1;
            let point = self.at;
            digits = self.run_of_digits(digits);
            after_point = self.at - point;
            if after_point == 0 {
                return None;
            }
        }
        // Nineteen digits fit into 64 bits whatever they are.
        let plain = before + after_point <= 19 && !matches!(self.here(), Some(b'e' | b'E'));
        let text = &self.text[start..self.at];
        plain.then_some(Decimal { negative, digits, after_point, text })
    }

    /// Continues a whole number by the digits that stand here; wraps beyond 19 of them.
    #[inline]
    fn run_of_digits(&mut self, mut number: u64) -> u64 {
        const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
        while let Some(eight) = self.text[self.at..].first_chunk::<8>() {
            let (count, value) = leading_digits(u64::from_le_bytes(*eight));
            number = number.wrapping_mul(TENS[count]).wrapping_add(value);
            self.at += count;
            if count < 8 {
                return number;
            }
        }
        while let Some(digit) = self.digit() {
            number = number.wrapping_mul(10).wrapping_add(digit);
        }
        number
    }

    /// The digit that stands here, passed over.
    #[inline]
    fn digit(&mut self) -> Option<u64> {
        let digit = self.here()?.wrapping_sub(b'0');
        self.at += usize::from(digit < 10);
        (digit < 10).then_some(u64::from(digit))
    }

    /// What stands before the closing quote, which is passed over; the opening one was.
    fn rest_of_string(&mut self) -> Option<&'a [u8]> {
        let rest = &self.text[self.at..];
        let (length, ascii) = length_to_quote(rest)?;
        self.at += length + 1;
        self.beyond_ascii |= !ascii;
        Some(&rest[..length])
    }

    fn here(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Whether this byte stood here; it is passed over then, with a blank behind it.
    fn took(&mut self, byte: u8) -> bool {
        let found = self.here() == Some(byte);
        self.at += usize::from(found);
        if found && matches!(byte, b',' | b':') && self.here() == Some(b' ') {
            self.at += 1;
        }
        found
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.took(byte).then_some(())
    }

    fn take_all(&mut self, bytes: &[u8]) -> Option<()> {
        let found = self.text[self.at..].starts_with(bytes);
        self.at += bytes.len();
        found.then_some(())
    }
}

impl Decimal<'_> {
    /// The nearest `f64`, as the standard library reads it: a quotient of two numbers that are exact is rounded once,
    /// hence correctly (Clinger 1990, "How to read floating point numbers accurately", section 3).
    #[inline]
    fn double(&self) -> Option<f64> {
        const EXACT: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
        match EXACT.get(self.after_point) {
            Some(power) if self.digits <= 1 << 53 => {
                // Signed, which processors convert in one step.
                let size = self.digits as i64 as f64 / power;
                Some(if self.negative { -size } else { size })
            }
            _ => str::from_utf8(self.text).ok()?.parse().ok(),
        }
    }

    /// The nearest `f32`, likewise.
    #[inline]
    fn single(&self) -> Option<f32> {
        const EXACT: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];
        match EXACT.get(self.after_point) {
            Some(power) if self.digits <= 1 << 24 => {
                let size = self.digits as i64 as f32 / power;
                Some(if self.negative { -size } else { size })
            }
            _ => str::from_utf8(self.text).ok()?.parse().ok(),
        }
    }
}

/// How many of eight bytes, the first in the lowest, are digits before the first that is none, and their value.
///
/// A digit less `0` is at most 9, and then stays below 128 when 0x76 is added; the lowest mark is always a true one,
/// since a carry goes upwards. The digits are moved to the end, as if zeros stood before them, and neighbours are
/// added up in pairs, fours and eights (Lemire 2018, "Quickly parsing eight digits").
#[inline]
fn leading_digits(word: u64) -> (usize, u64) {
    let values = word ^ (ONES * u64::from(b'0'));
    let marks = (values.wrapping_add(ONES * 0x76) | values) & HIGHS;
    let count = marks.trailing_zeros() / 8;
    // In two steps, since a shift by 64 bits would be one too many.
    let values = values << (4 * (8 - count)) << (4 * (8 - count));
    let pairs = values.wrapping_mul(2_561) >> 8 & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(6_553_601) >> 16 & 0x0000_FFFF_0000_FFFF;
    (count as usize, fours.wrapping_mul(42_949_672_960_001) >> 32)
}

/// A word of ones, and one of the highest bit of each byte.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// Bytes before the first quote, and whether all of them are ASCII; `None` if an escape, a control character or the
/// end comes first. Whole pieces of [`PIECE`] bytes in which nothing needs a look are passed over; then eight bytes
/// at a time: `(x - 0x01…) & !x & 0x80…` marks the zero bytes of a word, and the lowest mark is always a true one
/// (Warren, "Hacker's Delight", section 6-1).
#[inline]
fn length_to_quote(text: &[u8]) -> Option<(usize, bool)> {
    let mut passed = 0;
    while let Some(piece) = text[passed..].first_chunk::<PIECE>()
        && !needs_a_look(piece)
    {
        passed += PIECE;
    }
    let (eights, tail) = text[passed..].as_chunks::<8>();
    let mut highs = 0;
    for (n, eight) in eights.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let (quotes, escapes) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        let zeros = (quotes.wrapping_sub(ONES) & !quotes) | (escapes.wrapping_sub(ONES) & !escapes);
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let marks = (zeros | controls) & HIGHS;
        if marks != 0 {
            let bits = marks.trailing_zeros();
            // What stands before the mark; 7 is the least, since a mark is the highest bit of its byte.
            highs |= word & HIGHS & ((1 << (bits - 7)) - 1);
            let byte = bits as usize / 8;
            return (eight[byte] == b'"').then_some((passed + n * 8 + byte, highs == 0));
        }
        highs |= word & HIGHS;
    }
    let end = tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    let ascii = highs == 0 && tail[..end].is_ascii();
    (tail[end] == b'"').then_some((passed + eights.len() * 8 + end, ascii))
}

/// Bytes that are looked at together.
const PIECE: usize = 32;

/// Whether a byte ends a string, escapes, controls or is none of ASCII. Blanks and `!` come with them: what is below
/// `#` is one comparison of a word.
#[inline(always)]
fn needs_a_look(piece: &[u8; PIECE]) -> bool {
    let (words, _) = piece.as_chunks::<8>();
    let marks = words.iter().fold(0, |marks, word| {
        let word = u64::from_le_bytes(*word);
        let escapes = word ^ (ONES * u64::from(b'\\'));
        let low = word.wrapping_sub(ONES * u64::from(b'#')) & !word;
        marks | low | (escapes.wrapping_sub(ONES) & !escapes) | word
    });
    marks & HIGHS != 0
}

#[cfg(test)]
mod tests;
