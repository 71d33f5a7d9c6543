//! What can be set in the file: every option of the command line that has an environment name, read off the command
//! line itself, so that the two cannot come apart.
//!
//! Upstream: clap's description of the commands. Downstream: [`super::file`] looks keys up here, `config show` and
//! `config example` walk through them.

use clap::{Arg, ArgAction, Command};

/// Commands with a table of their own in the file, in the order of the data's way. `demo` is `arterial` alone.
pub(super) const TABLES: [&str; 5] = ["demo", "sim", "replay", "ingest", "analytics"];

/// One option of one command.
pub(super) struct Key<'a> {
    /// The name in the file: the flag's, with underscores.
    pub(super) name: String,
    pub(super) arg: &'a Arg,
}

impl Key<'_> {
    /// `--flag`.
    pub(super) fn flag(&self) -> String {
        format!("--{}", self.arg.get_long().unwrap_or_default())
    }

    /// The name in the environment.
    pub(super) fn environment(&self) -> String {
        self.arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// What is used when nobody says anything, as it is written on the command line.
    pub(super) fn default(&self) -> Option<String> {
        if is_switch(self.arg) {
            return Some("false".to_owned());
        }
        let values: Vec<_> = self.arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    /// What stands for the value in the help: its unit or kind.
    pub(super) fn unit(&self) -> String {
        if is_switch(self.arg) {
            return "true or false".to_owned();
        }
        self.arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// The help, in one line.
    pub(super) fn help(&self) -> String {
        self.arg.get_help().map(|help| help.to_string().replace('\n', " ")).unwrap_or_default()
    }
}

/// Whether the option takes no value.
pub(super) fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

/// The keys of a command, in the order of its help.
pub(super) fn of(command: &Command) -> Vec<Key<'_>> {
    let settable = |arg: &&Arg| arg.get_env().is_some() && arg.get_long().is_some();
    command
        .get_arguments()
        .filter(settable)
        .map(|arg| Key { name: arg.get_long().unwrap_or_default().replace('-', "_"), arg })
        .collect()
}

/// The command whose table this is.
pub(super) fn command_of<'a>(root: &'a Command, table: &str) -> Option<&'a Command> {
    match table {
        "demo" => Some(root),
        _ if TABLES.contains(&table) => root.find_subcommand(table),
        _ => None,
    }
}
