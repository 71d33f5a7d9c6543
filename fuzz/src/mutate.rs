//! A small fuzzer for the tests: the committed corpus, changed at random in the ways that break parsers. It knows nothing
//! of coverage; libFuzzer does, and what it finds is added to the corpus.
//!
//! Upstream: a folder of the corpus, a seed. Downstream: the short runs of `events` and `ingest` (this file by its path).

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

/// What parsers stumble over.
const TOKENS: [&[u8]; 28] = [
    b"null",
    b"-1",
    b"0",
    b"1e999",
    b"-1e999",
    b"NaN",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"0.000000001",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"]",
    b"}",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"\xf0\x9f\x9a\x8c",
    b"\0",
    b"\r\n",
    b",",
    b";",
    b"&#0;",
    b"<!--",
    b"<a ",
    b"\xff\xff\xff\x7f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x0a\x00",
];

/// Longest input that is made, bytes.
const BYTES_MAX: usize = 64 << 10;

/// Calls `body` with every entry of `corpus` as it is, then with `rounds` changed ones. When it panics, the input and the
/// seed are printed, and the panic goes on.
pub(crate) fn run(corpus: &str, rounds: u64, seed: u64, body: fn(&[u8])) {
    let entries = entries(corpus);
    assert!(!entries.is_empty(), "fuzz/corpus/{corpus} is empty");
    let mut random = Random(seed);
    for entry in &entries {
        guarded(corpus, seed, entry, body);
    }
    for _ in 0..rounds {
        let mut input = random.choose(&entries).clone();
        for _ in 0..1 + random.below(6) {
            change(&mut input, &entries, &mut random);
        }
        input.truncate(BYTES_MAX);
        guarded(corpus, seed, &input, body);
    }
}

fn entries(corpus: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(corpus);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a folder that was opened can be listed").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).collect()
}

fn guarded(corpus: &str, seed: u64, input: &[u8], body: fn(&[u8])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(input))) {
        eprintln!("{corpus}, seed {seed}: {} bytes: {}", input.len(), input.escape_ascii());
        resume_unwind(panic);
    }
}

fn change(input: &mut Vec<u8>, entries: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = at + random.below((input.len() - at).min(64) + 1);
    match random.below(8) {
        0 if !input.is_empty() => {
            let at = random.below(input.len());
            input[at] ^= 1 << random.below(8);
        }
        1 if !input.is_empty() => {
            let at = random.below(input.len());
            input[at] = random.next() as u8;
        }
        2 => input.truncate(at),
        3 => drop(input.drain(at..end)),
        4 => drop(input.splice(at..end, random.choose(&TOKENS).iter().copied())),
        5 => drop(input.splice(at..at, random.choose(&TOKENS).repeat(1 + random.below(64)))),
        6 => {
            let piece = input[at..end].repeat(1 + random.below(16));
            drop(input.splice(at..at, piece));
        }
        _ => {
            let other = random.choose(entries);
            let from = random.below(other.len() + 1);
            drop(input.splice(at.., other[from..].iter().copied()));
        }
    }
}

/// xorshift64* (Vigna 2016): good enough to be varied, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 33) as usize) % bound.max(1)
    }

    fn choose<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
