//! Where the real recordings are, and whether their absence may pass.
//!
//! Upstream: the environment. Downstream: the tests over recordings, which skip themselves with a line when the folder
//! is absent; here is decided whether that is acceptable.

use crate::failure::Failure;
use crate::report::say;
use std::env;
use std::path::{Path, PathBuf};

/// The folder of recordings as an absolute path: `ARTERIAL_DATA`, else `../shared/data` beside the checkout.
///
/// # Errors
/// Absent while `CI` or `ARTERIAL_REQUIRE_DATA` is set: a server must not report success about tests it skipped.
pub(crate) fn locate(root: &Path) -> Result<Option<PathBuf>, Failure> {
    let named = env::var_os("ARTERIAL_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let found = decide(&named, is_set("CI") || is_set("ARTERIAL_REQUIRE_DATA"))?;
    if found.is_none() {
        say(&format!("warning: no recordings at {}: the tests over them will be skipped", named.display()));
    }
    Ok(found)
}

fn decide(named: &Path, required: bool) -> Result<Option<PathBuf>, Failure> {
    match named.canonicalize() {
        Ok(folder) if folder.is_dir() => Ok(Some(folder)),
        Ok(_) | Err(_) if required => Err(Failure::Missing(format!(
            "recordings not found: there is no folder {}; name it in ARTERIAL_DATA, or unset CI and \
             ARTERIAL_REQUIRE_DATA to skip the tests that read them",
            named.display()
        ))),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Set, and not to one of the usual words for no.
fn is_set(name: &str) -> bool {
    env::var(name).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_recordings_fail_only_where_they_are_required() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let absent = here.join("no-such-folder");
        assert!(matches!(decide(here, true), Ok(Some(folder)) if folder.is_absolute()));
        assert!(matches!(decide(&absent, false), Ok(None)));
        let refusal = decide(&absent, true).expect_err("required").to_string();
        assert!(refusal.starts_with("recordings not found") && refusal.contains("no-such-folder"), "{refusal}");
        // A file is not a folder of recordings either.
        assert!(decide(&here.join("Cargo.toml"), true).is_err());
    }
}
