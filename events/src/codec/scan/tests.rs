//! The scanner held against `serde_json`: the same texts are JSON, and they say the same.

use super::*;
use proptest::prelude::*;
use serde_json::Value as Tree;

/// The whole text as a tree of the library's.
fn tree(text: &str) -> Result<Tree, Reject> {
    fn value(scan: &mut Scanner<'_>) -> Result<Tree, Reject> {
        match scan.peek() {
            Some(b'{') => {
                let mut map = serde_json::Map::new();
                scan.object(&mut |key, value| {
                    map.insert(key.into_owned(), leaf(value));
                    Ok(())
                })?;
                Ok(Tree::Object(map))
            }
            Some(b'[') => {
                let mut list = Vec::new();
                scan.array(&mut |scan| {
                    list.push(value(scan)?);
                    Ok(())
                })?;
                Ok(Tree::Array(list))
            }
            _ => scan.value().map(leaf),
        }
    }
    fn leaf(found: Value<'_>) -> Tree {
        match found {
            Value::Null => Tree::Null,
            Value::Bool(b) => Tree::Bool(b),
            Value::Number(text) => match text.parse::<u64>() {
                Ok(n) => n.into(),
                Err(_) => text.parse::<i64>().map_or_else(|_| text.parse::<f64>().unwrap().into(), Into::into),
            },
            Value::Text(text) => Tree::String(text.into_owned()),
            Value::Object(text) | Value::Array(text) => tree(text).unwrap(),
        }
    }
    let mut scan = Scanner::new(text);
    let tree = value(&mut scan)?;
    scan.end()?;
    Ok(tree)
}

/// Equal, but for the last bits of floats, which the library does not promise.
fn alike(a: &Tree, b: &Tree) -> bool {
    match (a, b) {
        (Tree::Number(a), Tree::Number(b)) => {
            let (x, y) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            a == b || (x - y).abs() <= x.abs() * 1e-15 || (x.abs() < 1e-300 && y.abs() < 1e-300)
        }
        (Tree::Array(a), Tree::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Tree::Object(a), Tree::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| alike(value, other)))
        }
        _ => a == b,
    }
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<u64>().prop_map(Tree::from),
        any::<f64>().prop_map(Tree::from),
        any::<String>().prop_map(Tree::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|pairs| Tree::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Texts out of which JSON is made, in any order: most are not JSON, but only just.
fn nearly_json() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"a\"",
        "1",
        "-",
        "0",
        "01",
        ".5",
        "1.",
        "e",
        "E+3",
        "2e-7",
        "true",
        "fals",
        "null",
        " ",
        "\n",
        "\\u00e4",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\udc00x",
        "\u{1}",
        "ä",
        "/",
        "\\/",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_json_for_the_library_is_json_here(text in nearly_json()) {
        let (ours, library) = (tree(&text), serde_json::from_str::<Tree>(&text));
        prop_assert_eq!(ours.is_ok(), library.is_ok(), "{} {:?} {:?}", text, ours, library);
        if let (Ok(ours), Ok(library)) = (ours, library) {
            prop_assert!(alike(&ours, &library), "{text}: {ours} is not {library}");
        }
    }

    #[test]
    fn every_tree_is_read_as_it_was_written(written in any_tree(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&written) } else { serde_json::to_string(&written) }.unwrap();
        let read = tree(&text).unwrap();
        prop_assert!(alike(&read, &written), "{text}: {read}");
    }

    #[test]
    fn a_string_in_quotes_is_the_string(text: String) {
        let quoted = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(Scanner::new(&quoted).value(), Ok(Value::Text(text.into())));
    }
}

#[test]
fn nesting_is_read_to_its_bound_and_refused_beyond() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Scanner::new(&nested(DEPTH_MAX)).value().is_ok());
    for (text, what) in
        [(nested(DEPTH_MAX + 1), "deeper"), ("[".repeat(500_000), "deeper"), ("{\"a\":".repeat(99), "deeper")]
    {
        let reject = Scanner::new(&text).value().unwrap_err();
        assert_eq!(reject.reason, Reason::Malformed);
        assert!(reject.detail.contains(what), "{reject}");
    }
    // Width is not depth.
    assert!(Scanner::new(&format!("[{}[]]", "[],".repeat(1_000))).value().is_ok());
}

#[test]
fn an_error_names_the_byte_and_what_was_expected() {
    for (text, said) in [
        ("{\"a\" 1}", "byte 5: expected `:`, found '1'"),
        ("[1 2]", "byte 3: expected `,` or `]`, found '2'"),
        ("{\"a\":1,}", "byte 7: expected a key in quotes, found '}'"),
        ("\"abc", "byte 4: expected the rest of a string, found the end"),
        ("-x", "byte 1: expected a digit, found 'x'"),
        ("", "byte 0: expected a value, found the end"),
        ("\"\\ü\"", "byte 2: expected an escape, found 'ü'"),
        ("\"\\u00ü0\"", "byte 5: expected a hexadecimal digit, found 'ü'"),
    ] {
        assert_eq!(Scanner::new(text).value().unwrap_err().detail, said);
    }
}
