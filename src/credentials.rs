//! `arterial credentials`: a line for the file of accounts, from a password on standard input.

use std::io::{BufRead, Write};

use anyhow::{Context, bail};

/// Hash a password for `arterial ingest --credentials FILE`
///
/// The password is the first line of standard input, so that it is in no list of processes and no history.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the account
    name: String,
    /// Sources that it may speak for; a `*` at the end stands for any rest
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<String>,
    /// It may carry its own receive clock, as replays do
    #[arg(long)]
    replay: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.name.contains(char::is_whitespace) || args.name.starts_with('#') || args.name.is_empty() {
        bail!("`{}` is no name for an account: it has blanks, or begins with #, or is empty", args.name);
    }
    let mut password = String::new();
    std::io::stdin().lock().read_line(&mut password).context("cannot read the password from standard input")?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("the password is empty; give it as a line on standard input");
    }
    let hash = ingest::credentials::hash(password.as_bytes())?;
    let replay = if args.replay { " replay" } else { "" };
    writeln!(std::io::stdout(), "{} {hash} {}{replay}", args.name, args.sources.join(","))?;
    Ok(())
}
