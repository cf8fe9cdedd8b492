//! The target `check`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("check"), |input| {
    metadata_image_fuzz::run("check", input);
});
