//! Every decoder over the committed corpus and changes of it. A long run is `cargo fuzz run TARGET` in `fuzz/`.
//!
//! `ARTERIAL_FUZZ_ROUNDS` sets another number of rounds a target.

#[path = "../../../fuzz/src/bodies.rs"]
mod bodies;
#[path = "../../../fuzz/src/mutate.rs"]
mod mutate;

/// Rounds of one target in the tests.
const ROUNDS: u64 = 10_000;

const SEED: u64 = 0x5EED_F00D_A57E_71A1;

#[test]
fn no_input_breaks_a_decoder() {
    let said = std::env::var("ARTERIAL_FUZZ_ROUNDS").ok();
    let rounds = said.map_or(ROUNDS, |text| text.parse().expect("ARTERIAL_FUZZ_ROUNDS is a number"));
    println!("seed {SEED}, {rounds} rounds a target");
    for (target, body) in bodies::TARGETS {
        mutate::run(target, rounds, SEED, body);
        println!("{target}: held");
    }
}

#[test]
fn the_largest_hostile_messages_are_bounded() {
    let size = events::codec::MESSAGE_BYTES_MAX;
    let fill = |piece: &[u8]| piece.repeat(size / piece.len());
    let after = |head: &[u8], piece: &[u8]| [head, &piece.repeat((size - head.len()) / piece.len())].concat();
    for (target, body) in bodies::TARGETS {
        for hostile in [
            fill(b"["),
            fill(b"{\"a\":"),
            fill(b"[],"),
            fill(b"\x0a\x00"),
            after(b"\x0a\x00", b"\x12\x00"),
            after(b"\x0a\x00", b"\x12\x02\x22\x00"),
            fill(b"<a b=\"c\">"),
            after(b"<detector>", b"<interval/>"),
            after(b"<fcd-export><timestep time=\"1\">", b"<vehicle/>"),
            after(b"t,id,n,o,v,p\n", b"x\n"),
            after(b"id,time,lon,lat,v,h,n\n", b"1,1,1,1,1,1,1\n"),
            fill(b"\""),
            fill(b"\xff"),
            fill(b"9"),
        ] {
            println!("{target}: {} bytes of {}", hostile.len(), hostile[..20].escape_ascii());
            body(&hostile);
        }
    }
}
