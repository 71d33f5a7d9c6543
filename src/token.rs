//! `arterial token`: a secret that opens the pages; its hash goes into a file, the token itself to standard output once.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, bail};
use web::tokens::{self, Scope, TokenError, Tokens};

/// Make a token for `--http-tokens FILE`
///
/// The token is printed once, and is nowhere else; the file gets its hash. A running service takes it over at SIGHUP.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Who will have it; this name is logged
    name: String,
    /// The file that gets its line; made if it is not there
    #[arg(long, env = "ARTERIAL_HTTP_TOKENS", value_name = "FILE")]
    http_tokens: PathBuf,
    /// It may change things too, not only read
    #[arg(long)]
    control: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (name, path) = (&args.name, &args.http_tokens);
    if name.contains(char::is_whitespace) || name.starts_with('#') || name.is_empty() {
        bail!("`{name}` is no name for a token: it has blanks, or begins with #, or is empty");
    }
    let place = || format!("cannot write {}", path.display());
    let begin = match std::fs::read_to_string(path) {
        // A last line without its end would run into ours.
        Ok(text) => {
            if text.is_empty() || text.ends_with('\n') {
                ""
            } else {
                "\n"
            }
        }
        Err(cause) if cause.kind() == ErrorKind::NotFound => "",
        Err(cause) => return Err(cause).with_context(place),
    };
    match Tokens::read(path) {
        Ok(there) if there.names().iter().any(|other| other.split(' ').next() == Some(name)) => {
            bail!("there is a token `{name}` in {} already: take out its line first", path.display());
        }
        Ok(_) => {}
        Err(TokenError::Read { cause, .. }) if cause.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let (token, line) = tokens::make(name, if args.control { Scope::Control } else { Scope::Read })?;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).with_context(place)?;
    file.write_all(format!("{begin}{line}\n").as_bytes()).and_then(|()| file.sync_all()).with_context(place)?;
    writeln!(std::io::stdout(), "{token}")?;
    Ok(())
}
