//! The target `yaml`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("yaml"), |input| {
    metadata_image_fuzz::run("yaml", input);
});
