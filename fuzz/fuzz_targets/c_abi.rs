#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| unbroken_fuzz_oracles::c_abi(data));
