//! The target `fat`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("fat"), |input| {
    metadata_image_fuzz::run("fat", input);
});
