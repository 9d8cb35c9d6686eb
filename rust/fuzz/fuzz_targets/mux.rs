#![no_main]
libfuzzer_sys::fuzz_target!(|input: pypackager_fuzz::mux::Input<'_>| pypackager_fuzz::mux::run(&input));
