//! What was rejected, kept as it came, with its reason: JSON lines in numbered files beside the spool.
//!
//! One line is one rejected event (or message that could not be decoded): see [`DeadLetter`]. Files are numbered
//! upwards, rolled by size and age; when all together exceed their bound the oldest goes, and its lines are counted as
//! dropped, and so does one that is too old. A letter is on disk before its message is acknowledged; a message that comes
//! again after a crash may leave two.
//!
//! Payloads are as they came, vehicle ids included: a letter is there to be understood and sent again, and what could not
//! be decoded has no id that could be replaced. So the files are readable by their owner only, and none is kept for ever.
//!
//! Upstream: the writer. Downstream: [`read`], for `arterial dead-letters`.

pub mod forget;
pub mod read;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use events::TimeMs;
use events::codec::Refused;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::faults::Faults;
use crate::spool::SpoolError;

/// How often the age of files is looked at while no letter comes, ms.
const LOOK_EVERY_MS: i64 = 3_600_000;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Receive time, UTC milliseconds.
    pub received_ms: i64,
    pub topic: String,
    /// A name of [`events::Reason`].
    pub reason: String,
    /// The field it is about; absent when it is about the whole message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// A sentence with the value.
    pub detail: String,
    /// The payload, if it is text in UTF-8; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The payload in hexadecimal digits, if it is not text; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_hex: Option<String>,
}

impl DeadLetter {
    /// The letter of a refusal.
    pub fn new(topic: &str, received: TimeMs, refused: &Refused) -> Self {
        let text = std::str::from_utf8(&refused.payload).ok();
        Self {
            received_ms: received.0,
            topic: topic.to_owned(),
            reason: refused.reject.reason.name().to_owned(),
            field: refused.reject.field.as_ref().map(|field| field.to_string()),
            detail: refused.reject.detail.clone(),
            payload: text.map(str::to_owned),
            payload_hex: text.is_none().then(|| hex(&refused.payload)),
        }
    }

    /// The payload as it came; `None` if the line was edited into something that is no payload.
    pub fn payload_bytes(&self) -> Option<Vec<u8>> {
        match (&self.payload, &self.payload_hex) {
            (Some(text), None) => Some(text.as_bytes().to_vec()),
            (None, Some(digits)) => unhex(digits),
            _ => None,
        }
    }
}

/// Bounds of the dead letters.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetterConfig {
    /// A file that has more is followed by a new one, bytes.
    pub file_bytes_max: u64,
    /// A file that was begun longer ago is followed by a new one.
    pub file_age_max: Duration,
    /// All files together; beyond it the oldest goes.
    pub retain_bytes: u64,
    /// A file that was written last before this long goes: a letter is kept for at most this and `file_age_max`.
    /// Enforced at the start, with new letters, and otherwise at the first block of every hour.
    pub retain_age: Duration,
}

impl Default for DeadLetterConfig {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self { file_bytes_max: 16 << 20, file_age_max: DAY, retain_bytes: 1 << 30, retain_age: 30 * DAY }
    }
}

/// The writing end.
pub struct DeadLetters {
    dir: PathBuf,
    config: DeadLetterConfig,
    /// Number and good bytes of every file, oldest first.
    files: VecDeque<(u64, u64)>,
    /// The newest file; `None` before the first letter and after a failure.
    file: Option<File>,
    faults: Faults,
    /// When age was last looked at.
    looked: TimeMs,
}

impl DeadLetters {
    /// Opens the folder, which is made if it is not there, and cuts an unfinished last line.
    ///
    /// # Errors
    /// What the operating system says, with the path.
    pub fn open(dir: &Path, config: DeadLetterConfig) -> Result<Self, SpoolError> {
        Self::open_with(dir, config, Faults::default())
    }

    /// The same on the disk of a test.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(dir: &Path, config: DeadLetterConfig, faults: Faults) -> Result<Self, SpoolError> {
        fs::create_dir_all(dir).map_err(|cause| SpoolError::io("make the folder", dir, cause))?;
        let mut files = VecDeque::new();
        for path in files_in(dir).map_err(|cause| SpoolError::io("list", dir, cause))? {
            let bytes = fs::metadata(&path).map_err(|cause| SpoolError::io("look at", &path, cause))?.len();
            files.extend(number_of(&path).map(|number| (number, bytes)));
        }
        let mut file = None;
        if let Some((number, bytes)) = files.back_mut() {
            let path = path_of(dir, *number);
            let content = fs::read(&path).map_err(|cause| SpoolError::io("read", &path, cause))?;
            *bytes = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
            if *bytes < content.len() as u64 {
                // At once: whoever reads the folder finds whole lines.
                file = Some(open_file(&path, *bytes, &faults).map_err(|cause| SpoolError::io("cut", &path, cause))?);
            }
        }
        let mut letters = Self { dir: dir.to_owned(), config, files, file, faults, looked: clock::now() };
        letters.retain();
        Ok(letters)
    }

    /// Appends letters; when this returns, they are on disk. Gives how many old ones were dropped to make room.
    ///
    /// # Errors
    /// If they could not be written or synced: none of them counts then, append them again.
    pub fn append(&mut self, letters: &[DeadLetter]) -> Result<u64, SpoolError> {
        if letters.is_empty() {
            let due = clock::now().0.saturating_sub(self.looked.0) >= LOOK_EVERY_MS;
            return Ok(if due { self.retain() } else { 0 });
        }
        let mut lines = Vec::new();
        for letter in letters {
            serde_json::to_writer(&mut lines, letter).expect("texts and numbers always are JSON");
            lines.push(b'\n');
        }
        let (number, good) = match self.files.back() {
            Some((number, bytes)) if *bytes < self.config.file_bytes_max && !self.is_old(*number) => (*number, *bytes),
            Some((number, _)) => (number + 1, 0),
            None => (0, 0),
        };
        let path = path_of(&self.dir, number);
        if self.files.back().is_none_or(|(newest, _)| *newest != number) {
            self.file = None;
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => open_file(&path, good, &self.faults).map_err(|cause| SpoolError::io("open", &path, cause))?,
        };
        self.faults.write(&path, &file, &lines).map_err(|cause| SpoolError::io("append to", &path, cause))?;
        let synced = self.faults.sync(&path, || file.sync_data());
        synced.map_err(|cause| SpoolError::io("sync", &path, cause))?;
        self.file = Some(file);
        match self.files.back_mut() {
            Some((newest, bytes)) if *newest == number => *bytes = good + lines.len() as u64,
            _ => self.files.push_back((number, lines.len() as u64)),
        }
        Ok(self.retain())
    }

    /// Whether a file was begun too long ago to be gone on with.
    fn is_old(&self, number: u64) -> bool {
        let begun = fs::metadata(path_of(&self.dir, number)).and_then(|data| data.created());
        begun.is_ok_and(|begun| is_past(begun, self.config.file_age_max))
    }

    fn retain(&mut self) -> u64 {
        self.looked = clock::now();
        let mut dropped = 0;
        while let Some((number, _)) = self.files.front().copied() {
            let path = path_of(&self.dir, number);
            let too_much = self.files.len() > 1
                && self.files.iter().map(|(_, bytes)| bytes).sum::<u64>() > self.config.retain_bytes;
            let written = fs::metadata(&path).and_then(|data| data.modified());
            if !too_much && !written.is_ok_and(|written| is_past(written, self.config.retain_age)) {
                break;
            }
            self.files.pop_front();
            if self.files.is_empty() {
                // Numbers go on, so that a place never names two letters.
                self.file = None;
                self.files.push_back((number + 1, 0));
            }
            dropped += lines_in(&path).unwrap_or(0);
            if let Err(cause) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %cause, "an old dead-letter file could not be deleted");
            }
        }
        dropped
    }
}

/// Whether a time on disk lies longer ago than an age; one in the future does not.
fn is_past(time: SystemTime, age: Duration) -> bool {
    let ms = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let age_ms = clock::now().0.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX));
    age_ms > i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}

/// The files of a dead-letter folder, oldest first.
///
/// # Errors
/// What the operating system says.
pub fn files_in(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if number_of(&path).is_some() {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.jsonl"))
}

fn number_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
    (digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Opens a file for appending behind its `good` bytes; what a failed attempt left is cut.
fn open_file(path: &Path, good: u64, faults: &Faults) -> io::Result<File> {
    faults.make(path)?;
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    faults.cut(&file, good)?;
    faults.sync(path, || file.sync_all())?;
    faults.sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    Ok(file)
}

fn lines_in(path: &Path) -> io::Result<u64> {
    let mut lines = 0;
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        line?;
        lines += 1;
    }
    Ok(lines)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let nibbles: Vec<u8> = digits.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    nibbles.chunks(2).map(|pair| Some(pair.first()? << 4 | pair.get(1)?)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use events::{Reason, Reject};

    fn letter(payload: &[u8]) -> DeadLetter {
        let reject = Reject::field(Reason::OutOfRange, "lat_deg", "95 is not within -90 to 90".to_owned());
        DeadLetter::new("arterial/v1/x/position/a", TimeMs(5), &Refused { reject, payload: payload.to_vec() })
    }

    fn stored(dir: &Path) -> Vec<DeadLetter> {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        let text: String = files_in(dir).unwrap().into_iter().map(read).collect();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn letters_keep_every_payload_and_survive_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let letters = [letter(b"{\"lat_deg\":95}\n"), letter(&[0, 255, 0x1f]), letter("ü\u{0}".as_bytes())];
        DeadLetters::open(dir.path(), DeadLetterConfig::default()).unwrap().append(&letters).unwrap();
        let path = files_in(dir.path()).unwrap().remove(0);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"received_ms\":1,\"top").unwrap();
        let mut again = DeadLetters::open(dir.path(), DeadLetterConfig::default()).unwrap();
        again.append(&[letter(b"last")]).unwrap();
        let found = stored(dir.path());
        assert_eq!(found[..3], letters);
        assert_eq!(found[1].payload_bytes().unwrap(), [0, 255, 0x1f]);
        assert_eq!(found[3].payload_bytes().unwrap(), b"last");
        assert_eq!(found[3].reason, "out_of_range");
    }

    #[test]
    fn the_oldest_file_goes_and_its_letters_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let config = DeadLetterConfig { file_bytes_max: 2_000, retain_bytes: 10_000, ..DeadLetterConfig::default() };
        let mut letters = DeadLetters::open(dir.path(), config).unwrap();
        let (mut written, mut dropped) = (0, 0);
        for _ in 0..200 {
            dropped += letters.append(&[letter(&[b'x'; 100]), letter(b"y")]).unwrap();
            written += 2;
        }
        let kept = stored(dir.path()).len() as u64;
        assert!(dropped > 0 && kept > 0);
        assert_eq!(kept + dropped, written);
    }

    #[test]
    fn what_is_too_old_goes_also_when_nothing_comes_and_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut letters = DeadLetters::open(dir.path(), DeadLetterConfig::default()).unwrap();
        letters.append(&[letter(b"old"), letter(b"older")]).unwrap();
        let first = files_in(dir.path()).unwrap().remove(0);
        let month_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        File::options().append(true).open(&first).unwrap().set_modified(month_ago).unwrap();
        assert_eq!(letters.append(&[]).unwrap(), 0, "not looked at again within the hour");
        letters.looked = TimeMs(0);
        assert_eq!(letters.append(&[]).unwrap(), 2);
        assert!(files_in(dir.path()).unwrap().is_empty());
        letters.append(&[letter(b"new")]).unwrap();
        let files = files_in(dir.path()).unwrap();
        assert_eq!(files.iter().map(|path| number_of(path)).collect::<Vec<_>>(), [Some(1)]);
        // And at the start.
        File::options().append(true).open(&files[0]).unwrap().set_modified(month_ago).unwrap();
        DeadLetters::open(dir.path(), DeadLetterConfig::default()).unwrap();
        assert!(files_in(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn a_file_is_gone_on_with_for_a_day_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let config = DeadLetterConfig { file_age_max: Duration::ZERO, ..DeadLetterConfig::default() };
        let mut letters = DeadLetters::open(dir.path(), config).unwrap();
        letters.append(&[letter(b"a")]).unwrap();
        // Older than nothing at all: any file whose clock has moved on by a millisecond.
        while !is_past(fs::metadata(path_of(dir.path(), 0)).unwrap().created().unwrap(), Duration::ZERO) {
            std::hint::spin_loop();
        }
        letters.append(&[letter(b"b")]).unwrap();
        assert_eq!(files_in(dir.path()).unwrap().len(), 2);
    }
}
