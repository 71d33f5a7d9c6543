//! The file: read, held against the keys that there are, and turned into words of the command line.
//!
//! Upstream: a person's TOML file. Downstream: [`super::arguments`], which puts the words in front of those that were
//! typed, so that what a flag may be is said in one place.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Command;
use toml::{Table, Value};

use super::keys::{self, Key, TABLES};

/// A file that holds known keys only. What its values are worth is for the command line to say.
pub(super) struct File {
    pub(super) path: PathBuf,
    table: Table,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has a key that no command knows; the nearest known one is named then.
    pub(super) fn open(path: &Path, root: &Command) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}; `arterial config example` writes one", path.display()))?;
        Self::parse(path, &text, root)
    }

    pub(super) fn parse(path: &Path, text: &str, root: &Command) -> anyhow::Result<Self> {
        // The parser's own message has the line and a mark under the place.
        let table: Table = toml::from_str(text).map_err(|e| anyhow!("{}: {}", path.display(), e.to_string().trim()))?;
        for (name, value) in &table {
            match value {
                Value::Table(inner) => {
                    let command = keys::command_of(root, name).ok_or_else(|| unknown_table(path, name))?;
                    let known = keys::of(command);
                    for (key, value) in inner {
                        find(&known, key).ok_or_else(|| unknown(path, &format!("{name}."), key, &known))?;
                        plain(value).with_context(|| format!("{}: {name}.{key}", path.display()))?;
                    }
                }
                _ => {
                    let known: Vec<Key<'_>> =
                        TABLES.iter().filter_map(|t| keys::command_of(root, t)).flat_map(keys::of).collect();
                    find(&known, name).ok_or_else(|| unknown(path, "", name, &known))?;
                    plain(value).with_context(|| format!("{}: {name}", path.display()))?;
                }
            }
        }
        Ok(Self { path: path.to_owned(), table })
    }

    /// What the file says to a command: its own table first, else what is said to all. Keys that the command does not
    /// have are none of its business.
    pub(super) fn value(&self, table: &str, key: &str) -> Option<&Value> {
        let own = self.table.get(table).and_then(Value::as_table).and_then(|own| own.get(key));
        own.or_else(|| self.table.get(key).filter(|value| !value.is_table()))
    }

    /// The same as words of the command line, without the keys that somebody said who goes before the file.
    pub(super) fn words(&self, table: &str, command: &Command, is_said: impl Fn(&Key<'_>) -> bool) -> Vec<String> {
        let mut words = Vec::new();
        for key in keys::of(command) {
            let Some(value) = self.value(table, &key.name) else { continue };
            if is_said(&key) {
                continue;
            }
            match value {
                Value::Boolean(on) if keys::is_switch(key.arg) => words.extend(on.then(|| key.flag())),
                // One word, so that a value that begins with a dash stays a value.
                value => words.push(format!("{}={}", key.flag(), spelled(value, key.arg))),
            }
        }
        words
    }
}

/// As it is typed.
fn spelled(value: &Value, arg: &clap::Arg) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => {
            let delimiter = arg.get_value_delimiter().unwrap_or(',').to_string();
            all.iter().map(|one| spelled(one, arg)).collect::<Vec<_>>().join(&delimiter)
        }
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(on) => on.to_string(),
        // Refused when the file was read.
        Value::Datetime(_) | Value::Table(_) => String::new(),
    }
}

/// Texts, numbers, yes and no, and lists of them.
fn plain(value: &Value) -> anyhow::Result<()> {
    match value {
        Value::Array(all) => all.iter().try_for_each(|one| match one {
            Value::Array(_) => bail!("a list within a list; expected texts or numbers"),
            one => plain(one),
        }),
        Value::Table(_) => bail!("a table; expected a text, a number, true, false or a list of them"),
        Value::Datetime(_) => bail!("a date; write it as a text, in quotes"),
        _ => Ok(()),
    }
}

fn find<'a, 'k>(known: &'a [Key<'k>], name: &str) -> Option<&'a Key<'k>> {
    known.iter().find(|key| key.name == name)
}

fn unknown(path: &Path, table: &str, name: &str, known: &[Key<'_>]) -> anyhow::Error {
    let near = nearest(name, known.iter().map(|key| key.name.as_str()));
    anyhow!("{}: there is no key `{table}{name}`{near}", path.display())
}

fn unknown_table(path: &Path, name: &str) -> anyhow::Error {
    let near = nearest(name, TABLES.into_iter());
    anyhow!("{}: there is no table [{name}]{near}; there are [{}]", path.display(), TABLES.join("], ["))
}

/// The known name that is spelled most like this one, if any is.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let by_likeness = known.map(|k| (strsim::jaro_winkler(name, k), k));
    let best = by_likeness.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
    best.filter(|(likeness, _)| *likeness > 0.7).map(|(_, k)| format!("; did you mean `{k}`?")).unwrap_or_default()
}
