//! An input that counts its lines and refuses to go on when no tag ends for too long.
//!
//! Upstream: any `BufRead`. Downstream: the XML reader, which would otherwise collect a text of any length.

use std::io::{self, BufRead, Read};

use crate::foreign::lines::LINE_BYTES_MAX;

pub(in crate::foreign) struct Counted {
    input: Box<dyn BufRead + Send>,
    line: u64,
    /// Bytes since the last `>`.
    open_bytes: usize,
}

impl Counted {
    pub(in crate::foreign) fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self { input, line: 1, open_bytes: 0 }
    }

    /// The line of the next byte, from 1.
    pub(in crate::foreign) fn line(&self) -> u64 {
        self.line
    }

    /// Whether no tag ended for too long; from then on every read fails.
    pub(in crate::foreign) fn gave_up(&self) -> bool {
        self.open_bytes > LINE_BYTES_MAX
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.gave_up() {
            let detail = format!("no tag ends within {LINE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        if n == 0 {
            return;
        }
        // Bytes that are consumed were filled before: this reads nothing.
        if let Ok(filled) = self.input.fill_buf() {
            let used = &filled[..n.min(filled.len())];
            self.line += used.iter().filter(|byte| **byte == b'\n').count() as u64;
            self.open_bytes = match used.iter().rposition(|byte| *byte == b'>') {
                Some(last) => used.len() - 1 - last,
                None => self.open_bytes + used.len(),
            };
        }
        self.input.consume(n);
    }
}
