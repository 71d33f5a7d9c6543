use std::collections::BTreeSet;

use std::path::Path;

use clap::CommandFactory;

use super::*;

fn root() -> Clap {
    crate::Arterial::command()
}

fn file(text: &str) -> anyhow::Result<File> {
    File::parse(Path::new("arterial.toml"), text, &root())
}

fn refusal(text: &str) -> String {
    let root = root();
    let answer = file(text).and_then(|file| check(&root, &file));
    format!("{:#}", answer.expect_err(text))
}

#[test]
fn an_own_table_goes_before_what_is_said_to_all() {
    let file = file("city = \"here\"\n[analytics]\ncity = \"there\"\nkeep_minutes = 90\n").unwrap();
    let root = root();
    let words = |table| file.words(table, keys::command_of(&root, table).unwrap(), |_| false);
    assert_eq!(words("analytics"), ["--city=there", "--keep-minutes=90"]);
    assert_eq!(words("sim"), ["--city=here"]);
    let typed = file.words("analytics", keys::command_of(&root, "analytics").unwrap(), |key| key.name == "city");
    assert_eq!(typed, ["--keep-minutes=90"], "what somebody else said is left out");
}

#[test]
fn switches_lists_and_dashes_become_what_would_be_typed() {
    let text = "[ingest]\nbroker = \"h:1\"\nallow_remote = true\nbelieve_received = false\nfilter = [\"a/#\", \"b/#\"]\n\
                [analytics]\narea = \"-1,50,1,51\"\n";
    let file = file(text).unwrap();
    let root = root();
    let words = file.words("ingest", keys::command_of(&root, "ingest").unwrap(), |_| false);
    assert!(
        words.contains(&"--allow-remote".to_owned()) && words.contains(&"--filter=a/#,b/#".to_owned()),
        "{words:?}"
    );
    assert!(!words.iter().any(|word| word.contains("believe")), "{words:?}");
    check(&root, &file).unwrap();
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_the_nearest_name() {
    assert_eq!(
        refusal("[ingest]\nlitsen = \"127.0.0.1:1\"\n"),
        "arterial.toml: there is no key `ingest.litsen`; did you mean `listen`?"
    );
    assert!(refusal("[ingets]\n").starts_with("arterial.toml: there is no table [ingets]; did you mean `ingest`?"));
    assert!(refusal("data = {}\n[x]").contains("there is no table"), "a table is no value");
    assert!(refusal("[ingest]\nlisten = 2026-01-01\n").contains("ingest.listen: a date"));
    assert!(refusal("a = = 1").contains("line 1"));
    let refused = refusal("[analytics]\nkeep_minutes = 5\n");
    assert!(refused.contains("`arterial analytics`") && refused.contains("--keep-minutes"), "{refused}");
    let refused = refusal("[ingest]\nbroker = \"h:1\"\ntls_cert = \"c\"\ntls_key = \"k\"\n");
    assert!(refused.contains("cannot be used with"), "{refused}");
}

#[test]
fn the_file_is_found_anywhere_among_the_words_and_nowhere_behind_two_dashes() {
    let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    let (path, rest) = config_path(words("arterial ingest --config a.toml --data d"));
    assert_eq!((path, rest), (Some(PathBuf::from("a.toml")), words("arterial ingest --data d")));
    assert_eq!(config_path(words("arterial --config=a.toml")).0, Some(PathBuf::from("a.toml")));
    assert_eq!(config_path(words("arterial replay -- --config a.toml")).0, None);
    let root = root();
    let (table, command, at) = chosen(&root, &words("arterial spool list --data d"));
    assert_eq!((table, command.get_name(), at), ("list", "list", 3));
    assert_eq!(chosen(&root, &words("arterial --vehicles 5")).0, "demo");
}

#[test]
fn the_example_names_every_key_and_is_sound_with_every_default() {
    let root = root();
    let example = example(&root);
    file(&example).unwrap();
    let set: String = example
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") && !key.contains('…') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let defaults = file(&set).unwrap_or_else(|e| panic!("{e:#}\n{set}"));
    for table in TABLES {
        for key in keys::of(keys::command_of(&root, table).unwrap()) {
            let there = defaults.value(table, &key.name).is_some();
            assert_eq!(there, key.default().is_some(), "{table}.{} stands there with its default", key.name);
        }
    }
}

/// Said each time anew, and no matter of configuration: what to do, how long, and where to put the result.
const ONCE: [&str; 15] = [
    "help",
    "version",
    "config",
    "list",
    "headless",
    "start",
    "out",
    "duration-s",
    "cells",
    "from",
    "to",
    "loop",
    "shift-to-now",
    "columns",
    "format",
];

#[test]
fn every_option_of_a_service_is_a_key_with_unit_and_help() {
    let root = root();
    let mut units = BTreeSet::new();
    for table in TABLES {
        let command = keys::command_of(&root, table).unwrap();
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let long = arg.get_long().unwrap_or_default();
            assert!(arg.get_env().is_some() || ONCE.contains(&long), "{table}: --{long} has no environment name");
        }
        for key in keys::of(command) {
            assert!(key.environment().starts_with("ARTERIAL_"), "{}", key.name);
            assert!(!key.help().is_empty() && !key.unit().is_empty(), "{table}: {}", key.name);
            units.insert(key.unit());
        }
    }
    assert!(units.contains("MINUTES") && units.contains("true or false"), "{units:?}");
}

#[test]
fn show_tells_where_each_value_comes_from() {
    let file = file("[replay]\nspeed = 60\n").unwrap();
    let shown = show(&root(), Some(&file), ["replay"].into_iter()).unwrap();
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(line("speed").contains("60") && line("speed").ends_with("arterial.toml"), "{shown}");
    assert!(line("broker ").contains("127.0.0.1:1883") && line("broker ").ends_with("default"), "{shown}");
}
