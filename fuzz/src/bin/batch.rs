//! The target `batch`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("batch"), |input| {
    metadata_image_fuzz::run("batch", input);
});
