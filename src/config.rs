//! One configuration file for all commands: `--config FILE` or ARTERIAL_CONFIG, and `arterial config` to look at it.
//!
//! A key is an option of the command line by its name, so there is one description of each: its default, its unit, its
//! environment name and its flag. The file becomes words of the command line in front of those that were typed: what
//! is typed goes before the environment, the environment before the file, the file before the default. Upstream: what
//! was typed. Downstream: [`crate::main`]'s parser.

mod file;
mod keys;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command as Clap};

use file::File;
use keys::{Key, TABLES};

/// Where the environment names the file.
const ENVIRONMENT: &str = "ARTERIAL_CONFIG";

/// Look at the configuration: file, environment and defaults
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print every key with its value and where that comes from
    Show {
        /// Only this command's: demo, sim, replay, ingest or analytics
        #[arg(value_name = "COMMAND", value_parser = TABLES)]
        command: Option<String>,
    },
    /// Say whether a file is sound; exits with 0 if so
    Check {
        /// The file, if it is not the one of --config
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print a file with every key, its default and what it means
    Example,
}

/// The option that names the file; it is taken out of the words before anything else reads them.
#[derive(clap::Args)]
pub(crate) struct ConfigArg {
    /// Configuration file (TOML), also from ARTERIAL_CONFIG; `arterial config example` prints one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The words that were typed, with those of the configuration file put in behind the command's name.
///
/// # Errors
/// When the file cannot be read, or has something that no command knows.
pub(crate) fn arguments(root: &Clap, typed: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    let (path, mut words) = config_path(typed);
    let from_environment = || std::env::var_os(ENVIRONMENT).filter(|p| !p.is_empty()).map(PathBuf::from);
    let Some(path) = path.or_else(from_environment) else { return Ok(words) };
    let (table, command, at) = chosen(root, &words);
    // `config` itself opens the file, and says what is wrong with it.
    if words.get(1).is_some_and(|word| word == "config") {
        words.extend([OsString::from("--config"), path.into_os_string()]);
        return Ok(words);
    }
    let file = File::open(&path, root)?;
    let inserted = file.words(table, command, |key| is_set(&key.environment()) || is_typed(key, &words));
    words.splice(at..at, inserted.into_iter().map(OsString::from));
    Ok(words)
}

pub(crate) fn run(root: &Clap, command: Command, config: ConfigArg) -> anyhow::Result<()> {
    let said = match command {
        Command::Show { command } => {
            let file = config.config.map(|path| File::open(&path, root)).transpose()?;
            let tables = TABLES.into_iter().filter(|table| command.as_deref().is_none_or(|only| only == *table));
            show(root, file.as_ref(), tables)?
        }
        Command::Check { file } => {
            let path = file.or(config.config).ok_or_else(|| anyhow!("name a file: `arterial config check FILE`"))?;
            check(root, &File::open(&path, root)?)?;
            format!("{} is sound\n", path.display())
        }
        Command::Example => example(root),
    };
    std::io::stdout().write_all(said.as_bytes()).context("cannot write to the terminal")
}

/// What is configured for a command, key by key, whichever way it was said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said(BTreeMap<String, Vec<OsString>>);

impl Said {
    /// Keys that say something else here than there.
    pub(crate) fn differs_from(&self, other: &Self) -> Vec<String> {
        self.0.iter().filter(|(key, value)| other.0.get(*key) != Some(*value)).map(|(key, _)| key.clone()).collect()
    }
}

/// What these words, the environment and the file say to the command that is among them.
///
/// # Errors
/// As the command line itself, in one sentence.
pub(crate) fn said(root: &Clap, typed: Vec<OsString>) -> anyhow::Result<Said> {
    let words = arguments(root, typed)?;
    let found = root.clone().try_get_matches_from(&words).map_err(|e| anyhow!(first_line(&e.to_string())))?;
    let (_, command, _) = chosen(root, &words);
    let own = found.subcommand().map_or(&found, |(_, own)| own);
    let value = |key: &Key<'_>| {
        let id = key.arg.get_id().as_str();
        let raw = own.get_raw(id).map(|values| values.map(OsStr::to_owned).collect::<Vec<_>>()).unwrap_or_default();
        // A switch that is on may have no words.
        let is_on = keys::is_switch(key.arg) && own.value_source(id) == Some(ValueSource::CommandLine);
        if is_on { vec![OsString::from("true")] } else { raw }
    };
    Ok(Said(keys::of(command).iter().map(|key| (key.name.clone(), value(key))).collect()))
}

/// Takes `--config FILE` out of the words.
fn config_path(typed: Vec<OsString>) -> (Option<PathBuf>, Vec<OsString>) {
    let (mut path, mut words) = (None, Vec::with_capacity(typed.len()));
    let mut typed = typed.into_iter();
    while let Some(word) = typed.next() {
        if word == "--" {
            words.push(word);
            words.extend(typed);
            break;
        }
        if word == "--config" {
            match typed.next() {
                Some(file) => path = Some(PathBuf::from(file)),
                // The parser says that a value is missing.
                None => words.push(word),
            }
        } else if let Some(file) = word.to_str().and_then(|word| word.strip_prefix("--config=")) {
            path = Some(PathBuf::from(file));
        } else {
            words.push(word);
        }
    }
    (path, words)
}

/// The table and command that the words choose, and the place behind the command's name.
fn chosen<'a>(root: &'a Clap, words: &[OsString]) -> (&'a str, &'a Clap, usize) {
    let (mut command, mut at) = (root, 1);
    while let Some(next) = words.get(at).and_then(|word| command.find_subcommand(word)) {
        (command, at) = (next, at + 1);
    }
    (if at == 1 { "demo" } else { command.get_name() }, command, at)
}

/// Whether the environment says anything.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

/// Whether the option was typed, by its flag.
fn is_typed(key: &Key<'_>, words: &[OsString]) -> bool {
    let (flag, given) = (key.flag(), format!("{}=", key.flag()));
    words.iter().filter_map(|word| word.to_str()).any(|word| word == flag || word.starts_with(&given))
}

/// Holds what the file says to each command against that command's own rules.
fn check(root: &Clap, file: &File) -> anyhow::Result<()> {
    for table in TABLES {
        matches(root, Some(file), table, |_| false)
            .with_context(|| format!("{}: what it says to `{}`", file.path.display(), name_of(table)))?;
    }
    Ok(())
}

/// What a command would see if nothing were typed.
fn matches(
    root: &Clap,
    file: Option<&File>,
    table: &str,
    is_said: impl Fn(&Key<'_>) -> bool,
) -> anyhow::Result<ArgMatches> {
    let command = keys::command_of(root, table).ok_or_else(|| anyhow!("there is no command {table}"))?;
    let mut words = vec![OsString::from("arterial")];
    words.extend((table != "demo").then(|| table.into()));
    words.extend(file.into_iter().flat_map(|file| file.words(table, command, &is_said)).map(OsString::from));
    // What has to be typed each time, like the recordings of a replay, is not missing from a file.
    let typed: Vec<_> = command.get_arguments().filter(|a| a.is_required_set()).map(|a| a.get_id().clone()).collect();
    let relax =
        |command: Clap| typed.iter().fold(command, |command, id| command.mut_arg(id, |arg| arg.required(false)));
    let root = if table == "demo" { relax(root.clone()) } else { root.clone().mut_subcommand(table, relax) };
    let found = root.try_get_matches_from(words).map_err(|e| anyhow!(first_line(&e.to_string())))?;
    Ok(found.subcommand().map_or_else(|| found.clone(), |(_, own)| own.clone()))
}

/// One table of text a command: key, value, where it comes from.
fn show<'a>(root: &Clap, file: Option<&File>, tables: impl Iterator<Item = &'a str>) -> anyhow::Result<String> {
    let mut out = String::new();
    for table in tables {
        let Some(command) = keys::command_of(root, table) else { continue };
        let found = matches(root, file, table, |key| is_set(&key.environment()))?;
        let rows: Vec<[String; 3]> = keys::of(command).iter().map(|key| row(key, table, file, &found)).collect();
        let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let (first, second) = (width(0), width(1));
        out.push_str(&format!("[{table}]\n"));
        for [key, value, origin] in &rows {
            out.push_str(&format!("{key:first$}  {value:second$}  {origin}\n"));
        }
        out.push('\n');
    }
    Ok(out)
}

fn row(key: &Key<'_>, table: &str, file: Option<&File>, found: &ArgMatches) -> [String; 3] {
    let id = key.arg.get_id().as_str();
    let raw: Vec<String> = found
        .get_raw(id)
        .map(|values| values.map(|v: &OsStr| v.to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    let value = match (keys::is_switch(key.arg), found.value_source(id)) {
        // A switch that came as a bare word.
        (true, Some(ValueSource::CommandLine)) => "true".to_owned(),
        _ if raw.is_empty() => key.default().unwrap_or_else(|| "–".to_owned()),
        _ => raw.join(","),
    };
    let origin = match found.value_source(id) {
        Some(ValueSource::CommandLine) => {
            file.map(|file| file.path.display().to_string()).unwrap_or_else(|| "command line".to_owned())
        }
        Some(ValueSource::EnvVariable) => key.environment(),
        _ => match file.and_then(|file| file.value(table, &key.name)) {
            // `allow_remote = false` is no word at all.
            Some(_) => file.map(|file| file.path.display().to_string()).unwrap_or_default(),
            None => "default".to_owned(),
        },
    };
    [key.name.clone(), value, origin]
}

/// A file in which every key stands with its default, as a comment.
fn example(root: &Clap) -> String {
    let mut out = String::from(
        "# Configuration of Arterial. Every key is an option of the command line; what is typed goes before the\n\
         # environment, the environment before this file, this file before the default.\n\
         # A key above the first table is said to every command that has it.\n",
    );
    for table in TABLES {
        let Some(command) = keys::command_of(root, table) else { continue };
        out.push_str(&format!("\n# {}\n[{table}]\n", name_of(table)));
        for key in keys::of(command) {
            out.push_str(&format!("\n# {}.\n# {}, {}; {}\n", key.help(), key.flag(), key.environment(), key.unit()));
            out.push_str(&format!("# {} = {}\n", key.name, default_in_toml(&key)));
        }
    }
    out
}

fn default_in_toml(key: &Key<'_>) -> String {
    match key.default() {
        Some(text) if keys::is_switch(key.arg) || text.parse::<f64>().is_ok_and(f64::is_finite) => text,
        Some(text) => format!("{text:?}"),
        None => "\"…\"   (not set)".to_owned(),
    }
}

fn name_of(table: &str) -> String {
    if table == "demo" { "arterial".to_owned() } else { format!("arterial {table}") }
}

/// clap's message without its advice about usage.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
