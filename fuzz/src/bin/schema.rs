//! The target `schema`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("schema"), |input| {
    metadata_image_fuzz::run("schema", input);
});
