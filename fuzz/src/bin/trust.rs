//! The target `trust`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("trust"), |input| {
    metadata_image_fuzz::run("trust", input);
});
