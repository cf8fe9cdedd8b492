//! The target `network`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("network"), |input| {
    metadata_image_fuzz::run("network", input);
});
