//! Matched rows as CSV.
//!
//! Upstream: [`super::Matched`]. Downstream: engineers, benchmarks.

use std::io::{self, Write};

use super::Names;
use crate::matching::drive::{Row, Traversed, Wanted};

/// CSV that is being written.
pub(super) struct Csv<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(mut out: W, wanted: Wanted) -> io::Result<Self> {
        out.write_all(match wanted {
            Wanted::Traversals => b"id,segment,source_id,enter_ms,leave_ms,distance_m,confidence\n",
            Wanted::Fixes => b"id,time_ms,segment,source_id,offset_m,distance_m,confidence,no_match\n",
        })?;
        Ok(Self { out, line: Vec::with_capacity(256) })
    }

    /// Writes one row; `true` if it is one in this format.
    pub(super) fn write(&mut self, names: &Names, row: &Row) -> io::Result<bool> {
        let line = &mut self.line;
        line.clear();
        match row {
            Row::Fix { vehicle, time_ms, place } => {
                line.extend_from_slice(names.in_csv(*vehicle));
                line.push(b',');
                whole(line, *time_ms);
                match place {
                    Ok(p) => {
                        line.extend_from_slice(names.segment_in_csv(p.segment));
                        decimal(line, p.offset_m, 2);
                        line.push(b',');
                        decimal(line, p.distance_m, 2);
                        line.push(b',');
                        decimal(line, f64::from(p.confidence), 3);
                        line.push(b',');
                    }
                    Err(reason) => {
                        line.extend_from_slice(b",,,,,,");
                        line.extend_from_slice(reason.name().as_bytes());
                    }
                }
            }
            Row::Traversal(t) => traversal(line, names, t),
            Row::End { .. } => return Ok(false),
        }
        line.push(b'\n');
        self.out.write_all(line)?;
        Ok(true)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn traversal(line: &mut Vec<u8>, names: &Names, t: &Traversed) {
    line.extend_from_slice(names.in_csv(t.vehicle));
    line.extend_from_slice(names.segment_in_csv(t.segment));
    whole(line, t.enter_ms);
    line.push(b',');
    whole(line, t.leave_ms);
    line.push(b',');
    decimal(line, t.distance_m, 2);
    line.push(b',');
    decimal(line, f64::from(t.confidence), 3);
}

/// A whole number; `write!` takes several times as long, and there are millions.
fn whole(line: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        line.push(b'-');
    }
    line.extend_from_slice(&digits[at..]);
}

/// A number with so many decimals, at most 3.
fn decimal(line: &mut Vec<u8>, number: f64, decimals: u32) {
    let scale = 10_i64.pow(decimals);
    let scaled = (number * scale as f64).round() as i64;
    if scaled < 0 {
        line.push(b'-');
    }
    let scaled = scaled.unsigned_abs() as i64;
    whole(line, scaled / scale);
    line.push(b'.');
    let part = scaled % scale;
    for d in (0..decimals).rev() {
        line.push(b'0' + (part / 10_i64.pow(d) % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_rust_writes_them() {
        for n in [0, 7, -7, 1_700_000_000_123, i64::MIN, i64::MAX] {
            let mut line = Vec::new();
            whole(&mut line, n);
            assert_eq!(line, n.to_string().as_bytes());
        }
        for n in [0.0, 0.005_1, 1.0, 12.345, -3.25, 499.999] {
            let mut line = Vec::new();
            decimal(&mut line, n, 2);
            assert_eq!(String::from_utf8(line).unwrap(), format!("{n:.2}"));
        }
    }
}
