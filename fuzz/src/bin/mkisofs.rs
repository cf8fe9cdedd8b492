//! The target `mkisofs`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("mkisofs"), |input| {
    metadata_image_fuzz::run("mkisofs", input);
});
