//! Dead letters as somebody looks through them: by place, in order, with a note of what was sent again.
//!
//! Upstream: the folder that [`super::DeadLetters`] writes, also while it writes. Downstream: `arterial dead-letters`.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{DeadLetter, files_in, number_of};
use crate::spool::SpoolError;

/// Where a letter is: its file's number and its line in it, from 1. It stays the same as long as the letter is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterId {
    pub file: u64,
    pub line: u64,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl FromStr for LetterId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once(':').and_then(|(file, line)| Some((file.parse().ok()?, line.parse().ok()?)));
        let (file, line) = numbers.ok_or_else(|| format!("`{text}` is not FILE:LINE, such as 0:17"))?;
        Ok(Self { file, line })
    }
}

/// The letters that a folder holds now, oldest first; memory: one letter. A line that is no letter is passed over, as
/// the unfinished end of the newest file is. What is added from now on is left out: who sends letters again would
/// otherwise find them again and again.
///
/// # Errors
/// What the operating system says, with the path. An absent folder has no letters.
pub fn letters(dir: &Path) -> Result<impl Iterator<Item = Result<(LetterId, DeadLetter), SpoolError>>, SpoolError> {
    let files = match files_in(dir) {
        Ok(files) => files,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(cause) => return Err(SpoolError::io("list", dir, cause)),
    };
    let mut sized = Vec::with_capacity(files.len());
    for path in files {
        match fs::metadata(&path) {
            Ok(data) => sized.push((path, data.len())),
            // Retention was faster.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(SpoolError::io("look at", &path, cause)),
        }
    }
    Ok(sized.into_iter().flat_map(|(path, bytes)| of_file(path, bytes)))
}

fn of_file(path: PathBuf, bytes: u64) -> Box<dyn Iterator<Item = Result<(LetterId, DeadLetter), SpoolError>>> {
    let Some(file) = number_of(&path) else { return Box::new(std::iter::empty()) };
    let opened = match File::open(&path) {
        Ok(opened) => opened,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Box::new(std::iter::empty()),
        Err(cause) => return Box::new(std::iter::once(Err(SpoolError::io("open", &path, cause)))),
    };
    Box::new((1..).zip(BufReader::new(opened.take(bytes)).split(b'\n')).filter_map(move |(line, bytes)| match bytes {
        Ok(bytes) => Some(Ok((LetterId { file, line }, serde_json::from_slice(&bytes).ok()?))),
        Err(cause) => Some(Err(SpoolError::io("read", &path, cause))),
    }))
}

/// The letters that were sent again, in a file of their own: the folder itself belongs to the ingest that writes it.
/// Letters that are no longer kept are forgotten, so it is never longer than the folder.
pub struct Retried {
    path: PathBuf,
    ids: BTreeSet<LetterId>,
}

impl Retried {
    /// Reads the note; an absent one is empty.
    ///
    /// # Errors
    /// What the operating system says, with the path.
    pub fn load(dir: &Path) -> Result<Self, SpoolError> {
        let path = dir.join("retried");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => String::new(),
            Err(cause) => return Err(SpoolError::io("read", &path, cause)),
        };
        let oldest = files_in(dir).ok().and_then(|files| number_of(files.first()?)).unwrap_or(0);
        let ids = text.lines().filter_map(|line| line.parse().ok());
        Ok(Self { ids: ids.filter(|id: &LetterId| id.file >= oldest).collect(), path })
    }

    pub fn contains(&self, id: LetterId) -> bool {
        self.ids.contains(&id)
    }

    /// Notes letters and writes the note anew, durably and in one step.
    ///
    /// # Errors
    /// What the operating system says, with the path.
    pub fn add(&mut self, ids: impl IntoIterator<Item = LetterId>) -> Result<(), SpoolError> {
        self.ids.extend(ids);
        let text: String = self.ids.iter().map(|id| format!("{id}\n")).collect();
        let new = self.path.with_extension("new");
        let failed = |cause| SpoolError::io("write", &new, cause);
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
        (&file).write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&new, &self.path).map_err(|cause| SpoolError::io("replace", &self.path, cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::{DeadLetterConfig, DeadLetters};
    use events::codec::Refused;
    use events::{Reason, Reject, TimeMs};

    #[test]
    fn letters_keep_their_place_and_what_was_sent_again_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(letters(&dir.path().join("absent")).unwrap().count(), 0);
        let config = DeadLetterConfig { file_bytes_max: 300, ..DeadLetterConfig::default() };
        let mut out = DeadLetters::open(dir.path(), config).unwrap();
        for i in 0..9_u8 {
            let reject = Reject::whole(Reason::Malformed, "no JSON");
            out.append(&[DeadLetter::new("t", TimeMs(i.into()), &Refused { reject, payload: vec![i] })]).unwrap();
        }
        let newest = files_in(dir.path()).unwrap().pop().unwrap();
        OpenOptions::new().append(true).open(newest).unwrap().write_all(b"{\"received_ms\":1,\"to").unwrap();
        let found: Vec<_> = letters(dir.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(found.iter().map(|(_, letter)| letter.received_ms).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
        assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let third = found[2].0;
        assert_eq!(third.to_string().parse(), Ok(third));

        Retried::load(dir.path()).unwrap().add([third]).unwrap();
        let mut again = Retried::load(dir.path()).unwrap();
        assert!(again.contains(third) && !again.contains(found[3].0));
        let first_file = files_in(dir.path()).unwrap().remove(0);
        assert_eq!(number_of(&first_file), Some(third.file));
        fs::remove_file(first_file).unwrap();
        again.add([found[8].0]).unwrap();
        let later = Retried::load(dir.path()).unwrap();
        assert!(!later.contains(third) && later.contains(found[8].0), "what is no longer kept is forgotten");
    }
}
