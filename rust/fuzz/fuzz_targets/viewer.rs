#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| pypackager_fuzz::viewer::run(data));
