//! What the fuzzers run and `cargo test` replays: one function for each target, which panics when it finds a fault.
//!
//! The workspace in `fuzz/` includes this directory, so that nothing here uses the other tests. Outside of it is only what
//! both have among their dependencies: the library itself, `serde_json` and `tempfile`.

pub(crate) mod batch;
pub(crate) mod check;
pub(crate) mod fat;
pub(crate) mod image;
pub(crate) mod iso;
pub(crate) mod localds;
pub(crate) mod mkisofs;
pub(crate) mod network;
pub(crate) mod parts;
pub(crate) mod places;
pub(crate) mod schema;
pub(crate) mod trust;
pub(crate) mod yaml;

/// A fuzz target.
pub(crate) struct Target {
    /// Its name, which is also that of its directory in `testdata/fuzz`.
    pub(crate) name: &'static str,
    /// Runs it on an input.
    pub(crate) run: fn(&[u8]),
    /// Inputs to begin with, besides those in `testdata`.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub(crate) const TARGETS: [Target; 11] = [
    Target { name: "batch", run: batch::run, seeds: batch::seeds },
    Target { name: "check", run: check::run, seeds: check::seeds },
    Target { name: "fat", run: fat::run, seeds: fat::seeds },
    Target { name: "image", run: image::run, seeds: image::seeds },
    Target { name: "localds", run: localds::run, seeds: localds::seeds },
    Target { name: "mkisofs", run: mkisofs::run, seeds: mkisofs::seeds },
    Target { name: "network", run: network::run, seeds: network::seeds },
    Target { name: "parts", run: parts::run, seeds: parts::seeds },
    Target { name: "schema", run: schema::run, seeds: schema::seeds },
    Target { name: "trust", run: trust::run, seeds: trust::seeds },
    Target { name: "yaml", run: yaml::run, seeds: yaml::seeds },
];
