//! Trees that are large, deep, or have long names.

use std::fs;

use super::{Programs, primary_names, write};

/// Without optimization it takes minutes.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_files() {
    let programs = Programs::new();
    for directory in 0..100 {
        let directory = programs.path(&format!("seed/{directory:02}"));
        fs::create_dir_all(&directory).unwrap();
        for file in 0..1000 {
            fs::write(directory.join(format!("file-{file:03}.json")), "{}").unwrap();
        }
    }
    programs.succeed("genisoimage", ["-R", "-J", "-o", "image", "seed"]);
    let names = primary_names(&programs.sandbox.read("image"));
    assert_eq!(names.len(), 100_100);
}

#[test]
#[ignore = "needs isovfy, bsdtar and xorriso"]
fn names_of_255_bytes_and_directories_that_outgrow_their_place() {
    let programs = Programs::new();
    for number in 0..200 {
        let name = format!("{number:03}-{}", "n".repeat(251));
        write(&programs.path("seed").join(name), number.to_string());
        write(&programs.path("seed").join(format!("{number:03}.{}", "m".repeat(120))), "");
    }
    for options in [&["-R"][..], &["-R", "-l"], &["-R", "-iso-level", "4"], &["-R", "-max-iso9660-filenames"]]
    {
        programs.succeed("genisoimage", [options, &["-o", "image", "seed"]].concat());
        assert_eq!(primary_names(&programs.sandbox.read("image")).len(), 400);
        // isovfy knows no names of more than 31 characters.
        if options.len() == 1 || options.contains(&"-l") {
            let found = programs.sandbox.tool("isovfy", ["image"]);
            assert!(String::from_utf8(found).unwrap().contains("No errors found"), "{options:?}");
        }
        // bsdtar reads no image with such names of level 4, also none of genisoimage's.
        let listing = if options.contains(&"4") {
            programs.sandbox.tool("xorriso", ["-indev", "image", "-find", "/"])
        } else {
            programs.sandbox.tool("bsdtar", ["-tf", "image"])
        };
        assert_eq!(listing.split(|byte| *byte == b'\n').filter(|line| line.len() > 100).count(), 400);
    }
}

#[test]
#[ignore = "needs bsdtar"]
fn bsdtar_reads_names_that_continue_behind_a_directory_that_outgrew_its_place() {
    let programs = Programs::new();
    for number in 0..300 {
        write(&programs.path("seed").join(format!("{number:03}{}", "x".repeat(60))), "");
    }
    for options in [&["-R"][..], &["-R", "-J"]] {
        programs.succeed("genisoimage", [options, &["-iso-level", "4", "-o", "image", "seed"]].concat());
        let listing = programs.sandbox.tool("bsdtar", ["-tf", "image"]);
        assert_eq!(listing.split(|byte| *byte == b'\n').filter(|line| line.len() >= 63).count(), 300);
    }
}

#[test]
#[ignore = "needs xorriso"]
fn deep_trees_with_rock_ridge_are_relocated_and_without_it_cut_with_a_warning() {
    let programs = Programs::new();
    let deep = "1/2/3/4/5/6/7/8/9/10/11/12";
    write(&programs.path("seed").join(deep).join("file"), "deep");
    write(&programs.path("seed/1/file"), "flat");
    programs.succeed("genisoimage", ["-R", "-iso-level", "4", "-o", "image", "seed"]);
    let into = programs.path("into");
    programs.sandbox.tool("xorriso", ["-osirrox", "on", "-indev", "image", "-extract", "/", "into"]);
    assert_eq!(fs::read(into.join(deep).join("file")).unwrap(), b"deep");
    let output = programs.run("ours", "genisoimage", ["-J", "-o", "image", "seed"]);
    assert!(output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("Directories too deep") && errors.lines().count() == 1, "{errors}");
    let listing = String::from_utf8(programs.sandbox.succeed(["show", "--json", "image"])).unwrap();
    assert!(listing.contains("1/file") && !listing.contains("1/2/3/4/5/6/7/8"), "{listing}");
}
