//! The target `image`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("image"), |input| {
    metadata_image_fuzz::run("image", input);
});
