//! `arterial completions` and `arterial manual`: what a shell and `man` want to know, made from the command line
//! itself.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;

/// Print a script that completes commands and options in a shell
#[derive(clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Write the manual pages, one a command
#[derive(clap::Args)]
pub(crate) struct ManualArgs {
    /// Folder for the pages; it is made
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn completions(mut command: Command, args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "arterial", &mut script);
    std::io::stdout().write_all(&script).context("cannot write the script")
}

pub(crate) fn manual(command: Command, args: &ManualArgs) -> anyhow::Result<()> {
    let folder = args.folder.display();
    std::fs::create_dir_all(&args.folder).with_context(|| format!("cannot make {folder}"))?;
    clap_mangen::generate_to(command, &args.folder).with_context(|| format!("cannot write into {folder}"))
}
