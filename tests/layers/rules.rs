//! The rules, as data.

/// Rooms on one floor, which do not know each other. A folder ends in `/`.
pub(crate) type Layer<'a> = &'a [&'a str];

/// A crate, or a part of `std`, and the only rooms that use it.
pub(crate) struct Confined {
    pub(crate) path: &'static str,
    pub(crate) rooms: &'static [&'static str],
}

/// From the top. A room imports from rooms of the layers below its own only.
pub(crate) const LAYERS: &[Layer] = &[
    &["main.rs"],
    &["cli/"],
    &["batch/"],
    &["check/", "agent/"],
    &["recipe/", "provider/", "policy/"],
    &["trust/"],
    &["manifest/"],
    &["datasource/"],
    &["image/", "userdata/"],
    &["output/"],
    &["os/"],
    &["encoding.rs", "error.rs", "suggestion.rs"],
    &["lib.rs"],
];

/// Crates that are confined.
pub(crate) const CONFINED: &[Confined] = &[
    Confined { path: "clap", rooms: &["main.rs", "cli/"] },
    Confined { path: "clap_complete", rooms: &["cli/completions.rs"] },
    Confined { path: "clap_mangen", rooms: &["cli/man.rs"] },
    Confined { path: "indicatif", rooms: &["cli/progress.rs"] },
    Confined { path: "annotate_snippets", rooms: &["cli/render.rs"] },
    Confined { path: "similar", rooms: &["cli/diff_text.rs"] },
    Confined { path: "shlex", rooms: &["cli/escape.rs"] },
    Confined { path: "tar", rooms: &["cli/cloud_localds/tar.rs"] },
    Confined { path: "signal_hook", rooms: &["cli/signals.rs"] },
    Confined { path: "hadris_iso", rooms: &["image/"] },
    Confined { path: "hadris_fs", rooms: &["image/"] },
    Confined { path: "hadris_io", rooms: &["image/"] },
    Confined { path: "hadris_storage", rooms: &["image/"] },
    Confined { path: "tempfile", rooms: &["cli/man.rs", "output/"] },
    Confined { path: "walkdir", rooms: &["userdata/pack.rs"] },
    Confined { path: "saphyr_parser", rooms: &["userdata/yaml/"] },
    Confined { path: "regex_lite", rooms: &["userdata/schema/pattern.rs"] },
    Confined { path: "flate2", rooms: &["userdata/binary.rs"] },
    Confined { path: "sha2", rooms: &["image/", "manifest/"] },
    Confined { path: "ureq", rooms: &["provider/http.rs"] },
    Confined { path: "jiff", rooms: &["provider/gcp.rs", "manifest/timestamp.rs", "image/fat/date.rs"] },
    Confined { path: "anyhow", rooms: &["main.rs", "cli/", "policy/engine.rs", "policy/rule_heads.rs"] },
    Confined {
        path: "rustix",
        rooms: &[
            "cli/install_names.rs",
            "cli/signals.rs",
            "error.rs",
            "image/iso9660/writer.rs",
            "image/probe.rs",
            "image/sparse_copy.rs",
            "os/",
            "output/",
            "policy/",
            "userdata/pack.rs",
        ],
    },
    Confined { path: "ssh_key", rooms: &["trust/"] },
    Confined { path: "regorus", rooms: &["policy/engine.rs", "policy/rule_heads.rs"] },
];

/// Crates that no public signature names: `*` stands for any end.
pub(crate) const HIDDEN: &[&str] = &["hadris_*", "ssh_key", "regorus", "saphyr_parser", "regex_lite", "clap"];
