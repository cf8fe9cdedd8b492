//! Inputs that fuzzers found, and some that were made by hand, through the same targets again.

use std::{fs, path::Path};

use crate::fuzz_targets::TARGETS;

#[test]
fn inputs_in_testdata_are_read_without_a_fault() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz");
    let described = fs::read_to_string(all.join("README.md")).unwrap();
    for target in TARGETS {
        let mut count = 0;
        for entry in fs::read_dir(all.join(target.name)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{}/{}", target.name, entry.file_name().to_str().unwrap());
            println!("{name}");
            assert!(described.contains(&format!("`{name}`")), "testdata/fuzz/README.md lacks {name}");
            (target.run)(&fs::read(entry.path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "there is no input for {}", target.name);
    }
}

#[test]
fn every_seed_is_read_without_a_fault() {
    for target in TARGETS {
        for seed in (target.seeds)() {
            println!("{}: {:?}", target.name, String::from_utf8_lossy(&seed));
            (target.run)(&seed);
        }
    }
}
