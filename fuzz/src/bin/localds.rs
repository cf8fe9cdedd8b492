//! The target `localds`.
#![no_main]

libfuzzer_sys::fuzz_target!(init: metadata_image_fuzz::write_seeds("localds"), |input| {
    metadata_image_fuzz::run("localds", input);
});
