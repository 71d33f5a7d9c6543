//! Who may publish, and for which sources.
//!
//! A file with one account a line, fields apart by blanks; `#` begins a remark:
//!
//! ```text
//! # name    argon2id hash (`arterial credentials NAME` makes the line)    sources             rights
//! bus-7     $argon2id$v=19$m=19456,t=2,p=1$…$…                            bus-7
//! depot     $argon2id$…                                                   depot,depot.*
//! lab       $argon2id$…                                                   *                   replay
//! ```
//!
//! A source is the last level of a topic `arterial/v1/…`; a `*` at the end stands for any rest, alone for everything
//! and for foreign topics. `replay` lets the account carry its own receive clock (`received-ms`).
//!
//! Passwords are hashed with argon2id (RFC 9106), with the parameters of OWASP's password storage sheet: 19 MiB, 2
//! passes, about 20 ms of a core. So that 5,000 devices that come back at once are let in at once, what was right is
//! remembered, as a hash keyed by this process; one password at a time is hashed, the others wait.
//! Upstream: the command line. Downstream: [`crate::server`].

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use events::Topic;
use tokio::sync::Semaphore;

/// Accounts of one file; a longer one is refused.
pub const ACCOUNTS_MAX: usize = 100_000;

/// Sources of one account; a longer list is refused.
pub const SOURCES_MAX: usize = 1_000;

/// Random bytes of a salt, as RFC 9106 advises.
const SALT_BYTES: usize = 16;

/// Why a file of accounts cannot be used, or a password not be hashed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("cannot read {}: {cause}", path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("{} line {line}: {what}", path.display())]
    Line { path: PathBuf, line: usize, what: String },
    #[error("the system gives no random numbers: {0}")]
    Random(io::Error),
    #[error("the password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

/// What an account may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    sources: Vec<Pattern>,
    /// Whether its messages may carry their own receive clock.
    pub replay: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Any,
    Exactly(String),
    BeginsWith(String),
}

impl Rights {
    /// Everything, with or without a receive clock of its own.
    pub fn all(replay: bool) -> Self {
        Self { sources: vec![Pattern::Any], replay }
    }

    /// The same, with a receive clock of its own.
    #[must_use]
    pub fn with_replay(&self) -> Self {
        Self { sources: self.sources.clone(), replay: true }
    }

    /// Whether messages on this topic may come from the account.
    pub fn allow(&self, topic: &str) -> bool {
        if self.sources.contains(&Pattern::Any) {
            return true;
        }
        // Only our own topics name their source in a way that all formats share.
        let Ok(topic) = Topic::parse(topic) else { return false };
        self.sources.iter().any(|pattern| match pattern {
            Pattern::Any => true,
            Pattern::Exactly(name) => topic.source == name,
            Pattern::BeginsWith(begin) => topic.source.starts_with(begin),
        })
    }
}

struct Account {
    hash: String,
    rights: Arc<Rights>,
}

/// An account as it is in one file, to be found again in a newer one. Without anything that could be logged.
pub(crate) struct AccountName {
    name: String,
    hash: String,
    rights: Arc<Rights>,
}

/// All accounts.
pub struct Credentials {
    accounts: HashMap<String, Account>,
    /// A hash that no password is known for: an unknown name takes as long as a wrong password.
    decoy: String,
    /// Keyed hashes of passwords that were right, at most one an account.
    right: Mutex<HashMap<String, blake3::Hash>>,
    key: [u8; 32],
    turn: Semaphore,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("accounts", &self.accounts.len()).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads a file of accounts.
    ///
    /// # Errors
    /// If it cannot be read, or a line of it is no account.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let text = fs::read_to_string(path).map_err(|cause| CredentialsError::Read { path: path.to_owned(), cause })?;
        let mut accounts = HashMap::new();
        for (line, text) in text.lines().enumerate() {
            let failed = |what: String| CredentialsError::Line { path: path.to_owned(), line: line + 1, what };
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (name, account) = account(text).map_err(failed)?;
            if accounts.len() >= ACCOUNTS_MAX {
                return Err(failed(format!("more than {ACCOUNTS_MAX} accounts")));
            }
            if accounts.insert(name.to_owned(), account).is_some() {
                return Err(failed(format!("the account `{name}` is there twice")));
            }
        }
        let key = random().map_err(CredentialsError::Random)?;
        let decoy = hash(&random::<32>().map_err(CredentialsError::Random)?)?;
        Ok(Self { accounts, decoy, right: Mutex::default(), key, turn: Semaphore::new(1) })
    }

    /// What the account may do, if the password is its own.
    pub async fn check(&self, name: &str, password: &[u8]) -> Option<Arc<Rights>> {
        let keyed = blake3::keyed_hash(&self.key, password);
        let account = self.accounts.get(name);
        if let Some(account) = account
            && self.lock().get(name) == Some(&keyed)
        {
            return Some(Arc::clone(&account.rights));
        }
        let hash = account.map_or(&self.decoy, |account| &account.hash).clone();
        let password = password.to_vec();
        let matches = {
            // Closed never: an error cannot come.
            let _turn = self.turn.acquire().await.ok()?;
            tokio::task::spawn_blocking(move || matches(&hash, &password)).await.unwrap_or(false)
        };
        let account = account.filter(|_| matches)?;
        self.lock().insert(name.to_owned(), keyed);
        Some(Arc::clone(&account.rights))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether nobody could come in.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// An account as it is now.
    pub(crate) fn account_name(&self, name: &str) -> Option<Arc<AccountName>> {
        let Account { hash, rights } = self.accounts.get(name)?;
        Some(Arc::new(AccountName { name: name.to_owned(), hash: hash.clone(), rights: Arc::clone(rights) }))
    }

    /// Whether an account of another file is here with the same password and rights.
    pub(crate) fn has(&self, other: &AccountName) -> bool {
        self.accounts.get(&other.name).is_some_and(|own| own.hash == other.hash && own.rights == other.rights)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, blake3::Hash>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line of the file.
fn account(text: &str) -> Result<(&str, Account), String> {
    let mut fields = text.split_whitespace();
    let (Some(name), Some(hash), Some(sources)) = (fields.next(), fields.next(), fields.next()) else {
        return Err("an account is a name, a hash and its sources, apart by blanks".to_owned());
    };
    PasswordHash::new(hash).map_err(|cause| format!("the hash of `{name}` cannot be read: {cause}"))?;
    let mut replay = false;
    for right in fields {
        match right {
            "replay" => replay = true,
            unknown => return Err(format!("`{unknown}` is no right; there is `replay`")),
        }
    }
    let sources: Vec<_> = sources.split(',').map(pattern).collect::<Result<_, _>>()?;
    if sources.len() > SOURCES_MAX {
        return Err(format!("more than {SOURCES_MAX} sources of `{name}`"));
    }
    let rights = Arc::new(Rights { sources, replay });
    Ok((name, Account { hash: hash.to_owned(), rights }))
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let (begin, rest) = text.split_once('*').map_or((text, None), |(begin, rest)| (begin, Some(rest)));
    match (begin, rest) {
        ("", Some("")) => Ok(Pattern::Any),
        (begin, Some("")) => Ok(Pattern::BeginsWith(begin.to_owned())),
        (name, None) if !name.is_empty() => Ok(Pattern::Exactly(name.to_owned())),
        (_, _) => Err(format!("`{text}` is no source: a name, with `*` at its end or not at all")),
    }
}

/// The hash of a password with a new salt, for a line of the file.
///
/// # Errors
/// If there are no random numbers.
pub fn hash(password: &[u8]) -> Result<String, CredentialsError> {
    let salt: [u8; SALT_BYTES] = random().map_err(CredentialsError::Random)?;
    let salt = SaltString::encode_b64(&salt).map_err(CredentialsError::Hash)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
    Ok(argon2.hash_password(password, &salt).map_err(CredentialsError::Hash)?.to_string())
}

fn matches(hash: &str, password: &[u8]) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Credentials, CredentialsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accounts");
        fs::write(&path, text).unwrap();
        Credentials::read(&path)
    }

    #[tokio::test]
    async fn the_right_password_opens_its_own_account_only() {
        let (bus, lab) = (hash(b"7").unwrap(), hash("geh\u{e4}use".as_bytes()).unwrap());
        let text = format!("# who\n\nbus-7 {bus} bus-7,depot.*\nlab   {lab}  *  replay\n");
        let credentials = file(&text).unwrap();
        // Twice: the second time from memory.
        for _ in 0..2 {
            let rights = credentials.check("bus-7", b"7").await.unwrap();
            assert!(!rights.replay);
            for (topic, allowed) in [
                ("arterial/v1/x/position/bus-7", true),
                ("arterial/v1/x/position/bus-77", false),
                ("arterial/v1/x/position/depot.3", true),
                ("arterial/v1/x/position/depot", false),
                ("/hfp/v2/journey/x", false),
            ] {
                assert_eq!(rights.allow(topic), allowed, "{topic}");
            }
            assert!(credentials.check("bus-7", b"8").await.is_none());
            assert!(credentials.check("nobody", b"7").await.is_none());
            let lab = credentials.check("lab", "geh\u{e4}use".as_bytes()).await.unwrap();
            assert!(lab.replay && lab.allow("/hfp/v2/journey/x"));
        }
        assert!(!format!("{credentials:?}").contains("argon2"), "no hash in any log");
    }

    #[test]
    fn a_wrong_line_is_named() {
        let bus = hash(b"7").unwrap();
        for (text, says) in [
            ("bus-7".to_owned(), "line 1"),
            (format!("\nbus-7 {bus} bus-7 admin"), "line 2: `admin`"),
            ("bus-7 secret bus-7".to_owned(), "cannot be read"),
            (format!("bus-7 {bus} a*b"), "`a*b`"),
            (format!("bus-7 {bus} a,,b"), "no source"),
            (format!("a {bus} a\na {bus} a"), "twice"),
        ] {
            let said = file(&text).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
            assert!(!said.contains("argon2id"), "{said}");
        }
    }
}
