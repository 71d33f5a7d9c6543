//! Letters about a vehicle taken out of the dead letters of an ingest that is stopped.
//!
//! Upstream: `arterial forget`. A letter's line becomes empty, so that the places of all others stay what they were. A
//! letter is about a vehicle when its topic ends with the vehicle's id, or its payload has the id between quotes or as a
//! whole field; what was garbled beyond that cannot be told from any other rubbish.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{DeadLetter, files_in};
use crate::spool::SpoolError;

/// Empties the lines of letters about `vehicle` that were received at `since_ms` or later; gives how many. To be called
/// while the spool of the same ingest is locked.
///
/// # Errors
/// What the operating system says, with the path.
pub fn forget(dir: &Path, vehicle: &str, since_ms: i64) -> Result<u64, SpoolError> {
    let files = match files_in(dir) {
        Ok(files) => files,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(cause) => return Err(SpoolError::io("list", dir, cause)),
    };
    let mut all = 0;
    for path in files {
        let bytes = fs::read(&path).map_err(|cause| SpoolError::io("read", &path, cause))?;
        let (mut new, mut gone) = (Vec::with_capacity(bytes.len()), 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let letter = serde_json::from_slice::<DeadLetter>(line).ok();
            if letter.is_some_and(|letter| letter.received_ms >= since_ms && is_about(&letter, vehicle)) {
                new.push(b'\n');
                gone += 1;
            } else {
                new.extend_from_slice(line);
            }
        }
        if gone == 0 {
            continue;
        }
        let aside = path.with_extension("part");
        let failed = |cause| SpoolError::io("write", &aside, cause);
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&aside).map_err(failed)?;
        file.write_all(&new).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&aside, &path).map_err(|cause| SpoolError::io("rename", &aside, cause))?;
        all += gone;
    }
    if all > 0 {
        let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|cause| SpoolError::io("sync", dir, cause))?;
    }
    Ok(all)
}

fn is_about(letter: &DeadLetter, vehicle: &str) -> bool {
    let topic = letter.topic.rsplit('/').next() == Some(vehicle);
    let payload = letter.payload_bytes().unwrap_or_default();
    topic || names(&payload, vehicle.as_bytes()) || names(letter.detail.as_bytes(), vehicle.as_bytes())
}

/// Whether a text has an id in it that is not part of a longer word.
fn names(text: &[u8], id: &[u8]) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    !id.is_empty()
        && text.windows(id.len()).enumerate().any(|(at, part)| {
            part == id
                && !is_word(at.checked_sub(1).and_then(|before| text.get(before)))
                && !is_word(text.get(at + id.len()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::read::letters;
    use crate::dead_letter::{DeadLetterConfig, DeadLetters};
    use events::codec::Refused;
    use events::{Reason, Reject, TimeMs};

    #[test]
    fn only_letters_about_the_vehicle_go_and_the_others_keep_their_places() {
        let dir = tempfile::tempdir().unwrap();
        let mut out = DeadLetters::open(dir.path(), DeadLetterConfig::default()).unwrap();
        let mut put = |topic: &str, at_ms: i64, payload: &[u8]| {
            let reject = Reject::whole(Reason::Malformed, "no JSON");
            out.append(&[DeadLetter::new(topic, TimeMs(at_ms), &Refused { reject, payload: payload.to_vec() })])
                .unwrap();
        };
        put("arterial/v1/c/position/bus-1", 5, b"old");
        put("arterial/v1/c/position/bus-1", 50, b"x");
        put("arterial/v1/c/position/bus-12", 50, br#"{"id":"bus-12"}"#);
        put("arterial/v1/c/position/gate", 60, br#"[{"id":"bus-1","lat":"#);
        put("arterial/v1/c/position/gate", 60, &[0xff, b'b', b'u', b's', b'-', b'1', 0x00]);
        drop(out);
        let before: Vec<_> = letters(dir.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(forget(dir.path(), "bus-1", 10).unwrap(), 3);
        let after: Vec<_> = letters(dir.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(after, [before[0].clone(), before[2].clone()]);
        assert_eq!(forget(dir.path(), "bus-1", 10).unwrap(), 0);
    }
}
