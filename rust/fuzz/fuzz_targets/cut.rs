#![no_main]
libfuzzer_sys::fuzz_target!(|input: pypackager_fuzz::cut::Input<'_>| pypackager_fuzz::cut::run(&input));
