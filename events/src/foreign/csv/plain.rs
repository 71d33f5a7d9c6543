//! Plain numbers and times at the beginning of some bytes: `23.7312345`, `2023-10-29T13:24:10.211Z`.
//!
//! Upstream: [`super::quick`]. What is written in any other way is not read here, and the caller asks a parser
//! that knows more; what is read here is what that parser would give, to the bit.

use super::TimeUnit;
use crate::time::TimeMs;

/// Powers of ten that are exact in binary (all up to 10^22 are).
const TENS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Most digits of a number: a whole number of 15 digits is exact in binary.
const DIGITS_MAX: usize = 15;

/// Bytes of `2023-10-29`, and of `2023-10-29T13:24:10`.
const DATE_BYTES: usize = 10;
const SECOND_BYTES: usize = 19;

/// A number as it is written: `digits / 10^decimals`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    pub(super) digits: u64,
    pub(super) decimals: usize,
    pub(super) is_negative: bool,
}

/// Reads times; remembers the day that it read last, since neighbouring rows are mostly of one day.
#[derive(Default)]
pub(super) struct Clock {
    date: [u8; DATE_BYTES],
    midnight_ms: i64,
}

impl Decimal {
    /// Reads digits with or without a sign and decimals; gives what follows them too.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let is_negative = bytes.first() == Some(&b'-');
        let bytes = if is_negative { &bytes[1..] } else { bytes };
        let (mut digits, whole) = digits(bytes, 0);
        let (mut used, mut decimals) = (whole, 0);
        if bytes.get(whole) == Some(&b'.') {
            (digits, decimals) = self::digits(&bytes[whole + 1..], digits);
            used = whole + 1 + decimals;
            if decimals == 0 {
                return None;
            }
        }
        let is_exact = whole > 0 && whole + decimals <= DIGITS_MAX;
        is_exact.then(|| (Self { digits, decimals, is_negative }, &bytes[used..]))
    }

    /// The nearest binary number: both parts are exact, so the one division rounds as it must (W. D. Clinger, "How to
    /// read floating point numbers accurately", PLDI 1990).
    #[inline]
    pub(super) fn value(self) -> f64 {
        let value = self.digits as f64 / TENS[self.decimals];
        if self.is_negative { -value } else { value }
    }
}

/// Goes on with a number by the digits at the beginning, and counts them. Of more than fit the number is nonsense.
#[inline]
fn digits(bytes: &[u8], before: u64) -> (u64, usize) {
    let (mut number, mut count) = (before, 0);
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (number, count)
}

impl Clock {
    /// Reads a time in a unit (or, without one, by its looks) and gives what follows it too.
    #[inline]
    pub(super) fn read<'b>(&mut self, bytes: &'b [u8], unit: Option<TimeUnit>) -> Option<(TimeMs, &'b [u8])> {
        let is_date = unit == Some(TimeUnit::Rfc3339) || unit.is_none() && bytes.get(4) == Some(&b'-');
        if is_date {
            return self.rfc3339(bytes);
        }
        let (number, after) = Decimal::read(bytes)?;
        if number.is_negative {
            return None;
        }
        let is_ms = unit == Some(TimeUnit::Milliseconds);
        let ms = match (is_ms, number.decimals) {
            (true, 0) => number.digits as i64,
            (false, 0) => number.digits as i64 * 1_000,
            (true, _) => number.value().round() as i64,
            (false, _) => (number.value() * 1_000.0).round() as i64,
        };
        Some((TimeMs::new(ms).ok()?, after))
    }

    /// RFC 3339 with a `T`, and `Z` or an offset of hours and minutes.
    fn rfc3339<'b>(&mut self, bytes: &'b [u8]) -> Option<(TimeMs, &'b [u8])> {
        let (second, mut after) = bytes.split_at_checked(SECOND_BYTES)?;
        let two = |bytes: &[u8], max: u64| match digits(&bytes[..2], 0) {
            (number, 2) if number <= max => Some(number as i64),
            _ => None,
        };
        if [second[10], second[13], second[16]] != *b"T::" {
            return None;
        }
        let (hour, minute) = (two(&second[11..], 23)?, two(&second[14..], 59)?);
        let mut ms = ((hour * 60 + minute) * 60 + two(&second[17..], 59)?) * 1_000;
        if let Some(fraction) = after.strip_prefix(b".") {
            let (_, count) = digits(fraction, 0);
            if !(1..=9).contains(&count) {
                return None;
            }
            // Cut, not rounded, as the parser does.
            let (thousandths, kept) = digits(&fraction[..count.min(3)], 0);
            ms += thousandths as i64 * [0, 100, 10, 1][kept];
            after = &fraction[count..];
        }
        let (sign, rest) = after.split_first()?;
        if *sign == b'Z' {
            after = rest;
        } else {
            let (offset, rest) = rest.split_at_checked(5).filter(|(offset, _)| offset[2] == b':')?;
            let offset_ms = (two(offset, 23)? * 60 + two(&offset[3..], 59)?) * 60_000;
            ms += match sign {
                b'+' => -offset_ms,
                b'-' if offset_ms > 0 => offset_ms,
                _ => return None,
            };
            after = rest;
        }
        let date = second.first_chunk::<DATE_BYTES>()?;
        if self.date != *date {
            let midnight = format!("{}T00:00:00Z", std::str::from_utf8(date).ok()?);
            self.midnight_ms = midnight.parse::<jiff::Timestamp>().ok()?.as_millisecond();
            self.date = *date;
        }
        // Before 1970 parts of milliseconds are cut the other way.
        let ms = self.midnight_ms + ms;
        (ms >= 0).then(|| TimeMs::new(ms).ok().map(|time| (time, after)))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plain_number_is_what_rust_reads(text in "-?[0-9]{1,9}(\\.[0-9]{1,9})?", behind in "(,[ -~]{0,12})?") {
            let text = &text;
            let read = {
                let whole = format!("{text}{behind}");
                Decimal::read(whole.as_bytes()).map(|(number, after)| (number.value().to_bits(), after.len()))
            };
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let expected = (digits <= DIGITS_MAX).then(|| (text.parse::<f64>().unwrap().to_bits(), behind.len()));
            prop_assert_eq!(read, expected, "{}", text);
        }

        #[test]
        fn a_plain_time_is_what_the_parser_reads(
            text in "(19[67]|20[0-9])[0-9]-(0[1-9]|1[0-3])-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z|[+-][0-2][0-9]:[0-6][0-9]|)",
        ) {
            let mut clock = Clock::default();
            let parsed = text.parse::<jiff::Timestamp>().ok().and_then(|at| TimeMs::new(at.as_millisecond()).ok());
            for _ in 0..2 {
                if let Some((time, after)) = clock.read(text.as_bytes(), Some(TimeUnit::Rfc3339)) {
                    prop_assert_eq!((Some(time), after.len()), (parsed, 0), "{}", text);
                }
            }
        }
    }

    #[test]
    fn the_usual_ways_are_all_read_here() {
        for (unit, text, ms) in [
            (Some(TimeUnit::Milliseconds), "1698585850211,x", 1_698_585_850_211),
            (Some(TimeUnit::Seconds), "1800.25,x", 1_800_250),
            (None, "1800,x", 1_800_000),
            (None, "2023-10-29T13:24:10.211Z,x", 1_698_585_850_211),
            (Some(TimeUnit::Rfc3339), "2023-10-29T13:24:10.2756Z,x", 1_698_585_850_275),
            (Some(TimeUnit::Rfc3339), "2015-03-08T01:40:54-06:00,x", 1_425_800_454_000),
        ] {
            assert_eq!(Clock::default().read(text.as_bytes(), unit), Some((TimeMs(ms), &b",x"[..])), "{text}");
        }
        for text in ["", "+5", "-5", ".5", "5.", "1e3", "0x10", "inf", "1234567890123456"] {
            let read = Clock::default().read(text.as_bytes(), Some(TimeUnit::Seconds));
            assert!(read.is_none_or(|(_, after)| !after.is_empty()), "{text}");
        }
    }
}
