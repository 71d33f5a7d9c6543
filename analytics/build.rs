//! Puts the built dashboard into the binary, or, where it was not built, a page that says how to get it.
//! npm never runs here: a plain `cargo build` works without Node.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=../dashboard/dist");
    println!("cargo::rerun-if-changed=placeholder");
    println!("cargo::rustc-check-cfg=cfg(dashboard_built)");
    if Path::new("../dashboard/dist/index.html").exists() {
        println!("cargo::rustc-cfg=dashboard_built");
        memory_serve::load_directory("../dashboard/dist");
    } else {
        memory_serve::load_directory("./placeholder");
    }
}
