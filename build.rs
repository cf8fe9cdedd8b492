//! Makes the dynamic program contain the unwinder of libgcc, where the compiler of C has it as an archive. Otherwise every start loads
//! the shared one, which asks the processor about itself besides: a tenth of the time of a small `create`.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    let is_static = env::var("CARGO_CFG_TARGET_FEATURE")
        .is_ok_and(|features| features.split(',').any(|feature| feature == "crt-static"));
    // Another machine's archive may be elsewhere, and other systems have other unwinders. Who uses only the library decides how their
    // program is linked.
    let is_own = env::var("HOST").is_ok_and(|host| is("TARGET", &host));
    let is_wanted = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && !is_static;
    if is_own && is_wanted && env::var_os("CARGO_FEATURE_CLI").is_some() && has_archive() {
        // As the name of a shared library, which the linker also looks up as an archive.
        println!("cargo:rustc-link-lib=dylib=gcc_eh");
    }
}

/// Whether the compiler knows where the archive is; otherwise it repeats the name.
fn has_archive() -> bool {
    let asked = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    asked.is_ok_and(|said| Path::new(String::from_utf8_lossy(&said.stdout).trim()).is_absolute())
}
