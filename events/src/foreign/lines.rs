//! Lines of a file, counted, in bounded memory.
//!
//! Upstream: any `BufRead`. Downstream: [`super::hfp`] and [`super::csv`].

use std::io::{self, BufRead, Read};

use memchr::memchr;

use super::{ReadError, failed};
use crate::reject::{Reason, Reject};

/// Longest line that is read, bytes. The rest of a longer one is passed over.
pub(crate) const LINE_BYTES_MAX: usize = 1024 * 1024;

/// How much of an overlong line is kept to be shown.
pub(crate) const OVERLONG_KEPT_BYTES: usize = 4 * 1024;

/// Reads line after line into one buffer.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    number: u64,
    byte: u64,
}

/// What the buffer holds after a read.
pub(crate) enum Line {
    /// A line without its end (`\n` or `\r\n`).
    Whole,
    /// The first [`OVERLONG_KEPT_BYTES`] of a line that was too long.
    Overlong(Reject),
}

impl Lines {
    pub(crate) fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self { input, buffer: Vec::new(), number: 0, byte: 0 }
    }

    /// The number of the line that was read last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The line that was read last.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Reads the next line; `None` at the end.
    pub(crate) fn read(&mut self) -> Result<Option<Line>, ReadError> {
        self.line().map_err(|source| failed(source, self.number, self.byte))
    }

    #[inline]
    fn line(&mut self) -> io::Result<Option<Line>> {
        self.buffer.clear();
        // Nearly every line lies in what was read already; a failed look shows itself again below.
        if let Ok(there) = self.input.fill_buf()
            && let Some(end) = memchr(b'\n', there).filter(|end| *end <= LINE_BYTES_MAX)
        {
            let line = &there[..end];
            self.buffer.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            self.input.consume(end + 1);
            self.byte += end as u64 + 1;
            self.number += 1;
            return Ok(Some(Line::Whole));
        }
        self.long_line()
    }

    fn long_line(&mut self) -> io::Result<Option<Line>> {
        let bound = LINE_BYTES_MAX as u64 + 1;
        let taken = (&mut self.input).take(bound).read_until(b'\n', &mut self.buffer)?;
        if taken == 0 {
            return Ok(None);
        }
        self.byte += taken as u64;
        let ended = self.buffer.last() == Some(&b'\n');
        if ended {
            self.buffer.pop();
            if self.buffer.last() == Some(&b'\r') {
                self.buffer.pop();
            }
        }
        let overlong = self.buffer.len() > LINE_BYTES_MAX;
        if overlong {
            self.buffer.truncate(OVERLONG_KEPT_BYTES);
            self.buffer.shrink_to_fit();
            if !ended {
                self.pass_over()?;
            }
        }
        self.number += 1;
        Ok(Some(if overlong {
            let detail = format!("the line is longer than {LINE_BYTES_MAX} bytes");
            Line::Overlong(Reject::whole(Reason::WrongSize, detail))
        } else {
            Line::Whole
        }))
    }

    fn pass_over(&mut self) -> io::Result<()> {
        loop {
            let buffered = match self.input.fill_buf() {
                Ok(buffered) => buffered,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let end = buffered.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffered.len(), |end| end + 1);
            let over = end.is_some() || used == 0;
            self.input.consume(used);
            self.byte += used as u64;
            if over {
                return Ok(());
            }
        }
    }
}
