//! Secrets that open pages, and what each of them may do.
//!
//! A file with one token a line, fields apart by blanks; `#` begins a remark:
//!
//! ```text
//! # name      blake3 of the token (`arterial token NAME` makes both)    scope
//! prometheus  6f1c…                                                     read
//! operator    90ab…                                                     control
//! ```
//!
//! `read` is for everything that only looks, `control` for what changes something too. A token that we make is 256
//! random bits, so a fast hash protects it as well as a slow one would (a slow one is for what people can remember,
//! see ingest's accounts), and asking for a page costs no 20 ms. What is presented is hashed and compared with all
//! tokens in a time that does not depend on how much of it is right.
//!
//! Upstream: the command line. Downstream: `guard`.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use subtle::ConstantTimeEq;

/// Tokens of one file; a longer one is refused.
pub const TOKENS_MAX: usize = 1_000;

/// Characters of a token that is given in the environment: a shorter one could be guessed.
pub const LENGTH_MIN: usize = 16;

/// Longest token that is looked at, bytes.
pub(crate) const LENGTH_MAX: usize = 256;

/// Random bytes of a token that we make.
const RANDOM_BYTES: usize = 32;

/// What every token of ours begins with, so that scanners of leaked secrets can know it.
const PREFIX: &str = "arterial_";

/// Why tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read {}: {cause}", path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("{} line {line}: {what}", path.display())]
    Line { path: PathBuf, line: usize, what: String },
    #[error(
        "a token needs {LENGTH_MIN} to {LENGTH_MAX} characters without blanks, or it could be guessed; `arterial token NAME` makes one"
    )]
    Weak,
    #[error("the system gives no random numbers: {0}")]
    Random(io::Error),
}

/// What a token may do; what stands later may do what stands before too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look at everything.
    Read,
    /// Change something.
    Control,
}

impl Scope {
    /// The word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Control => "control",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Control].into_iter().find(|scope| scope.name() == word)
    }
}

/// Who has shown a token. Without the token.
#[derive(Clone, Debug)]
pub struct Bearer {
    pub name: Arc<str>,
    pub scope: Scope,
    /// Whether the token was not used before, since it was read.
    pub first_use: bool,
}

struct Token {
    name: Arc<str>,
    hash: blake3::Hash,
    scope: Scope,
    used: AtomicBool,
}

/// All tokens.
#[derive(Default)]
pub struct Tokens {
    all: Vec<Token>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("tokens", &self.all.len()).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// If it cannot be read, or a line of it is no token.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let text = fs::read_to_string(path).map_err(|cause| TokenError::Read { path: path.to_owned(), cause })?;
        let mut tokens = Self::default();
        for (line, text) in text.lines().enumerate() {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let failed = |what: String| TokenError::Line { path: path.to_owned(), line: line + 1, what };
            let token = token(text).map_err(failed)?;
            if tokens.all.len() >= TOKENS_MAX {
                return Err(failed(format!("more than {TOKENS_MAX} tokens")));
            }
            if tokens.all.iter().any(|other| other.name == token.name) {
                return Err(failed(format!("the token `{}` is there twice", token.name)));
            }
            tokens.all.push(token);
        }
        Ok(tokens)
    }

    /// Adds a token that is known itself, such as one from the environment.
    ///
    /// # Errors
    /// [`TokenError::Weak`] if it is too short to be a secret.
    pub fn with(mut self, name: &str, token: &str, scope: Scope) -> Result<Self, TokenError> {
        if !(LENGTH_MIN..=LENGTH_MAX).contains(&token.len()) || token.contains(char::is_whitespace) {
            return Err(TokenError::Weak);
        }
        let hash = blake3::hash(token.as_bytes());
        self.all.push(Token { name: name.into(), hash, scope, used: AtomicBool::new(false) });
        Ok(self)
    }

    /// Whether nobody could come in.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Names and scopes, for the log.
    pub fn names(&self) -> Vec<String> {
        self.all.iter().map(|token| format!("{} ({})", token.name, token.scope.name())).collect()
    }

    /// Who has this token, if anybody has.
    pub fn bearer(&self, presented: &[u8]) -> Option<Bearer> {
        if presented.is_empty() || presented.len() > LENGTH_MAX {
            return None;
        }
        let hash = blake3::hash(presented);
        let mut found = None;
        // All of them, whichever it is: how long this takes says nothing.
        for token in &self.all {
            if bool::from(token.hash.as_bytes().ct_eq(hash.as_bytes())) {
                found = Some(token);
            }
        }
        found.map(|token| Bearer {
            name: Arc::clone(&token.name),
            scope: token.scope,
            first_use: !token.used.swap(true, Ordering::Relaxed),
        })
    }
}

/// One line of the file.
fn token(text: &str) -> Result<Token, String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [name, hash, scope] = fields.as_slice() else {
        return Err("a token is a name, the hash of the token and its scope, apart by blanks".to_owned());
    };
    // What is wrong here may be the token itself: it is not shown.
    let hash = blake3::Hash::from_hex(hash).map_err(|_| {
        format!("the hash of `{name}` is not 64 hexadecimal digits; `arterial token {name}` makes a line")
    })?;
    let scope = Scope::parse(scope).ok_or_else(|| format!("`{scope}` is no scope; there are `read` and `control`"))?;
    Ok(Token { name: (*name).into(), hash, scope, used: AtomicBool::new(false) })
}

/// A new token, and its line for the file.
///
/// # Errors
/// If there are no random numbers.
pub fn make(name: &str, scope: Scope) -> Result<(String, String), TokenError> {
    let mut bytes = [0; RANDOM_BYTES];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).map_err(TokenError::Random)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("{PREFIX}{digits}");
    let line = format!("{name} {} {}", blake3::hash(token.as_bytes()).to_hex(), scope.name());
    Ok((token, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Tokens, TokenError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        fs::write(&path, text).unwrap();
        Tokens::read(&path)
    }

    #[test]
    fn a_token_is_known_by_its_hash_alone_and_has_its_scope() {
        let (reader, first) = make("prometheus", Scope::Read).unwrap();
        let (operator, second) = make("operator", Scope::Control).unwrap();
        let text = format!("# who\n\n{first}\n  {second}  \n");
        assert!(!text.contains(&reader) && reader != operator && reader.len() == PREFIX.len() + 64);
        let tokens = file(&text).unwrap();
        let bearer = tokens.bearer(reader.as_bytes()).unwrap();
        assert_eq!((&*bearer.name, bearer.scope, bearer.first_use), ("prometheus", Scope::Read, true));
        assert!(!tokens.bearer(reader.as_bytes()).unwrap().first_use);
        assert_eq!(tokens.bearer(operator.as_bytes()).unwrap().scope, Scope::Control);
        let near = format!("{}0", &reader[..reader.len() - 1]);
        for wrong in ["", "prometheus", first.split(' ').nth(1).unwrap(), &"x".repeat(300)] {
            assert!(tokens.bearer(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert!(near == reader || tokens.bearer(near.as_bytes()).is_none());
        assert!(!format!("{tokens:?} {:?}", tokens.names()).contains(&first[12..40]), "no hash in any log");
    }

    #[test]
    fn a_token_of_the_environment_is_no_word_that_can_be_guessed() {
        assert!(matches!(Tokens::default().with("environment", "secret", Scope::Read), Err(TokenError::Weak)));
        assert!(matches!(
            Tokens::default().with("environment", "a secret with blanks", Scope::Read),
            Err(TokenError::Weak)
        ));
        let tokens = Tokens::default().with("environment", "0123456789abcdef", Scope::Control).unwrap();
        assert_eq!(&*tokens.bearer(b"0123456789abcdef").unwrap().name, "environment");
    }

    #[test]
    fn a_wrong_line_is_named_and_not_shown() {
        let (token, line) = make("a", Scope::Read).unwrap();
        for (text, says) in [
            ("a".to_owned(), "line 1"),
            (format!("\n{line} more"), "line 2"),
            (format!("a {token} read"), "64 hexadecimal digits"),
            (line.replace(" read", " write"), "`write` is no scope"),
            (format!("{line}\n{line}"), "twice"),
        ] {
            let said = file(&text).unwrap_err().to_string();
            assert!(said.contains(says) && !said.contains(&token), "{said}");
        }
        assert!(Tokens::read(Path::new("/nowhere/tokens")).unwrap_err().to_string().contains("/nowhere/tokens"));
    }
}
