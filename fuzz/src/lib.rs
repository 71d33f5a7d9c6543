//! The bodies by name, for the targets.

mod bodies;

/// Runs one body.
pub fn run(target: &str, bytes: &[u8]) {
    let (_, body) = bodies::TARGETS.iter().find(|(name, _)| *name == target).expect("a target of the list");
    body(bytes);
}
