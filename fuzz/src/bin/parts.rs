//! The target `parts`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("parts"), |input| {
    metadata_image_fuzz::run("parts", input);
});
