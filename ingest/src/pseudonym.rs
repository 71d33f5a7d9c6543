//! Vehicle ids replaced by a keyed hash, so that nothing behind ingest knows which vehicle it was.
//!
//! The key is another one on every UTC day of event time: within a day a vehicle can be followed (matching needs
//! that), from one day to the next it cannot. Whoever holds the secret can compute any day's key again; whoever
//! deletes the secret makes the stored pseudonyms meaningless for good. Detectors and signals are street
//! furniture and keep their names.
//!
//! Upstream: [`crate::decode`]. Downstream: [`crate::batch`], column `vehicle`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use events::TimeMs;

/// Bytes of the secret.
pub const SECRET_BYTES: usize = 32;

const DAY_MS: i64 = 86_400_000;

/// Why there is no secret to hash with.
#[derive(Debug, thiserror::Error)]
pub enum PseudonymError {
    #[error("cannot {action} the pseudonym secret {}: {cause}", path.display())]
    Io { action: &'static str, path: PathBuf, cause: io::Error },
    #[error("{} holds {bytes} bytes, not {SECRET_BYTES}: put the true secret back, or remove it to begin with new pseudonyms", path.display())]
    Length { path: PathBuf, bytes: usize },
    #[error("{} can be read by others (mode {mode:o}): `chmod 600` it", path.display())]
    Exposed { path: PathBuf, mode: u32 },
}

/// Turns vehicle ids into pseudonyms.
#[derive(Clone)]
pub struct Pseudonyms {
    daily: [u8; 32],
    fixed: [u8; 32],
    /// Keys of the two days seen last; around midnight both are in use.
    days: [(i64, [u8; 32]); 2],
}

impl Pseudonyms {
    /// Pseudonyms under a given secret.
    pub fn new(secret: [u8; SECRET_BYTES]) -> Self {
        let daily = blake3::derive_key("arterial 2026 daily vehicle pseudonyms", &secret);
        let fixed = blake3::derive_key("arterial 2026 duplicate keys", &secret);
        let today = (0, day_key(&daily, 0));
        Self { daily, fixed, days: [today, today] }
    }

    /// Pseudonyms under the secret in `dir/secret`, which is made (mode 0600, durable) if it is not there.
    ///
    /// # Errors
    /// If the file cannot be read or made, has another length, or can be read by others.
    pub fn load_or_create(dir: &Path) -> Result<Self, PseudonymError> {
        let path = dir.join("secret");
        match fs::read(&path) {
            Ok(bytes) => {
                let mode = fs::metadata(&path).map_err(|cause| io_error("look at", &path, cause))?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(PseudonymError::Exposed { path, mode: mode & 0o777 });
                }
                let secret = bytes
                    .as_slice()
                    .try_into()
                    .map_err(|_| PseudonymError::Length { path: path.clone(), bytes: bytes.len() })?;
                Ok(Self::new(secret))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                let secret = random_secret().map_err(|cause| io_error("draw", &path, cause))?;
                create(dir, &path, &secret).map_err(|cause| io_error("write", &path, cause))?;
                Ok(Self::new(secret))
            }
            Err(cause) => Err(io_error("read", &path, cause)),
        }
    }

    /// The pseudonym of a vehicle on the UTC day of `time`.
    pub fn of(&mut self, source: &str, time: TimeMs) -> u64 {
        let day = time.0.div_euclid(DAY_MS);
        if self.days[0].0 != day {
            self.days.swap(0, 1);
            if self.days[0].0 != day {
                self.days[0] = (day, day_key(&self.daily, day));
            }
        }
        first_u64(&blake3::keyed_hash(&self.days[0].1, source.as_bytes()))
    }

    /// The moments of the UTC day of `time`, for all of which a pseudonym holds.
    pub(crate) fn day(time: TimeMs) -> Range<i64> {
        let begin = time.0.div_euclid(DAY_MS) * DAY_MS;
        begin..begin + DAY_MS
    }

    /// A number for something that is not a person (a detector, a signal group), the same on every day. It is
    /// used to find duplicates and never stored; the key keeps strangers from constructing collisions.
    pub(crate) fn fixed(&self, kind: &str, source: &str, part: u16) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.fixed);
        hasher.update(kind.as_bytes()).update(&part.to_le_bytes()).update(source.as_bytes());
        first_u64(&hasher.finalize())
    }
}

fn day_key(daily: &[u8; 32], day: i64) -> [u8; 32] {
    *blake3::keyed_hash(daily, &day.to_le_bytes()).as_bytes()
}

fn first_u64(hash: &blake3::Hash) -> u64 {
    let (head, _) = hash.as_bytes().split_first_chunk::<8>().expect("a hash has 32 bytes");
    u64::from_le_bytes(*head)
}

fn random_secret() -> io::Result<[u8; SECRET_BYTES]> {
    let mut secret = [0; SECRET_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
}

/// Written beside its place and renamed: a crash leaves no half secret.
fn create(dir: &Path, path: &Path, secret: &[u8]) -> io::Result<()> {
    let draft = dir.join("secret.new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(dir)?.sync_all()
}

fn io_error(action: &'static str, path: &Path, cause: io::Error) -> PseudonymError {
    PseudonymError::Io { action, path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: TimeMs = TimeMs(DAY_MS / 2);

    #[test]
    fn a_pseudonym_holds_for_one_utc_day_under_one_secret() {
        let mut ours = Pseudonyms::new([7; 32]);
        let noon = ours.of("bus-1", NOON);
        assert_eq!(ours.of("bus-1", TimeMs(0)), noon);
        assert_eq!(ours.of("bus-1", TimeMs(DAY_MS - 1)), noon);
        assert_ne!(ours.of("bus-1", TimeMs(DAY_MS)), noon);
        assert_ne!(ours.of("bus-1", TimeMs(-1)), noon);
        assert_ne!(ours.of("bus-2", NOON), noon);
        assert_ne!(Pseudonyms::new([8; 32]).of("bus-1", NOON), noon);
        assert_eq!(Pseudonyms::new([7; 32]).of("bus-1", NOON), noon, "nothing but secret, day and id counts");
    }

    #[test]
    fn the_secret_is_kept_private_and_survives() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pseudonyms::load_or_create(dir.path()).unwrap().of("a", NOON);
        assert_eq!(Pseudonyms::load_or_create(dir.path()).unwrap().of("a", NOON), first);
        let path = dir.path().join("secret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = Pseudonyms::load_or_create(dir.path()).map(|_| ()).unwrap_err();
        assert!(matches!(exposed, PseudonymError::Exposed { mode: 0o640, .. }), "{exposed}");

        fs::remove_file(&path).unwrap();
        assert_ne!(Pseudonyms::load_or_create(dir.path()).unwrap().of("a", NOON), first, "a new secret is another one");
        fs::write(&path, b"short").unwrap();
        let cut = Pseudonyms::load_or_create(dir.path()).map(|_| ()).unwrap_err();
        assert!(cut.to_string().contains("holds 5 bytes"), "{cut}");
    }
}
