//! Why a task stopped, in words that somebody can act on.
//!
//! Upstream: every module here. Downstream: `main` prints it and exits with 1.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitStatus;

/// The closed list of reasons.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense; the text says what would.
    Usage(String),
    /// Something has to be installed or fetched first; the sentence says what and how.
    Missing(String),
    /// A program could not be started at all.
    NotStarted { program: String, source: io::Error },
    /// A program ran and said no; its own output stands above.
    Refused { command: String, status: ExitStatus },
    /// A check of this crate found something wrong; the sentence says what.
    Check(String),
    /// A file or socket did not do what was asked of it.
    Io { attempt: String, source: io::Error },
}

impl Failure {
    /// `attempt` completes the sentence "could not …".
    pub(crate) fn io(attempt: impl Into<String>, source: io::Error) -> Self {
        Self::Io { attempt: attempt.into(), source }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Missing(text) | Self::Check(text) => out.write_str(text),
            Self::NotStarted { program, source } => write!(out, "could not start {program}: {source}"),
            Self::Refused { command, status } => write!(out, "`{command}` failed: {status}"),
            Self::Io { attempt, source } => write!(out, "could not {attempt}: {source}"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotStarted { source, .. } | Self::Io { source, .. } => Some(source),
            Self::Usage(_) | Self::Missing(_) | Self::Check(_) | Self::Refused { .. } => None,
        }
    }
}
